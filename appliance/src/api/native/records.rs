//! `GET /api/audit/records`: the audit log, for whoever keeps watch over it.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, State},
    response::IntoResponse,
};
use cloister_governance::{
    audit::{Filter, Found, Outcome, ReadError, Reader},
    policy::Resource,
};
use cloister_terms::{Action, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use crate::{
    governed::{Call, governed},
    identity::Caller,
    pipeline::{Stop, knowledge::blocking},
    wiring::App,
};

/// Entries in a reply at most, and where none is asked for.
const MOST: usize = 1000;
const USUAL: usize = 100;

/// What to look for. Everything that is given must hold.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct RecordsQuery {
    /// Opened at this time or later, RFC 3339 with a zone.
    since: Option<String>,
    /// Opened before this time.
    until: Option<String>,
    /// The account's id or name.
    who: Option<String>,
    /// What was done, `ask` for example.
    action: Option<String>,
    /// The interaction.
    session: Option<String>,
    /// The emergency access under which it was done.
    emergency: Option<String>,
    /// The tenant. An account of one tenant sees that tenant's entries only.
    tenant: Option<String>,
    /// How it ended: `done`, `denied`, `blocked`, `held`, `failed`, `abandoned` or `interrupted`.
    outcome: Option<String>,
    /// Only entries opened by records numbered above this: the `next` of the reply before.
    after: Option<String>,
    /// At most so many entries: 1 to 1000, 100 by default.
    limit: Option<String>,
}

/// What was found.
#[derive(Debug, Serialize, ToSchema)]
pub struct Records {
    /// Oldest first: when it was opened and closed, who, what, in which tenant and session, and how it ended.
    #[schema(value_type = Vec<Object>)]
    entries: Vec<Map<String, Value>>,
    /// Where to go on with `after`, if there are more.
    next: Option<u64>,
}

/// Audit records
#[utoipa::path(get, path = "/api/audit/records", tag = "native", params(RecordsQuery),
    responses((status = 200, description = "Entries of the audit log", body = Records),
        (status = 400, description = "A value that cannot be read"),
        (status = 403, description = "The role does not include reading the audit log")))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Query(wanted): Query<RecordsQuery>,
    caller: Caller,
) -> Result<impl IntoResponse, Stop> {
    let call = Call::new(Action::ReadAudit, wanted.of(&caller));
    governed(&app.gate, &caller, call, async |permit| {
        let (filter, limit) = wanted.read(permit.principal().tenant.as_ref())?;
        let reader = Reader::of(&app.store);
        let found = blocking(move || reader.search(&filter, limit).map_err(failed)).await?;
        let records = Records::from(found);
        let count = u64::try_from(records.entries.len()).unwrap_or(u64::MAX);
        Ok((Json(records), Outcome::done().with_code("search").with_count("rows", count)))
    })
    .await
}

fn failed(error: ReadError) -> Stop {
    Stop::internal("searching the audit log", error)
}

impl RecordsQuery {
    /// The part of the log that is asked for: the tenant that is named, else the caller's own, else the whole. A tenant
    /// that cannot be read is refused once the call is recorded.
    fn of(&self, caller: &Caller) -> Resource {
        let named = self.tenant.as_deref().and_then(|tenant| tenant.parse().ok());
        Resource::AuditLog(named.or_else(|| caller.principal().tenant.clone()))
    }

    /// The filter, held to `own` tenant where the caller has one. No error repeats what was sent.
    fn read(self, own: Option<&TenantId>) -> Result<(Filter, usize), Stop> {
        let number = |text: &str| text.parse().ok();
        let mut filter = Filter {
            since: read(self.since, "since", |text| text.parse().ok())?,
            until: read(self.until, "until", |text| text.parse().ok())?,
            who: self.who,
            action: read(self.action, "action", |text| Action::ALL.iter().copied().find(|a| a.as_str() == text))?,
            session: read(self.session, "session", |text| text.parse().ok())?,
            emergency: read(self.emergency, "emergency", |text| text.parse().ok())?,
            tenant: read(self.tenant, "tenant", |text| text.parse().ok())?,
            outcome: read(self.outcome, "outcome", |text| serde_json::from_value(Value::from(text)).ok())?,
            after: read(self.after, "after", number)?.unwrap_or(0),
        };
        if let Some(own) = own {
            if filter.tenant.as_ref().is_some_and(|tenant| tenant != own) {
                return Err(Stop::forbidden("other_tenant", "the account does not belong to this tenant"));
            }
            filter.tenant = Some(own.clone());
        }
        let limit = read(self.limit, "limit", |text| text.parse().ok().filter(|limit| (1..=MOST).contains(limit)))?;
        Ok((filter, limit.unwrap_or(USUAL)))
    }
}

impl Records {
    /// How many entries there are.
    pub(super) const fn len(&self) -> usize {
        self.entries.len()
    }
}

fn read<T>(text: Option<String>, field: &'static str, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Stop> {
    let unread = || Stop::invalid(field, format!("`{field}` cannot be read: see /api/docs"));
    text.map(|text| parse(&text).ok_or_else(unread)).transpose()
}

impl From<Found> for Records {
    fn from(found: Found) -> Self {
        let columns = found.columns;
        let entry = |row: Vec<Value>| columns.iter().cloned().zip(row.into_iter().map(unpacked)).collect();
        let entries: Vec<Map<String, Value>> = found.rows.into_iter().map(entry).collect();
        let last = entries.last().and_then(|entry| entry.get("sequence")).and_then(Value::as_u64);
        Self { entries, next: last.filter(|_| found.more) }
    }
}

/// What the index keeps as JSON in a text becomes JSON again.
fn unpacked(value: Value) -> Value {
    match &value {
        Value::String(text) if text.starts_with(['[', '{']) => serde_json::from_str(text).unwrap_or(value),
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_of_one_tenant_sees_that_tenants_entries_only() {
        let own: TenantId = "larkfield".parse().unwrap();
        let query =
            |tenant: Option<&str>| RecordsQuery { tenant: tenant.map(str::to_owned), ..RecordsQuery::default() };
        let filter = |tenant| query(tenant).read(Some(&own)).map(|(filter, _)| filter.tenant);
        assert_eq!(filter(None).unwrap(), Some(own.clone()));
        assert_eq!(filter(Some("larkfield")).unwrap(), Some(own.clone()));
        assert!(filter(Some("other")).is_err());
        assert_eq!(query(None).read(None).unwrap().0.tenant, None);
    }

    #[test]
    fn a_value_that_cannot_be_read_is_named_and_not_repeated() {
        let query = RecordsQuery { since: Some("Jane Roe".to_owned()), ..RecordsQuery::default() };
        let stop = query.read(None).unwrap_err().to_string();
        assert!(stop.contains("`since`") && !stop.contains("Jane"), "{stop}");
        for limit in ["0", "1001", "-1"] {
            let query = RecordsQuery { limit: Some(limit.to_owned()), ..RecordsQuery::default() };
            assert!(query.read(None).is_err());
        }
    }
}
