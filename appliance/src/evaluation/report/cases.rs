//! What went wrong, the worst first: what was asked, what was answered, what it cites, and what was expected.

use std::fmt::Write as _;

use super::words::{count, escape};
use crate::evaluation::record::{Record, Shown};

/// Cases that are open to the eye, and cases that the page holds in all; the rest is in RESULT.json.
const OPEN: usize = 5;
const MOST: usize = 40;

pub(super) fn cases(records: &[&Record]) -> String {
    let mut wrong: Vec<(&Record, &Shown)> =
        records.iter().filter_map(|record| Some((*record, record.shown.as_ref()?))).collect();
    if wrong.is_empty() {
        return "<h3>What went wrong</h3><p class=\"soft\">Nothing did.</p>".to_owned();
    }
    wrong.sort_by(|(one, _), (other, _)| other.loss.total_cmp(&one.loss).then_with(|| one.id.cmp(&other.id)));
    let mut out = format!("<h3>What went wrong, the worst first ({})</h3>", count(wrong.len(), "item", "items"));
    wrong.iter().take(OPEN).for_each(|(record, shown)| out.push_str(&case(record, shown)));
    if wrong.len() > OPEN {
        let more = wrong.len().min(MOST) - OPEN;
        let _ = write!(out, "<details><summary>Show {more} more</summary>");
        wrong.iter().skip(OPEN).take(MOST - OPEN).for_each(|(record, shown)| out.push_str(&case(record, shown)));
        if wrong.len() > MOST {
            let _ = write!(out, "<p class=\"soft\">{} more are in RESULT.json.</p>", wrong.len() - MOST);
        }
        out.push_str("</details>");
    }
    out
}

fn case(record: &Record, shown: &Shown) -> String {
    let mut out = format!(
        "<article class=\"case\"><header><b>{}</b><code>{}</code></header><dl><dt>Asked</dt><dd class=\"text\">{}</dd>",
        escape(&shown.wrong),
        escape(&record.id),
        escape(&shown.asked)
    );
    if let Some(answer) = &shown.answer {
        let lane = record.lane.as_deref().map(|lane| format!(" ({})", escape(lane))).unwrap_or_default();
        let _ = write!(out, "<dt>Answered{lane}</dt><dd class=\"text\">{}</dd>", escape(answer));
    } else if let Some(lane) = &record.lane {
        let _ = write!(out, "<dt>Answered</dt><dd class=\"soft\">nothing ({})</dd>", escape(lane));
    }
    if !shown.cited.is_empty() {
        out.push_str("<dt>Evidence</dt><dd>");
        for cited in &shown.cited {
            let (class, sign) = if cited.expected { (" good", "\u{2713} expected \u{b7} ") } else { ("", "") };
            let _ = write!(
                out,
                "<p class=\"cited{class}\"><span class=\"place\">{sign}{}</span><span class=\"text\">{}</span></p>",
                escape(&cited.place),
                escape(&cited.text)
            );
        }
        out.push_str("</dd>");
    }
    let _ = write!(out, "<dt>Expected</dt><dd class=\"text\">{}</dd></dl></article>", escape(&shown.expected));
    out
}
