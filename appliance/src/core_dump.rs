//! What is in memory stays there: no core dump is written, and no other process of the same account reads it.
//!
//! The memory of a running server holds keys, questions and documents in the clear. A dump would put all of it into a
//! file that no key guards and no retention removes. Call [`forbid`] before anything else is read.
//!
//! # Why
//! - **Both the limit and the attribute, because each alone leaves a hole** (core(5), prctl(2)). Where `core_pattern` is a
//!   pipe, to systemd-coredump for example, the kernel takes no notice of a limit of 0; and the attribute is set anew by each
//!   `exec`, while the limit is inherited. The attribute also keeps the account's other processes from tracing this one.

use rustix::{
    io::Errno,
    process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit},
};

/// Core dumps cannot be forbidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "core dumps of this process cannot be forbidden, and one would hold patients' words: allow prctl(PR_SET_DUMPABLE) and setrlimit(RLIMIT_CORE) in the service's system-call filter"
)]
pub struct NotForbidden(#[source] Errno);

/// Forbids core dumps of this process and, as far as a limit goes, of those that it starts.
///
/// # Errors
/// Where the system does not allow it: then nothing confidential must be read.
pub fn forbid() -> Result<(), NotForbidden> {
    // The attribute first: whoever sees the limit from outside knows that both are in force.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(NotForbidden)?;
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).map_err(NotForbidden)
}
