//! The models that the configuration names, verified and loaded.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use cloister_guardrails::cross;
use cloister_models::{Accelerator, EmbedPool, GeneratePool, PairPool, PoolOptions, RerankPool, Verified};
use cloister_terms::Random;

use super::{BATCH_PATIENCE, Engine, PoolEmbed, PoolGenerate, PoolRerank, registry};
use crate::{
    config::{Config, Device},
    edge::metrics::Metrics,
    pipeline::Generate,
};

/// The pools, for what they count.
#[derive(Clone)]
pub struct Pools {
    /// The embedding pool.
    pub embed: PoolEmbed,
    /// What generates, where a generation model is configured.
    pub generate: Option<Generation>,
    /// The pool of the cross-encoder, where one is configured.
    pub rerank: Option<PoolRerank>,
}

/// What generates.
#[derive(Clone)]
pub enum Generation {
    /// A model of this machine.
    Pool(PoolGenerate),
    /// An engine elsewhere in the network.
    Engine(Engine),
}

impl Generation {
    /// As the port that the pipeline owns.
    pub(super) fn port(&self) -> Arc<dyn Generate> {
        match self.clone() {
            Self::Pool(pool) => Arc::new(pool),
            Self::Engine(engine) => Arc::new(engine),
        }
    }
}

/// Verifies and loads the configured embedding model.
///
/// # Errors
/// When it is missing, does not match its hashes, or the machine cannot carry it.
pub fn embedding(config: &Config, patience: Duration) -> anyhow::Result<PoolEmbed> {
    let name = &config.models.embed;
    let mend = || format!("the embedding model `{name}` cannot be used: see `cloister model verify {name}`");
    let verified = registry(config)?.verify(name).with_context(mend)?;
    let pairs = cross(&verified, config)?;
    let pool = EmbedPool::start(verified, &embedding_options(config)).with_context(mend)?;
    let embed = PoolEmbed::new(pool, patience);
    Ok(match pairs {
        Some(pairs) => embed.with_pairs(pairs),
        None => embed,
    })
}

/// The embedding model with the adapter that is built in, where it is the one that the adapter belongs to.
fn cross(verified: &Verified, config: &Config) -> anyhow::Result<Option<PairPool>> {
    if !cross::is_learned_beside(&verified.identity().sha256) {
        return Ok(None);
    }
    let pool = PairPool::start(verified, cross::ADAPTER, &embedding_options(config))
        .context("the embedding model does not take the adapter that is built in")?;
    ensure!(pool.outputs() == cross::OUTPUTS, "the adapter that is built in has {} outputs", pool.outputs());
    Ok(Some(pool))
}

/// Verifies and loads the configured cross-encoder.
pub(super) fn reranking(config: &Config) -> anyhow::Result<Option<PoolRerank>> {
    let name = &config.models.rerank;
    if name.is_empty() {
        return Ok(None);
    }
    let mend = || format!("the reranking model `{name}` cannot be used: see `cloister model verify {name}`");
    let verified = registry(config)?.verify(name).with_context(mend)?;
    let pool = RerankPool::start(verified, &embedding_options(config)).with_context(mend)?;
    Ok(Some(PoolRerank::new(pool, BATCH_PATIENCE)))
}

/// How the embedding pool, and that of the cross-encoder, are laid out.
pub fn embedding_options(config: &Config) -> PoolOptions {
    PoolOptions { queue: config.models.embed_queue, threads: config.models.threads, ..PoolOptions::default() }
}

/// How the generation pool is laid out, but for its randomness.
pub fn generation_options(config: &Config) -> PoolOptions {
    let models = &config.models;
    PoolOptions {
        queue: models.generate_queue,
        threads: models.threads,
        context_tokens: models.context_tokens,
        sequences: models.sequences,
        device: match models.device {
            Device::Processor => Accelerator::None,
            Device::Cuda => Accelerator::Cuda(0),
            Device::Metal => Accelerator::Metal(0),
        },
        ..PoolOptions::default()
    }
}

/// Verifies and loads the configured generation model, or the engine in its place.
pub(super) fn generation(
    config: &Config,
    random: &dyn Random,
    metrics: &Metrics,
) -> anyhow::Result<Option<Generation>> {
    if let Some(engine) = &config.models.engine {
        return Ok(Some(Generation::Engine(Engine::new(engine, metrics.clone()))));
    }
    let name = &config.models.generate;
    if name.is_empty() {
        return Ok(None);
    }
    let mend = || format!("the generation model `{name}` cannot be used: see `cloister model verify {name}`");
    let verified = registry(config)?.verify(name).with_context(mend)?;
    let mut entropy = [0; 8];
    random.fill(&mut entropy);
    let options = PoolOptions { entropy: u64::from_le_bytes(entropy), ..generation_options(config) };
    let pool = GeneratePool::start(verified, &options).with_context(mend)?;
    Ok(Some(Generation::Pool(PoolGenerate::new(pool, metrics.clone()))))
}
