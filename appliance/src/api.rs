//! The faces of the program: thin handlers that extract, call `governed` and shape the reply.
//!
//! **What it is not:** no rules and no storage live here. What a question may see is decided by policy, how it is
//! answered by the pipeline; a face only speaks its clients' language.
//!
//! # Why
//! - **Unknown harmless fields are ignored, meaningful ones that cannot be honoured are refused by name.** A client that
//!   asks for `n: 2` and silently gets one would be wrong without knowing.
//! - **A body that cannot be read is described by place, not by content**: what a client sends may be a patient's, and
//!   error texts travel into logs.
//! - **The work of a streamed reply is polled by its body.** When the client leaves, the body is dropped, and with it
//!   the generation and the audit entry: nothing runs on for nobody.

mod assistant;
pub mod aws;
pub(crate) mod body;
mod completion;
pub mod description;
pub mod native;
pub mod openai;
mod problem;
mod raw;
pub(crate) mod stream;
#[cfg(test)]
mod tests;

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use cloister_governance::policy::Resource;
use cloister_terms::{Action, SessionId, TenantId};

use crate::{
    edge::{
        context::Context,
        health,
        router::{Routes, Verb},
    },
    governed::Call,
    identity::Caller,
    pipeline::{Stop, model},
    session::{NoSession, Session},
    wiring::App,
};

/// Why the description needs no account.
const DESCRIBED: &str = "the same text for every site, made when the program was built; a browser has no account yet";

/// Every route that the program serves. The server and the tests that walk over all routes take this one list.
pub fn every_route() -> Routes<Arc<App>> {
    routes().merge(health::routes())
}

/// Every route of the faces, with its action. A chat is one of two, by the model that it names; the reading of a capture by
/// whether it is to be raw.
pub fn routes() -> Routes<Arc<App>> {
    use Action::{
        ApplyGuardrail, Ask, BreakGlass, Embed, EndSession, Generate, ListCaptures, ListCollections, ListModels,
        ReadAudit, ReadBatch, ReadCapture, ReadDocument, ReadGuardrails, ReadRawCapture, Reidentify, Rerank,
        ReviewBreakGlass, RunBatch, Search, SignIn, SignOut,
    };
    use Verb::{Delete, Get, Post};
    Routes::new()
        .route(Get, "/v1/models", ListModels, openai::models::list)
        .route(Get, "/v1/models/{model}", ListModels, openai::models::show)
        .route(Post, "/v1/chat/completions", [Ask, Generate], openai::chat::chat)
        .route(Post, "/v1/completions", Generate, openai::completions::complete)
        .route(Post, "/v1/embeddings", Embed, openai::embeddings::embed)
        .route(Post, "/v1/files", RunBatch, openai::files::create)
        .route(Get, "/v1/files", ReadBatch, openai::files::list)
        .route(Get, "/v1/files/{file}", ReadBatch, openai::files::show)
        .route(Get, "/v1/files/{file}/content", ReadBatch, openai::files::content)
        .route(Delete, "/v1/files/{file}", RunBatch, openai::files::delete)
        .route(Post, "/v1/batches", RunBatch, openai::batches::create)
        .route(Get, "/v1/batches", ReadBatch, openai::batches::list)
        .route(Get, "/v1/batches/{batch}", ReadBatch, openai::batches::show)
        .route(Post, "/v1/batches/{batch}/cancel", RunBatch, openai::batches::cancel)
        .route(Post, "/v1/rerank", Rerank, openai::rerank::rerank)
        .route(Post, "/rerank", Rerank, openai::rerank::rerank)
        .route(Post, "/api/rerank", Rerank, openai::rerank::rerank)
        .route(Post, "/api/ask", Ask, native::ask::ask)
        .route(Get, "/api/collections", ListCollections, native::collections::list)
        .route(Get, "/api/collections/{id}/documents", ListCollections, native::collections::documents)
        .route(Get, "/api/collections/{id}/documents/{document}", ReadDocument, native::document::read)
        .route(Post, "/api/collections/{id}/search", Search, native::search::search)
        .route(Post, "/knowledgebases/{id}/retrieve", Search, aws::retrieve::retrieve)
        .route(Post, "/retrieveAndGenerate", Ask, aws::generate::generate)
        .route(Post, "/retrieveAndGenerateStream", Ask, aws::generate::generate_stream)
        .route(Post, "/model/{model}/converse", [Ask, Generate], aws::converse::converse)
        .route(Post, "/model/{model}/converse-stream", [Ask, Generate], aws::converse::converse_stream)
        .route(Post, "/guardrail/{id}/version/{version}/apply", ApplyGuardrail, aws::guardrail::apply)
        .route(Post, "/v1/moderations", ApplyGuardrail, openai::moderations::moderate)
        .route(Get, "/api/guardrails", ReadGuardrails, native::guardrails::list)
        .route(Get, "/api/guardrails/{version}", ReadGuardrails, native::guardrails::show)
        .route(Get, "/api/audit/records", ReadAudit, native::records::list)
        .route(Get, "/api/captures", ListCaptures, native::captures::list)
        .route(Get, "/api/captures/{capture}", [ReadCapture, ReadRawCapture], native::captures::read)
        .route(Post, "/api/sign-in", SignIn, native::sign_in::sign_in)
        .route(Get, "/api/sign-in", SignIn, native::sign_in::show)
        .route(Post, "/api/sign-out", SignOut, native::sign_in::sign_out)
        .route(Delete, "/api/sessions/{session}", EndSession, native::session::end)
        .route(Post, "/api/sessions/{session}/reidentify", Reidentify, native::reidentify::reidentify)
        .route(Post, "/api/break-glass", BreakGlass, native::break_glass::open)
        .route(Get, "/api/break-glass", BreakGlass, native::break_glass::show)
        .route(Delete, "/api/break-glass", BreakGlass, native::break_glass::end)
        .route(Get, "/api/break-glass/reviews", ReviewBreakGlass, native::reviews::list)
        .route(Get, "/api/break-glass/reviews/{emergency}", ReviewBreakGlass, native::reviews::show)
        .route(Post, "/api/break-glass/reviews/{emergency}", ReviewBreakGlass, native::reviews::review)
        .open_route(Get, "/api/openapi.json", DESCRIBED, description::json)
        .open_route(Get, "/api/docs", DESCRIBED, description::page)
}

