//! What a record says.
//!
//! Two forms of each: the one that is handed in, whose words are `&'static str` and so cannot hold a patient's, and the one
//! that is read back.

use std::collections::BTreeMap;

use cloister_terms::{
    Action, CaptureId, CollectionId, DocumentId, EmergencyId, EntryId, Purpose, Random, RequestId, Role, SessionId,
    TenantId,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::note::{SEED_BYTES, Signer, Verifier};
use crate::{accounts::AccountId, policy::Principal};

/// Who acts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    /// The account.
    pub account: AccountId,
    /// The name an administrator gave it.
    pub name: String,
    /// Its role at the time.
    pub role: Role,
}

impl From<&Principal> for Who {
    fn from(principal: &Principal) -> Self {
        Self { account: principal.account.clone(), name: principal.name.clone(), role: principal.role }
    }
}

/// A model that took part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    /// Its name in the registry.
    pub name: String,
    /// The SHA-256 over its files, in hexadecimal digits.
    pub sha256: String,
}

/// A document that was read or changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// Its collection.
    pub collection: CollectionId,
    /// Its id.
    pub document: DocumentId,
    /// Its version.
    pub version: String,
}

/// What is about to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Intent {
    /// Who acts.
    pub who: Who,
    /// What they do.
    pub action: Action,
    /// What for, where the caller said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purpose: Option<Purpose>,
    /// In which tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantId>,
    /// Which collections may be read or changed, where they are named. Empty for whatever the caller may read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub collections: Vec<CollectionId>,
    /// The interaction it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// The emergency access that it is done under, opens, ends or reviews.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emergency: Option<EmergencyId>,
    /// The capture that is to be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capture: Option<CaptureId>,
    /// The HTTP request or command.
    pub request: RequestId,
    /// The version of the set of policies that decides.
    pub policy: String,
    /// The ids of the policies that decide; none where nothing permits it and nothing forbids it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<String>,
}

/// How an entry ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeKind {
    /// It was done.
    Done,
    /// Policy said no.
    Denied,
    /// A guardrail said no.
    Blocked,
    /// It waits for a person.
    Held,
    /// It could not be done.
    Failed,
    /// The caller went away, or the program dropped it.
    Abandoned,
    /// The process died.
    Interrupted,
}

impl OutcomeKind {
    /// The word that records and metrics use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Denied => "denied",
            Self::Blocked => "blocked",
            Self::Held => "held",
            Self::Failed => "failed",
            Self::Abandoned => "abandoned",
            Self::Interrupted => "interrupted",
        }
    }
}

/// A guardrail, and which version of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guardrail {
    /// Its name.
    pub name: String,
    /// Its number, or `DRAFT` for the configuration's own file.
    pub version: String,
    /// SHA-256 of the document's bytes; of nothing where it is the built-in one.
    pub sha256: String,
}

/// How an entry ended, with what it used. Build it from a kind and add what there is.
///
/// ```
/// # use cloister_governance::audit::{Outcome, OutcomeKind};
/// let outcome = Outcome::done().with_code("quoted").with_count("passages", 3);
/// assert_eq!(outcome.kind, OutcomeKind::Done);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// How it ended.
    pub kind: OutcomeKind,
    /// Which way: the lane of an answer, the code of a refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    /// How much: `passages`, `prompt_tokens`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub counts: BTreeMap<&'static str, u64>,
    /// The documents that were read or changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<Document>,
    /// The models that took part.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<Model>,
    /// The guardrail that was applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guardrail: Option<Guardrail>,
    /// The SHA-256 over a random salt and what somebody said in words, both of which are kept elsewhere: binds them to
    /// this record, and tells nothing of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commitment: Option<String>,
    /// The capture that was made of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capture: Option<CaptureId>,
    /// The checkpoint key that takes over after this record. The record holds its public half.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint_key: Option<NewKey>,
}

impl Outcome {
    /// An outcome of a kind, with nothing else known.
    pub const fn of(kind: OutcomeKind) -> Self {
        Self {
            kind,
            code: None,
            counts: BTreeMap::new(),
            documents: Vec::new(),
            models: Vec::new(),
            guardrail: None,
            commitment: None,
            capture: None,
            checkpoint_key: None,
        }
    }

    /// It was done.
    pub const fn done() -> Self {
        Self::of(OutcomeKind::Done)
    }

    /// Policy said no, for the reason that `code` names.
    pub fn denied(code: &'static str) -> Self {
        Self::of(OutcomeKind::Denied).with_code(code)
    }

    /// It could not be done, for the reason that `code` names.
    pub fn failed(code: &'static str) -> Self {
        Self::of(OutcomeKind::Failed).with_code(code)
    }

    pub(super) const fn abandoned() -> Self {
        Self::of(OutcomeKind::Abandoned)
    }

