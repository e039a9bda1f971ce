//! One interaction. Its id ties every record of it together, across every layer.
//!
//! **What it is not, yet:** it seals nothing and remembers nothing between two questions. A follow-up question is
//! answered as it stands.

use cloister_terms::{Random, SessionId};

/// One interaction of a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session {
    id: SessionId,
}

impl Session {
    /// Goes on with the session that the caller names, or begins a new one.
    pub fn resume_or_begin(named: Option<SessionId>, random: &dyn Random) -> Self {
        Self { id: named.unwrap_or_else(|| SessionId::random(random)) }
    }

    /// The id that every record of the interaction carries.
    pub const fn id(&self) -> SessionId {
        self.id
    }
}
