//! `/v1/files`: files of requests that batches work through, and what came of them. As OpenAI shapes it.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, Request, State},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use cloister_governance::{
    audit::Outcome,
    batches::{BatchError, Batches, FileLabel},
};
use cloister_terms::{Action, FileId, Phi};
use http::header;
use jiff::SignedDuration;
use multer::Multipart;
use serde_json::{Value, json};

use crate::{
    api::{call, tenant},
    batch::Desk,
    edge::body::unreadable,
    governed::governed,
    identity::Caller,
    pipeline::{Stop, knowledge::blocking},
    wiring::App,
};

/// Most characters of a file's name.
const LONGEST_NAME: usize = 255;

/// File of requests, handed in
#[utoipa::path(post, path = "/v1/files", tag = "openai",
    request_body(content_type = "multipart/form-data", description = "`purpose`: batch; `file`: one request a line, as OpenAI's Batch API has it"),
    responses((status = 200, description = "The file"), (status = 400, description = "What cannot be read, by name"),
        (status = 413, description = "Larger than `server.body_limit_bytes`, or than what the account's files may still take")))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    request: Request,
) -> Result<impl IntoResponse, Stop> {
    governed(&app.gate, &caller, call(&caller, Action::RunBatch), async |permit| {
        let batches = desk(&app, &caller)?.batches.clone();
        let Upload { name, content } = upload(request).await?;
        let label = blocking({
            let batches = batches.clone();
            move || batches.put_file(&permit, Phi::new(name), &content).map_err(failed)
        })
        .await?;
        let outcome = Outcome::done().with_code("file_created").with_count("bytes", label.bytes);
        Ok((Json(shown(&batches, &label)), outcome))
    })
    .await
}

/// Files
#[utoipa::path(get, path = "/v1/files", tag = "openai",
    responses((status = 200, description = "The account's own files, the newest first")))]
pub(crate) async fn list(State(app): State<Arc<App>>, caller: Caller) -> Result<impl IntoResponse, Stop> {
    governed(&app.gate, &caller, call(&caller, Action::ReadBatch), async |permit| {
        let batches = desk(&app, &caller)?.batches.clone();
        let of = batches.clone();
        let files = blocking(move || of.files(&permit).map_err(failed)).await?;
        let count = u64::try_from(files.len()).unwrap_or(u64::MAX);
        let data: Vec<Value> = files.iter().map(|file| shown(&batches, file)).collect();
        let reply = json!({"object": "list", "data": data, "has_more": false});
        Ok((Json(reply), Outcome::done().with_code("files_listed").with_count("rows", count)))
    })
    .await
}

/// One file
#[utoipa::path(get, path = "/v1/files/{file}", tag = "openai",
    params(("file" = String, Path, description = "The file")),
    responses((status = 200, description = "What a list shows of it"), (status = 404, description = "No such file of the account")))]
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Path(file): Path<String>,
    caller: Caller,
) -> Result<impl IntoResponse, Stop> {
    governed(&app.gate, &caller, call(&caller, Action::ReadBatch), async |permit| {
        let (batches, id) = (desk(&app, &caller)?.batches.clone(), id(&file)?);
        let of = batches.clone();
        let label = blocking(move || of.file(&permit, id).map_err(failed)).await?.ok_or_else(unknown)?;
        Ok((Json(shown(&batches, &label)), Outcome::done().with_code("file_shown")))
    })
    .await
}

/// What stands in a file
#[utoipa::path(get, path = "/v1/files/{file}/content", tag = "openai",
    params(("file" = String, Path, description = "The file")),
    responses((status = 200, description = "One JSON object a line"), (status = 404, description = "No such file of the account")))]
pub(crate) async fn content(
    State(app): State<Arc<App>>,
    Path(file): Path<String>,
    caller: Caller,
) -> Result<Response, Stop> {
    governed(&app.gate, &caller, call(&caller, Action::ReadBatch), async |permit| {
        let (batches, id) = (desk(&app, &caller)?.batches.clone(), id(&file)?);
        let content = blocking(move || batches.content(&permit, id).map_err(failed)).await?.ok_or_else(unknown)?;
        let bytes = Bytes::from(content.into_exposed());
        let count = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let reply = ([(header::CONTENT_TYPE, "application/jsonl")], bytes).into_response();
        Ok((reply, Outcome::done().with_code("file_read").with_count("bytes", count)))
    })
    .await
}

