//! A part's figures: each with what it means, on its scale, held against the gate, and by sort.

use std::fmt::Write as _;

use super::{
    Judged, chart,
    words::{count, escape, range, title, value},
};
use crate::evaluation::{
    gate::Demand,
    metric::{Better, Unit},
    record::Record,
    result::{Figure, Run, TriedPart},
};

/// Lanes in the order in which they are tried, and what a question may end in besides.
const ENDS: [(&str, &str); 5] = [
    ("verified", "an approved answer"),
    ("composed", "written by the model and checked"),
    ("quoted", "quoted from the documents"),
    ("abstain", "no answer given"),
    ("refused", "refused by a check"),
];

/// By which lanes a part's questions were answered, if they were questions.
pub(super) fn lanes(part: &TriedPart, records: &[&Record]) -> String {
    let counts: Vec<(&str, usize)> = ENDS
        .iter()
        .map(|(lane, _)| (*lane, records.iter().filter(|record| record.lane.as_deref() == Some(*lane)).count()))
        .filter(|(_, count)| *count > 0)
        .collect();
    let told: usize = counts.iter().map(|(_, count)| count).sum();
    let failed = records.iter().filter(|record| record.lane.is_some()).count() - told;
    if told == 0 {
        return String::new();
    }
    let mut shares = counts.clone();
    if failed > 0 {
        shares.push(("failed", failed));
    }
    let mut out = format!(
        "<h3>How the {} ended</h3>{}<ul class=\"legend\">",
        count(part.items, "question", "questions"),
        chart::bar(&shares)
    );
    for (lane, number) in &shares {
        let words = ENDS.iter().find(|(known, _)| known == lane).map_or("failed", |(_, words)| *words);
        let _ = write!(
            out,
            "<li><svg viewBox=\"0 0 10 10\" aria-hidden=\"true\"><rect class=\"lane {0}\" width=\"10\" height=\"10\" rx=\"2\"/></svg>{1}: <b>{2}</b></li>",
            escape(lane),
            escape(words),
            number
        );
    }
    out.push_str("</ul>");
    out
}

/// One figure.
pub(super) fn figure(run: &Run, figure: &Figure, judged: Judged<'_>) -> String {
    let metric = run.metric(figure);
    let demand = judged.and_then(|(gate, _)| gate.demand(&figure.name));
    let named = metric
        .and_then(|metric| metric.named_by)
        .map(|whose| format!(" <span class=\"chip\">as {} names it</span>", escape(whose)));
    let direction = if figure.better == Better::Higher { "more is better" } else { "less is better" };
    let label = format!(
        "{}: {}, between {}; {direction}",
        title(run, figure),
        value(figure.interval.value, figure.unit),
        range(figure.interval, figure.unit)
    );
    let mut out = format!(
        "<div class=\"metric\"><div><span class=\"name\">{}</span>{}<p class=\"meaning\">{}</p><p class=\"small\"><code>{}</code> <span class=\"soft\">{direction}</span></p>{}</div>",
        escape(title(run, figure)),
        named.unwrap_or_default(),
        escape(metric.map_or("", |metric| metric.meaning)),
        escape(&figure.name),
        sorts(figure),
    );
    let asked = demand.and_then(|demand| demand.least.or(demand.most));
    let _ = write!(
        out,
        "<div><div class=\"number\"><b>{}</b>{}</div>{}<p class=\"small soft\">Between {} in 95 of 100 such runs; {}.</p></div></div>",
        value(figure.interval.value, figure.unit),
        chip(figure, demand, judged),
        chart::scale(figure, asked, &label),
        range(figure.interval, figure.unit),
        count(figure.items, "item", "items")
    );
    out
}

/// Whether the gate's demand holds, in words and colour.
pub(super) fn chip(figure: &Figure, demand: Option<&Demand>, judged: Judged<'_>) -> String {
    let (Some(demand), Some((_, ruling))) = (demand, judged) else { return String::new() };
    let bound = [("at least", demand.least), ("at most", demand.most)];
    let asked = bound.iter().find_map(|(word, bound)| Some(format!("{word} {}", value((*bound)?, figure.unit))));
    let asked = asked.unwrap_or_else(|| "no worse than before".to_owned());
    let holds = ruling.lines.iter().filter(|line| line.metric == figure.name).all(|line| line.holds);
    let (class, sign) = if holds { ("good", "\u{2713}") } else { ("bad", "\u{2717}") };
    format!("<span class=\"chip {class}\">{sign} {}</span>", escape(&asked))
}

/// The same figure by sort, the worst first.
fn sorts(figure: &Figure) -> String {
    if figure.sorts.len() < 2 {
        return String::new();
    }
    let open = if figure.sorts.len() <= 4 { " open" } else { "" };
    let mut out = format!(
        "<details{open}><summary>By sort, the worst first</summary><table><tr><th>sort</th><th></th><th>value</th><th>between</th><th>items</th></tr>"
    );
    let most = figure.sorts.iter().map(|sort| sort.interval.value).fold(0.0, f64::max);
    let end = if figure.unit == Unit::Milliseconds { most.max(1.0) } else { 1.0 };
    for sort in &figure.sorts {
        let _ = write!(
            out,
            "<tr><td>{}</td><td><div class=\"mini\"><span style=\"width:{:.1}%\"></span></div></td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
            escape(&sort.category),
            100.0 * (sort.interval.value / end).clamp(0.0, 1.0),
            value(sort.interval.value, figure.unit),
            range(sort.interval, figure.unit),
            sort.items
        );
    }
    out.push_str("</table></details>");
    out
}
