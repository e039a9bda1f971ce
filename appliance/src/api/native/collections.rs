//! `GET /api/collections` and `GET /api/collections/{id}/documents`.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    response::IntoResponse,
};
use cloister_governance::{
    audit::Outcome,
    policy::{Permit, Resource},
};
use cloister_terms::{AccessLabel, Action, CollectionId, DocumentId};
use jiff::{Timestamp, civil::Date};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    api::{call, tenant},
    governed::{Call, governed},
    identity::Caller,
    pipeline::{Stop, knowledge::blocking, search},
    wiring::App,
};

/// The collections that the caller may read.
#[derive(Debug, Serialize, ToSchema)]
pub struct Collections {
    /// By name.
    collections: Vec<Collection>,
}

/// A collection.
#[derive(Debug, Serialize, ToSchema)]
pub struct Collection {
    /// Its name.
    #[schema(value_type = String)]
    id: CollectionId,
    /// What people call it.
    title: String,
    /// Documents that the caller may read, however many versions each has.
    documents: usize,
    /// Passages in the index.
    passages: usize,
    /// Curated pairs.
    pairs: usize,
}

/// Collections
#[utoipa::path(get, path = "/api/collections", tag = "native",
    responses((status = 200, description = "The collections that the caller may read", body = Collections)))]
pub(crate) async fn list(State(app): State<Arc<App>>, caller: Caller) -> Result<impl IntoResponse, Stop> {
    let call = call(&caller, Action::ListCollections);
    governed(&app.gate, &caller, call, async |permit| {
        let knowledge = app.ports(tenant(&caller)?)?.knowledge;
        let readable = permit.collections().clone();
        let labels = labels(&permit);
        let holdings = blocking(move || knowledge.holdings(&labels)).await?;
        let collections: Vec<Collection> = holdings
            .into_iter()
            .filter(|holding| readable.contains(&holding.id))
            .map(|h| Collection {
                id: h.id,
                title: h.title,
                documents: h.documents,
                passages: h.passages,
                pairs: h.pairs,
            })
            .collect();
        let count = u64::try_from(collections.len()).unwrap_or(u64::MAX);
        Ok((Json(Collections { collections }), Outcome::done().with_count("collections", count)))
    })
    .await
}

/// The documents of a collection.
#[derive(Debug, Serialize, ToSchema)]
pub struct Documents {
    /// One entry per version, the newest of each document first.
    documents: Vec<Document>,
}

/// A version of a document.
#[derive(Debug, Serialize, ToSchema)]
pub struct Document {
    /// The document, across its versions.
    #[schema(value_type = String)]
    document: DocumentId,
    /// Its version.
    version: String,
    /// The file that it came from.
    name: String,
    /// Its title.
    title: String,
    /// What a reader must hold to see it.
    #[schema(value_type = String)]
    access: AccessLabel,
    /// First day on which it holds.
    #[schema(value_type = Option<String>, format = Date)]
    effective: Option<Date>,
    /// First day on which it no longer holds.
    #[schema(value_type = Option<String>, format = Date)]
    expires: Option<Date>,
    /// Whether a search sees it today.
    in_force: bool,
    /// When it was ingested.
    #[schema(value_type = String, format = DateTime)]
    ingested: Timestamp,
}

/// Documents
#[utoipa::path(get, path = "/api/collections/{id}/documents", tag = "native",
    params(("id" = String, Path, description = "The collection")),
    responses((status = 200, description = "The documents whose access label the caller holds", body = Documents),
        (status = 404, description = "No such collection for this caller")))]
pub(crate) async fn documents(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<impl IntoResponse, Stop> {
    let (call, collection) = on_collection(&caller, Action::ListCollections, &id)?;
    governed(&app.gate, &caller, call, async |permit| {
        let ports = app.ports(tenant(&caller)?)?;
        let labels = labels(&permit);
        let listed = blocking(move || {
            present(ports.knowledge.collections()?, &collection)?;
            let mut listed = ports.knowledge.documents(&collection)?;
            listed.retain(|version| labels.contains(&version.label));
            for version in &mut listed {
                search::hold_back(&ports, &mut version.name);
                search::hold_back(&ports, &mut version.title);
            }
            Ok(listed)
        })
        .await?;
        let documents: Vec<Document> = listed
            .into_iter()
            .map(|v| Document {
                document: v.document,
                version: v.version,
                name: v.name,
                title: v.title,
                access: v.label,
                effective: v.effective,
                expires: v.expires,
                in_force: v.in_force,
                ingested: v.ingested,
            })
            .collect();
        let count = u64::try_from(documents.len()).unwrap_or(u64::MAX);
        Ok((Json(Documents { documents }), Outcome::done().with_count("documents", count)))
    })
    .await
}

/// A call on one collection of the caller's tenant. A name that cannot be one is a collection that is not there. A caller
/// without a tenant asks it of the machine, which policy denies: the denial is recorded like any other.
pub(in crate::api) fn on_collection(caller: &Caller, action: Action, id: &str) -> Result<(Call, CollectionId), Stop> {
    let collection: CollectionId = id.parse().map_err(|_| Stop::not_found("the collection"))?;
    let resource = match caller.principal().tenant.clone() {
        Some(tenant) => Resource::Collection(tenant, collection.clone()),
        None => Resource::Appliance,
    };
    Ok((Call::new(action, resource), collection))
}

/// The labels under which the permit's holder reads.
pub(super) fn labels(permit: &Permit) -> Vec<AccessLabel> {
    permit.labels().iter().cloned().collect()
}

/// Refuses a collection that is not there.
pub(super) fn present(collections: Vec<CollectionId>, wanted: &CollectionId) -> Result<(), Stop> {
    if collections.contains(wanted) { Ok(()) } else { Err(Stop::not_found(format!("collection `{wanted}`"))) }
}
