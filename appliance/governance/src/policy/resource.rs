//! What an action touches.

use std::{fmt, str::FromStr};

use cloister_terms::{CaptureId, CollectionId, DocumentId, TenantId};

/// What the action touches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource {
    /// The machine itself: its models, its health, its accounts.
    Appliance,
    /// A tenant as a whole: an answer draws on whichever of its collections the caller may read.
    Tenant(TenantId),
    /// One collection of a tenant.
    Collection(TenantId, CollectionId),
    /// One document of a collection.
    Document(TenantId, CollectionId, DocumentId),
    /// One sealed capture of a tenant.
    Capture(TenantId, CaptureId),
    /// The audit log: a tenant's part of it, or the whole.
    AuditLog(Option<TenantId>),
}

impl Resource {
    /// The tenant it belongs to.
    pub const fn tenant(&self) -> Option<&TenantId> {
        match self {
            Self::Appliance => None,
            Self::Tenant(tenant)
            | Self::Collection(tenant, _)
            | Self::Document(tenant, _, _)
            | Self::Capture(tenant, _) => Some(tenant),
            Self::AuditLog(tenant) => tenant.as_ref(),
        }
    }

    /// The collection that it is, or is in.
    pub const fn collection(&self) -> Option<&CollectionId> {
        match self {
            Self::Appliance | Self::Tenant(_) | Self::Capture(..) | Self::AuditLog(_) => None,
            Self::Collection(_, collection) | Self::Document(_, collection, _) => Some(collection),
        }
    }

    /// The capture that it is.
    pub const fn capture(&self) -> Option<CaptureId> {
        match self {
            Self::Capture(_, capture) => Some(*capture),
            _ => None,
        }
    }
}

/// The word before the colon names the kind: `appliance`, `tenant:pharmacy`, `collection:pharmacy/procedures`,
/// `document:pharmacy/procedures/ID`, `capture:pharmacy/ID`, `audit`, `audit:pharmacy`. What the command line and test
/// cases write.
impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Appliance => f.write_str("appliance"),
            Self::Tenant(tenant) => write!(f, "tenant:{tenant}"),
            Self::Collection(tenant, collection) => write!(f, "collection:{tenant}/{collection}"),
            Self::Document(tenant, collection, document) => write!(f, "document:{tenant}/{collection}/{document}"),
            Self::Capture(tenant, capture) => write!(f, "capture:{tenant}/{capture}"),
            Self::AuditLog(None) => f.write_str("audit"),
            Self::AuditLog(Some(tenant)) => write!(f, "audit:{tenant}"),
        }
    }
}

/// Words that name no resource.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` names nothing: write appliance, tenant:TENANT, collection:TENANT/COLLECTION, document:TENANT/COLLECTION/ID, \
     capture:TENANT/ID, audit or audit:TENANT"
)]
pub struct ParseResourceError(String);

impl FromStr for Resource {
    type Err = ParseResourceError;
    fn from_str(given: &str) -> Result<Self, ParseResourceError> {
        let (kind, rest) = given.split_once(':').unwrap_or((given, ""));
        let parts: Vec<&str> = rest.split('/').collect();
        let read = match (kind, parts.as_slice()) {
            ("appliance", [""]) => Some(Self::Appliance),
            ("audit", [""]) => Some(Self::AuditLog(None)),
            ("audit", [tenant]) => tenant.parse().ok().map(|tenant| Self::AuditLog(Some(tenant))),
            ("tenant", [tenant]) => tenant.parse().ok().map(Self::Tenant),
            ("collection", [tenant, collection]) => {
                tenant.parse().ok().zip(collection.parse().ok()).map(|(tenant, of)| Self::Collection(tenant, of))
            }
            ("capture", [tenant, capture]) => {
                tenant.parse().ok().zip(capture.parse().ok()).map(|(tenant, id)| Self::Capture(tenant, id))
            }
            ("document", [tenant, collection, document]) => tenant
                .parse()
                .ok()
                .zip(collection.parse().ok())
                .zip(document.parse().ok())
                .map(|((tenant, of), document)| Self::Document(tenant, of, document)),
            _ => None,
        };
        read.ok_or_else(|| ParseResourceError(given.to_owned()))
    }
}
