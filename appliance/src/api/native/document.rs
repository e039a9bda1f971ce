//! `GET /api/collections/{id}/documents/{document}`: a document's text, so that a citation can be read in its place.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, Query, State},
    response::IntoResponse,
};
use cloister_governance::{audit::Document, policy::Resource};
use cloister_knowledge::Scope;
use cloister_terms::{Action, CollectionId, DocumentId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::collections::{labels, present};
use crate::{
    api::tenant,
    governed::{Call, governed},
    identity::Caller,
    pipeline::{Stop, knowledge::blocking, search},
    wiring::App,
};

/// Which version.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Which {
    /// The version, retired ones included; the one in force if absent.
    pub version: Option<String>,
}

/// A document's text.
#[derive(Serialize, ToSchema)]
pub struct DocumentReply {
    /// Its collection.
    #[schema(value_type = String)]
    collection: CollectionId,
    /// The document, across its versions.
    #[schema(value_type = String)]
    document: DocumentId,
    /// The version that this is.
    version: String,
    /// The file that it came from.
    name: String,
    /// Its title.
    title: String,
    /// The text that citations count their characters in, in code points. What the guardrail keeps back is blacked out, character for
    /// character.
    text: String,
    /// How many characters of title, name and text are blacked out.
    withheld: usize,
}

/// A document
#[utoipa::path(get, path = "/api/collections/{id}/documents/{document}", tag = "native",
    params(("id" = String, Path, description = "The collection"), ("document" = String, Path, description = "The document"), Which),
    responses((status = 200, description = "Its text", body = DocumentReply),
        (status = 404, description = "No such document for this caller")))]
pub(crate) async fn read(
    State(app): State<Arc<App>>,
    Path((id, document)): Path<(String, String)>,
    Query(which): Query<Which>,
    caller: Caller,
) -> Result<impl IntoResponse, Stop> {
    let absent = || Stop::not_found("the document");
    let document: DocumentId = document.parse().map_err(|_| absent())?;
    let collection: CollectionId = id.parse().map_err(|_| Stop::not_found("the collection"))?;
    let resource = match caller.principal().tenant.clone() {
        Some(tenant) => Resource::Document(tenant, collection.clone(), document),
        None => Resource::Appliance,
    };
    let call = Call::new(Action::ReadDocument, resource);
    governed(&app.gate, &caller, call, async |permit| {
        let ports = app.ports(tenant(&caller)?)?;
        let scope = Scope::new(vec![collection.clone()], labels(&permit), app.clock.now());
        let wanted = collection.clone();
        let read = blocking(move || {
            present(ports.knowledge.collections()?, &wanted)?;
            let found = ports.knowledge.text(&scope, document, which.version.as_deref())?;
            Ok(found.map(|mut found| (search::read(&ports, &mut found), found)))
        });
        let ((outcome, withheld), found) = read.await?.ok_or_else(absent)?;
        let version = found.version.clone();
        let outcome = outcome.with_document(Document { collection: collection.clone(), document, version });
        let (version, name, title, text) = (found.version, found.name, found.title, found.text);
        Ok((Json(DocumentReply { collection, document, version, name, title, text, withheld }), outcome))
    })
    .await
}
