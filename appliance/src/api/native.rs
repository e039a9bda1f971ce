//! Our own face, under `/api`: answers with everything they rest on, search, what there is to search, and
//! the audit log.

pub mod ask;
pub mod collections;
pub mod document;
pub mod records;
pub mod search;
