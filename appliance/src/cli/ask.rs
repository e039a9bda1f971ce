//! `cloister ask`: one question, or a file of them, to a running server.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, bail};
use clap::Args;
use serde::Deserialize;
use serde_json::json;

mod batch;

use super::client::{self, Client, Reply};
use crate::pipeline::Priority;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The question
    #[arg(required_unless_present = "batch", conflicts_with = "batch")]
    question: Option<String>,
    #[command(flatten)]
    server: client::Arguments,
    /// Where to look, may be given again; wherever the account may read if absent
    #[arg(long = "collection", value_name = "COLLECTION")]
    collections: Vec<String>,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
    /// Questions, one {"id", "question"} a line; answers go to `--out`
    #[arg(long, value_name = "FILE", requires = "out")]
    batch: Option<PathBuf>,
    /// Where the answers of `--batch` go, a line each; questions that it answers already are not asked again
    #[arg(long, value_name = "FILE", requires = "batch")]
    out: Option<PathBuf>,
    /// Seconds that one answer may take
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    timeout: u64,
}

/// An answer as a server gives it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Answer {
    /// The text.
    pub(super) answer: String,
    /// How it came about.
    pub(super) lane: String,
    /// What it rests on.
    pub(super) citations: Vec<Citation>,
    /// Whether nothing was found.
    pub(super) abstained: bool,
    /// How it measures.
    pub(super) scores: serde_json::Map<String, serde_json::Value>,
    /// Its sentences and their citations.
    #[serde(default)]
    claims: Vec<Claim>,
    /// Milliseconds that the server took.
    #[serde(default)]
    ms: u64,
}

/// A place in a document.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Citation {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) version: String,
    pub(super) headings: Vec<String>,
    #[serde(default)]
    pub(super) question: Option<String>,
    pub(super) page: Option<u32>,
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) score: f32,
}

#[derive(Debug, Clone, Deserialize)]
struct Claim {
    end: usize,
    citation: Option<usize>,
}

/// A server and who asks it.
pub(super) struct Target {
    client: Client,
    collections: Vec<String>,
    patience: Duration,
}

impl Target {
    /// The server on this machine's `port`, trusted by the authority in `authority`.
    ///
    /// # Errors
    /// When the authority's file cannot be read.
    pub(super) fn local(port: u16, authority: &Path, key: &str) -> anyhow::Result<Self> {
        let client = Client::new(&format!("https://localhost:{port}"), authority, key)?;
        Ok(Self { client, collections: Vec::new(), patience: Duration::from_secs(120) })
    }

    fn of(arguments: &Arguments) -> anyhow::Result<Self> {
        Ok(Self {
            client: arguments.server.client()?,
            collections: arguments.collections.clone(),
            patience: Duration::from_secs(arguments.timeout),
        })
    }

    /// Asks one question.
    ///
    /// # Errors
    /// When the server cannot be reached or does not answer it.
    pub(super) async fn ask(&self, question: &str) -> anyhow::Result<Answer> {
        let reply = self.send(question, Priority::Interactive).await?;
        if reply.status != 200 {
            bail!("the server answered {}: {}", reply.status, told(&reply.body));
        }
        serde_json::from_slice(&reply.body).context("the server's answer is not one that this program understands")
    }

    async fn send(&self, question: &str, priority: Priority) -> anyhow::Result<Reply> {
        let mut body = json!({"question": question, "priority": priority});
        if let Some(fields) = body.as_object_mut().filter(|_| !self.collections.is_empty()) {
            fields.insert("collections".to_owned(), json!(self.collections));
        }
        let sent = self.client.post("/api/ask", &body);
        tokio::time::timeout(self.patience, sent).await.context("the server took longer than --timeout allows")?
    }
}

