//! Detects identifiers in a file of texts and says how fast: `detect TEXTS.jsonl [FOUND.jsonl]`, texts as {"id", "text"}.
//! Build it with `--release` before quoting a figure.

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a program to measure with")]

use std::{error::Error, fs, time::Instant};

use cloister_guardrails::detect::{Detector, Patterns, code_points};
use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let texts = arguments.next().ok_or("name a file of texts")?;
    let mut items = Vec::new();
    for line in fs::read_to_string(texts)?.lines() {
        let item: Value = serde_json::from_str(line)?;
        let text = item.get("text").and_then(Value::as_str).ok_or("an item has no text")?.to_owned();
        items.push((item.get("id").cloned().unwrap_or_default(), text));
    }
    let began = Instant::now();
    let detector = Detector::new(None, Patterns::default());
    let loading = began.elapsed();
    let began = Instant::now();
    let found: Vec<_> = items.iter().map(|(_, text)| detector.detect(text)).collect();
    let taken = began.elapsed();
    let (words, bytes) = items.iter().fold((0, 0), |(w, b), (_, t)| (w + t.split_whitespace().count(), b + t.len()));
    println!(
        "{} texts, {words} words, {bytes} bytes in {:.1} ms: {:.1} us for 100 words, {:.2} s for 1 MB; tables read in {:.0} ms",
        items.len(),
        taken.as_secs_f64() * 1e3,
        taken.as_secs_f64() * 1e8 / words as f64,
        taken.as_secs_f64() * 1e6 / bytes as f64,
        loading.as_secs_f64() * 1e3,
    );
    let Some(path) = arguments.next() else { return Ok(()) };
    let mut lines = String::new();
    for ((id, text), found) in items.iter().zip(&found) {
        let spans: Vec<Value> = found
            .iter()
            .zip(code_points(text, found))
            .map(|(f, (start, end))| json!({"start": start, "end": end, "label": f.kind.word(), "confidence": f.confidence, "rule": f.rule}))
            .collect();
        lines.push_str(&json!({"id": id, "spans": spans}).to_string());
        lines.push('\n');
    }
    fs::write(path, lines)?;
    Ok(())
}
