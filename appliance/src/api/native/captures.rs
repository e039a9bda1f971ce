//! `GET /api/captures` and `GET /api/captures/{capture}`: sealed captures of questions and answers, for whoever has to find
//! out what went wrong.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, Query, State},
    response::IntoResponse,
};
use cloister_governance::{
    audit::Outcome,
    captures::{Capture, CaptureError, CaptureLabel, Excerpt, Filter, Form, Listed, Turn},
    policy::{Permit, Resource},
};
use cloister_terms::{Action, CaptureId, Phi, TenantId};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::{
    governed::{Call, governed},
    identity::Caller,
    pipeline::{Stop, knowledge::blocking},
    wiring::App,
};

/// Captures in a list at most, and where none is asked for.
const MOST: usize = 1000;
const USUAL: usize = 100;

/// What to look for. Everything that is given must hold.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct CapturesQuery {
    /// The tenant; the account's own if none is named. An account of the whole site names one.
    tenant: Option<String>,
    /// Made at this time or later, RFC 3339 with a zone.
    since: Option<String>,
    /// Made before this time.
    until: Option<String>,
    /// The interaction.
    session: Option<String>,
    /// The request, as in the audit log.
    request: Option<String>,
    /// What was done: `ask`, or `generate` for a raw model.
    action: Option<String>,
    /// How it ended: `done`, `blocked` or `failed`.
    outcome: Option<String>,
    /// Which way: the lane of an answer, the code of a refusal.
    code: Option<String>,
    /// `redacted` or `raw`.
    form: Option<String>,
    /// Only captures older than this place: the `next` of the reply before.
    before: Option<String>,
    /// At most so many: 1 to 1000, 100 by default.
    limit: Option<String>,
}

/// Which capture, and as what.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct CaptureQuery {
    /// The tenant; the account's own if none is named. An account of the whole site names one.
    tenant: Option<String>,
    /// `true` to read a capture that was made raw, which is a permission of its own.
    raw: Option<String>,
}

/// A list of captures. No text.
#[derive(Debug, Serialize, ToSchema)]
pub struct CaptureList {
    /// Newest first.
    captures: Vec<CaptureSummary>,
    /// Where to go on with `before`, if there are more.
    next: Option<u64>,
}

/// What a list shows of a capture.
#[derive(Debug, Serialize, ToSchema)]
pub struct CaptureSummary {
    /// Its id.
    capture: String,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// When its time is over.
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
    /// The interaction.
    session: Option<String>,
    /// The request, as in the audit log.
    request: String,
    /// What was done.
    #[schema(value_type = String)]
    action: Action,
    /// `redacted` or `raw`.
    #[schema(value_type = String)]
    form: Form,
    /// How it ended.
    outcome: &'static str,
    /// Which way: the lane of an answer, the code of a refusal.
    code: Option<String>,
}

/// A capture.
#[derive(Serialize, ToSchema)]
pub struct CaptureReply {
    /// What a list shows of it.
    #[serde(flatten)]
    label: CaptureSummary,
    /// What was asked, in order.
    asked: Vec<CaptureTurn>,
    /// The evidence that was found, the best first.
    evidence: Vec<CaptureExcerpt>,
    /// What was answered; absent where nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    answered: Option<String>,
}

/// One turn of what was asked.
#[derive(Serialize, ToSchema)]
pub struct CaptureTurn {
    /// `user`, `system`, `assistant` or `prompt`.
    role: String,
    /// What was said.
    text: String,
}

/// A place of a document.
#[derive(Serialize, ToSchema)]
pub struct CaptureExcerpt {
    /// Its collection.
    collection: String,
    /// Its document, across versions.
    document: String,
    /// The document's version.
    version: String,
    /// First character, in code points into the document's text.
    start: usize,
    /// One past the last character.
    end: usize,
    /// What stands there.
    text: String,
}

/// Captures
#[utoipa::path(get, path = "/api/captures", tag = "native", params(CapturesQuery),
    responses((status = 200, description = "Captures, newest first, without their text", body = CaptureList),
        (status = 400, description = "A value that cannot be read"),
        (status = 403, description = "The role does not include listing captures, or no tenant was named")))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Query(wanted): Query<CapturesQuery>,
    caller: Caller,
) -> Result<impl IntoResponse, Stop> {
    let tenant = tenant(&caller, wanted.tenant.as_deref());
    let call = Call::new(Action::ListCaptures, tenant.map_or(Resource::Appliance, Resource::Tenant));
    governed(&app.gate, &caller, call, async |permit| {
        let (filter, limit) = wanted.read()?;
        let captures = app.captures(within(&permit)?)?.clone();
        let days = captures.days();
        let listed = blocking(move || captures.list(&permit, &filter, limit).map_err(failed)).await?;
        let Listed { captures, next } = listed;
        let count = u64::try_from(captures.len()).unwrap_or(u64::MAX);
        let captures = captures.into_iter().map(|label| CaptureSummary::of(label, days)).collect();
        Ok((Json(CaptureList { captures, next }), Outcome::done().with_code("listed").with_count("rows", count)))
    })
    .await
}

/// One capture
#[utoipa::path(get, path = "/api/captures/{capture}", tag = "native",
    params(("capture" = String, Path, description = "The capture, as a list or an audit record names it"), CaptureQuery),
    responses((status = 200, description = "What was asked, the evidence that was found and what was answered", body = CaptureReply),
        (status = 403, description = "The role does not include reading captures, or the capture is raw"),
        (status = 404, description = "No such capture of the tenant, or its time is over")))]
