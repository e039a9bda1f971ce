//! The words that every room of Cloister shares: ids, roles, actions, the clock, and the wrapper around patient text.
//!
//! **What it is not:** it does no I/O, holds no rules and knows no other crate. Who may do what is decided in
//! `governance`; this crate only names the roles and the actions.
//!
//! ```
//! use cloister_terms::{CollectionId, Phi};
//! let collection: CollectionId = "procedures".parse()?;
//! assert_eq!(collection.as_str(), "procedures");
//! let name = Phi::new("Jane Roe".to_owned());
//! assert_eq!(format!("{name:?}"), "[phi]");
//! # Ok::<(), cloister_terms::InvalidName>(())
//! ```
//!
//! # Why
//! - Ids are types, not strings, so that a tenant's id cannot be passed where a collection's is wanted.
//! - Time and randomness are traits passed in, so that tests set both and no result depends on when it ran.
//! - [`Phi`] has neither `Serialize` nor a telling `Debug`: patient text cannot slip into a log by accident.

mod action;
mod clock;
mod id;
mod phi;

pub use action::{Action, EmergencyGround, EmergencyVerdict, ParseRoleError, Purpose, Role};
pub use clock::{Clock, FixedClock, Random};
pub use id::{
    AccessLabel, BatchId, CaptureId, CollectionId, DocumentId, EmergencyId, EntryId, FileId, InvalidName, RequestId,
    SessionId, TenantId,
};
pub use phi::Phi;
