//! A shelf that tests fill, and everything around it that one question needs.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use cloister_governance::audit::Outcome;
use cloister_governance::policy::{Decision, Permit, Policy, Principal, Readable, Resource};
use cloister_guardrails::cross::OUTPUTS;
use cloister_knowledge::{
    DocumentText, Embed, EmbedError, EmbedIdentity, Found, PairMatch, PairRef, Passage, Query, Scope, Strength,
};
use cloister_terms::{Action, CollectionId, DocumentId, FixedClock, Phi, Role};

use crate::{
    capture::Recorder,
    edge::{metrics::Metrics, rig::Seeded},
    pipeline::{
        Answer, Answered, Generate, Guardrail, Identifiers, Knowledge, Ports, Priority, Question, Settings, Silent,
        Sink, Stop, answer, knowledge::Listed, scripted::Scripted,
    },
    session::Session,
};

pub(super) struct Bench {
    shelf: Shelf,
    pub(super) settings: Settings,
    pub(super) model: Arc<Scripted>,
    pub(super) identifiers: Arc<Identifiers>,
    pub(super) guardrail: Arc<Guardrail>,
    pub(super) metrics: Metrics,
    reader: Option<Reader>,
}

/// What stands for an adapter: the logarithm of the odds that a sentence answers a question, or none while it is busy.
pub(super) type Reader = fn(&str, &str) -> Option<f32>;

#[derive(Clone, Default)]
struct Shelf {
    passages: Vec<Passage>,
    pairs: Vec<PairMatch>,
    seen: Arc<Mutex<BTreeSet<String>>>,
    sought: Arc<Mutex<Vec<String>>>,
}

/// A passage of collection `procedures` that begins at code point 100 of its document.
pub(super) fn passage(name: &str, text: &str, cosine: f32, coverage: f32) -> Passage {
    Passage {
        collection: "procedures".parse().unwrap(),
        document: 7.into(),
        name: name.to_owned(),
        title: "Storage".to_owned(),
        version: "1".to_owned(),
        effective: None,
        headings: vec!["Insulin".to_owned()],
        page: Some(3),
        start: 100,
        end: 100 + text.chars().count(),
        text: text.to_owned(),
        pair: None,
        score: cosine,
        cosine,
        words: coverage,
        coverage,
    }
}

impl Bench {
    pub(super) fn new() -> Self {
        let model = Arc::new(Scripted::new(Vec::new()));
        Self {
            shelf: Shelf::default(),
            settings: Settings::default(),
            model,
            identifiers: Arc::default(),
            guardrail: Arc::default(),
            metrics: Metrics::new(),
            reader: None,
        }
    }

    pub(super) fn reading(mut self, reader: Reader) -> Self {
        self.reader = Some(reader);
        self
    }

    pub(super) fn holding(mut self, passage: Passage) -> Self {
        self.shelf.passages.push(passage);
        self
    }

    pub(super) fn pair(mut self, question: &str, answer: &str, similarity: f32) -> Self {
        // The names of pairs are their file's, and two files may use the same.
        let pair = PairRef { id: "p1".to_owned(), question: question.to_owned() };
        self.shelf.pairs.push(PairMatch {
            id: "p1".to_owned(),
            matched: question.to_owned(),
            question: question.to_owned(),
            answer: answer.to_owned(),
            similarity,
            passage: Passage { pair: Some(pair), ..passage("pairs.jsonl", answer, 0.1, 0.1) },
        });
        self
    }

    pub(super) fn composing(mut self, model: Scripted) -> Self {
        self.settings.composed = true;
        self.model = Arc::new(model);
        self
    }

    /// Names of the collections that were searched.
    pub(super) fn seen(&self) -> Vec<String> {
        self.shelf.seen.lock().unwrap().iter().cloned().collect()
    }

    /// What was searched for.
    pub(super) fn sought(&self) -> Vec<String> {
        self.shelf.sought.lock().unwrap().clone()
    }

    pub(super) async fn ask(&self, question: &str) -> Result<Answer, Stop> {
        self.ask_in(question, None).await
    }

    pub(super) async fn ask_in(&self, question: &str, within: Option<Vec<CollectionId>>) -> Result<Answer, Stop> {
        self.ask_into(question, within, &mut Silent).await
    }

    /// The embedding model.
    pub(super) fn embed(&self) -> Arc<dyn Embed> {
        Arc::new(Counting { reader: self.reader })
    }

    pub(super) async fn ask_into(
        &self,
        question: &str,
        within: Option<Vec<CollectionId>>,
        sink: &mut dyn Sink,
    ) -> Result<Answer, Stop> {
        self.answered(question, within, sink).await.ended()
    }

