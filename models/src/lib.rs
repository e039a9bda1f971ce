//! Runs embedding and generation models from files whose hashes were verified first.
//!
//! **What it is not**: a client of anything. It opens no connection, knows no tenant and no user, and writes no text of a
//! request anywhere. Fetching happens in a child process that the operator starts on a connected machine ([`fetch`]).
//!
//! ```no_run
//! use cloister_models::{EmbedPool, PoolOptions, Registry, Truncate, cache_dir, catalogue, fetch};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let registry = Registry::open(cache_dir().join("models"))?;
//! let entry = catalogue::find("all-minilm-l6-v2").ok_or("not in the catalogue")?;
//! fetch::ensure(entry, &registry, &mut |progress| eprintln!("{progress:?}"))?;
//! let pool = EmbedPool::start(registry.verify(&entry.name)?, &PoolOptions::default())?;
//! let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
//! let answer = pool.embed_blocking(&["refill too soon".to_owned()], Truncate::Refuse, deadline)?;
//! assert_eq!(answer.vectors[0].len(), pool.dimensions());
//! # Ok(()) }
//! ```
//!
//! # Why
//!
//! - **No file is mapped into memory.** A mapped file can be changed or cut under its reader. Verifying keeps a hash per 256 KiB block,
//!   and every later read is checked against it: what is parsed is what was hashed. Weights are repacked as they are read, tensor by tensor, so
//!   memory holds them once, in the form that the kernels read.
//! - **Headers are read by our own parsers** (GGUF, safetensors). candle's divides by an alignment that the file states, and its values take
//!   32 bytes for one byte of an array.
//! - **Kernels of our own** compute generation (`kernel`); candle takes layouts apart that have none, and is what tests compare with. They are
//!   written once over sixteen lanes and compiled for each instruction set, which is chosen at start; every one gives the same bits, so a text
//!   does not depend on the machine. `unsafe` is in that folder alone.
//! - **Messages never pass through the chat template.** It lays out marks, and text is put where they come out; control tokens are read only
//!   in what the template wrote. A message cannot close its own turn.
//! - **Activations keep 16 bits.** See the comment in `kernel/activations.rs` for what 8 bits cost SmolLM2.
//! - **A row's numbers depend on its own sequence alone**, to the last bit: not on the rows computed beside it, on how a prompt was cut
//!   into steps, or on the number of threads. So batching never changes a result.
//! - **Encoders compute in 8-bit integers** with a scale per 128 numbers, several times as fast as floats, at a cosine to their vectors of
//!   0.999 and better (`kernel/embed.rs` says why 128). [`Precision::Float32`] is there to compare.
//! - **A graphics processor is candle's** (`layers/device.rs`, features `cuda` and `metal`): the same blocks under the same scheduler, and in a
//!   build for one the same tests. Its products are not the same to the last bit whatever is computed beside them, which is promised of our own kernels alone.
//! - **A cross-encoder is an encoder with a head.** Its pairs wait in the queue of an embedding pool; what is new is how two texts become one
//!   sequence, and that its vector is one number.
//! - **Batches are not padded.** The sequences of a batch lie one after the other, so no mask is needed and none can be wrong.
//! - **Threads.** `PoolOptions::threads` bounds what this crate computes itself and candle's floating-point products.
//! - **Sequences are computed together**, a step at a time (`pool/schedule.rs`): the next token of each, and a part of the prompts that wait.
//!   The weights are read once for all of them, a deadline or a caller who left ends one at the next step, and where the state has no room
//!   the youngest is put back rather than failed.
//! - **Answers from documents repeat them**, so the next tokens are guessed from the text before (`pool/draft.rs`) and computed as rows of one step.
//!   What is kept is what the sampler chooses anyway, token by token; a sequence whose guesses do not pay makes none.
//! - **Who goes first** is decided in the same pure step (`pool/schedule/plan.rs`): questions before batches before ingest, tenants by what they were
//!   served, and none stands still.
//! - **State lies in blocks of 32 tokens** that sequences of one salt share (`pool/blocks.rs`), prompts and what was generated alike: a block's
//!   numbers are the same however they were computed.

mod arch;
mod cache;
pub mod catalogue;
mod chat;
mod error;
pub mod fetch;
pub mod fit;
mod kernel;
mod layers;
pub mod manifest;
pub mod measure;
pub mod plan;
mod pool;
pub mod registry;
mod sampling;
pub mod task;
mod tokenizer;
mod weights;

pub use cache::cache_dir;
pub use chat::{ChatError, ChatMessage, ChatRole};
pub use error::LoadError;
pub use manifest::{Manifest, ModelIdentity, Task};
pub use pool::{
    Accelerator, EmbedPool, Embeddings, Event, FinishReason, GeneratePool, GenerateRequest, Generation, Instructions,
    PairPool, PoolError, PoolOptions, Precision, Priority, Prompt, Relevances, RerankPool, Truncate, Usage,
};
pub use registry::{Import, Registry, RegistryError, Verified};
pub use sampling::{Constraint, Sampling};
