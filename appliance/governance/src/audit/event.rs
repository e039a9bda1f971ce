//! Entries of the log as FHIR R4 `AuditEvent` resources (<https://hl7.org/fhir/R4/auditevent.html>).
//!
//! One resource per entry: what its intent says, how its outcome ended it, the documents as entities. Codes are those of
//! the code systems that R4 names where these have a fitting one, and Cloister's own words otherwise.

use std::collections::HashMap;

use cloister_terms::{Action, EntryId, Purpose};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Body, OutcomeKind, Record, RecordedIntent, RecordedOutcome};

/// The code system of Cloister's own words.
const WORDS: &str = "urn:cloister:audit";

/// The code system of what something is done for.
const REASONS: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";

/// Makes events from records as they come. An entry is an event when it is closed; those that stay open come at the end.
#[derive(Debug, Default)]
pub struct Events {
    open: HashMap<EntryId, (Timestamp, RecordedIntent)>,
}

impl Events {
    /// The event that this record completes.
    pub fn record(&mut self, record: Record) -> Option<Value> {
        match record.body {
            Body::Intent(intent) => {
                self.open.insert(record.entry, (record.at, intent));
                None
            }
            Body::Outcome(outcome) => {
                let (began, intent) = self.open.remove(&record.entry)?;
                Some(event(record.entry, (began, Some(record.at)), &intent, Some(&outcome)))
            }
        }
    }

    /// The events of the entries that are open, oldest first.
    pub fn unfinished(self) -> Vec<Value> {
        let mut open: Vec<_> = self.open.into_iter().collect();
        open.sort_by_key(|(_, (began, _))| *began);
        open.into_iter().map(|(entry, (began, intent))| event(entry, (began, None), &intent, None)).collect()
    }
}

fn event(
    entry: EntryId,
    (began, ended): (Timestamp, Option<Timestamp>),
    intent: &RecordedIntent,
    outcome: Option<&RecordedOutcome>,
) -> Value {
    let mut event = json!({
        "resourceType": "AuditEvent",
        "id": entry.to_string(),
        "type": coding("http://terminology.hl7.org/CodeSystem/audit-event-type", "rest", "RESTful Operation"),
        "subtype": [coding(WORDS, intent.action.as_str(), intent.action.as_str())],
        "action": kind(intent.action),
        "period": { "start": instant(began) },
        "recorded": instant(ended.unwrap_or(began)),
        "agent": [agent(intent)],
        "source": {
            "observer": { "display": "Cloister" },
            "type": [coding("http://terminology.hl7.org/CodeSystem/security-source-type", "4", "Application Server")],
        },
        "entity": entities(intent, outcome),
    });
    if let Some(ended) = ended {
        put(&mut event, "/period", "end", instant(ended).into());
    }
    if let Some(outcome) = outcome {
        put(&mut event, "", "outcome", severity(outcome.kind).into());
        let code = outcome.code.as_ref().map(|code| format!(": {code}")).unwrap_or_default();
        put(&mut event, "", "outcomeDesc", format!("{}{code}", outcome.kind.as_str()).into());
    }
    let emergency = intent.emergency.map(|_| coding(REASONS, "BTG", "break the glass"));
    let purposes: Vec<Value> = intent.purpose.map(purpose_coding).into_iter().chain(emergency).collect();
    if !purposes.is_empty() {
        let concepts: Vec<Value> = purposes.into_iter().map(|coding| json!({ "coding": [coding] })).collect();
        put(&mut event, "", "purposeOfEvent", concepts.into());
    }
    event
}

fn put(event: &mut Value, at: &str, key: &str, value: Value) {
    if let Some(object) = event.pointer_mut(at).and_then(Value::as_object_mut) {
        object.insert(key.to_owned(), value);
    }
}

/// FHIR's `instant` has at most nanoseconds and always a zone.
fn instant(at: Timestamp) -> String {
    at.to_string()
}

fn coding(system: &str, code: &str, display: &str) -> Value {
    json!({ "system": system, "code": code, "display": display })
}

