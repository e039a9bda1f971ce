//! How often: "twice daily", "q8h", "every 12 hours", "3 times a week", "per dose", "as needed".
//!
//! A frequency comes to the minutes between two times, so that "every 8 hours" is "three times a day" and "daily" is
//! not "weekly".

use crate::fact::{
    Fact, FactKind, number,
    token::{Token, tokens},
};

/// The frequencies of `text`, in order.
pub(super) fn frequencies(text: &str) -> Vec<Fact> {
    let tokens = tokens(text);
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(rest) = tokens.get(at..).filter(|rest| !rest.is_empty()) {
        let before = tokens.get(..at).unwrap_or_default();
        let Some((values, used)) = read(rest, before) else {
            at += 1;
            continue;
        };
        let span = rest.get(..used).and_then(|used| Some((used.first()?.start, used.last()?.end)));
        if let Some((start, end)) = span {
            let fact = |value| Fact { kind: FactKind::Frequency, value, start, end, bound: None };
            found.extend(values.into_iter().map(fact));
        }
        at += used.max(1);
    }
    found
}

/// Values and the tokens that say them. A range has two.
type Read = Option<(Vec<String>, usize)>;

fn read(tokens: &[Token<'_>], before: &[Token<'_>]) -> Read {
    latin(tokens)
        .or_else(|| counted(tokens))
        .or_else(|| every(tokens))
        .or_else(|| per(tokens, before))
        .or_else(|| adverb(tokens))
}