/// What a refusal says, in words.
fn told(body: &[u8]) -> String {
    let problem: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let detail = problem.as_ref().and_then(|problem| problem.get("detail")?.as_str());
    detail.unwrap_or("without a reason").to_owned()
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let target = Target::of(&arguments)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match (&arguments.question, &arguments.batch, &arguments.out) {
            (_, Some(questions), Some(out)) => batch::run(&target, questions, out).await,
            (Some(question), ..) if arguments.json => {
                let reply = target.send(question, Priority::Interactive).await?;
                say(&String::from_utf8_lossy(&reply.body));
                Ok(if reply.status == 200 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
            }
            (Some(question), ..) => {
                say(&shown(&target.ask(question).await?));
                Ok(ExitCode::SUCCESS)
            }
            (None, ..) => bail!("no question was given"),
        }
    })
}

/// An answer for people: the text with the numbers of its citations, then lane and scores, then the citations.
pub(super) fn shown(answer: &Answer) -> String {
    let score = |name: &str| answer.scores.get(name).and_then(serde_json::Value::as_f64).unwrap_or_default();
    let mut lines = vec![marked(answer), String::new()];
    lines.push(if answer.abstained {
        format!("{} · {} ms", answer.lane, answer.ms)
    } else {
        let (grounding, relevance) = (score("grounding"), score("relevance"));
        format!("{} · grounding {grounding:.2} · relevance {relevance:.2} · {} ms", answer.lane, answer.ms)
    });
    lines.extend(
        answer.citations.iter().enumerate().map(|(index, citation)| format!("[{}] {}", index + 1, place(citation))),
    );
    lines.join("\n")
}

/// The text with `[1]` after each claim that has a citation.
fn marked(answer: &Answer) -> String {
    let mut text = String::new();
    let mut claims = answer.claims.iter().filter_map(|claim| Some((claim.end, claim.citation?))).peekable();
    for (at, character) in answer.answer.chars().enumerate() {
        while let Some((_, citation)) = claims.next_if(|(end, _)| *end == at) {
            text.push_str(&format!(" [{}]", citation + 1));
        }
        text.push(character);
    }
    claims.for_each(|(_, citation)| text.push_str(&format!(" [{}]", citation + 1)));
    text
}

fn place(citation: &Citation) -> String {
    let mut place = vec![citation.title.as_str()];
    place.extend(citation.headings.iter().map(String::as_str).filter(|heading| *heading != citation.title));
    place.extend(citation.question.as_deref());
    let page = citation.page.map(|page| format!(", page {page}")).unwrap_or_default();
    let Citation { name, version, start, end, score, .. } = citation;
    format!("{} ({name}, version {version}{page}, characters {start} to {end}, score {score:.2})", place.join(" > "))
}

#[expect(clippy::print_stdout, reason = "what a command was asked for goes to standard output")]
fn say(text: &str) {
    println!("{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> Answer {
        serde_json::from_value(json!({
            "answer": "Keep it cool. Não congele.", "lane": "quoted", "abstained": false, "ms": 12,
            "scores": {"grounding": 1.0, "relevance": 0.5},
            "claims": [{"start": 0, "end": 13, "verdict": "supported", "citation": 0},
                {"start": 14, "end": 26, "verdict": "supported", "citation": 1}],
            "citations": [
                {"collection": "c", "document": "0", "name": "a.pdf", "title": "Cold", "version": "2",
                 "headings": ["Cold", "Pens"], "page": 3, "start": 5, "end": 18, "text": "Keep it cool.", "score": 0.75},
                {"collection": "c", "document": "0", "name": "b.md", "title": "Ice", "version": "1",
                 "headings": [], "question": "Pode congelar?", "page": null, "start": 0, "end": 12, "text": "x", "score": 0.5}],
        }))
        .unwrap()
    }

    #[test]
    fn an_answer_is_shown_with_its_citations_at_their_sentences() {
        insta::assert_snapshot!(shown(&answer()), @r"
        Keep it cool. [1] Não congele. [2]

        quoted · grounding 1.00 · relevance 0.50 · 12 ms
        [1] Cold > Pens (a.pdf, version 2, page 3, characters 5 to 18, score 0.75)
        [2] Ice > Pode congelar? (b.md, version 1, characters 0 to 12, score 0.50)
        ");
    }

    #[test]
    fn a_refusal_is_told_in_the_servers_words() {
        assert_eq!(told(br#"{"detail": "slow down"}"#), "slow down");
        assert_eq!(told(b"<html>"), "without a reason");
    }
}