fn agent(intent: &RecordedIntent) -> Value {
    json!({
        "role": [{ "coding": [coding(WORDS, intent.who.role.as_str(), intent.who.role.as_str())] }],
        "who": { "identifier": { "system": "urn:cloister:account", "value": intent.who.account.to_string() } },
        "name": intent.who.name,
        "requestor": true,
        "policy": policies(intent),
    })
}

/// The set of policies that held, then those of it that decided.
fn policies(intent: &RecordedIntent) -> Vec<String> {
    let set = format!("urn:cloister:policy-set:{}", intent.policy);
    let deciding = intent.policies.iter().map(|policy| format!("urn:cloister:policy:{policy}"));
    [set].into_iter().chain(deciding).collect()
}

/// C, R, U, D or E, the value set `audit-event-action`.
const fn kind(action: Action) -> &'static str {
    match action {
        Action::Search
        | Action::ReadGuardrails
        | Action::ListModels
        | Action::ListCollections
        | Action::ReadDocument
        | Action::ReadAudit
        | Action::ListCaptures
        | Action::ReadBatch
        | Action::ReadCapture
        | Action::ReadRawCapture
        | Action::Reidentify
        | Action::ReadMetrics => "R",
        Action::ManageCollection
        | Action::ManageDocuments
        | Action::ManageModels
        | Action::ManageAccounts
        | Action::ManageKeys
        | Action::ManageGuardrails
        | Action::ManageTenants => "U",
        _ => "E",
    }
}

/// The value set `audit-event-outcome`: 0 success, 4 minor failure, 8 serious failure, 12 major failure.
const fn severity(kind: OutcomeKind) -> &'static str {
    match kind {
        OutcomeKind::Done | OutcomeKind::Held => "0",
        OutcomeKind::Denied | OutcomeKind::Blocked | OutcomeKind::Abandoned => "4",
        OutcomeKind::Failed => "8",
        OutcomeKind::Interrupted => "12",
    }
}

/// HL7's `ActReason` has a word for each.
fn purpose_coding(purpose: Purpose) -> Value {
    let (code, display) = match purpose {
        Purpose::Treatment => ("TREAT", "treatment"),
        Purpose::Payment => ("HPAYMT", "healthcare payment"),
        Purpose::Operations => ("HOPERAT", "healthcare operations"),
    };
    coding(REASONS, code, display)
}

fn entities(intent: &RecordedIntent, outcome: Option<&RecordedOutcome>) -> Vec<Value> {
    let identified = |kind: &str, value: String| {
        let system = format!("urn:cloister:{kind}");
        json!({ "what": { "identifier": { "system": system, "value": value } }, "type": coding(WORDS, kind, kind) })
    };
    let mut entities = vec![identified("request", intent.request.to_string())];
    entities.extend(intent.session.map(|session| identified("session", session.to_string())));
    entities.extend(intent.emergency.map(|emergency| identified("emergency", emergency.to_string())));
    entities.extend(intent.tenant.as_ref().map(|tenant| identified("tenant", tenant.to_string())));
    entities.extend(intent.collections.iter().map(|collection| identified("collection", collection.to_string())));
    let captures = [intent.capture, outcome.and_then(|outcome| outcome.capture)];
    entities.extend(captures.into_iter().flatten().map(|capture| identified("capture", capture.to_string())));
    for document in outcome.into_iter().flat_map(|outcome| &outcome.documents) {
        let mut entity = identified("document", format!("{}/{}", document.collection, document.document));
        put(&mut entity, "", "detail", json!([{ "type": "version", "valueString": document.version }]));
        entities.push(entity);
    }
    for model in outcome.into_iter().flat_map(|outcome| &outcome.models) {
        let mut entity = identified("model", model.name.clone());
        put(&mut entity, "", "detail", json!([{ "type": "sha256", "valueString": model.sha256 }]));
        entities.push(entity);
    }
    if let Some(guardrail) = outcome.and_then(|outcome| outcome.guardrail.as_ref()) {
        let mut entity = identified("guardrail", format!("{}:{}", guardrail.name, guardrail.version));
        put(&mut entity, "", "detail", json!([{ "type": "sha256", "valueString": guardrail.sha256 }]));
        entities.push(entity);
    }
    entities
}