fn lower(tokens: &[Token<'_>], at: usize) -> String {
    tokens.get(at).map(Token::lower).unwrap_or_default()
}

fn minutes(value: f64) -> Vec<String> {
    vec![format!("{} min", (value * 10.0).round() / 10.0)]
}

/// Minutes of a period.
fn period(word: &str) -> Option<f64> {
    Some(match word {
        "minute" | "minutes" => 1.0,
        "hour" | "hours" | "hr" | "hrs" | "h" | "hourly" => 60.0,
        "day" | "days" | "daily" | "d" => 1440.0,
        "week" | "weeks" | "weekly" | "wk" => 10_080.0,
        "month" | "months" | "monthly" => 43_200.0,
        "year" | "years" | "yearly" | "annually" => 525_600.0,
        _ => return None,
    })
}

/// The abbreviations of prescriptions, with and without stops.
fn latin(tokens: &[Token<'_>]) -> Read {
    let stop = |at: usize| usize::from(lower(tokens, at) == ".");
    let first = lower(tokens, 0);
    if first == "q" || first == "q." {
        let hyphen = 1 + stop(1);
        if let Some(count) = number::number(tokens.get(hyphen..)?) {
            let at = hyphen + count.used;
            let per = period(&lower(tokens, at)).filter(|_| matches!(lower(tokens, at).as_str(), "h" | "hr" | "hours"));
            return Some((minutes(count.value.parse::<f64>().ok()? * per?), at + 1));
        }
        let letter = lower(tokens, hyphen);
        let dotted = hyphen == 2;
        return match letter.as_str() {
            "d" if dotted => Some((minutes(1440.0), 3 + stop(3))),
            "h" if dotted => Some((minutes(60.0), 3)),
            _ => None,
        };
    }
    let known = match first.as_str() {
        "qd" => 1440.0,
        "qod" => 2880.0,
        "bid" => 720.0,
        "tid" => 480.0,
        "qid" => 360.0,
        "qhs" | "qam" | "qpm" => 1440.0,
        "qh" => 60.0,
        "prn" => return Some((vec!["as needed".to_owned()], 1)),
        "as" | "if" | "when" if lower(tokens, 1) == "needed" => return Some((vec!["as needed".to_owned()], 2)),
        _ => {
            let spelled: Vec<String> = (0..6).map(|at| lower(tokens, at)).collect();
            let letters: Vec<&str> = spelled.iter().map(String::as_str).collect();
            return match letters.as_slice() {
                ["b", ".", "i", ".", "d", last] => Some((minutes(720.0), 5 + usize::from(*last == "."))),
                ["t", ".", "i", ".", "d", last] => Some((minutes(480.0), 5 + usize::from(*last == "."))),
                ["p", ".", "r", ".", "n", last] => Some((vec!["as needed".to_owned()], 5 + usize::from(*last == "."))),
                _ => None,
            };
        }
    };
    Some((minutes(known), 1))
}

/// "twice daily", "3 times a week", "once every 12 hours", "2 x per day", "once or twice a day", "2 to 3 times daily".
fn counted(tokens: &[Token<'_>]) -> Read {
    let (mut counts, mut used) = (Vec::new(), 0);
    loop {
        let (count, more, bare) = count(tokens.get(used..)?)?;
        counts.push(count);
        used += more;
        let range = counts.len() == 1 && matches!(lower(tokens, used).as_str(), "to" | "-" | "\u{2013}" | "or");
        match range.then(|| tokens.get(used + 1..).and_then(self::count)).flatten() {
            Some(_) => used += 1,
            None if bare => {
                let hyphen = usize::from(lower(tokens, used) == "-");
                if !matches!(lower(tokens, used + hyphen).as_str(), "times" | "time" | "x") {
                    return None;
                }
                used += hyphen + 1;
                break;
            }
            None => break,
        }
    }
    if counts.iter().any(|count| *count <= 0.0) {
        return None;
    }
    let link = usize::from(matches!(lower(tokens, used).as_str(), "a" | "per" | "each" | "every" | "/" | "in" | "-"));
    let at = used + link;
    if link == 1 && lower(tokens, used) == "every" && number::number(tokens.get(at..)?).is_some() {
        return every(tokens.get(used..)?).map(|(values, more)| (values, used + more)); // "once every 12 hours"
    }
    let per = period(&lower(tokens, at)).or_else(|| part_of_day(&lower(tokens, at)))?;
    Some((counts.into_iter().flat_map(|count| minutes(per / count)).collect(), at + 1))
}

/// How many times, the tokens that say it, and whether "times" must follow.
fn count(tokens: &[Token<'_>]) -> Option<(f64, usize, bool)> {
    match lower(tokens, 0).as_str() {
        "once" => Some((1.0, 1, false)),
        "twice" => Some((2.0, 1, false)),
        "thrice" => Some((3.0, 1, false)),
        _ => {
            let number = number::number(tokens)?;
            Some((number.value.parse::<f64>().ok()?, number.used, true))
        }
    }
}

fn part_of_day(word: &str) -> Option<f64> {
    matches!(word, "morning" | "evening" | "night" | "nightly" | "bedtime" | "afternoon").then_some(1440.0)
}

/// "every 8 hours", "every 4 to 6 hours", "every other day", "every day", "each morning".
fn every(tokens: &[Token<'_>]) -> Read {
    let first = lower(tokens, 0);
    if !matches!(first.as_str(), "every" | "each") {
        return None;
    }
    if lower(tokens, 1) == "other" {
        return Some((minutes(2.0 * period(&lower(tokens, 2))?), 3));
    }
    if let Some(per) = period(&lower(tokens, 1)).or_else(|| part_of_day(&lower(tokens, 1))) {
        return Some((minutes(per), 2));
    }
    let low = number::number(tokens.get(1..)?)?;
    let mut at = 1 + low.used;
    let mut counts = vec![low.value.parse::<f64>().ok()?];
    if matches!(lower(tokens, at).as_str(), "to" | "-" | "\u{2013}" | "or")
        && let Some(high) = number::number(tokens.get(at + 1..)?)
    {
        counts.push(high.value.parse::<f64>().ok()?);
        at += 1 + high.used;
    }
    at += usize::from(lower(tokens, at) == "-");
    let per = period(&lower(tokens, at))?;
    Some((counts.into_iter().flat_map(|count| minutes(count * per)).collect(), at + 1))
}

/// "per day", "/day", "each dose", and "a day" after an amount: "4 tablets a day".
fn per(tokens: &[Token<'_>], before: &[Token<'_>]) -> Read {
    let first = lower(tokens, 0);
    let after_amount = before.iter().rev().take(3).any(|token| token.number().is_some());
    if !(matches!(first.as_str(), "per" | "/" | "each") || first == "a" && after_amount) {
        return None;
    }
    match lower(tokens, 1).as_str() {
        "dose" => Some((vec!["dose".to_owned()], 2)),
        word @ ("day" | "week" | "month" | "year") => Some((minutes(period(word)?), 2)),
        "24" if matches!(lower(tokens, 2).as_str(), "hours" | "h" | "hr") => Some((minutes(1440.0), 3)),
        _ => None,
    }
}

fn adverb(tokens: &[Token<'_>]) -> Read {
    let value = match lower(tokens, 0).as_str() {
        "daily" | "nightly" => 1440.0,
        "weekly" => 10_080.0,
        "monthly" => 43_200.0,
        "hourly" => 60.0,
        "yearly" | "annually" => 525_600.0,
        "fortnightly" => 20_160.0,
        _ => return None,
    };
    Some((minutes(value), 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Vec<String> {
        frequencies(text).into_iter().map(|fact| fact.value).collect()
    }

    #[test]
    fn the_same_frequency_has_one_form() {
        for (value, texts) in [
            (
                "720 min",
                &["twice daily", "bid", "b.i.d.", "q12h", "every 12 hours", "2 times a day", "2 x per day"][..],
            ),
            ("480 min", &["three times a day", "tid", "every eight hours", "q 8 h", "3 times daily"]),
            ("1440 min", &["daily", "once a day", "every day", "q24h", "qd", "every 24 hours", "each morning"]),
            ("10080 min", &["weekly", "once a week", "every week", "every 7 days", "once weekly"]),
            ("2880 min", &["every other day", "qod", "every 2 days"]),
            ("as needed", &["as needed", "prn", "p.r.n."]),
        ] {
            for text in texts {
                assert_eq!(values(text), [value], "{text}");
            }
        }
        assert_eq!(values("every 4 to 6 hours"), ["240 min", "360 min"]);
        assert_eq!(values("once or twice daily"), ["1440 min", "720 min"]);
        assert_eq!(values("2 to 3 times a day"), ["720 min", "480 min"]);
        assert_eq!(values("two tablets or 3 capsules"), Vec::<String>::new());
        assert_eq!(values("15 mg per dose, 40 mg per day"), ["dose", "1440 min"]);
        assert_eq!(values("4 tablets a day"), ["1440 min"]);
        assert_eq!(values("It takes a day once signed in."), Vec::<String>::new());
    }
}
