//! The site that is measured: asked as its callers ask, in this process, under policy and with a record of each question.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use cloister_governance::{
    audit::{Document, Outcome},
    policy::Resource,
};
use cloister_guardrails::detect::Finding;
use cloister_knowledge::{Mode, Passage, Query, Scope};
use cloister_terms::{AccessLabel, Action, CollectionId, Phi, RequestId, Role, TenantId};

use super::result::{Held, Named, System, sha256};
use crate::{
    capture::Recorder,
    governed::{Call, governed},
    identity::Caller,
    pipeline::{
        self, Answer, Citation, Lane, Passed, Ports, Priority, Question, Settings, Sink, Stop, Weighed, entail::entail,
        guardrail::BUILT_IN, knowledge::blocking,
    },
    wiring::App,
};

/// A site, and as whom it is asked.
pub struct Site {
    app: Arc<App>,
    tenant: TenantId,
    labels: Vec<AccessLabel>,
    ports: Ports,
    /// Texts of documents that were read, by document and version.
    texts: Mutex<HashMap<String, Arc<Vec<char>>>>,
}

/// What came of a question.
pub(super) struct Asked {
    /// How it ended.
    pub(super) ended: Ended,
    /// How long it took.
    pub(super) time: Duration,
    /// When the first part could be shown.
    pub(super) first: Option<Duration>,
}

/// How a question ended.
pub(super) enum Ended {
    /// With an answer, which may be that there is none.
    Answered(Box<Answer>),
    /// A check refused it: which, and how sure it was.
    Refused(&'static str, f32),
    /// Something failed. In one word.
    Failed(&'static str),
}

impl Asked {
    /// The answer, if it is one that says something.
    pub(super) fn answer(&self) -> Option<&Answer> {
        match &self.ended {
            Ended::Answered(answer) if answer.lane() != Lane::Abstain => Some(answer),
            _ => None,
        }
    }

    /// The word for how it ended: a lane, `refused`, or what failed.
    pub(super) const fn word(&self) -> &'static str {
        match &self.ended {
            Ended::Answered(answer) => answer.lane().as_str(),
            Ended::Refused(..) => "refused",
            Ended::Failed(how) => how,
        }
    }
}

impl Site {
    /// The site of `app`, asked by somebody of `tenant` with these access labels.
    ///
    /// # Errors
    /// When there is no such tenant.
    pub fn new(app: Arc<App>, tenant: TenantId, labels: Vec<AccessLabel>) -> anyhow::Result<Self> {
        // What a suite asks is nobody's: neither captures nor the vault are filled with it.
        let ports = Ports { vault: None, recorder: Recorder::off(), ..app.ports(&tenant)? };
        Ok(Self { app, tenant, labels, ports, texts: Mutex::default() })
    }

    /// Who measures.
    pub(super) fn evaluator(&self) -> Caller {
        Caller::local(Role::KnowledgeManager, Some(self.tenant.clone()), RequestId::random(self.app.random.as_ref()))
    }

    /// The parts that run.
    pub(super) fn app(&self) -> &App {
        &self.app
    }

    /// The call to measure this tenant.
    pub(super) fn call(&self) -> Call {
        Call::new(Action::Evaluate, Resource::Tenant(self.tenant.clone()))
    }

    fn caller(&self) -> Caller {
        let request = RequestId::random(self.app.random.as_ref());
        Caller::local_reading(Role::Agent, Some(self.tenant.clone()), self.labels.clone(), request)
    }

    /// How questions are answered here.
    pub(super) fn settings(&self) -> &Settings {
        &self.ports.settings
    }

    /// Identifiers of people in a text that the guardrail masks or refuses in a question. One that is found and let in counts as
    /// not found: it goes on.
    pub(super) fn identifiers(&self, text: &str) -> Vec<Finding> {
        self.ports.identifiers.stopped(text)
    }