    /// Names which way it went.
    #[must_use]
    pub const fn with_code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    /// Adds a number.
    #[must_use]
    pub fn with_count(mut self, name: &'static str, count: u64) -> Self {
        self.counts.insert(name, count);
        self
    }

    /// Adds a document that was read or changed.
    #[must_use]
    pub fn with_document(mut self, document: Document) -> Self {
        self.documents.push(document);
        self
    }

    /// Adds a model that took part.
    #[must_use]
    pub fn with_model(mut self, model: Model) -> Self {
        self.models.push(model);
        self
    }

    /// Names the guardrail that was applied.
    #[must_use]
    pub fn with_guardrail(mut self, guardrail: Guardrail) -> Self {
        self.guardrail = Some(guardrail);
        self
    }

    /// Names the capture that was made of it.
    #[must_use]
    pub const fn with_capture(mut self, capture: CaptureId) -> Self {
        self.capture = Some(capture);
        self
    }

    /// Binds what somebody said in words to the record.
    #[must_use]
    pub fn committing_to(mut self, commitment: String) -> Self {
        self.commitment = Some(commitment);
        self
    }

    /// Announces the checkpoint key that takes over when this outcome is recorded.
    #[must_use]
    pub fn announcing(mut self, key: NewKey) -> Self {
        self.checkpoint_key = Some(key);
        self
    }
}

/// A checkpoint key that no record announces yet. Its private half is zeroed when dropped; it never prints.
#[derive(Clone)]
pub struct NewKey {
    verifier: Verifier,
    seed: Zeroizing<[u8; SEED_BYTES]>,
}

impl NewKey {
    /// A key for the log of that name. None if that is not a log's name.
    pub(super) fn random(name: &str, random: &dyn Random) -> Option<Self> {
        let mut seed = Zeroizing::new([0; SEED_BYTES]);
        random.fill(seed.as_mut_slice());
        let verifier = Signer::new(name, seed.clone())?.verifier().clone();
        Some(Self { verifier, seed })
    }

    /// The public half.
    pub const fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    pub(super) fn signer(&self) -> Option<Signer> {
        Signer::new(self.verifier.name(), self.seed.clone())
    }
}

impl PartialEq for NewKey {
    fn eq(&self, other: &Self) -> bool {
        self.verifier == other.verifier
    }
}

impl Eq for NewKey {}

impl std::fmt::Debug for NewKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("NewKey").field(&self.verifier).finish()
    }
}

impl Serialize for NewKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.verifier)
    }
}

/// A record as it is read back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Record {
    /// Its number. Numbers start at 1 and have no gaps.
    pub sequence: u64,
    /// When it was made.
    pub at: Timestamp,
    /// The entry that it opens or closes.
    pub entry: EntryId,
    /// What it says.
    #[serde(flatten)]
    pub body: Body,
}

/// What a record that was read back says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// It opens an entry.
    Intent(RecordedIntent),
    /// It closes one.
    Outcome(RecordedOutcome),
}

/// An [`Intent`] that was read back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the fields are those of Intent")]
pub struct RecordedIntent {
    pub who: Who,
    pub action: Action,
    #[serde(default)]
    pub purpose: Option<Purpose>,
    #[serde(default)]
    pub tenant: Option<TenantId>,
    #[serde(default)]
    pub collections: Vec<CollectionId>,
    #[serde(default)]
    pub session: Option<SessionId>,
    #[serde(default)]
    pub emergency: Option<EmergencyId>,
    #[serde(default)]
    pub capture: Option<CaptureId>,
    pub request: RequestId,
    pub policy: String,
    #[serde(default)]
    pub policies: Vec<String>,
}

/// An [`Outcome`] that was read back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the fields are those of Outcome")]
pub struct RecordedOutcome {
    pub kind: OutcomeKind,
    #[serde(default)]
    pub code: Option<String>,
    #[serde(default)]
    pub counts: BTreeMap<String, u64>,
    #[serde(default)]
    pub documents: Vec<Document>,
    #[serde(default)]
    pub models: Vec<Model>,
    #[serde(default)]
    pub guardrail: Option<Guardrail>,
    #[serde(default)]
    pub commitment: Option<String>,
    #[serde(default)]
    pub capture: Option<CaptureId>,
    #[serde(default)]
    pub checkpoint_key: Option<String>,
}

/// The bytes that are kept: one JSON object, `{"intent": ...}` or `{"outcome": ...}`.
pub(super) fn intent_bytes(intent: &Intent) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&BTreeMap::from([("intent", intent)]))
}

/// See [`intent_bytes`].
pub(super) fn outcome_bytes(outcome: &Outcome) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&BTreeMap::from([("outcome", outcome)]))
}
