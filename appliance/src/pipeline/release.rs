//! Last stage: the answer, with the whole chain behind it for the record.
//!
//! Later this is where an answer that needs a reviewer is held: a sink must then not be served before this stage.

use std::collections::BTreeMap;

use cloister_governance::audit::{Document, Model, Outcome};

use super::{
    Ports,
    citation::{Citation, Claim, ClaimVerdict, Lane, Scores, Withheld},
    retrieve::Evidence,
    stop::permille,
    verify::Verdict,
};
use crate::session::Session;

/// An answer that may be shown.
pub struct Answer {
    text: String,
    citations: Vec<Citation>,
    claims: Vec<Claim>,
    verdict: Verdict,
    embedder: Model,
}

impl Answer {
    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// How it came about.
    pub const fn lane(&self) -> Lane {
        self.verdict.lane()
    }

    /// What it rests on.
    pub fn citations(&self) -> &[Citation] {
        &self.citations
    }

    /// Its parts and what bears each.
    pub fn claims(&self) -> &[Claim] {
        &self.claims
    }

    /// How it measures.
    pub const fn scores(&self) -> Scores {
        self.verdict.scores()
    }

    /// The claim at which a draft was cut, without its text.
    pub const fn withheld(&self) -> Option<&Withheld> {
        self.verdict.withheld()
    }

    /// Whether a draft was cut: what was released had passed, and what followed had not.
    pub const fn cut(&self) -> bool {
        self.verdict.cut()
    }

    /// The interaction it belongs to.
    pub fn session(&self) -> Session {
        self.verdict.draft().prompt().evidence().screened().session()
    }

    /// What was found for the question.
    pub(super) const fn evidence(&self) -> &Evidence {
        self.verdict.draft().prompt().evidence()
    }

    /// What the audit log keeps: lane, counts, scores, documents and models. No text.
    pub fn outcome(&self) -> Outcome {
        let draft = self.verdict.draft();
        let evidence = draft.prompt().evidence();
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let mut outcome = Outcome::done()
            .with_code(self.lane().as_str())
            .with_count("citations", count(self.citations.len()))
            .with_count("claims", count(self.claims.len()))
            .with_count("passages", count(evidence.passages().len()))
            .with_count("findings", count(evidence.screened().findings().len()))
            .with_count("cut", u64::from(self.cut()))
            .with_count("quarantined", count(evidence.quarantine().orders()))
            .with_count("identifiers_kept_out", count(evidence.quarantine().identifying()))
            .with_count("topics_kept_out", count(draft.prompt().denied()))
            .with_count("identifiers_masked", count(evidence.screened().interventions().len()))
            .with_count("warnings_added", count(self.claims.iter().filter(|claim| claim.warning).count()))
            .with_count("grounding_permille", permille(self.scores().grounding))
            .with_count("relevance_permille", permille(self.scores().relevance))
            .with_model(self.embedder.clone());
        // Which kinds of identifier the question held, by the number of each.
        let mut kinds: BTreeMap<&'static str, u64> = BTreeMap::new();
        for intervention in evidence.screened().interventions() {
            *kinds.entry(intervention.kind.word()).or_default() += 1;
        }
        outcome = kinds.into_iter().fold(outcome, |outcome, (kind, number)| outcome.with_count(kind, number));
        // What let a curated answer in.
        if self.lane() == Lane::Verified {
            outcome = match draft.read_as_same() {
                Some(likely) => outcome.with_count("by_reading", 1).with_count("same_permille", permille(likely)),
                None => outcome.with_count("by_wording", 1),
            };
        }
        if let Some(likely) = draft.prompt().sentences().first().and_then(|sentence| sentence.answers) {
            outcome = outcome.with_count("answers_permille", permille(likely));
        }
        // Why the draft was cut: the verdict on the claim at which it was.
        if let Some(withheld) = self.withheld() {
            outcome = outcome.with_count(withheld.verdict.as_str(), 1);
        }
        if let Some(model) = draft.model() {
            outcome = outcome.with_model(Model { name: model.name.clone(), sha256: model.sha256.clone() });
        }
        let pairs = evidence.pairs().iter().map(|pair| &pair.passage);
        let mut documents: Vec<Document> = evidence
            .passages()
            .iter()
            .chain(pairs)
            .map(|passage| Document {
                collection: passage.collection.clone(),
                document: passage.document,
                version: passage.version.clone(),
            })
            .collect();
        documents.sort_by(|a, b| (&a.collection, a.document, &a.version).cmp(&(&b.collection, b.document, &b.version)));
        documents.dedup();
        documents.into_iter().fold(outcome, Outcome::with_document)
    }
}

/// Puts the units together.
pub(super) fn release(ports: &Ports, verdict: Verdict) -> Answer {
    let (mut text, mut citations, mut claims) = (String::new(), Vec::<Citation>::new(), Vec::new());
    for unit in verdict.units() {
        text.push_str(unit.separator());
        let start = text.chars().count();
        text.push_str(unit.text());
        let known = citations.iter().position(|citation| citation == unit.citation());
        let citation = known.unwrap_or_else(|| {
            citations.push(unit.citation().clone());
            citations.len() - 1
        });
        let end = text.chars().count();
        let (score, warning) = (unit.score(), unit.is_warning());
        let verdict = ClaimVerdict::Supported;
        claims.push(Claim { start, end, verdict, score, citation: Some(citation), warning });
    }
    if verdict.lane() == Lane::Abstain {
        let denied = verdict.draft().was_denied().then(|| ports.guardrail.document().blocked_output_message.clone());
        text = denied.flatten().unwrap_or_else(|| not_found(&verdict));
    }
    let embed = ports.embed.identity();
    let embedder = Model { name: embed.name, sha256: embed.sha256 };
    Answer { text, citations, claims, verdict, embedder }
}

/// Says what was looked for, without repeating the question: it may hold a patient's words.
fn not_found(verdict: &Verdict) -> String {
    let searched = verdict.draft().prompt().evidence().searched();
    let where_to = if searched.is_empty() {
        "There is none that you may read.".to_owned()
    } else {
        let names: Vec<&str> = searched.iter().map(cloister_terms::CollectionId::as_str).collect();
        format!("Looked for a passage that answers the question in: {}.", names.join(", "))
    };
    format!("Not found in the collections you may read. {where_to}")
}
