//! The filter for prompt attacks as the port through which `knowledge` has documents looked at.

use cloister_guardrails::attack::{self, Strength};
use cloister_knowledge::{Inspect, Suspect};

/// Finds orders to a model in documents, as surely as is asked at that time.
#[derive(Debug, Clone, Copy)]
pub struct Inspection<S>(pub S);

impl<S: Fn() -> Strength + Send + Sync> Inspect for Inspection<S> {
    fn inspect(&self, text: &str) -> Vec<Suspect> {
        let found = attack::planted(text, (self.0)());
        let suspect = |found: attack::Planted| Suspect {
            start: found.span.start,
            end: found.span.end,
            why: "this reads as an order to a model, and will stand in no prompt and no answer",
            rule: found.rule,
        };
        found.into_iter().map(suspect).collect()
    }
}
