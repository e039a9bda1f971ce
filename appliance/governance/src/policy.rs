//! Who may do what: default deny, a table of roles and actions, and a [`Permit`] that only a decision can make.
//!
//! The table is [`allows`]; it reads like the sentence it stands for. Cedar takes its place behind the same
//! [`Policy::decide`] later.

use std::collections::BTreeSet;

use cloister_terms::{AccessLabel, Action, CollectionId, Role, TenantId};

use crate::accounts::AccountId;

/// The collections an account may read within its tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readable {
    /// Every collection of the tenant, also those made later.
    All,
    /// These and no other.
    These(BTreeSet<CollectionId>),
}

impl Readable {
    /// Whether `collection` is among them.
    pub fn contains(&self, collection: &CollectionId) -> bool {
        match self {
            Self::All => true,
            Self::These(these) => these.contains(collection),
        }
    }

    /// Those of `collections` that are among them, in the order given. What a search scope is built from.
    pub fn among(&self, collections: impl IntoIterator<Item = CollectionId>) -> Vec<CollectionId> {
        collections.into_iter().filter(|collection| self.contains(collection)).collect()
    }
}

/// Who is acting, as identity established it. Making one is a claim about who is there, so only the identity room and
/// the account register do; it permits nothing by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The account.
    pub account: AccountId,
    /// The name an administrator gave it.
    pub name: String,
    /// What it is to the site.
    pub role: Role,
    /// The tenant it belongs to; none for accounts of the whole site.
    pub tenant: Option<TenantId>,
    /// The collections it may read.
    pub collections: Readable,
    /// The access labels it holds.
    pub labels: BTreeSet<AccessLabel>,
}

impl Principal {
    /// The person at the machine itself, who could read the master key: commands act under this name.
    ///
    /// The role is still what decides: a command names the role that its work needs, and the record says so.
    pub fn local(role: Role, tenant: Option<TenantId>) -> Self {
        Self {
            account: AccountId::local(),
            name: "local".to_owned(),
            role,
            tenant,
            collections: Readable::All,
            labels: BTreeSet::new(),
        }
    }
}

/// What the action touches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource {
    /// The machine itself: its models, its health, its accounts.
    Appliance,
    /// A tenant as a whole: an answer draws on whichever of its collections the caller may read.
    Tenant(TenantId),
    /// One collection of a tenant.
    Collection(TenantId, CollectionId),
}

impl Resource {
    /// The tenant it belongs to.
    pub const fn tenant(&self) -> Option<&TenantId> {
        match self {
            Self::Appliance => None,
            Self::Tenant(tenant) | Self::Collection(tenant, _) => Some(tenant),
        }
    }
}

/// Why the answer is no, in words that a nurse manager can read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// The role does not include the action.
    #[error("the role `{role}` does not include `{action}`")]
    Role {
        /// The caller's role.
        role: Role,
        /// What was tried.
        action: Action,
    },
    /// The resource belongs to a tenant that the account does not.
    #[error("the account does not belong to this tenant")]
    Tenant,
    /// The action is about one tenant's content, and no tenant was named.
    #[error("`{action}` works within one tenant, and none was named")]
    NeedsTenant {
        /// What was tried.
        action: Action,
    },
    /// The collection is not among those that the account may read.
    #[error("the account may not read this collection")]
    Collection,
}

impl Denial {
    /// A stable word for records and replies.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Role { .. } => "role_not_allowed",
            Self::Tenant => "other_tenant",
            Self::NeedsTenant { .. } => "tenant_needed",
            Self::Collection => "collection_not_allowed",
        }
    }
}

/// A decision.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one lives for a moment; a box would cost an allocation a request")]
pub enum Decision {
    /// Yes, under the conditions that the permit carries.
    Permit(Permit),
    /// No.
    Deny {
        /// Why.
        reason: Denial,
    },
}

/// Permission for one action on one resource. Only [`Policy::decide`] makes one; work that needs permission takes it.
#[derive(Debug)]
#[must_use]
pub struct Permit {
    principal: Principal,
    action: Action,
    resource: Resource,
    policy: String,
}

impl Permit {
    /// Who was permitted.
    pub const fn principal(&self) -> &Principal {
        &self.principal
    }

    /// What was permitted.
    pub const fn action(&self) -> Action {
        self.action
    }

    /// What it was permitted on.
    pub const fn resource(&self) -> &Resource {
        &self.resource
    }

