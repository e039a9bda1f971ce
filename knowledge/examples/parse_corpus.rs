//! Parses every file that a folder's `index.json` names, each in its own confined child, and reports what came out.
//!
//! `cargo run -p cloister-knowledge --example parse_corpus -- FOLDER [--all]`
//!
//! `index.json` is a list of `{"file": "a.docx", "expected": "a.md"}`, paths relative to the folder, `expected`
//! optional. Where there is an expected text, the share of its words that the parser found is measured: words are runs
//! of letters and digits in lower case, counted as often as they occur; Markdown's own signs, link targets and comments
//! are not words. A site uses this to see what its own documents lose.
#![expect(clippy::print_stdout, reason = "a program for people to read")]

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use cloister_knowledge::parse::{Limits, Parse, Sandbox, Source, child};
use serde::Deserialize;

/// Files below this share are listed one by one.
const LISTED_BELOW: f64 = 0.97;
/// Missing words shown of each.
const MISSING_SHOWN: usize = 12;

#[derive(Deserialize)]
struct Entry {
    file: String,
    expected: Option<String>,
}

/// What became of one file.
struct Outcome {
    file: String,
    time: Duration,
    result: Result<Option<Found>, String>,
}

/// Which words of the expected text were found.
struct Found {
    share: f64,
    missing: Vec<String>,
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let first = arguments.next();
    match first.as_deref() {
        Some("parse-worker") => child::main(std::io::stdin(), std::io::stdout()),
        Some(folder) => match report(Path::new(folder), arguments.any(|argument| argument == "--all")) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                println!("failed: {error}");
                ExitCode::FAILURE
            }
        },
        None => {
            println!("usage: parse_corpus FOLDER [--all]");
            ExitCode::FAILURE
        }
    }
}

fn report(folder: &Path, all: bool) -> Result<(), Box<dyn Error>> {
    let sandbox = Sandbox::new(std::env::current_exe()?, vec!["parse-worker".into()], Limits::default());
    println!("children are confined: {:?}\n", sandbox.probe()?);
    let entries: Vec<Entry> = serde_json::from_slice(&std::fs::read(folder.join("index.json"))?)?;
    let mut outcomes = Vec::new();
    for entry in entries.iter().filter(|entry| folder.join(&entry.file).exists()) {
        outcomes.push(outcome(&sandbox, folder, entry)?);
    }
    println!("named but not there: {}\n", entries.len() - outcomes.len());
    table(&outcomes);
    println!("\nbelow {LISTED_BELOW}:");
    for outcome in &outcomes {
        if let Ok(Some(found)) = &outcome.result
            && (all || found.share < LISTED_BELOW)
        {
            println!("  {:.3} {} missing: {}", found.share, outcome.file, found.missing.join(" "));
        }
    }
    println!("\nrefused:");
    for outcome in &outcomes {
        if let Err(why) = &outcome.result {
            println!("  {}: {why}", outcome.file);
        }
    }
    Ok(())
}

fn outcome(sandbox: &Sandbox, folder: &Path, entry: &Entry) -> Result<Outcome, Box<dyn Error>> {
    let source = Source { name: entry.file.clone(), bytes: std::fs::read(folder.join(&entry.file))? };
    let started = Instant::now();
    let parsed = sandbox.parse(&source);
    let time = started.elapsed();
    let result = match parsed {
        Err(error) => Err(error.to_string()),
        Ok(parsed) => Ok(match &entry.expected {
            Some(expected) => Some(compare(&std::fs::read_to_string(folder.join(expected))?, &parsed.text)),
            None => None,
        }),
    };
    Ok(Outcome { file: entry.file.clone(), time, result })
}

fn table(outcomes: &[Outcome]) {
    let mut formats: BTreeMap<&str, Vec<&Outcome>> = BTreeMap::new();
    for outcome in outcomes {
        formats.entry(outcome.file.rsplit('.').next().unwrap_or("")).or_default().push(outcome);
    }
    println!("format  files  parsed  refused  measured  median   mean  lowest  slowest");
    for (format, outcomes) in formats {
        let parsed = outcomes.iter().filter(|outcome| outcome.result.is_ok()).count();
        let mut shares: Vec<f64> = outcomes
            .iter()
            .filter_map(|outcome| outcome.result.as_ref().ok()?.as_ref().map(|found| found.share))
            .collect();
        shares.sort_by(f64::total_cmp);
        let slowest = outcomes.iter().map(|outcome| outcome.time).max().unwrap_or_default();
        let mean = shares.iter().sum::<f64>() / shares.len().max(1) as f64;
        println!(
            "{format:6} {:6} {parsed:7} {:8} {:9} {:7.3} {mean:6.3} {:7.3} {:6} ms",
            outcomes.len(),
            outcomes.len() - parsed,
            shares.len(),
            median(&shares),
            shares.first().copied().unwrap_or(0.0),
            slowest.as_millis()
        );
    }
}

fn median(sorted: &[f64]) -> f64 {
    let at = |index: usize| sorted.get(index).copied().unwrap_or(0.0);
    match sorted.len() {
        0 => 0.0,
        length if length % 2 == 1 => at(length / 2),
        length => f64::midpoint(at(length / 2 - 1), at(length / 2)),
    }
}

fn compare(expected: &str, text: &str) -> Found {
    let mut found = words(text);
    let (mut total, mut hits, mut missing) = (0_usize, 0_usize, Vec::new());
    for (word, count) in words(&without_marks(expected)) {
        let there = found.remove(&word).unwrap_or(0).min(count);
        total += count;
        hits += there;
        if there < count {
            missing.push((count - there, word));
        }
    }
    missing.sort_by(|a, b| b.cmp(a));
    let missing = missing.into_iter().take(MISSING_SHOWN).map(|(count, word)| format!("{word}×{count}")).collect();
    Found { share: if total == 0 { 1.0 } else { hits as f64 / total as f64 }, missing }
}

fn words(text: &str) -> HashMap<String, usize> {
    let mut words = HashMap::new();
    for word in text.split(|char: char| !char.is_alphanumeric()).filter(|word| !word.is_empty()) {
        *words.entry(word.to_lowercase()).or_default() += 1;
    }
    words
}

/// Markdown without comments, link targets, list numbers, and with its entities resolved.
fn without_marks(markdown: &str) -> String {
    let mut text = String::new();
    let mut rest = markdown;
    while let Some((before, after)) = rest.split_once("<!--") {
        text.push_str(before);
        rest = after.split_once("-->").map_or("", |(_, after)| after);
    }
    text.push_str(rest);
    let mut out = String::new();
    for line in text.lines() {
        let bare = line.trim_start();
        let digits = bare.len() - bare.trim_start_matches(|char: char| char.is_ascii_digit()).len();
        let listed = digits > 0 && bare.get(digits..).is_some_and(|after| after.starts_with(". "));
        out.push_str(if listed { bare.get(digits..).unwrap_or(bare) } else { bare });
        out.push('\n');
    }
    without_targets(&out).replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">").replace("\\_", "_")
}

/// `[text](target)` as `[text]`; a target may hold one pair of parentheses.
fn without_targets(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("](") {
        out.push_str(before);
        out.push(']');
        let mut depth = 1_usize;
        let end = after.char_indices().find(|(_, char)| {
            match char {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            depth == 0 || *char == '\n'
        });
        rest = end.and_then(|(at, _)| after.get(at + 1..)).unwrap_or_default();
    }
    out.push_str(rest);
    out
}
