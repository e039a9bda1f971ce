//! The report as one page: charts in SVG, no script, no font, nothing fetched.

use std::fmt::Write as _;

use super::{Better, Report, Row, figure};

/// Width of a chart, of what is left of it for names, and of what is right for figures.
const CHART: (f64, f64, f64) = (960.0, 250.0, 180.0);
/// Height of a row and of the axis below.
const ROW: f64 = 34.0;
const AXIS: f64 = 26.0;

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1c2733; --soft: #5b6b7b; --line: #d5dde5; --bar: #9cc3dd; --dot: #14557b; --paper: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --soft: #9aa8b5; --line: #34414d; --bar: #2f5c78; --dot: #9fd3f5; --paper: #12181e; }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 1000px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .3rem; }
p { color: var(--soft); margin: .2rem 0 1rem; } svg { width: 100%; height: auto; display: block; }
svg text { fill: var(--ink); font: 14px system-ui, sans-serif; } svg .soft { fill: var(--soft); font-size: 12px; }
.axis { stroke: var(--line); } .bar { fill: var(--bar); } .round { fill: var(--dot); fill-opacity: .65; } .median { stroke: var(--dot); stroke-width: 2.5; }
table { border-collapse: collapse; width: 100%; font-size: 13px; margin-top: 1rem; } td, th { text-align: left; padding: .25rem .5rem; border-bottom: 1px solid var(--line); vertical-align: top; }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; } .wide { overflow-x: auto; }
";

/// The report as a page of HTML that needs nothing beside it.
#[must_use]
pub fn page(report: &Report) -> String {
    let mut out = String::from("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n");
    out.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    let machine = report.rows.first().map(|row| escape(&row.machine.line())).unwrap_or_default();
    let _ = write!(
        out,
        "<title>Measured with Cloister</title>\n<style>{STYLE}</style></head><body>\n<h1>Measured with Cloister</h1>\n\
         <p>{}<br>{machine}</p>\n<p>A bar reaches to the median of the rounds, a dot is one round.</p>\n",
        escape(&report.begun)
    );
    for workload in report.workloads() {
        let _ = writeln!(out, "<h2>{}</h2>", escape(workload));
        let rows: Vec<&Row> = report.rows.iter().filter(|row| row.workload == workload).collect();
        for (unit, better) in units(&rows) {
            let same: Vec<&Row> = rows.iter().copied().filter(|row| row.unit == unit && row.better == better).collect();
            out.push_str(&chart(&same, unit, better));
        }
    }
    out.push_str("<h2>All figures</h2>\n");
    out.push_str(&table(report));
    out.push_str("</body></html>\n");
    out
}

/// Units and directions in the order in which they come: rows of one go into one chart.
fn units<'a>(rows: &[&'a Row]) -> Vec<(&'a str, Better)> {
    let mut units: Vec<(&str, Better)> = Vec::new();
    for row in rows {
        if !units.contains(&(row.unit.as_str(), row.better)) {
            units.push((&row.unit, row.better));
        }
    }
    units
}

