//! Numbers as they are written: digits, fractions, words.

use super::token::Token;

/// A number at the beginning of some tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Number {
    /// In its common form: no grouping, no trailing zeros.
    pub(crate) value: String,
    /// How many tokens it takes.
    pub(crate) used: usize,
    /// Whether it is written in words.
    pub(crate) in_words: bool,
}

/// Reads `1,000`, `2.50`, `1/2`, `1 1/2`, `1½`, `1.2 million`, `twenty-eight`, `one hundred and fifty`, `half a`.
pub(crate) fn number(tokens: &[Token<'_>]) -> Option<Number> {
    let (value, mut used, in_words) = digits(tokens)
        .map(|(value, used)| (value, used, false))
        .or_else(|| half(tokens).map(|used| ("0.5".to_owned(), used, true)))
        .or_else(|| spelled(tokens).map(|(value, used)| (value.to_string(), used, true)))?;
    let scale = match tokens.get(used).map(Token::lower).as_deref() {
        Some("million") => 1e6,
        Some("thousand") if !in_words => 1e3,
        Some("hundred") if !in_words => 1e2,
        _ => return Some(Number { value, used, in_words }),
    };
    used += 1;
    let scaled = value.parse::<f64>().ok()? * scale;
    Some(Number { value: scaled.to_string(), used, in_words })
}

fn digits(tokens: &[Token<'_>]) -> Option<(String, usize)> {
    let first = tokens.first()?;
    if let Some(part) = vulgar(first.text) {
        return Some((part.to_string(), 1));
    }
    let whole = first.number()?;
    if let Some(part) = fraction(tokens) {
        return Some((part.to_string(), 3));
    }
    let rest = tokens.get(1..)?;
    let more = rest.first().and_then(|token| vulgar(token.text)).map(|part| (part, 1));
    match more.or_else(|| fraction(rest).map(|part| (part, 3))) {
        Some((part, used)) if !whole.contains('.') => Some(((whole.parse::<f64>().ok()? + part).to_string(), 1 + used)),
        _ => Some((whole, 1)),
    }
}

/// `1/2` and its like, written together. `5/500` is no fraction but two strengths.
fn fraction(tokens: &[Token<'_>]) -> Option<f64> {
    let (above, stroke, below) = (tokens.first()?, tokens.get(1)?, tokens.get(2)?);
    let together = stroke.text == "/" && above.end == stroke.start && stroke.end == below.start;
    let longer = tokens.get(3).is_some_and(|token| token.text == "/" && token.start == below.end);
    match (above.digits()?, below.digits()?) {
        ("1", "2") if together && !longer => Some(0.5),
        ("1", "4") if together && !longer => Some(0.25),
        ("3", "4") if together && !longer => Some(0.75),
        _ => None,
    }
}

fn vulgar(text: &str) -> Option<f64> {
    match text {
        "½" => Some(0.5),
        "¼" => Some(0.25),
        "¾" => Some(0.75),
        _ => None,
    }
}

/// `half a`, `half of a`, `one half of a`: how many tokens it takes.
fn half(tokens: &[Token<'_>]) -> Option<usize> {
    let text = |index: usize| tokens.get(index).map(Token::lower).unwrap_or_default();
    let mut at = match (text(0).as_str(), text(1).as_str(), text(2).as_str()) {
        ("half", _, _) => 1,
        ("one", "half", _) => 2,
        ("one", "-", "half") => 3,
        _ => return None,
    };
    at += usize::from(text(at) == "of");
    at += usize::from(matches!(text(at).as_str(), "a" | "an" | "-"));
    matches!(text(at).as_str(), "tablet" | "tab" | "capsule" | "pill" | "teaspoon" | "dose" | "patch").then_some(at)
}

fn spelled(tokens: &[Token<'_>]) -> Option<(u32, usize)> {
    let text = |index: usize| tokens.get(index).map(Token::lower).unwrap_or_default();
    let below_hundred = |at: usize| -> Option<(u32, usize)> {
        if let Some(tens) = tens(&text(at)) {
            let hyphen = usize::from(matches!(text(at + 1).as_str(), "-" | "\u{2011}"));
            return Some(match ones(&text(at + 1 + hyphen)).filter(|ones| *ones < 10) {
                Some(ones) => (tens + ones, 2 + hyphen),
                None => (tens, 1),
            });
        }
        ones(&text(at)).map(|ones| (ones, 1))
    };
    let hundreds = |at: usize| -> Option<(u32, usize)> {
        let (value, used) = if text(at) == "hundred" { (1, 0) } else { below_hundred(at)? };
        if text(at + used) != "hundred" {
            return Some((value, used));
        }
        let next = used + 1 + usize::from(text(at + used + 1) == "and");
        Some(match below_hundred(at + next) {
            Some((rest, more)) => (value * 100 + rest, next + more),
            None => (value * 100, used + 1),
        })
    };
    let (value, used) = hundreds(0)?;
    if text(used) != "thousand" {
        return Some((value, used));
    }
    Some(match hundreds(used + 1) {
        Some((rest, more)) => (value * 1000 + rest, used + 1 + more),
        None => (value * 1000, used + 1),
    })
}

fn ones(word: &str) -> Option<u32> {
    Some(match word {
        "one" => 1,
        "two" => 2,
        "three" => 3,
        "four" => 4,
        "five" => 5,
        "six" => 6,
        "seven" => 7,
        "eight" => 8,
        "nine" => 9,
        "ten" => 10,
        "eleven" => 11,
        "twelve" => 12,
        "thirteen" => 13,
        "fourteen" => 14,
        "fifteen" => 15,
        "sixteen" => 16,
        "seventeen" => 17,
        "eighteen" => 18,
        "nineteen" => 19,
        _ => return None,
    })
}

fn tens(word: &str) -> Option<u32> {
    Some(match word {
        "twenty" => 20,
        "thirty" => 30,
        "forty" => 40,
        "fifty" => 50,
        "sixty" => 60,
        "seventy" => 70,
        "eighty" => 80,
        "ninety" => 90,
        _ => return None,
    })
}