/// Remove a file
#[utoipa::path(delete, path = "/v1/files/{file}", tag = "openai",
    params(("file" = String, Path, description = "The file")),
    responses((status = 200, description = "It is gone"), (status = 400, description = "A batch works through it"),
        (status = 404, description = "No such file of the account")))]
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Path(file): Path<String>,
    caller: Caller,
) -> Result<impl IntoResponse, Stop> {
    governed(&app.gate, &caller, call(&caller, Action::RunBatch), async |permit| {
        let (batches, id) = (desk(&app, &caller)?.batches.clone(), id(&file)?);
        let found = blocking(move || batches.delete_file(&permit, id).map_err(failed)).await?;
        if !found {
            return Err(unknown());
        }
        let reply = json!({"id": name_of(id), "object": "file", "deleted": true});
        Ok((Json(reply), Outcome::done().with_code("file_deleted")))
    })
    .await
}

/// The desk of the caller's tenant.
pub(super) fn desk<'a>(app: &'a App, caller: &Caller) -> Result<&'a Desk, Stop> {
    let tenant = tenant(caller)?;
    let found = app.tenants.get(tenant).map(|tenant| &tenant.desk);
    found.ok_or_else(|| Stop::not_found(format!("tenant `{tenant}`")))
}

/// A file's id as replies have it.
pub(super) fn name_of(id: FileId) -> String {
    format!("file-{id}")
}

/// The file that a name names. One that cannot be read names no file.
pub(super) fn id(name: &str) -> Result<FileId, Stop> {
    name.strip_prefix("file-").and_then(|id| id.parse().ok()).ok_or_else(unknown)
}

pub(super) fn unknown() -> Stop {
    Stop::not_found("the file")
}

pub(super) fn failed(error: BatchError) -> Stop {
    match error {
        error @ (BatchError::NoRoom { .. } | BatchError::TooMany { .. } | BatchError::InUse) => {
            Stop::invalid("file", error.to_string())
        }
        error => Stop::internal("keeping batches", error),
    }
}

fn shown(batches: &Batches, file: &FileLabel) -> Value {
    let kept = SignedDuration::from_hours(24 * i64::from(batches.room().days));
    let expires = file.at.saturating_add(kept).map(|until| until.as_second()).ok();
    let purpose = if file.output { "batch_output" } else { "batch" };
    json!({"id": name_of(file.id), "object": "file", "bytes": file.bytes, "created_at": file.at.as_second(),
        "expires_at": expires, "filename": file.name.expose(), "purpose": purpose, "status": "processed"})
}

/// What was handed in.
struct Upload {
    name: String,
    content: Bytes,
}

/// Reads a form with `purpose` and `file`. No error repeats what was sent.
async fn upload(request: Request) -> Result<Upload, Stop> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let boundary = multer::parse_boundary(kind)
        .map_err(|_| Stop::invalid(None, "send `Content-Type: multipart/form-data` with a boundary"))?;
    let mut form = Multipart::new(request.into_body().into_data_stream(), boundary);
    let (mut purpose, mut file) = (None, None);
    while let Some(field) = form.next_field().await.map_err(|error| broken(&error))? {
        let (name, filename) = (field.name().map(str::to_owned), field.file_name().map(str::to_owned));
        let bytes = field.bytes().await.map_err(|error| broken(&error))?;
        match name.as_deref() {
            Some("purpose") => purpose = Some(bytes),
            Some("file") => file = Some(Upload { name: filename.unwrap_or_default(), content: bytes }),
            _ => {}
        }
    }
    if purpose.as_deref() != Some(b"batch".as_slice()) {
        return Err(Stop::invalid("purpose", "`purpose` takes `batch`"));
    }
    let file = file.ok_or_else(|| Stop::invalid("file", "the form has no `file`"))?;
    if file.content.is_empty() {
        return Err(Stop::invalid("file", "`file` is empty"));
    }
    let name: String = file.name.chars().filter(|letter| !letter.is_control()).take(LONGEST_NAME).collect();
    Ok(Upload { name: if name.is_empty() { "requests.jsonl".to_owned() } else { name }, ..file })
}

/// A body that breaks off, stands still or is too long is told as everywhere.
fn broken(error: &multer::Error) -> Stop {
    let cause = match error {
        multer::Error::StreamReadFailed(cause) => cause.downcast_ref::<axum::Error>(),
        _ => None,
    };
    match cause {
        Some(cause) => Stop::invalid("file", unreadable(cause).detail),
        None => Stop::invalid(None, "the form is not multipart/form-data as RFC 7578 has it"),
    }
}
