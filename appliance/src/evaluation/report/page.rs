//! The report as one page of HTML: no script, nothing fetched, readable from a disk.

use std::fmt::Write as _;

use super::{
    Judged, cases, figures,
    style::STYLE,
    words::{count, duration, escape, range, short, thousands, title, value},
};
use crate::evaluation::{
    record::Record,
    result::{Named, Run, TriedPart},
    suite::Kind,
};

/// The figures that a reader sees first, by kind of part.
const FIRST: &[(Kind, &[&str])] = &[
    (Kind::Lanes, &["string_presence", "abstention"]),
    (Kind::Grounding, &["high_severity_recall"]),
    (Kind::Identifiers, &["recall"]),
    (Kind::Attacks, &["recall"]),
    (Kind::OverRefusal, &["refused"]),
    (Kind::Redaction, &["leaked"]),
    (Kind::Latency, &["p95"]),
];

/// The result as a page that needs nothing beside it.
#[must_use]
pub fn page(run: &Run, judged: Judged<'_>) -> String {
    let mut out = String::from(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
    );
    let _ = write!(
        out,
        "<title>Evaluation: {0}</title><style>{STYLE}</style></head><body><main>\n<p class=\"eyebrow\">Cloister \u{b7} evaluation</p>\
         <h1>{0}</h1><p class=\"lede\">{1}</p>\n",
        escape(&run.suite.name),
        escape(&run.suite.about)
    );
    out.push_str(&verdict(run, judged));
    out.push_str(&glance(run, judged));
    out.push_str(&facts(run));
    for kind in Kind::ALL {
        for part in run.suite.parts.iter().filter(|part| part.kind == *kind) {
            out.push_str(&part_of(run, part, judged));
        }
    }
    out.push_str(&reading(run, judged));
    out.push_str("</main></body></html>\n");
    out
}

/// The verdict, with a sign that does not rest on its colour.
fn verdict(run: &Run, judged: Judged<'_>) -> String {
    let sign = |path: &str| {
        format!(
            "<svg viewBox=\"0 0 34 34\" aria-hidden=\"true\"><circle class=\"disc\" cx=\"17\" cy=\"17\" r=\"16\"/><path class=\"mark\" d=\"{path}\"/></svg>"
        )
    };
    let items = run.suite.parts.iter().map(|part| part.items).sum::<usize>();
    let Some((gate, ruling)) = judged else {
        return format!(
            "<div class=\"card verdict neutral\">{}<div><strong>Measured on {}, held against nothing</strong>\
             <p class=\"soft\">No gate was named, so that the figures below are for you to judge.</p></div></div>\n",
            sign("M11 17h12"),
            count(items, "item", "items")
        );
    };
    let about =
        if gate.about.is_empty() { String::new() } else { format!("<p class=\"soft\">{}</p>", escape(&gate.about)) };
    if ruling.holds() {
        let all = match ruling.lines.len() {
            1 => "The one demand of the gate holds".to_owned(),
            many => format!("All {many} demands of the gate hold"),
        };
        return format!(
            "<div class=\"card verdict holds\">{}<div><strong>{all}</strong>{about}</div></div>\n",
            sign("M10.5 17.5l4.5 4.5 9-10")
        );
    }
    let broken: Vec<_> = ruling.lines.iter().filter(|line| !line.holds).collect();
    let mut out = format!(
        "<div class=\"card verdict broken\">{}<div><strong>{} of {} of the gate {} hold</strong>{about}<ul>",
        sign("M12 12l10 10M22 12l-10 10"),
        broken.len(),
        count(ruling.lines.len(), "demand", "demands"),
        if broken.len() == 1 { "does not" } else { "do not" }
    );
    for line in broken {
        let name = run.figure(&line.metric).map_or(line.metric.as_str(), |figure| title(run, figure));
        let _ = write!(
            out,
            "<li>{}: asked {}, found {} <code>{}</code></li>",
            escape(name),
            escape(&line.asked),
            escape(&line.found),
            escape(&line.metric)
        );
    }
    out.push_str("</ul></div></div>\n");
    out
}

