//! Every face through the real router, edge, store, library and audit log, with a scripted generation model and an
//! embedder that counts words.

mod faces;
mod guarding;
mod native;
mod openai;
mod site;
mod streams;
