//! Our own face, under `/api`: answers with everything they rest on, search, and what there is to search.

pub mod ask;
pub mod collections;
pub mod document;
pub mod search;