    /// What is measured, for the record.
    ///
    /// # Errors
    /// When the collections cannot be counted.
    pub fn system(&self) -> anyhow::Result<System> {
        let tenant = self.app.tenants.get(&self.tenant).context("the tenant is gone")?;
        let embed = self.ports.embed.identity();
        let named = |model: pipeline::model::ModelName| Named { name: model.name, sha256: model.sha256 };
        let settings = toml::to_string(self.settings()).context("writing the settings down")?;
        let collections = tenant.library.collections()?.into_iter().map(|collection| Held {
            name: collection.id.to_string(),
            documents: collection.documents as u64,
            passages: collection.passages as u64,
        });
        Ok(System {
            program: env!("CARGO_PKG_VERSION").to_owned(),
            tenant: self.tenant.to_string(),
            embed: Named { name: embed.name, sha256: embed.sha256 },
            generate: self.ports.generate.as_ref().map(|model| named(model.identity())),
            guardrail: self.guardrail(),
            settings: sha256(settings.as_bytes()),
            collections: collections.collect(),
        })
    }

    /// The guardrail that holds, where it is not the built-in one.
    fn guardrail(&self) -> Option<Named> {
        let guardrail = &self.ports.guardrail;
        let named = || Named {
            name: format!("{}:{}", guardrail.name(), guardrail.version()),
            sha256: guardrail.sha256().to_owned(),
        };
        (guardrail.version() != BUILT_IN).then(named)
    }

    /// That the version which is to be measured is the one that holds.
    ///
    /// # Errors
    /// When the tenant has no such version.
    pub fn is_held_to(&self, wanted: Option<u32>) -> anyhow::Result<()> {
        match wanted.map(|wanted| wanted.to_string()) {
            Some(wanted) if self.ports.guardrail.version() != wanted => {
                bail!(
                    "`{}` has no version {wanted} of its guardrail: see `cloister guardrail version list`",
                    self.tenant
                )
            }
            _ => Ok(()),
        }
    }

    /// Asks as an agent asks, one of many that a program works through or somebody who waits.
    ///
    /// # Errors
    /// When policy denies it, or what was done cannot be recorded.
    pub(super) async fn ask(&self, text: &str, priority: Priority) -> anyhow::Result<Asked> {
        self.put(&self.ports, text, priority).await
    }

    /// The same with every lane shut: what stands before an answer is all that is measured.
    pub(super) async fn screen(&self, text: &str) -> anyhow::Result<Asked> {
        let settings = Settings { lanes: vec![Lane::Abstain], evidence: 1.25, ..self.settings().clone() };
        let ports = Ports { settings: Arc::new(settings), ..self.ports.clone() };
        self.put(&ports, text, Priority::Batch).await
    }

    async fn put(&self, ports: &Ports, text: &str, priority: Priority) -> anyhow::Result<Asked> {
        let caller = self.caller();
        let owner = caller.principal().account.clone();
        let session = self.app.sessions.begin(&owner);
        let call = Call::new(Action::Ask, Resource::Tenant(self.tenant.clone())).within(session.id());
        let question = Question { text: Phi::new(text.to_owned()), collections: None, priority };
        let interaction = (session, caller.request_id());
        let began = Instant::now();
        let mut first = First { began, at: None };
        let answered = governed(&self.app.gate, &caller, call, async |permit| {
            Ok::<_, Stop>(pipeline::answer(ports, permit, interaction, question, &mut first).await.into_parts())
        })
        .await;
        let time = began.elapsed();
        let _it_is_gone_already = self.app.sessions.end(&owner, session.id());
        let ended = match answered.and_then(|answered| answered) {
            Ok(answer) => Ended::Answered(Box::new(answer)),
            Err(Stop::Blocked { check, score, .. }) => Ended::Refused(check, score),
            Err(Stop::Held { .. }) => Ended::Refused("held", 1.0),
            Err(denied @ Stop::Denied { .. }) => {
                bail!("policy does not let an agent of `{}` ask: {denied}", self.tenant)
            }
            Err(failed @ Stop::Failed { .. }) => Ended::Failed(failed.kind()),
        };
        Ok(Asked { ended, time, first: first.at })
    }