pub(crate) async fn read(
    State(app): State<Arc<App>>,
    Path(capture): Path<String>,
    Query(wanted): Query<CaptureQuery>,
    caller: Caller,
) -> Result<impl IntoResponse, Stop> {
    let raw = wanted.raw.as_deref();
    let action = if raw == Some("true") { Action::ReadRawCapture } else { Action::ReadCapture };
    let id: Option<CaptureId> = capture.parse().ok();
    // An id that cannot be read is the id of no capture.
    let resource = tenant(&caller, wanted.tenant.as_deref())
        .map_or(Resource::Appliance, |tenant| Resource::Capture(tenant, id.unwrap_or_else(|| CaptureId::from(0))));
    governed(&app.gate, &caller, Call::new(action, resource), async |permit| {
        if !matches!(raw, None | Some("true" | "false")) {
            return Err(Stop::invalid("raw", "`raw` takes true or false"));
        }
        id.ok_or_else(unknown)?;
        let captures = app.captures(within(&permit)?)?.clone();
        let days = captures.days();
        let capture = blocking(move || captures.read(&permit).map_err(failed)).await?.ok_or_else(unknown)?;
        let outcome = Outcome::done().with_code(capture.label.form.as_str());
        Ok((Json(CaptureReply::of(capture, days)), outcome))
    })
    .await
}

fn unknown() -> Stop {
    Stop::not_found("the capture")
}

/// The tenant that is named, else the caller's own. One that cannot be read is none, which policy then refuses.
pub(super) fn tenant(caller: &Caller, named: Option<&str>) -> Option<TenantId> {
    match named {
        Some(named) => named.parse().ok(),
        None => caller.principal().tenant.clone(),
    }
}

fn within(permit: &Permit) -> Result<&TenantId, Stop> {
    permit.tenant().ok_or_else(|| Stop::forbidden("tenant_needed", "captures are a tenant's, and none was named"))
}

fn failed(error: CaptureError) -> Stop {
    match error {
        CaptureError::Raw => Stop::forbidden(
            "raw_capture",
            "this capture was made raw: reading it as `raw=true` is a permission of its own",
        ),
        error => Stop::internal("reading captures", error),
    }
}

impl CapturesQuery {
    /// The filter and the limit. No error repeats what was sent.
    fn read(self) -> Result<(Filter, usize), Stop> {
        let action = |text: &str| Action::ALL.iter().copied().find(|action| action.as_str() == text);
        let filter = Filter {
            since: read_as(self.since, "since", |text| text.parse().ok())?,
            until: read_as(self.until, "until", |text| text.parse().ok())?,
            session: read_as(self.session, "session", |text| text.parse().ok())?,
            request: read_as(self.request, "request", |text| text.parse().ok())?,
            action: read_as(self.action, "action", action)?,
            outcome: read_as(self.outcome, "outcome", |text| serde_json::from_value(Value::from(text)).ok())?,
            code: self.code,
            form: read_as(self.form, "form", |text| text.parse().ok())?,
            before: read_as(self.before, "before", |text| text.parse().ok())?,
        };
        let within = |text: &str| text.parse().ok().filter(|limit| (1..=MOST).contains(limit));
        Ok((filter, read_as(self.limit, "limit", within)?.unwrap_or(USUAL)))
    }
}

fn read_as<T>(text: Option<String>, field: &'static str, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Stop> {
    let unread = || Stop::invalid(field, format!("`{field}` cannot be read: see /api/docs"));
    text.map(|text| parse(&text).ok_or_else(unread)).transpose()
}

impl CaptureSummary {
    fn of(label: CaptureLabel, days: u32) -> Self {
        let kept = SignedDuration::from_hours(24 * i64::from(days));
        Self {
            capture: label.id.to_string(),
            at: label.at,
            until: label.at.saturating_add(kept).unwrap_or(Timestamp::MAX),
            session: label.session.map(|session| session.to_string()),
            request: label.request.to_string(),
            action: label.action,
            form: label.form,
            outcome: label.outcome.as_str(),
            code: label.code,
        }
    }
}

impl CaptureReply {
    /// Whoever makes one holds the permit that opened the capture.
    pub(crate) fn of(capture: Capture, days: u32) -> Self {
        let Capture { label, content } = capture;
        let shown = |excerpt: Excerpt| CaptureExcerpt {
            collection: excerpt.collection.to_string(),
            document: excerpt.document.to_string(),
            version: excerpt.version,
            start: excerpt.start,
            end: excerpt.end,
            text: excerpt.text.into_exposed(),
        };
        let said = |turn: Turn| CaptureTurn { role: turn.role, text: turn.text.into_exposed() };
        Self {
            label: CaptureSummary::of(label, days),
            asked: content.asked.into_iter().map(said).collect(),
            evidence: content.evidence.into_iter().map(shown).collect(),
            answered: content.answered.map(Phi::into_exposed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_cannot_be_read_is_named_and_not_repeated() {
        for (field, query) in [
            ("since", CapturesQuery { since: Some("Jane Roe".to_owned()), ..CapturesQuery::default() }),
            ("session", CapturesQuery { session: Some("Jane Roe".to_owned()), ..CapturesQuery::default() }),
            ("form", CapturesQuery { form: Some("Jane Roe".to_owned()), ..CapturesQuery::default() }),
            ("limit", CapturesQuery { limit: Some("0".to_owned()), ..CapturesQuery::default() }),
        ] {
            let stop = query.read().unwrap_err().to_string();
            assert!(stop.contains(field) && !stop.contains("Jane"), "{stop}");
        }
    }
}
