//! Every face through the real router, edge, store, library and audit log, with a scripted generation model and an
//! embedder that counts words.

mod agreement;
mod aws;
mod batches;
mod break_glass;
mod captures;
mod faces;
mod guarding;
mod limited_keys;
mod matrix;
mod native;
mod openai;
mod policy;
mod reload;
mod searching;
mod sessions;
mod sign_in;
mod site;
mod streams;
mod vault;