    /// What the sentences found for a question weigh, the best first, and how much evidence there is. `None` where the
    /// question is refused.
    ///
    /// # Errors
    /// When policy denies it or something fails.
    pub(super) async fn weigh(&self, text: &str) -> anyhow::Result<Option<(f32, Vec<Weighed>)>> {
        let caller = self.caller();
        let owner = caller.principal().account.clone();
        let session = self.app.sessions.begin(&owner);
        let (id, ports) = (session.id(), &self.ports);
        let call = Call::new(Action::Ask, Resource::Tenant(self.tenant.clone())).within(id);
        let question = Question { text: Phi::new(text.to_owned()), collections: None, priority: Priority::Batch };
        let weighed = governed(&self.app.gate, &caller, call, async |permit| {
            let weighed = pipeline::weigh(ports, permit, session, question).await?;
            let count = u64::try_from(weighed.1.len()).unwrap_or(u64::MAX);
            Ok::<_, Stop>((weighed, Outcome::done().with_count("sentences", count)))
        })
        .await;
        let _it_is_gone_already = self.app.sessions.end(&owner, id);
        match weighed {
            Ok(weighed) => Ok(Some(weighed)),
            Err(Stop::Blocked { .. } | Stop::Held { .. }) => Ok(None),
            Err(stop) => Err(stop.into()),
        }
    }

    /// How well a text bears each claim of an answer, as the scorer of entailment sees it; none beside an embedding model that is not its
    /// own.
    ///
    /// # Errors
    /// When the embedding model fails.
    pub(super) async fn entailed(&self, context: &str, answer: &str) -> anyhow::Result<Option<Vec<f32>>> {
        Ok(entail(&self.ports.embed, context.to_owned(), answer.to_owned()).await?)
    }

    /// The passages that a question finds, the best first.
    ///
    /// # Errors
    /// When policy denies it or the search fails.
    pub(super) async fn search(&self, text: &str, top: usize) -> anyhow::Result<Vec<Passage>> {
        let caller = self.caller();
        let call = Call::new(Action::Search, Resource::Tenant(self.tenant.clone()));
        let query = Query { text: text.to_owned(), top, mode: Mode::Hybrid };
        let found = governed(&self.app.gate, &caller, call, async |permit| {
            let (knowledge, now) = (self.ports.knowledge.clone(), self.app.clock.now());
            let readable = permit.collections().clone();
            let labels: Vec<AccessLabel> = permit.labels().iter().cloned().collect();
            let passages = blocking(move || {
                let scope = Scope::new(readable.among(knowledge.collections()?), labels, now);
                Ok(knowledge.search(&scope, &query)?.passages)
            })
            .await?;
            let count = u64::try_from(passages.len()).unwrap_or(u64::MAX);
            Ok::<_, Stop>((passages, Outcome::done().with_count("passages", count)))
        })
        .await?;
        Ok(found)
    }

    /// Whether what is cited stands in its document, letter for letter, at the place named.
    ///
    /// # Errors
    /// When policy denies the reading of the document, or it fails.
    pub(super) async fn stands(&self, citation: &Citation) -> anyhow::Result<bool> {
        let text = self.text(citation).await?;
        Ok(text.get(citation.start..citation.end).is_some_and(|held| held.iter().copied().eq(citation.text.chars())))
    }

    /// A document's characters. Each is read once.
    async fn text(&self, citation: &Citation) -> anyhow::Result<Arc<Vec<char>>> {
        let key = format!("{} {} {}", citation.collection, citation.document, citation.version);
        let known = self.texts.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let (collection, document): (CollectionId, _) = (citation.collection.clone(), citation.document);
        let version = citation.version.clone();
        let resource = Resource::Document(self.tenant.clone(), collection.clone(), document);
        let caller = self.caller();
        let read = governed(&self.app.gate, &caller, Call::new(Action::ReadDocument, resource), async |permit| {
            let labels: Vec<AccessLabel> = permit.labels().iter().cloned().collect();
            let scope = Scope::new(vec![collection.clone()], labels, self.app.clock.now());
            let (knowledge, wanted) = (self.ports.knowledge.clone(), version.clone());
            let found = blocking(move || knowledge.text(&scope, document, Some(&wanted))).await?;
            let found = found.ok_or_else(|| Stop::not_found("the document"))?;
            let read = Document { collection: collection.clone(), document, version: version.clone() };
            Ok::<_, Stop>((found.text, Outcome::done().with_document(read)))
        })
        .await?;
        let read = Arc::new(read.chars().collect::<Vec<char>>());
        self.texts.lock().unwrap_or_else(PoisonError::into_inner).insert(key, Arc::clone(&read));
        Ok(read)
    }
}

/// Notes when the first part of an answer could be shown.
struct First {
    began: Instant,
    at: Option<Duration>,
}

impl Sink for First {
    fn pass(&mut self, _: Lane, _: &Passed) {
        let _at = self.at.get_or_insert_with(|| self.began.elapsed());
    }
}
