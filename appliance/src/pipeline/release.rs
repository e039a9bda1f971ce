//! Last stage: the answer, with the whole chain behind it for the record.
//!
//! Later this is where an answer that needs a reviewer is held, and where thresholds on the whole answer hold all of
//! it back: a sink must then not be served before this stage.

use cloister_governance::audit::{Document, Model, Outcome};
use cloister_guardrails::score;

use super::{
    Ports,
    citation::{Citation, Claim, ClaimVerdict, Lane, Scores},
    verify::Verdict,
};
use crate::session::Session;

/// An answer that may be shown.
pub struct Answer {
    text: String,
    citations: Vec<Citation>,
    claims: Vec<Claim>,
    scores: Scores,
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
        self.scores
    }

    /// Whether a draft was cut: what was released had passed, and what followed had not.
    pub const fn cut(&self) -> bool {
        self.verdict.cut()
    }

    /// The interaction it belongs to.
    pub fn session(&self) -> Session {
        self.verdict.draft().prompt().evidence().screened().session()
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
            .with_count("grounding_permille", permille(self.scores.grounding))
            .with_count("relevance_permille", permille(self.scores.relevance))
            .with_model(self.embedder.clone());
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

fn permille(share: f32) -> u64 {
    // In range after the clamp.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1000")]
    let value = (share.clamp(0.0, 1.0) * 1000.0).round() as u64;
    value
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
        claims.push(Claim { start, end, verdict: ClaimVerdict::Supported, citation: Some(citation) });
    }
    let scores = scores(&verdict, &text, &citations);
    if verdict.lane() == Lane::Abstain {
        text = not_found(&verdict);
    }
    let embed = ports.embed.identity();
    let embedder = Model { name: embed.name, sha256: embed.sha256 };
    Answer { text, citations, claims, scores, verdict, embedder }
}

fn scores(verdict: &Verdict, text: &str, citations: &[Citation]) -> Scores {
    let evidence = verdict.draft().prompt().evidence();
    let (similarity, coverage) = evidence.best();
    let (similarity, coverage) = (similarity.clamp(0.0, 1.0), coverage.clamp(0.0, 1.0));
    if verdict.lane() == Lane::Abstain {
        return Scores { grounding: 0.0, relevance: 0.0, similarity, coverage };
    }
    let passed = verdict.units().len() as f32;
    let judged = passed + if verdict.failed().is_some() { 1.0 } else { 0.0 };
    let near = citations.iter().map(|citation| citation.score).fold(0.0, f32::max);
    let relevance = match verdict.lane() {
        Lane::Verified => near,
        _ => score::relevance(evidence.screened().question(), text, Some(near)),
    };
    Scores { grounding: if judged > 0.0 { passed / judged } else { 0.0 }, relevance, similarity, coverage }
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