    /// What is recorded of a question.
    pub(super) async fn outcome_of(&self, question: &str) -> Outcome {
        self.answered(question, None, &mut Silent).await.into_parts().1
    }

    async fn answered(&self, question: &str, within: Option<Vec<CollectionId>>, sink: &mut dyn Sink) -> Answered {
        let ports = Ports {
            knowledge: Arc::new(self.shelf.clone()),
            embed: self.embed(),
            generate: Some(Arc::clone(&self.model) as Arc<dyn Generate>),
            settings: Arc::new(self.settings.clone()),
            identifiers: Arc::clone(&self.identifiers),
            vault: None,
            guardrail: Arc::clone(&self.guardrail),
            random: Arc::new(Seeded::new(3)),
            clock: Arc::new(FixedClock::at("2026-03-01T00:00:00Z".parse().unwrap())),
            recorder: Recorder::off(),
            metrics: self.metrics.clone(),
        };
        let session = Session::of(9.into());
        let question =
            Question { text: Phi::new(question.to_owned()), collections: within, priority: Priority::default() };
        answer(&ports, permit(), (session, 5.into()), question, sink).await
    }
}

/// Permission to ask, with `procedures` and `nowhere` readable and `secret` not.
fn permit() -> Permit {
    let mut principal = Principal::local(Role::Agent, Some("larkfield".parse().unwrap()));
    let readable = ["procedures", "nowhere"].iter().map(|name| name.parse().unwrap());
    principal.collections = Readable::These(readable.collect());
    let resource = Resource::Tenant("larkfield".parse().unwrap());
    match Policy::built_in().decide(&principal, Action::Ask, &resource) {
        Decision::Permit(permit) => permit,
        Decision::Deny { reason, .. } => panic!("{reason}"),
    }
}

impl Knowledge for Shelf {
    fn collections(&self) -> Result<Vec<CollectionId>, Stop> {
        Ok(vec!["procedures".parse().unwrap(), "secret".parse().unwrap()])
    }

    fn holdings(&self, _: &[cloister_terms::AccessLabel]) -> Result<Vec<cloister_knowledge::Holding>, Stop> {
        Ok(Vec::new())
    }

    fn documents(&self, _: &CollectionId) -> Result<Vec<Listed>, Stop> {
        Ok(Vec::new())
    }

    fn text(&self, _: &Scope, _: DocumentId, _: Option<&str>) -> Result<Option<DocumentText>, Stop> {
        Ok(None)
    }

    fn match_pairs(&self, scope: &Scope, question: &str) -> Result<Vec<PairMatch>, Stop> {
        self.sought.lock().unwrap().push(question.to_owned());
        self.seen.lock().unwrap().extend(scope.collections().iter().map(ToString::to_string));
        Ok(self.pairs.clone())
    }

    fn search(&self, scope: &Scope, query: &Query) -> Result<Found, Stop> {
        self.seen.lock().unwrap().extend(scope.collections().iter().map(ToString::to_string));
        self.sought.lock().unwrap().push(query.text.clone());
        let passages = self.passages.iter().take(query.top).cloned().collect();
        Ok(Found { passages, strength: Strength::default(), words: Vec::new() })
    }
}

/// Each word is a place in the vector: texts that share words are near each other.
struct Counting {
    reader: Option<Reader>,
}

impl Embed for Counting {
    fn identity(&self) -> EmbedIdentity {
        EmbedIdentity { name: "counting".to_owned(), sha256: "11".repeat(32), dimensions: 512, max_tokens: 256 }
    }

    fn count_tokens(&self, text: &str) -> usize {
        text.split_whitespace().count()
    }

    fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbedError> {
        Ok(texts.iter().map(|text| vector(text)).collect())
    }

    fn reads_pairs(&self) -> bool {
        self.reader.is_some()
    }

    fn read_pairs(&self, pairs: &[(String, String)]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let reader = self.reader.unwrap();
        let read = pairs.iter().map(|(first, second)| reader(first, second).map(|read| vec![read; OUTPUTS]));
        let busy = EmbedError::Busy { retry_after: Duration::from_secs(1) };
        read.collect::<Option<Vec<Vec<f32>>>>().ok_or(busy)
    }
}

fn vector(text: &str) -> Vec<f32> {
    let mut vector = vec![0.0_f32; 512];
    for stem in cloister_guardrails::words::stems(text) {
        let place = stem.bytes().fold(7_usize, |hash, byte| (hash * 31 + usize::from(byte)) % 512);
        vector[place] += 1.0;
    }
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-6);
    vector.iter().map(|x| x / length).collect()
}
