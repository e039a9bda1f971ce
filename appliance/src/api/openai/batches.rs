//! `/v1/batches`: files of requests that are worked through behind whatever people wait for. As OpenAI shapes it.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::{Path, Query, State},
    response::IntoResponse,
};
use cloister_governance::{
    audit::Outcome,
    batches::{Batch, NewBatch, State as Stands},
};
use cloister_terms::{Action, BatchId, Phi};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::files::{self, desk, failed, name_of};
use crate::{
    api::{body::Body, call},
    batch::{ENDPOINTS, read},
    governed::governed,
    identity::Caller,
    pipeline::{Stop, knowledge::blocking},
    wiring::App,
};

/// The one time that a batch may take.
const WINDOW: &str = "24h";
/// Batches in a list at most, and where none is asked for.
const MOST: usize = 100;
const USUAL: usize = 20;
/// What OpenAI takes of a caller's own notes.
const MOST_NOTES: usize = 16;
const LONGEST_KEY: usize = 64;
const LONGEST_NOTE: usize = 512;

/// A batch to start.
#[derive(Debug, Deserialize, ToSchema)]
pub struct BatchRequest {
    /// The file of requests: see `/v1/files`.
    pub input_file_id: String,
    /// The route that every request goes to: `/v1/chat/completions`, `/v1/completions` or `/v1/embeddings`.
    pub endpoint: String,
    /// `24h`.
    pub completion_window: String,
    /// Notes of the caller's own, up to 16.
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<BTreeMap<String, String>>,
}

/// Which batches.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct BatchesQuery {
    /// Only batches older than this one.
    after: Option<String>,
    /// At most so many: 1 to 100, 20 by default.
    limit: Option<String>,
}

/// Start a batch
#[utoipa::path(post, path = "/v1/batches", tag = "openai", request_body = BatchRequest,
    responses((status = 200, description = "The batch; `failed` with `errors` by line where its file cannot be worked through"),
        (status = 400, description = "What cannot be honoured, by name"), (status = 404, description = "No such file of the account")))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    Body(request): Body<BatchRequest>,
) -> Result<impl IntoResponse, Stop> {
    governed(&app.gate, &caller, call(&caller, Action::RunBatch), async |permit| {
        let desk = desk(&app, &caller)?;
        request.check()?;
        let BatchRequest { input_file_id, endpoint, metadata, .. } = request;
        let (input, batches) = (files::id(&input_file_id)?, desk.batches.clone());
        let batch = blocking(move || {
            let content = batches.content(&permit, input).map_err(failed)?.ok_or_else(files::unknown)?;
            let read = read(content.expose(), &endpoint);
            let total = u32::try_from(read.requests.len()).unwrap_or(u32::MAX);
            let metadata = Phi::new(metadata.unwrap_or_default());
            let new = NewBatch { input, endpoint, metadata, total, complaints: read.complaints };
            batches.create(&permit, new).map_err(failed)?.ok_or_else(files::unknown)
        })
        .await?;
        desk.ring();
        let code = if batch.state == Stands::Failed { "batch_refused" } else { "batch_started" };
        let outcome = Outcome::done().with_code(code).with_count("requests", u64::from(batch.counts.total));
        Ok((Json(shown(&batch)), outcome))
    })
    .await
}

/// Batches
#[utoipa::path(get, path = "/v1/batches", tag = "openai", params(BatchesQuery),
    responses((status = 200, description = "The account's own batches, the newest first"),
        (status = 400, description = "A value that cannot be read")))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Query(wanted): Query<BatchesQuery>,
    caller: Caller,
) -> Result<impl IntoResponse, Stop> {
    governed(&app.gate, &caller, call(&caller, Action::ReadBatch), async |permit| {
        let batches = desk(&app, &caller)?.batches.clone();
        let limit = wanted.limit.as_deref().map_or(Some(USUAL), |limit| limit.parse().ok());
        let limit = limit.filter(|limit| (1..=MOST).contains(limit));
        let limit = limit.ok_or_else(|| Stop::invalid("limit", format!("`limit` takes 1 to {MOST}")))?;
        let after = wanted.after.as_deref().map(id).transpose()?;
        let (found, more) = blocking(move || batches.list(&permit, after, limit).map_err(failed)).await?;
        let count = u64::try_from(found.len()).unwrap_or(u64::MAX);
        let data: Vec<Value> = found.iter().map(shown).collect();
        let end = |batch: Option<&Batch>| batch.map(|batch| batch_name(batch.id));
        let reply = json!({"object": "list", "data": data, "first_id": end(found.first()), "last_id": end(found.last()),
            "has_more": more});
        Ok((Json(reply), Outcome::done().with_code("batches_listed").with_count("rows", count)))
    })
    .await
}

