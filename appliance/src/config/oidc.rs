//! `[oidc]`: bearer tokens of the hospital's own identity provider.

use std::path::PathBuf;

use cloister_terms::{AccessLabel, CollectionId, Role, TenantId};
use serde::{Deserialize, Serialize};

/// `[oidc]`: bearer tokens of the hospital's own identity provider. Without this section none is accepted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Oidc {
    /// The provider, as it stands in the tokens' `iss`.
    pub issuer: String,
    /// This site, as it stands in the tokens' `aud`.
    pub audience: String,
    /// The one algorithm that tokens are signed with.
    pub algorithm: SignedWith,
    /// The provider's public keys, a JWK set (RFC 7517). The server cannot fetch them: put a new file in place of the old
    /// one when they change, and it is read at once.
    pub keys: PathBuf,
    /// The claim that lists a person's groups. Default: `groups`.
    #[serde(default = "groups_claim")]
    pub groups_claim: String,
    /// The claim with the name that lists and records show. Default: `preferred_username`.
    #[serde(default = "name_claim")]
    pub name_claim: String,
    /// Minutes after which a token is refused even if it holds for longer: the server cannot ask the provider whether
    /// someone has left. 1 to 1440. Default: 60.
    #[serde(default = "longest_minutes")]
    pub longest_minutes: u16,
    /// What each group may be; the first that a person is in holds. Who is in none is refused.
    pub groups: Vec<Group>,
}

fn groups_claim() -> String {
    "groups".to_owned()
}

fn name_claim() -> String {
    "preferred_username".to_owned()
}

const fn longest_minutes() -> u16 {
    60
}

/// `[[oidc.groups]]`: what the members of a group are to this site.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// The group, as it stands in the tokens.
    pub group: String,
    /// Their role.
    pub role: Role,
    /// Their tenant; needed for every role that reads or changes content.
    pub tenant: Option<TenantId>,
    /// The collections that they may read. Default: all of the tenant.
    pub collections: Option<Vec<CollectionId>>,
    /// The access labels that they hold. Default: none.
    #[serde(default)]
    pub labels: Vec<AccessLabel>,
}

/// The algorithms that a provider may sign with. None of those where whoever can check can also sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are those of RFC 7518 and RFC 8037")]
pub enum SignedWith {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

impl Oidc {
    pub(super) fn contradiction(&self) -> Option<(&'static str, &'static str)> {
        let needs_tenant =
            |group: &Group| group.tenant.is_none() && !cloister_governance::policy::site_wide(group.role);
        if self.issuer.is_empty() {
            Some(("oidc.issuer", "must name the provider"))
        } else if self.audience.is_empty() {
            Some(("oidc.audience", "must name this site"))
        } else if self.longest_minutes == 0 || self.longest_minutes > 24 * 60 {
            Some(("oidc.longest_minutes", "must be 1 to 1440"))
        } else if self.groups.iter().any(needs_tenant) {
            Some(("oidc.groups", "must name a tenant for every role that reads or changes content"))
        } else {
            None
        }
    }
}
