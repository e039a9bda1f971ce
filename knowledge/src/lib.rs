//! Parses, chunks, indexes and searches a site's documents.

pub mod parse;
