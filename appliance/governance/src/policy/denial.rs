//! Why the answer is no.

use cloister_terms::{Action, Role};

/// Why the answer is no, in words that a nurse manager can read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// No policy permits the role the action, or one forbids the role all actions of its kind.
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
    /// Emergency access was asked for by a key, or in a role that has none.
    #[error(
        "emergency access is for agents, reviewers and knowledge managers who have signed in themselves, not for a key"
    )]
    Person,
    /// The key that was shown is limited to other actions.
    #[error("the key that was shown is not for `{action}`")]
    Key {
        /// What was tried.
        action: Action,
    },
    /// A policy of the site's own forbids it.
    #[error("the site's policy `{policy}` forbids it")]
    Forbidden {
        /// The policy's id.
        policy: String,
    },
    /// The policies could not be evaluated, so nothing is allowed.
    #[error("the policies could not be evaluated: tell the operator")]
    Undecided,
}

impl Denial {
    /// A stable word for records and replies.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Role { .. } => "role_not_allowed",
            Self::Tenant => "other_tenant",
            Self::NeedsTenant { .. } => "tenant_needed",
            Self::Collection => "collection_not_allowed",
            Self::Person => "person_needed",
            Self::Key { .. } => "key_not_for_action",
            Self::Forbidden { .. } => "forbidden_by_policy",
            Self::Undecided => "policy_error",
        }
    }
}
