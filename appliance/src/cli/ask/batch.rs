//! A file of questions, asked one after the other, with the answers in another file.

use std::{
    collections::HashSet,
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Read, Seek, SeekFrom, Write},
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Answer, Target, told};
use crate::{
    cli::{client::Reply, progress},
    pipeline::Priority,
};

#[derive(Debug, Deserialize)]
struct Question {
    id: String,
    question: String,
}

/// A line of the answers.
#[derive(Debug, Serialize)]
struct Line<'a> {
    id: &'a str,
    answer: &'a str,
    lane: &'a str,
    citations: Vec<Place<'a>>,
    abstained: bool,
    scores: &'a Map<String, Value>,
    ms: u128,
}

#[derive(Debug, Serialize)]
struct Place<'a> {
    doc: &'a str,
    heading: Option<&'a str>,
    page: Option<u32>,
    start: usize,
    end: usize,
    score: f32,
}

/// How often a busy server is asked again before the question is given up.
const TRIES: usize = 20;

/// Asks what `out` does not answer yet. A question that fails is reported and left for the next run.
pub(super) async fn run(target: &Target, questions: &Path, out: &Path) -> anyhow::Result<ExitCode> {
    let unreadable = |path: &Path| format!("{} cannot be read", path.display());
    let text = std::fs::read_to_string(questions).with_context(|| unreadable(questions))?;
    let mut file =
        OpenOptions::new().read(true).append(true).create(true).open(out).with_context(|| unreadable(out))?;
    let done = answered(&mut file).with_context(|| unreadable(out))?;
    let lines: Vec<(usize, &str)> = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).collect();
    let bar = progress::count(lines.len() as u64);
    let mut failed = 0;
    for (index, line) in lines {
        // The line itself is not repeated: it may hold a patient's words.
        match serde_json::from_str::<Question>(line) {
            Ok(question) if done.contains(&question.id) => {}
            Ok(question) => {
                if let Err(error) = answer(target, &question, &mut file).await {
                    failed += 1;
                    bar.suspend(|| report(&format!("{}, line {}: {error:#}", questions.display(), index + 1)));
                }
            }
            Err(_) => {
                failed += 1;
                let wanted = r#"not a JSON object with "id" and "question""#;
                bar.suspend(|| report(&format!("{}, line {}: {wanted}", questions.display(), index + 1)));
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Ids that the file holds. A last line without its end is one that a stopped run left half written: it goes.
fn answered(file: &mut File) -> std::io::Result<HashSet<String>> {
    #[derive(Deserialize)]
    struct Known {
        id: String,
    }
    let mut text = String::new();
    BufReader::new(&mut *file).read_to_string(&mut text)?;
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    if whole < text.len() {
        file.set_len(whole as u64)?;
        file.seek(SeekFrom::End(0))?;
    }
    let lines = text.get(..whole).unwrap_or_default().as_bytes().lines();
    Ok(lines.filter_map(|line| serde_json::from_str::<Known>(&line.ok()?).ok()).map(|known| known.id).collect())
}

async fn answer(target: &Target, question: &Question, out: &mut File) -> anyhow::Result<()> {
    let began = Instant::now();
    let reply = patiently(target, &question.question).await?;
    let answer: Answer = serde_json::from_slice(&reply.body).context("the server's answer is not understood")?;
    let citations = answer.citations.iter().map(|citation| Place {
        doc: &citation.name,
        heading: citation.headings.last().map(String::as_str),
        page: citation.page,
        start: citation.start,
        end: citation.end,
        score: citation.score,
    });
    let line = Line {
        id: &question.id,
        answer: &answer.answer,
        lane: &answer.lane,
        citations: citations.collect(),
        abstained: answer.abstained,
        scores: &answer.scores,
        ms: began.elapsed().as_millis(),
    };
    let mut line = serde_json::to_vec(&line)?;
    line.push(b'\n');
    out.write_all(&line).context("the answer cannot be written")
}

/// Asks again when the server says that it is busy, after the time that it names.
async fn patiently(target: &Target, question: &str) -> anyhow::Result<Reply> {
    for _ in 0..TRIES {
        let reply = target.send(question, Priority::Batch).await?;
        match reply.status {
            200 => return Ok(reply),
            429 | 503 => tokio::time::sleep(reply.wait.unwrap_or(Duration::from_secs(1))).await,
            status => bail!("the server answered {status}: {}", told(&reply.body)),
        }
    }
    bail!("the server is busy")
}

#[expect(clippy::print_stderr, reason = "a line that fails is reported while the rest goes on")]
fn report(text: &str) {
    eprintln!("{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_written_line_is_asked_again_and_whole_ones_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("answers.jsonl");
        std::fs::write(&path, "{\"id\":\"a\",\"answer\":\"x\"}\n{\"id\":\"b\",\"ans").unwrap();
        let mut file = OpenOptions::new().read(true).append(true).open(&path).unwrap();
        assert_eq!(answered(&mut file).unwrap(), HashSet::from(["a".to_owned()]));
        file.write_all(b"{\"id\":\"c\"}\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"id\":\"a\",\"answer\":\"x\"}\n{\"id\":\"c\"}\n");
    }
}
