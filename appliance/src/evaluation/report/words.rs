//! Numbers and text as they are shown.

use crate::evaluation::{
    metric::Unit,
    result::{Figure, Run},
    statistics::Interval,
};

/// Text that cannot step out of its place in HTML or XML. What neither may hold is left out.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(character),
            // Marks that turn the direction of what follows could make a reader see another text than is there.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            control if control.is_control() => out.push('\u{fffd}'),
            plain => out.push(plain),
        }
    }
    out
}

/// A value in its unit.
pub(super) fn value(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Share => percent(value),
        Unit::Index => format!("{value:.3}"),
        Unit::Milliseconds if value >= 1000.0 => format!("{:.1} s", value / 1000.0),
        Unit::Milliseconds => format!("{value:.0} ms"),
    }
}

/// An interval in its unit.
pub(super) fn range(interval: Interval, unit: Unit) -> String {
    format!("{} to {}", value(interval.low, unit), value(interval.high, unit))
}

/// A share in percent, with as many digits as it takes not to round what is not all to all.
fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let near_an_end = (percent > 99.9 && percent < 100.0) || (percent > 0.0 && percent < 0.1);
    if near_an_end { format!("{percent:.2}%") } else { format!("{percent:.1}%") }
}

/// How many, in words that go with it.
pub(super) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{} {}", thousands(number), if number == 1 { one } else { many })
}

/// A number with commas between thousands.
pub(super) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// How long something took.
pub(super) fn duration(seconds: f64) -> String {
    let whole = seconds.round().max(0.0) as u64;
    match (whole / 60, whole % 60) {
        (0, seconds) => format!("{seconds} s"),
        (minutes, seconds) => format!("{minutes} min {seconds} s"),
    }
}

/// The first digits of a hash.
pub(super) fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

/// The title of a figure's metric, or its bare name.
pub(super) fn title<'a>(run: &Run, figure: &'a Figure) -> &'a str {
    run.metric(figure).map_or(figure.name.as_str(), |metric| metric.title)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_without_rounding_away_what_matters() {
        assert_eq!(value(0.9996, Unit::Share), "99.96%");
        assert_eq!((value(1.0, Unit::Share), value(0.0, Unit::Share)), ("100.0%".to_owned(), "0.0%".to_owned()));
        assert_eq!((value(0.0004, Unit::Share), value(0.8123, Unit::Index)), ("0.04%".to_owned(), "0.812".to_owned()));
        assert_eq!(
            (value(87.4, Unit::Milliseconds), value(2345.0, Unit::Milliseconds)),
            ("87 ms".into(), "2.3 s".into())
        );
        assert_eq!(
            (thousands(7), thousands(1234), thousands(1_234_567)),
            ("7".into(), "1,234".into(), "1,234,567".into())
        );
        assert_eq!(
            (count(1, "question", "questions"), duration(312.4)),
            ("1 question".to_owned(), "5 min 12 s".to_owned())
        );
    }

    #[test]
    fn text_cannot_step_out_of_its_place() {
        assert_eq!(escape("<b a='1'>&\"\u{0}\u{202e}x\n"), "&lt;b a=&#39;1&#39;&gt;&amp;&quot;\u{fffd}\u{fffd}x\n");
    }
}