    /// The tenant within which it was permitted.
    pub const fn tenant(&self) -> Option<&TenantId> {
        self.resource.tenant()
    }

    /// The collections that may be read under it.
    pub const fn collections(&self) -> &Readable {
        &self.principal.collections
    }

    /// The access labels that its holder has.
    pub const fn labels(&self) -> &BTreeSet<AccessLabel> {
        &self.principal.labels
    }

    /// The version of the policy that decided.
    pub fn policy(&self) -> &str {
        &self.policy
    }
}

/// The rules in force.
#[derive(Debug, Clone)]
pub struct Policy {
    version: String,
}

impl Policy {
    /// The rules that the program comes with.
    pub fn built_in() -> Self {
        Self { version: "built-in-1".to_owned() }
    }

    /// Names this set of rules in audit records.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Decides whether `principal` may do `action` on `resource`. What no rule permits is denied.
    pub fn decide(&self, principal: &Principal, action: Action, resource: &Resource) -> Decision {
        match refusal(principal, action, resource) {
            Some(reason) => Decision::Deny { reason },
            None => Decision::Permit(Permit {
                principal: principal.clone(),
                action,
                resource: resource.clone(),
                policy: self.version.clone(),
            }),
        }
    }
}

fn refusal(principal: &Principal, action: Action, resource: &Resource) -> Option<Denial> {
    if !allows(principal.role, action) {
        return Some(Denial::Role { role: principal.role, action });
    }
    match resource.tenant() {
        None if within_a_tenant(action) => return Some(Denial::NeedsTenant { action }),
        Some(tenant) if !belongs(principal, tenant) => return Some(Denial::Tenant),
        _ => {}
    }
    match resource {
        Resource::Collection(_, collection) if !principal.collections.contains(collection) => Some(Denial::Collection),
        _ => None,
    }
}

/// An account belongs to its own tenant. One without a tenant keeps the whole site, which its role must be made for.
fn belongs(principal: &Principal, tenant: &TenantId) -> bool {
    match &principal.tenant {
        Some(own) => own == tenant,
        None => site_wide(principal.role),
    }
}

/// Roles whose account may stand above the tenants. None of them reads questions, answers or documents.
pub const fn site_wide(role: Role) -> bool {
    match role {
        Role::Compliance | Role::Operator | Role::Administrator => true,
        Role::Agent | Role::Reviewer | Role::KnowledgeManager | Role::Service => false,
    }
}

/// Actions that touch the content of one tenant, and so need to be told which.
const fn within_a_tenant(action: Action) -> bool {
    match action {
        Action::Ask
        | Action::Search
        | Action::ListCollections
        | Action::ReadDocument
        | Action::ManageCollection
        | Action::ManageDocuments
        | Action::MaintainIndex
        | Action::Evaluate => true,
        Action::Generate
        | Action::Embed
        | Action::Rerank
        | Action::ListModels
        | Action::ManageModels
        | Action::ManageAccounts
        | Action::ReadAudit
        | Action::ManageAudit
        | Action::ReadMetrics
        | Action::SignIn
        | Action::SignOut
        | Action::EndSession => false,
    }
}

/// The role table.
pub const fn allows(role: Role, action: Action) -> bool {
    // Everyone may say who they are, stop being it, and end what is their own.
    if matches!(action, Action::SignIn | Action::SignOut | Action::EndSession) {
        return true;
    }
    match role {
        Role::Agent | Role::Reviewer => matches!(
            action,
            Action::Ask | Action::Search | Action::ListCollections | Action::ReadDocument | Action::ListModels
        ),
        Role::KnowledgeManager => matches!(
            action,
            Action::Ask
                | Action::Search
                | Action::ListCollections
                | Action::ReadDocument
                | Action::ManageCollection
                | Action::ManageDocuments
                | Action::MaintainIndex
                | Action::Evaluate
                | Action::ListModels
        ),
        Role::Compliance => matches!(action, Action::ReadAudit | Action::ManageAudit | Action::ReadMetrics),
        Role::Operator => {
            matches!(action, Action::ManageModels | Action::MaintainIndex | Action::ListModels | Action::ReadMetrics)
        }
        Role::Administrator => matches!(action, Action::ManageAccounts | Action::ListModels | Action::ReadMetrics),
        Role::Service => matches!(
            action,
            Action::Ask
                | Action::Search
                | Action::Generate
                | Action::Embed
                | Action::Rerank
                | Action::ListCollections
                | Action::ListModels
        ),
    }
}

#[cfg(test)]
mod tests;
