//! One question, one direction: from a permit to a released answer.

pub mod citation;
pub mod model;
pub mod scripted;
pub mod stop;

pub use citation::{Citation, Claim, ClaimVerdict, Lane, Scores};
pub use model::{Generate, GenerateRequest};
pub use stop::{Denial, Failure, Stop};
