//! Charts in SVG. Colours and fonts come from the page's style, so that they follow light and dark.

use std::fmt::Write as _;

use super::words::escape;
use crate::evaluation::{
    metric::{Better, Unit},
    result::Figure,
};

/// Width of a scale, and of the room at its ends.
const WIDTH: f64 = 320.0;
const EDGE: f64 = 6.0;

/// A figure on its scale: its interval as a bar, its value as a dot, what the gate asks as a mark.
pub(super) fn scale(figure: &Figure, asked: Option<f64>, label: &str) -> String {
    let end = match figure.unit {
        Unit::Share | Unit::Index => 1.0,
        Unit::Milliseconds => round_up(figure.interval.high.max(asked.unwrap_or(0.0))),
    };
    let x = |value: f64| EDGE + (WIDTH - 2.0 * EDGE) * (value / end).clamp(0.0, 1.0);
    let (low, high) = (x(figure.interval.low), x(figure.interval.high));
    let mut out = format!(
        "<svg class=\"scale\" viewBox=\"0 0 {WIDTH} 30\" role=\"img\" aria-label=\"{}\">\
         <line class=\"axis\" x1=\"{EDGE}\" x2=\"{:.1}\" y1=\"12\" y2=\"12\"/>",
        escape(label),
        WIDTH - EDGE
    );
    for part in 0..=4 {
        let at = x(end * f64::from(part) / 4.0);
        let _ = write!(out, "<line class=\"tick\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"9\" y2=\"15\"/>");
    }
    if let Some(asked) = asked {
        let at = x(asked);
        // The side that is good enough.
        let (from, to) = if figure.better == Better::Higher { (at, x(end)) } else { (x(0.0), at) };
        let _ = write!(
            out,
            "<rect class=\"enough\" x=\"{from:.1}\" y=\"4\" width=\"{:.1}\" height=\"16\" rx=\"3\"/>\
             <line class=\"asked\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"1\" y2=\"23\"/>",
            (to - from).max(0.0)
        );
    }
    let _ = write!(
        out,
        "<rect class=\"interval\" x=\"{low:.1}\" y=\"9\" width=\"{:.1}\" height=\"6\" rx=\"3\"/>\
         <circle class=\"value\" cx=\"{:.1}\" cy=\"12\" r=\"5\"/>",
        (high - low).max(2.0),
        x(figure.interval.value)
    );
    let names = match figure.unit {
        Unit::Share => ("0%".to_owned(), "100%".to_owned()),
        Unit::Index => ("0".to_owned(), "1".to_owned()),
        Unit::Milliseconds => ("0".to_owned(), format!("{end:.0} ms")),
    };
    let _ = write!(
        out,
        "<text x=\"{EDGE}\" y=\"28\">{}</text><text x=\"{:.1}\" y=\"28\" text-anchor=\"end\">{}</text></svg>",
        names.0,
        WIDTH - EDGE,
        names.1
    );
    out
}

/// Shares of a whole as one bar, each with a class of its own.
pub(super) fn bar(shares: &[(&str, usize)]) -> String {
    let all = shares.iter().map(|(_, count)| count).sum::<usize>().max(1) as f64;
    let spoken: Vec<String> = shares.iter().map(|(name, count)| format!("{name} {count}")).collect();
    let mut out = format!(
        "<svg class=\"bar\" viewBox=\"0 0 1000 26\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{}\">",
        escape(&spoken.join(", "))
    );
    let mut from = 0.0;
    for (name, count) in shares {
        let width = 1000.0 * *count as f64 / all;
        let _ = write!(
            out,
            "<rect class=\"lane {}\" x=\"{from:.1}\" y=\"0\" width=\"{:.1}\" height=\"26\"/>",
            escape(name),
            (width - 2.0).max(0.5)
        );
        from += width;
    }
    out.push_str("</svg>");
    out
}

/// The next of one, two or five times a power of ten.
fn round_up(value: f64) -> f64 {
    let power = 10_f64.powf(value.max(1.0).log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|by| by * power).into_iter().find(|end| *end >= value).unwrap_or(10.0 * power)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::result::tests::run;

    #[test]
    fn a_scale_shows_value_interval_and_what_is_asked() {
        let run = run(45);
        let drawn = scale(run.figure("answers/string_presence").unwrap(), Some(0.5), "a < b");
        // 0.9 of 308 from 6 on; the mark in the middle.
        assert!(drawn.contains("cx=\"283.2\"") && drawn.contains("class=\"asked\" x1=\"160.0\""), "{drawn}");
        assert!(drawn.contains("a &lt; b") && drawn.matches("class=\"tick\"").count() == 5);
        assert_eq!([1.0, 87.0, 120.0, 501.0].map(round_up), [1.0, 100.0, 200.0, 1000.0]);
    }

    #[test]
    fn a_bar_is_as_long_as_its_shares_together() {
        let drawn = bar(&[("verified", 1), ("quoted", 3)]);
        assert!(drawn.contains("x=\"250.0\" y=\"0\" width=\"748.0\""), "{drawn}");
    }
}
