//! Our own suite of 400 texts as a regression test. Its texts are made by `tests/fixtures/identifiers.py`, by the same
//! people who wrote the rules: it shows that nothing has been lost, not how well text from elsewhere is read.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "every function here is a part of a test")]

use std::{collections::BTreeMap, fs};

use cloister_guardrails::detect::{Detector, Patterns, code_points};
use serde::Deserialize;

#[derive(Deserialize)]
struct Item {
    id: String,
    text: String,
    spans: Vec<Span>,
}

#[derive(Deserialize)]
struct Span {
    start: usize,
    end: usize,
    label: String,
}

#[derive(Default)]
struct Tally {
    identifiers: usize,
    touched: usize,
    covered: usize,
    masked: usize,
    masked_rightly: usize,
    plain_texts: usize,
    plain_flagged: usize,
    by_label: BTreeMap<String, (usize, usize)>,
    missed: Vec<String>,
}

fn tally() -> Tally {
    let path = std::path::PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap())
        .join("../../tests/fixtures/identifiers.jsonl");
    let detector = Detector::new(None, Patterns::default());
    let mut tally = Tally::default();
    for line in fs::read_to_string(path).unwrap().lines() {
        let item: Item = serde_json::from_str(line).unwrap();
        let characters: Vec<char> = item.text.chars().collect();
        let findings = detector.detect(&item.text);
        let mut masked = vec![false; characters.len()];
        for (start, end) in code_points(&item.text, &findings) {
            masked[start..end].fill(true);
        }
        let counts = |at: &usize| characters[*at].is_alphanumeric();
        if item.spans.is_empty() {
            tally.plain_texts += 1;
            tally.plain_flagged += usize::from(!findings.is_empty());
            if !findings.is_empty() {
                tally.missed.push(format!("{} flagged", item.id));
            }
            continue;
        }
        for span in &item.spans {
            let places: Vec<usize> = (span.start..span.end).filter(counts).collect();
            let (any, all) = (places.iter().any(|at| masked[*at]), places.iter().all(|at| masked[*at]));
            tally.identifiers += 1;
            tally.touched += usize::from(any);
            tally.covered += usize::from(all);
            let label = tally.by_label.entry(span.label.clone()).or_default();
            label.0 += 1;
            label.1 += usize::from(all);
            if !all {
                tally.missed.push(format!("{} {}", item.id, span.label));
            }
        }
        let identifying = |at: usize| item.spans.iter().any(|span| (span.start..span.end).contains(&at));
        for at in (0..characters.len()).filter(|at| masked[*at] && counts(at)) {
            tally.masked += 1;
            tally.masked_rightly += usize::from(identifying(at));
        }
    }
    tally
}

#[test]
fn our_own_suite_is_read_no_worse_than_before() {
    let tally = tally();
    let share = |part: usize, of: usize| part as f64 / of as f64;
    let shown = format!("missed or flagged: {:?}; fully covered by label: {:?}", tally.missed, tally.by_label);
    assert!(share(tally.touched, tally.identifiers) >= 0.99, "{shown}");
    assert!(share(tally.covered, tally.identifiers) >= 0.98, "{shown}");
    assert!(share(tally.masked_rightly, tally.masked) >= 0.97, "{shown}");
    assert!(share(tally.plain_flagged, tally.plain_texts) <= 0.03, "{shown}");
    for (label, (of, covered)) in &tally.by_label {
        assert!(share(*covered, *of) >= 0.9, "{label}: {shown}");
    }
}
