//! A result for people: one page that needs nothing beside it, and JUnit's form for programs that collect tests.
//!
//! **What it is not:** a second set of figures. Both are made from RESULT.json and say no more than it.

mod cases;
mod chart;
mod figures;
mod junit;
mod page;
mod style;
mod words;

pub use junit::junit;
pub use page::page;

use super::gate::{Gate, Ruling};

/// What the figures are held against, where there is something.
pub type Judged<'a> = Option<(&'a Gate, &'a Ruling)>;

#[cfg(test)]
mod tests;
