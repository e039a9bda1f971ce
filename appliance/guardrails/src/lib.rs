//! Checks on text: identifiers, screening, attacks, content, drug names, grounding claim by claim, and whether two questions ask
//! the same. Pure functions.
//!
//! **What it is not:** it does no I/O, holds no policy and decides nothing about a request. It returns findings and
//! verdicts; the answer pipeline in `appliance` acts on them.
//!
//! ```
//! use cloister_guardrails::support::{self, Evidence, Verdict};
//! let evidence = [Evidence { text: "Store opened insulin at room temperature for up to 28 days.", context: "Insulin" }];
//! let found = support::check("Store opened insulin at room temperature for 28 days.", &evidence, support::Limits::default());
//! assert_eq!(found.verdict, Verdict::Supported);
//! let wrong = support::check("Store opened insulin at room temperature for 42 days.", &evidence, support::Limits::default());
//! assert_eq!(wrong.verdict, Verdict::Unsupported);
//! ```
//!
//! # Why
//! - **Findings carry type, place and length, never text**, so that they may be recorded and logged.
//! - **Deterministic checks come first.** A number that does not stand in the cited sentence is wrong whatever a
//!   learned scorer thinks, and a pharmacist can see why the check failed.
//! - **Offsets are bytes** at character boundaries, as Rust slices them. Faces that speak code points convert at the
//!   edge.
//! - **One evidence sentence must bear a whole claim.** Joining halves of two sentences is how small models make
//!   statements that no document holds.

pub mod attack;
pub mod content;
pub mod cross;
pub mod detect;
pub mod document;
pub mod drug;
pub mod fact;
pub mod ground;
pub mod polarity;
pub mod redact;
pub mod same_question;
pub mod score;
pub mod screen;
pub mod selection;
pub mod split;
pub mod support;
mod vectors;
pub mod words;