/// One batch
#[utoipa::path(get, path = "/v1/batches/{batch}", tag = "openai",
    params(("batch" = String, Path, description = "The batch")),
    responses((status = 200, description = "How it stands"), (status = 404, description = "No such batch of the account")))]
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Path(batch): Path<String>,
    caller: Caller,
) -> Result<impl IntoResponse, Stop> {
    governed(&app.gate, &caller, call(&caller, Action::ReadBatch), async |permit| {
        let (batches, id) = (desk(&app, &caller)?.batches.clone(), id(&batch)?);
        let batch = blocking(move || batches.read(&permit, id).map_err(failed)).await?.ok_or_else(unknown)?;
        Ok((Json(shown(&batch)), Outcome::done().with_code("batch_shown")))
    })
    .await
}

/// Call off a batch
#[utoipa::path(post, path = "/v1/batches/{batch}/cancel", tag = "openai",
    params(("batch" = String, Path, description = "The batch")),
    responses((status = 200, description = "How it stands; lines that are under way still end"),
        (status = 404, description = "No such batch of the account")))]
pub(crate) async fn cancel(
    State(app): State<Arc<App>>,
    Path(batch): Path<String>,
    caller: Caller,
) -> Result<impl IntoResponse, Stop> {
    governed(&app.gate, &caller, call(&caller, Action::RunBatch), async |permit| {
        let (desk, id) = (desk(&app, &caller)?, id(&batch)?);
        let batches = desk.batches.clone();
        let batch = blocking(move || batches.cancel(&permit, id).map_err(failed)).await?.ok_or_else(unknown)?;
        desk.ring();
        Ok((Json(shown(&batch)), Outcome::done().with_code("batch_cancelled")))
    })
    .await
}

impl BatchRequest {
    fn check(&self) -> Result<(), Stop> {
        if !ENDPOINTS.contains(&self.endpoint.as_str()) {
            return Err(Stop::invalid("endpoint", format!("`endpoint` takes {}", ENDPOINTS.join(", "))));
        }
        if self.completion_window != WINDOW {
            return Err(Stop::invalid("completion_window", format!("`completion_window` takes `{WINDOW}`")));
        }
        let notes = self.metadata.iter().flatten();
        let fit = |(key, note): (&String, &String)| {
            key.chars().count() <= LONGEST_KEY && note.chars().count() <= LONGEST_NOTE
        };
        if notes.clone().count() > MOST_NOTES || !notes.clone().all(fit) {
            let most = format!("{MOST_NOTES} notes, with keys of {LONGEST_KEY} and texts of {LONGEST_NOTE} characters");
            return Err(Stop::invalid("metadata", format!("`metadata` takes up to {most}")));
        }
        Ok(())
    }
}

fn batch_name(id: BatchId) -> String {
    format!("batch_{id}")
}

/// The batch that a name names. One that cannot be read names no batch.
fn id(name: &str) -> Result<BatchId, Stop> {
    name.strip_prefix("batch_").and_then(|id| id.parse().ok()).ok_or_else(unknown)
}

fn unknown() -> Stop {
    Stop::not_found("the batch")
}

fn shown(batch: &Batch) -> Value {
    let ended = |state: Stands| batch.ended.filter(|_| batch.state == state).map(|at| at.as_second());
    let errors = (!batch.complaints.is_empty()).then(|| json!({"object": "list", "data": batch.complaints}));
    let counts = batch.counts;
    json!({
        "id": batch_name(batch.id),
        "object": "batch",
        "endpoint": batch.endpoint,
        "errors": errors,
        "input_file_id": name_of(batch.input),
        "completion_window": WINDOW,
        "status": batch.state,
        "output_file_id": batch.output.map(name_of),
        "error_file_id": batch.errors.map(name_of),
        "created_at": batch.created.as_second(),
        "in_progress_at": (batch.state != Stands::Failed).then(|| batch.created.as_second()),
        "expires_at": batch.expires.as_second(),
        "finalizing_at": ended(Stands::Completed),
        "completed_at": ended(Stands::Completed),
        "failed_at": ended(Stands::Failed),
        "expired_at": ended(Stands::Expired),
        "cancelling_at": batch.cancelling.map(|at| at.as_second()),
        "cancelled_at": ended(Stands::Cancelled),
        "request_counts": {"total": counts.total, "completed": counts.completed, "failed": counts.failed},
        "metadata": batch.metadata.expose(),
    })
}
