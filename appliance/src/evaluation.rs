//! Measuring what this site says, and holding it against what it must: suites, runs, results, gates.
//!
//! A [`Suite`] names what is asked and what is expected. [`run()`] asks it of a [`Site`], as the site's callers would, and writes a [`Run`]: every
//! item, every figure with its interval, a page to read. [`compare`](compare::compare) holds two runs against each other. A [`Gate`] says what
//! must hold, and [`pass`] lets a model or a guardrail in only where it does.
//!
//! **What it is not:** a judge of language. Figures come from labels and rules; where the rules err, so do the figures. And suites that we
//! wrote flatter what we wrote: a site measures on its own questions.
//!
//! # Why
//! - **Asked through the front door.** Each question goes the pipeline's whole way, decided by policy and recorded, so that what is measured is
//!   what callers get. Checks that are functions of a text alone are asked directly.
//! - **Item by item.** A run that was interrupted goes on; two runs are compared in pairs; and whoever doubts a figure can see what it is made of.
//! - **Failing counts as wrong.** An item that could not be answered is neither skipped nor tried again until it fits.
//! - **A result is a site's own.** Its hash is kept in the encrypted database, so that a gate cannot be passed with a file that somebody mended.

pub mod calibrate;
pub mod compare;
pub mod gate;
pub mod item;
mod journal;
mod measure;
pub mod metric;
pub mod record;
pub mod report;
pub mod result;
mod run;
mod site;
pub mod statistics;
pub mod suite;

pub use gate::{Gate, NotPassed, Pass, Subject, pass};
pub use result::{Named, Run};
pub use run::{Options, run};
pub use site::Site;
pub use suite::Suite;
