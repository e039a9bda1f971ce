//! Who may do what: Cedar policies over our own schema, and a [`Permit`] that only a decision can make.
//!
//! Default deny; forbid wins; whatever cannot be evaluated is denied. The policies that the program comes with stand in
//! `systemd/policies/cloister.cedar`, one sentence of purpose above each; a site adds its own to them.
//!
//! # Why
//! - **The tenant's boundary, the list of collections and the keepers' blindness are `forbid`s**, and always there: no
//!   policy that a site adds, nor a slip in one, opens them, because forbidding wins.
//! - **The `why` of a denial is worked out after it**: that a role includes an action at all is asked of the permitting
//!   policies alone, so that "not your role" and "not your tenant" are told apart without weakening the decision.
//! - **A decision is taken before the intent is recorded, from one set**: it reads no record, and so the record names
//!   the very set and the policies that decided, also while a new set is being put in its place.

use std::{
    fmt,
    sync::{Arc, LazyLock, PoisonError, RwLock},
};

use cloister_terms::Action;

mod denial;
mod folder;
mod model;
mod permit;
mod principal;
mod resource;
mod rules;

pub use denial::Denial;
pub use folder::FolderError;
pub use permit::{Basis, Decision, Permit};
pub use principal::{Emergency, Principal, Readable, site_wide};
pub use resource::{ParseResourceError, Resource};
pub use rules::{Fault, InvalidRules, Rules, Source, Stated};

use model::MODEL;
use rules::Verdict;

/// The policy by which emergency access reads: a permit that rests on it carries what the emergency opens, no other does.
const EMERGENCY: &str = "emergency-access-reads-the-own-tenant";

/// The packaged set, read once.
static PACKAGED: LazyLock<Arc<Rules>> = LazyLock::new(|| {
    Arc::new(Rules::packaged().unwrap_or_else(|error| {
        // A test excludes it. Were it so all the same, nothing is allowed.
        tracing::error!(%error, "the packaged policies are not valid: everything is denied");
        Rules::none()
    }))
});

/// The rules in force, and those on trial beside them. Cheap to clone; all clones change together.
#[derive(Clone)]
pub struct Policy {
    held: Arc<RwLock<Held>>,
    on_difference: Arc<dyn Fn(&Difference<'_>) + Send + Sync>,
}

#[derive(Debug, Clone)]
struct Held {
    current: Arc<Rules>,
    shadow: Option<Arc<Rules>>,
}

/// A question that the rules on trial answer otherwise than the rules in force.
#[derive(Debug)]
pub struct Difference<'a> {
    /// Who asked.
    pub principal: &'a Principal,
    /// What was asked.
    pub action: Action,
    /// Whether the rules in force allow it; those on trial do not, or the other way round.
    pub allowed: bool,
    /// The policies in force that decided.
    pub policies: &'a [String],
    /// The policies on trial that would have.
    pub shadow: &'a [String],
}

impl Policy {
    /// The rules that the program comes with.
    pub fn built_in() -> Self {
        Self::shared(PACKAGED.clone())
    }

    /// These rules.
    pub fn of(rules: Rules) -> Self {
        Self::shared(Arc::new(rules))
    }

    fn shared(current: Arc<Rules>) -> Self {
        Self { held: Arc::new(RwLock::new(Held { current, shadow: None })), on_difference: Arc::new(|_| {}) }
    }

    /// Tells `on_difference` of each question that the rules on trial answer otherwise.
    #[must_use]
    pub fn telling(mut self, on_difference: impl Fn(&Difference<'_>) + Send + Sync + 'static) -> Self {
        self.on_difference = Arc::new(on_difference);
        self
    }

    fn held(&self) -> Held {
        // A panic while the lock is held leaves the old rules or the new ones, never half of either.
        self.held.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The rules that hold now.
    pub fn rules(&self) -> Arc<Rules> {
        self.held().current
    }

    /// The rules on trial: asked beside those in force, and obeyed in nothing.
    pub fn shadow(&self) -> Option<Arc<Rules>> {
        self.held().shadow
    }

    /// Puts other rules in their place, and others on trial, for the next decision.
    pub fn replace(&self, rules: Rules, shadow: Option<Rules>) {
        let held = Held { current: Arc::new(rules), shadow: shadow.map(Arc::new) };
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = held;
    }

    /// Decides whether `principal` may do `action` on `resource`. What no policy permits is denied.
    pub fn decide(&self, principal: &Principal, action: Action, resource: &Resource) -> Decision {
        let Held { current, shadow } = self.held();
        let verdict = current.ask(principal, action, resource);
        if let Some(shadow) = shadow {
            let other = shadow.ask(principal, action, resource);
            if other.allowed != verdict.allowed {
                let (allowed, policies, shadow) = (verdict.allowed, &*verdict.policies, &*other.policies);
                (self.on_difference)(&Difference { principal, action, allowed, policies, shadow });
            }
        }
        let Verdict { allowed, policies, failed } = verdict;
        let basis = Basis { set: current.shared_version().clone(), policies };
        if allowed {
            let emergency = basis.policies.iter().any(|policy| policy == EMERGENCY);
            let (principal, resource) = (principal.clone(), resource.clone());
            let principal = if emergency { principal.opened() } else { principal };
            return Decision::Permit(Permit { principal, action, resource, basis });
        }
        let applies = MODEL.as_ref().is_some_and(|model| model.applies(action, resource));
        let reason = if failed && applies {
            Denial::Undecided
        } else if !current.permits(principal, action, resource) {
            Denial::Role { role: principal.role, action }
        } else if failed {
            // The action is of one tenant's content and asked of the machine, or of a kind of thing that it is not for.
            if *resource == Resource::Appliance { Denial::NeedsTenant { action } } else { Denial::Undecided }
        } else {
            forbidden(principal, action, &basis.policies)
        };
        Decision::Deny { reason, basis }
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.held().fmt(f)
    }
}

/// Which of the forbidding policies speaks: those that are always there first, in this order.
fn forbidden(principal: &Principal, action: Action, policies: &[String]) -> Denial {
    let has = |id: &str| policies.iter().any(|policy| policy == id);
    if has("no-content-for-keepers") || has("no-captures-for-keepers-of-the-machine") {
        Denial::Role { role: principal.role, action }
    } else if has("no-other-tenant") || has("no-tenant-for-the-tenantless") {
        Denial::Tenant
    } else if has("only-listed-collections") {
        Denial::Collection
    } else if has("no-emergency-access-for-keepers-and-programs") {
        Denial::Person
    } else if has("only-what-the-key-is-for") {
        Denial::Key { action }
    } else {
        policies.first().map_or(Denial::Undecided, |policy| Denial::Forbidden { policy: policy.clone() })
    }
}

#[cfg(test)]
mod tests;
