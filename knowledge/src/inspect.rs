//! The port through which a document's text is looked at before it is stored. The program adapts its guardrails to it.

/// Finds places of a document that are to be distrusted.
pub trait Inspect: Send + Sync {
    /// The places of `text`, in order.
    fn inspect(&self, text: &str) -> Vec<Suspect>;
}

/// A place to be distrusted. It holds no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suspect {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// What is wrong with it, in a few words for whoever ingests.
    pub why: &'static str,
    /// The rule that found it.
    pub rule: &'static str,
}
