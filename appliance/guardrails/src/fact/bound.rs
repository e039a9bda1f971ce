//! Whether a number is a least, a most, or neither: "at least", "up to", "or older", "do not take more than"; and whether
//! the number itself is let in.

use super::token::Token;

/// Which side a number bounds. "65 or older" and "older than 65" are two: a patient of 65 is let in by one alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Bound {
    /// At least so much.
    Least,
    /// At most so much.
    Most,
    /// More than so much.
    Over,
    /// Less than so much.
    Under,
}

impl Bound {
    /// What is left when it is denied: not more than 4 is at most 4.
    const fn turned(self) -> Self {
        match self {
            Self::Least => Self::Under,
            Self::Most => Self::Over,
            Self::Over => Self::Most,
            Self::Under => Self::Least,
        }
    }
}

/// The bound of the number in `tokens[from..to]`, from the words before and after it. `of_people` says that the number
/// is an age or a weight, where a negation forbids the group and turns no bound.
pub(super) fn read(tokens: &[Token<'_>], from: usize, to: usize, of_people: bool) -> Option<Bound> {
    after(tokens.get(to..).unwrap_or_default()).or_else(|| before(tokens.get(..from).unwrap_or_default(), of_people))
}

fn after(tokens: &[Token<'_>]) -> Option<Bound> {
    let text = |index: usize| tokens.get(index).map(Token::lower).unwrap_or_default();
    let mut at = 0;
    at += match (text(at).as_str(), text(at + 1).as_str()) {
        ("of", "age") => 2,
        ("old" | "older", "and" | "or") if text(at) == "old" => 1,
        ("years" | "year" | "kg", "and" | "or") => 1,
        _ => 0,
    };
    match (text(at).as_str(), text(at + 1).as_str()) {
        ("+", _) => Some(Bound::Least),
        ("and" | "or", "older" | "more" | "above" | "over" | "greater" | "up" | "higher" | "longer" | "heavier") => {
            Some(Bound::Least)
        }
        ("and" | "or", "younger" | "less" | "fewer" | "below" | "under" | "lower" | "shorter" | "lighter") => {
            Some(Bound::Most)
        }
        ("at", "most") if ends_clause(&text(at + 2)) => Some(Bound::Most),
        ("at", "least") if ends_clause(&text(at + 2)) => Some(Bound::Least),
        ("maximum" | "max", next) if ends_clause(next) => Some(Bound::Most),
        ("minimum" | "min", next) if ends_clause(next) => Some(Bound::Least),
        _ => None,
    }
}

fn ends_clause(word: &str) -> bool {
    matches!(word, "" | "." | "," | ";" | ")" | "per" | "daily" | "a" | "in" | "each" | "for")
}

fn before(tokens: &[Token<'_>], of_people: bool) -> Option<Bound> {
    let words: Vec<String> = tokens.iter().rev().take(9).map(Token::lower).collect();
    let back = |index: usize| words.get(index).map_or("", String::as_str);
    let skip = usize::from(matches!(back(0), "of" | "about" | "is" | ":" | "the" | "a" | "age" | "ages" | "$"));
    let (last, second, third) = (back(skip), back(skip + 1), back(skip + 2));
    let plain = match (third, second, last) {
        ("no" | "not", "less" | "fewer" | "earlier" | "younger", "than") => return Some(Bound::Least),
        ("no" | "not", "more" | "longer" | "later" | "greater" | "higher" | "older", "than") => {
            return Some(Bound::Most);
        }
        (_, "at", "least") | (_, ">", "=") | (_, _, "≥" | "minimum") => return Some(Bound::Least),
        (_, "at", "most") | (_, "up", "to") | (_, "<", "=") | (_, _, "≤" | "maximum" | "max") => {
            return Some(Bound::Most);
        }
        (_, "limit" | "limited", "to" | "of") | (_, "limit", _) => return Some(Bound::Most),
        (_, "more" | "greater" | "older" | "longer" | "higher" | "later" | "heavier" | "warmer" | "hotter", "than") => {
            Some(Bound::Over)
        }
        (_, _, "over" | "above" | ">" | "exceed" | "exceeds" | "exceeding" | "exceeded" | "past") => Some(Bound::Over),
        (_, "less" | "fewer" | "younger" | "shorter" | "lower" | "lighter" | "colder" | "cooler", "than") => {
            Some(Bound::Under)
        }
        (_, _, "under" | "below" | "<") => Some(Bound::Under),
        _ => None,
    };
    if let Some(bound) = plain {
        let turned = !of_people && negated(&words);
        return Some(if turned { bound.turned() } else { bound });
    }
    named(&words)
}

/// "The maximum daily dose is": a bound named a few words before, with no other number or stop in between.
fn named(words: &[String]) -> Option<Bound> {
    let near = words.iter().take(7);
    for word in near {
        match word.as_str() {
            "maximum" | "max" | "maximal" | "ceiling" | "highest" => return Some(Bound::Most),
            "minimum" | "minimal" | "lowest" => return Some(Bound::Least),
            "." | ";" | "," | "(" | "and" | "but" | "than" => return None,
            word if word.starts_with(|c: char| c.is_ascii_digit()) => return None,
            _ => {}
        }
    }
    None
}

/// Whether a negation governs the comparison: "do not take more than". A group of people in between is what is negated
/// ("not for children under"), and then nothing turns.
fn negated(words: &[String]) -> bool {
    for (index, word) in words.iter().enumerate() {
        let before = words.get(index + 1).map_or("", String::as_str);
        match word.as_str() {
            "not" | "never" | "cannot" | "avoid" | "without" | "nor" => return true,
            "t" if matches!(before, "'" | "\u{2019}") => return true,
            "." | ";" | ":" | "if" | "when" | "unless" | "children" | "child" | "patients" | "patient" | "people"
            | "adults" | "anyone" | "infants" | "those" | "persons" | "someone" | "who" | "until" => return false,
            _ => {}
        }
    }
    false
}