/// A call on whatever the caller's account belongs to: its tenant, or the appliance for an account of the whole site.
pub(crate) fn call(caller: &Caller, action: Action) -> Call {
    Call::new(action, caller.principal().tenant.clone().map_or(Resource::Appliance, Resource::Tenant))
}

/// What keeps the caches and the shares of tenants, and of accounts without one, apart.
pub(crate) fn salt(caller: &Caller) -> u64 {
    caller.principal().tenant.as_ref().map_or_else(
        || {
            let mut hasher = DefaultHasher::new();
            caller.principal().account.hash(&mut hasher);
            hasher.finish()
        },
        model::salt,
    )
}

/// The session that a question belongs to: the one that the header or the body names, or a new one.
pub(crate) fn session(app: &App, caller: &Caller, named: Option<SessionId>) -> Result<Session, Stop> {
    let header = caller.context().and_then(Context::session);
    if let (Some(header), Some(named)) = (header, named)
        && header != named
    {
        return Err(Stop::invalid("session", "`session` and the header `Cloister-Session` name two sessions"));
    }
    let owner = &caller.principal().account;
    let session = match named.or(header) {
        Some(id) => app.sessions.resume(owner, id).map_err(|NoSession| Stop::not_found("the session"))?,
        // Whoever acts without a request is a line of a batch.
        None if caller.context().is_none() => app.sessions.once(),
        None => app.sessions.begin(owner),
    };
    if let Some(context) = caller.context() {
        context.within(session.id());
    }
    Ok(session)
}

/// The caller's tenant; policy has already refused those without one where one is needed.
pub(crate) fn tenant(caller: &Caller) -> Result<&TenantId, Stop> {
    let tenant = caller.principal().tenant.as_ref();
    tenant.ok_or_else(|| Stop::forbidden("no_tenant", "the account belongs to no tenant"))
}
