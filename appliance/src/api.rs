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

pub(crate) mod body;
pub mod description;
pub mod native;
pub mod openai;
pub(crate) mod stream;

use std::sync::Arc;

use axum::{
    Router,
    http::Method,
    routing::{self, MethodRouter},
};
use cloister_governance::policy::Resource;
use cloister_terms::{Action, SessionId, TenantId};

use crate::{governed::Call, identity::Caller, pipeline::Stop, wiring::App};

/// One route: what is called, where, and which action it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path, with `{parameters}`.
    pub path: &'static str,
    /// The action that policy decides on.
    pub action: Action,
}

/// Every route of the faces.
pub fn routes() -> Vec<Route> {
    table().into_iter().map(|(route, _)| route).collect()
}

/// The faces, ready to be nested under the edge.
pub fn router() -> Router<Arc<App>> {
    table().into_iter().fold(Router::new(), |router, (route, handler)| router.route(route.path, handler))
}

fn table() -> Vec<(Route, MethodRouter<Arc<App>>)> {
    use Action::{Ask, Embed, Generate, ListCollections, ListModels, ReadApiDescription, Rerank, Search};
    let get = |path, action| Route { method: Method::GET, path, action };
    let post = |path, action| Route { method: Method::POST, path, action };
    vec![
        (get("/v1/models", ListModels), routing::get(openai::models::list)),
        (get("/v1/models/{model}", ListModels), routing::get(openai::models::show)),
        (post("/v1/chat/completions", Ask), routing::post(openai::chat::chat)),
        (post("/v1/completions", Generate), routing::post(openai::completions::complete)),
        (post("/v1/embeddings", Embed), routing::post(openai::embeddings::embed)),
        (post("/v1/rerank", Rerank), routing::post(openai::rerank::rerank)),
        (post("/rerank", Rerank), routing::post(openai::rerank::rerank)),
        (post("/api/rerank", Rerank), routing::post(openai::rerank::rerank)),
        (post("/api/ask", Ask), routing::post(native::ask::ask)),
        (get("/api/collections", ListCollections), routing::get(native::collections::list)),
        (get("/api/collections/{id}/documents", ListCollections), routing::get(native::collections::documents)),
        (post("/api/collections/{id}/search", Search), routing::post(native::search::search)),
        (get("/api/openapi.json", ReadApiDescription), routing::get(description::json)),
        (get("/api/docs", ReadApiDescription), routing::get(description::page)),
    ]
}

/// A call on whatever the caller's account belongs to: its tenant, or the appliance for an account of the whole site.
pub(crate) fn call(caller: &Caller, action: Action, session: Option<SessionId>) -> Call {
    let resource = caller.principal.tenant.clone().map_or(Resource::Appliance, Resource::Tenant);
    Call { action, resource, session }
}

/// The caller's tenant; policy has already refused those without one where one is needed.
pub(crate) fn tenant(caller: &Caller) -> Result<&TenantId, Stop> {
    caller.principal.tenant.as_ref().ok_or_else(|| Stop::forbidden("the account belongs to no tenant"))
}
