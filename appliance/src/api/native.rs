//! Our own face, under `/api`: answers with everything they rest on, search, what there is to search, the
//! audit log, and signing in.

pub mod ask;
pub mod collections;
pub mod document;
pub mod records;
pub mod search;
pub mod session;
pub mod sign_in;
