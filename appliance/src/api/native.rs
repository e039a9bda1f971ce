//! Our own face, under `/api`: answers with everything they rest on, search, what there is to search, the
//! audit log, sealed captures, emergency access, and signing in.

pub mod ask;
pub mod break_glass;
pub mod captures;
pub mod collections;
pub mod document;
pub mod guardrails;
pub mod records;
pub mod reidentify;
pub mod reviews;
pub mod search;
pub mod session;
pub mod sign_in;
