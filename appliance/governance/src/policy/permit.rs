//! A decision, and the permission that it may be.

use std::{collections::BTreeSet, sync::Arc};

use cloister_terms::{AccessLabel, Action, TenantId};

use super::{Denial, Principal, Readable, Resource};

/// What a decision rests on: which set of policies, and which of them decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Basis {
    pub(super) set: Arc<str>,
    pub(super) policies: Vec<String>,
}

impl Basis {
    /// The version of the set: the SHA-256 over it, in hexadecimal digits.
    pub fn set(&self) -> &str {
        &self.set
    }

    /// The ids of the policies that decided, in order. None where no policy permits and none forbids.
    pub fn policies(&self) -> &[String] {
        &self.policies
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
        /// What it rests on.
        basis: Basis,
    },
}

impl Decision {
    /// What it rests on.
    pub const fn basis(&self) -> &Basis {
        match self {
            Self::Permit(permit) => permit.basis(),
            Self::Deny { basis, .. } => basis,
        }
    }
}

/// Permission for one action on one resource. Only [`super::Policy::decide`] makes one; work that needs permission takes
/// it.
#[derive(Debug)]
#[must_use]
pub struct Permit {
    pub(super) principal: Principal,
    pub(super) action: Action,
    pub(super) resource: Resource,
    pub(super) basis: Basis,
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

    /// The collections that may be read under it: its holder's, or all of their tenant's under emergency access.
    pub const fn collections(&self) -> &Readable {
        &self.principal.collections
    }

    /// The access labels that its holder has, with those of the emergency access that it rests on.
    pub const fn labels(&self) -> &BTreeSet<AccessLabel> {
        &self.principal.labels
    }

    /// What the decision rests on.
    pub const fn basis(&self) -> &Basis {
        &self.basis
    }
}
