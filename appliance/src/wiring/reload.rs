//! What came of a reload that changed nothing: what was in force stays.

use cloister_governance::audit::Outcome;

use crate::governed::{End, Refusal};

/// Why something was not read again.
pub(super) enum NotReloaded<E> {
    /// It was not permitted, or cannot be recorded.
    Refused(Refusal),
    /// It is not as it must be; the word for the record.
    Unusable(&'static str, E),
}

impl<E> From<Refusal> for NotReloaded<E> {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl<E> End for NotReloaded<E> {
    fn outcome(&self) -> Outcome {
        match self {
            Self::Refused(refusal) => refusal.outcome(),
            Self::Unusable(code, _) => Outcome::failed(code),
        }
    }
}