/// What a reader sees first: a few figures, each a way to its part.
fn glance(run: &Run, judged: Judged<'_>) -> String {
    let mut out = String::from("<div class=\"glance\">");
    for (kind, names) in FIRST {
        for part in run.suite.parts.iter().filter(|part| part.kind == *kind) {
            for figure in names.iter().filter_map(|name| run.figure(&format!("{}/{name}", part.id))) {
                let demand = judged.and_then(|(gate, _)| gate.demand(&figure.name));
                let _ = write!(
                    out,
                    "<a class=\"card\" href=\"#{}\"><span class=\"big\">{}</span><span class=\"what\">{}</span>\
                     <span class=\"small soft\">{}</span> {}</a>",
                    escape(&part.id),
                    value(figure.interval.value, figure.unit),
                    escape(title(run, figure)),
                    range(figure.interval, figure.unit),
                    figures::chip(figure, demand, judged)
                );
            }
        }
    }
    out.push_str("</div>\n");
    out
}

fn facts(run: &Run) -> String {
    let named = |named: &Named| format!("{} ({})", named.name, short(&named.sha256));
    let system = &run.system;
    let documents: u64 = system.collections.iter().map(|held| held.documents).sum();
    let held: Vec<String> = system.collections.iter().map(|held| held.name.clone()).collect();
    let rows = [
        ("Tenant", system.tenant.clone()),
        ("Writes answers", system.generate.as_ref().map_or_else(|| "no model".to_owned(), named)),
        ("Finds passages", named(&system.embed)),
        ("Guardrail", system.guardrail.as_ref().map_or_else(|| "as it comes with the program".to_owned(), named)),
        ("Documents", format!("{documents} in {}", held.join(", "))),
        ("Program", format!("Cloister {}", system.program)),
        ("Begun", run.begun.clone()),
        ("Took", format!("{} on this machine", duration(run.seconds))),
    ];
    let mut out = String::from("<div class=\"card\"><h2>What was measured</h2><dl class=\"facts\">");
    for (what, told) in rows {
        let _ = write!(out, "<div><dt>{what}</dt><dd>{}</dd></div>", escape(&told));
    }
    out.push_str("</dl></div>\n");
    out
}

fn part_of(run: &Run, part: &TriedPart, judged: Judged<'_>) -> String {
    let records: Vec<&Record> = run.records.iter().filter(|record| record.part == part.id).collect();
    let mut out = format!(
        "<section class=\"part card\" id=\"{}\"><div class=\"head\"><h2>{}</h2><span class=\"soft\">{} \u{b7} <code>{}</code></span></div>",
        escape(&part.id),
        escape(part.kind.title()),
        count(part.items, "item", "items"),
        escape(&part.id)
    );
    out.push_str(&figures::lanes(part, &records));
    let prefix = format!("{}/", part.id);
    for figure in run.metrics.iter().filter(|figure| figure.name.starts_with(&prefix)) {
        out.push_str(&figures::figure(run, figure, judged));
    }
    out.push_str(&cases::cases(&records));
    out.push_str("</section>\n");
    out
}

/// How to read it, and what it does not say.
fn reading(run: &Run, judged: Judged<'_>) -> String {
    let mut out = String::from(
        "<footer><h2>How to read this</h2><ul>\
         <li>A dot is the value of this run. The bar around it is where the value would lie in 95 of 100 runs on other items of the same kind; items made \
         from one template count together. The green field is what the gate asks.</li>\
         <li>Figures are computed from labels and by rules. No model judged another.</li>\
         <li>Items that were written for the program by whoever wrote the program flatter it. What a site's own questions and staff say counts more.</li>\
         <li>Synthetic identifiers are not patients' notes: found here does not mean found there.</li></ul><p>",
    );
    let _ = write!(
        out,
        "Suite {} \u{b7} settings {} \u{b7} seed {} \u{b7} {}",
        short(&run.suite.sha256),
        short(&run.system.settings),
        run.seed,
        count(run.records.len(), "record", "records")
    );
    if let Some((gate, _)) = judged {
        let _ = write!(out, " \u{b7} gate {}", short(&gate.sha256));
    }
    let _ = write!(out, "</p><p>Item by item: RESULT.json, {} figures.</p></footer>", thousands(run.metrics.len()));
    out
}
