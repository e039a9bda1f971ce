//! Patient text, wrapped so that it cannot be printed or serialised by accident.

use std::fmt;

/// A value that may hold protected health information.
///
/// It prints as `[phi]` and does not implement `Serialize`. [`Phi::expose`] is the one way to the value, easy to
/// search for in review.
///
/// ```
/// # use cloister_terms::Phi;
/// let question = Phi::new("refill for Jane".to_owned());
/// assert_eq!(format!("{question} {question:?}"), "[phi] [phi]");
/// assert_eq!(question.expose(), "refill for Jane");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Phi<T>(T);

impl<T> Phi<T> {
    /// Wraps a value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. Whoever calls this answers for where it goes next.
    pub const fn expose(&self) -> &T {
        &self.0
    }

    /// Takes the value out.
    pub fn into_exposed(self) -> T {
        self.0
    }
}

impl<T> fmt::Debug for Phi<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[phi]")
    }
}

impl<T> fmt::Display for Phi<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[phi]")
    }
}
