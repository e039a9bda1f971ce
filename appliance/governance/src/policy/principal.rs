//! Who acts.

use std::collections::BTreeSet;

use cloister_terms::{AccessLabel, Action, CollectionId, EmergencyId, Role, TenantId};

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
    /// Whether somebody showed that they are there themselves, rather than a program with a key.
    pub person: bool,
    /// The actions that the key which was shown is limited to; none where it is not, or none was shown.
    pub actions: Option<BTreeSet<Action>>,
    /// The emergency access that the person has open.
    pub emergency: Option<Emergency>,
}

/// Emergency access that lasts. What it opens is for policy to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emergency {
    /// Which it is: on every record of what is done while it lasts.
    pub id: EmergencyId,
    /// Access labels that its holder has besides their own.
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
            person: true,
            actions: None,
            emergency: None,
        }
    }

    /// The same with what emergency access opens.
    pub(super) fn opened(mut self) -> Self {
        if let Some(emergency) = &self.emergency {
            self.labels.extend(emergency.labels.iter().cloned());
            self.collections = Readable::All;
        }
        self
    }
}

/// Roles whose account may stand above the tenants. None of them reads questions, answers or documents.
pub const fn site_wide(role: Role) -> bool {
    match role {
        Role::Compliance | Role::Operator | Role::Administrator => true,
        Role::Agent | Role::Reviewer | Role::KnowledgeManager | Role::Service => false,
    }
}
