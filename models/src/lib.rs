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

mod arch;
mod cache;
pub mod catalogue;
mod chat;
mod error;
pub mod fetch;
pub mod fit;
mod layers;
pub mod manifest;
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
    EmbedPool, Embeddings, Event, FinishReason, GeneratePool, GenerateRequest, Generation, PoolError, PoolOptions,
    Prompt, Truncate, Usage,
};
pub use registry::{Import, Registry, RegistryError, Verified};
pub use sampling::Sampling;
