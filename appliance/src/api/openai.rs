//! The OpenAI face: chat completions, completions, embeddings, models; and rerank as Jina and Cohere shape it.
//!
//! A model name is either the assistant of the caller's tenant, which answers through the whole pipeline, or a raw
//! model, for roles that may generate without it.

pub mod batches;
pub mod chat;
mod chunk;
pub mod completions;
pub mod embeddings;
pub mod files;
pub(crate) mod line;
pub mod models;
pub mod moderations;
mod request;
pub mod rerank;

use std::sync::Arc;

use crate::{
    identity::Caller,
    pipeline::{Failure, Generate, Stop},
    wiring::App,
};

/// What a model name stands for.
pub(in crate::api) enum Target {
    /// The assistant of the caller's tenant.
    Assistant,
    /// The generation model itself.
    Raw(Arc<dyn Generate>),
}

/// Finds what `name` stands for, for this caller.
pub(in crate::api) fn target(app: &App, caller: &Caller, name: &str) -> Result<Target, Stop> {
    let tenancy = caller.principal().tenant.as_ref().and_then(|tenant| app.tenants.get(tenant));
    if tenancy.is_some_and(|tenancy| tenancy.assistant == name) {
        return Ok(Target::Assistant);
    }
    raw_model(app, name).map(Target::Raw)
}

/// The generation model of that name.
fn raw_model(app: &App, name: &str) -> Result<Arc<dyn Generate>, Stop> {
    if app.embed.identity().name == name {
        return Err(Stop::invalid(
            "model",
            format!("`{}` makes embeddings and writes no text: see /v1/models", app.embed.identity().name),
        ));
    }
    let model = app.generate.as_ref().filter(|model| model.identity().name == name);
    model.cloned().ok_or_else(|| Failure::NoModel.into())
}