/// One chart: a bar for each row, its rounds on it.
fn chart(rows: &[&Row], unit: &str, better: Better) -> String {
    let (width, left, right) = CHART;
    let height = ROW * rows.len() as f64 + AXIS;
    let most = rows.iter().map(|row| row.range().1).filter(|most| most.is_finite()).fold(0.0, f64::max);
    let (step, end) = ticks(most);
    let x = |value: f64| left + (width - left - right) * (value / end).clamp(0.0, 1.0);
    let way = if better == Better::Higher { "higher is better" } else { "lower is better" };
    let mut out =
        format!("<svg viewBox=\"0 0 {width} {height:.0}\" role=\"img\" aria-label=\"{}, {way}\">\n", escape(unit));
    let mut tick = 0.0;
    while tick <= end * 1.0001 {
        let _ = writeln!(
            out,
            "<line class=\"axis\" x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"0\" y2=\"{1:.1}\"/><text class=\"soft\" x=\"{0:.1}\" y=\"{2:.1}\" text-anchor=\"middle\">{3}</text>",
            x(tick),
            height - AXIS,
            height - 9.0,
            plain(tick)
        );
        tick += step;
    }
    let _ = writeln!(
        out,
        "<text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}, {way}</text>",
        width,
        height - 9.0,
        escape(unit)
    );
    for (at, row) in rows.iter().enumerate() {
        let middle = ROW * (at as f64 + 0.5);
        let (least, greatest) = row.range();
        let _ = write!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text><rect class=\"bar\" x=\"{left}\" y=\"{:.1}\" width=\"{:.1}\" height=\"18\" rx=\"2\"/>",
            left - 10.0,
            middle + 5.0,
            escape(&row.measure),
            middle - 9.0,
            (x(row.median()) - left).max(0.0)
        );
        for round in row.rounds.iter().filter(|round| round.is_finite()) {
            let _ = write!(out, "<circle class=\"round\" cx=\"{:.1}\" cy=\"{middle:.1}\" r=\"3.5\"/>", x(*round));
        }
        let _ = writeln!(
            out,
            "<line class=\"median\" x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"{1:.1}\" y2=\"{2:.1}\"/><text x=\"{3:.1}\" y=\"{4:.1}\">{5} <tspan class=\"soft\">{6} to {7}</tspan></text>",
            x(row.median()),
            middle - 11.0,
            middle + 11.0,
            width - right + 12.0,
            middle + 5.0,
            figure(row.median()),
            figure(least),
            figure(greatest)
        );
    }
    out.push_str("</svg>\n");
    out
}

/// Distance of the marks of an axis and its end: one, two or five times a power of ten, five marks at most.
fn ticks(most: f64) -> (f64, f64) {
    if most <= 0.0 {
        return (1.0, 1.0);
    }
    let rough = most / 5.0;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|by| by * power).into_iter().find(|step| *step >= rough * 0.9999);
    let step = step.unwrap_or(10.0 * power);
    (step, (most / step * 0.9999).ceil() * step)
}

/// A mark without needless digits.
fn plain(value: f64) -> String {
    let shown = format!("{value:.6}");
    shown.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn table(report: &Report) -> String {
    let mut out = String::from("<div class=\"wide\"><table><tr>");
    for name in ["workload", "measure", "median", "least to greatest", "unit", "rounds", "machine", "load before"] {
        let _ = write!(out, "<th>{name}</th>");
    }
    out.push_str("</tr>\n");
    for row in &report.rows {
        let (least, greatest) = row.range();
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td>{}</td><td class=\"number\">{}</td><td class=\"number\">{} to {}</td><td>{}</td><td class=\"number\">{}</td><td>{}</td><td class=\"number\">{:.2}</td></tr>",
            escape(&row.workload),
            escape(&row.measure),
            figure(row.median()),
            figure(least),
            figure(greatest),
            escape(&row.unit),
            row.rounds.len(),
            escape(&row.machine.line()),
            row.machine.load
        );
    }
    out.push_str("</table></div>\n");
    out
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample;
    use super::*;

    #[test]
    fn the_page_stands_alone_and_shows_every_round() {
        let page = page(&sample());
        for outside in ["<script", "http:", "https:", "src=", "href=", "@import", "url("] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert_eq!(page.matches("<circle").count(), 9);
        // One chart for each workload and unit.
        assert_eq!(page.matches("<svg").count(), 3);
        assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
        assert!(page.contains("all clients &lt;together&gt;") && !page.contains("<together>"));
    }

    #[test]
    fn bars_end_at_the_median() {
        let page = page(&sample());
        // The axis ends at 600: 500 lies at 250 + 530 * 5 / 6.
        assert!(page.contains("width=\"441.7\" height=\"18\""), "{page}");
    }

    #[test]
    fn an_axis_has_round_marks_and_room_for_the_greatest() {
        for (most, step, end) in
            [(510.0, 200.0, 600.0), (1.0, 0.2, 1.0), (0.034, 0.01, 0.04), (7.0, 2.0, 8.0), (0.0, 1.0, 1.0)]
        {
            let found = ticks(most);
            assert!((found.0 / step - 1.0).abs() < 1e-9 && (found.1 / end - 1.0).abs() < 1e-9, "{most}: {found:?}");
        }
        assert_eq!([0.0, 0.2, 1200.0].map(plain), ["0", "0.2", "1200"]);
    }
}
