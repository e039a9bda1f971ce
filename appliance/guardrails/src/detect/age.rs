//! Ages over 89. Lower ages may stay.

use super::{
    finding::Finding,
    kind::Kind,
    token::{Shape, Tokens},
};

/// Finds them all.
pub(super) fn scan(tokens: &Tokens<'_>, found: &mut Vec<Finding>) {
    for index in 0..tokens.len() {
        let Some((last, number)) = over_89(tokens, index) else { continue };
        let end = unit(tokens, last).or_else(|| cued(tokens, index).then_some(last));
        if let Some(end) = end.filter(|end| *end > index) {
            let (start, end) = (tokens.at(index).start, tokens.at(end - 1).end);
            found.push(Finding::new(Kind::Age, start, end, if number { 0.95 } else { 0.9 }, "age"));
        }
    }
}

/// The token after a number from 90 to 129 in digits (`true`) or words.
fn over_89(tokens: &Tokens<'_>, index: usize) -> Option<(usize, bool)> {
    let token = tokens.at(index);
    if token.shape == Shape::Digits {
        let inside = tokens.joined(index) && matches!(tokens.lower_before(index, 1), "." | "/" | "-");
        let decimal = tokens.joined(index + 1)
            && matches!(tokens.lower(index + 1), "." | "/")
            && tokens.joined(index + 2)
            && tokens.at(index + 2).shape == Shape::Digits;
        let old = tokens.text(index).parse().is_ok_and(|age: u32| (90..130).contains(&age));
        return (old && !inside && !decimal).then_some((index + 1, true));
    }
    if tokens.lower(index) == "ninety" {
        let one = index + 1 + usize::from(tokens.mark(index + 1, "-"));
        let ones =
            ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"].contains(&tokens.lower(one));
        return Some((if ones { one + 1 } else { index + 1 }, false));
    }
    let hundred = tokens.lower(index) == "hundred" && matches!(tokens.lower_before(index, 1), "one" | "a");
    hundred.then_some((index + 1, false))
}

/// The token after words that make the number before them an age: `-year-old`, `yo`, `y/o`, `F`.
fn unit(tokens: &Tokens<'_>, at: usize) -> Option<usize> {
    let dash = |at: usize| at + usize::from(tokens.mark(at, "-"));
    let mut next = dash(at);
    match tokens.lower(next) {
        "year" | "years" | "yr" | "yrs" => {
            next = dash(next + 1);
            next += usize::from(tokens.mark(next, "."));
            (tokens.lower(next) == "old" || tokens.lower(next) == "of" && tokens.lower(next + 1) == "age")
                .then_some(if tokens.lower(next) == "old" { next + 1 } else { next + 2 })
        }
        "yo" | "yof" | "yom" | "yrold" => Some(next + 1),
        "y" => {
            let slash = next + 1 + usize::from(matches!(tokens.lower(next + 1), "/" | "."));
            match tokens.lower(slash) {
                "o" => Some(slash + 1),
                _ => None,
            }
        }
        "f" | "m" if tokens.joined(at) && tokens.at(at).shape == Shape::Letter && !warm(tokens, at) => Some(next + 1),
        _ => None,
    }
}

/// Whether `101F` is a temperature.
fn warm(tokens: &Tokens<'_>, at: usize) -> bool {
    let word = |word: &str| {
        matches!(word, "temp" | "temperature" | "fever" | "febrile" | "tmax" | "t" | "degrees" | "heat" | "afebrile")
    };
    (2..=6).any(|back| word(tokens.lower_before(at, back))) || (1..=2).any(|ahead| word(tokens.lower(at + ahead)))
}

/// Whether the words before say that the number is an age.
fn cued(tokens: &Tokens<'_>, index: usize) -> bool {
    let unlike = matches!(
        tokens.lower(index + 1),
        "%" | "mg" | "bpm" | "mmhg" | "kg" | "lbs" | "/" | "days" | "hours" | "minutes" | "weeks" | "months"
    );
    let word = |back: usize| tokens.lower_before(index, back);
    let by = match word(1) {
        ":" | "is" | "of" | "=" => matches!(word(2), "age" | "aged"),
        "age" | "aged" => true,
        "turned" | "turning" | "turns" => true,
        _ => false,
    };
    by && !unlike
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<&str> {
        crate::detect::testing::found(text, scan).into_iter().map(|(_, words)| words).collect()
    }

    #[test]
    fn ages_over_89_are_found_in_every_form() {
        for age in [
            "94-year-old",
            "94 year old",
            "94 yo",
            "94yo",
            "94 y/o",
            "102 years old",
            "90 years of age",
            "ninety-four-year-old",
            "94 y.o",
        ] {
            assert_eq!(read(&format!("a {age} woman")), [age], "{age}");
        }
        assert_eq!(read("Age: 93"), ["93"]);
        assert_eq!(read("she turned 91"), ["91"]);
        assert_eq!(read("95F with cough"), ["95F"]);
    }

    #[test]
    fn lower_ages_and_other_numbers_may_stay() {
        for text in [
            "a 34-year-old man",
            "89 years old",
            "95% of patients",
            "HR 95",
            "aged 34",
            "95 mg",
            "90 days",
            "99.1 F",
            "a temp of 101F",
            "101F fever",
            "older than 65",
        ] {
            assert!(read(text).is_empty(), "{text}: {:?}", read(text));
        }
    }
}
