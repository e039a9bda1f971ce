//! The library from outside, with a model that hashes words.

mod bulk;
mod maintenance;
mod pairs;
mod processes;
mod scope;
mod storing;
mod versions;
