//! Names of people: by what stands before them, by the tables, by how they are written.
//!
//! # Why
//! - **Context first, tables second.** `Dr.`, `named`, `patient` and the like make a name of any capitalised word, so that
//!   a name in no table is found. The tables find the names that nothing introduces.
//! - **Eponyms are guarded, not listed away.** `Wells score` is a term, `Mr. Wells` a person: what decides is the word
//!   after and the title before.

use super::{
    finding::Finding,
    kind::Kind,
    lexicon::Senses,
    token::{Shape, Tokens},
};
use crate::drug::is_built_like_one;

mod introduced;
mod sequence;
mod signature;
pub(super) mod term;

/// Finds them all.
pub(super) fn scan(tokens: &Tokens<'_>, found: &mut Vec<Finding>) {
    let mut index = 0;
    while index < tokens.len() {
        let read = introduced::titled(tokens, index)
            .or_else(|| introduced::named(tokens, index))
            .or_else(|| sequence::read(tokens, index))
            .or_else(|| signature::read(tokens, index));
        match read {
            Some(name) if name.last > name.first => {
                let (start, end) = (tokens.at(name.first).start, tokens.at(name.last - 1).end);
                found.push(Finding::new(name.kind, start, end, name.confidence, name.rule));
                index = name.last;
            }
            _ => index += 1,
        }
    }
}

/// A name by its tokens.
struct Name {
    first: usize,
    last: usize,
    kind: Kind,
    confidence: f32,
    rule: &'static str,
}

impl Name {
    const fn new(first: usize, last: usize, confidence: f32, rule: &'static str) -> Self {
        Self { first, last, kind: Kind::Name, confidence, rule }
    }
}

/// Whether a word in small letters belongs inside a name: `van`, `de la`, `bin`.
fn is_particle(word: &str) -> bool {
    matches!(
        word,
        "de" | "la"
            | "del"
            | "della"
            | "di"
            | "da"
            | "dos"
            | "das"
            | "du"
            | "van"
            | "von"
            | "der"
            | "den"
            | "ter"
            | "ten"
            | "el"
            | "al"
            | "bin"
            | "ibn"
            | "bint"
            | "ben"
            | "le"
            | "y"
            | "af"
            | "zu"
            | "st"
    )
}

/// Whether the token at `index` may be a part of a name, whatever the tables say: a capital, no word of the calendar, no
/// word that only joins or asks, no heading.
fn may_be(tokens: &Tokens<'_>, index: usize) -> bool {
    let token = tokens.at(index);
    if !token.capital() || token.end - token.start > 24 {
        return false;
    }
    let name = token.senses.any(Senses::GIVEN.with(Senses::SURNAME));
    let digits = tokens.joined(index + 1) && tokens.at(index + 1).shape == Shape::Digits;
    !digits && !token.senses.any(Senses::NEVER.with(Senses::COUNTRY)) && (name || !token.senses.has(Senses::COMMON))
}

/// Whether the token is known as a name, or unknown altogether.
fn likely(tokens: &Tokens<'_>, index: usize) -> bool {
    let token = tokens.at(index);
    may_be(tokens, index)
        && (token.senses.any(Senses::GIVEN_ONLY.with(Senses::SURNAME_ONLY))
            || (token.senses.any(Senses::GIVEN.with(Senses::SURNAME)) && !token.senses.has(Senses::COMMON))
            || unknown(tokens, index))
}

/// Whether no table knows the word.
fn unknown(tokens: &Tokens<'_>, index: usize) -> bool {
    let token = tokens.at(index);
    let known = Senses::GIVEN
        .with(Senses::SURNAME)
        .with(Senses::WORD)
        .with(Senses::EPONYM)
        .with(Senses::PLACE)
        .with(Senses::COUNTY);
    token.capital()
        && token.shape != Shape::Capitals
        && !token.senses.any(known)
        && token.end - token.start >= 3
        && !is_built_like_one(tokens.lower(index))
        && !tokens.at(index).is(Senses::NEVER)
}

/// The token after an initial at `at`, with its point: `J.`, `J`. `at` itself if none stands there.
fn initial(tokens: &Tokens<'_>, at: usize) -> usize {
    let token = tokens.at(at);
    if token.shape != Shape::Letter || token.lines > 0 || token.possessive {
        return at;
    }
    if tokens.mark(at + 1, ".") && tokens.joined(at + 1) {
        return at + 2;
    }
    // Without a point, `I` is the speaker and a letter before a hyphen or digit is a term.
    let joined =
        tokens.joined(at + 1) && !matches!(tokens.text(at + 1), "," | ";" | ")" | "?" | "!" | ":" | "'" | "\"");
    if tokens.text(at) == "I" || joined { at } else { at + 1 }
}

/// The token after a pointed initial at `at`, or `at`.
pub(super) fn after_initial(tokens: &Tokens<'_>, at: usize) -> usize {
    if tokens.mark(at + 1, ".") { initial(tokens, at) } else { at }
}

/// The token after a name that begins at `first`, taken as far as its parts go: at most five, across one line end.
/// `first` itself is taken as given.
fn extent(tokens: &Tokens<'_>, first: usize) -> usize {
    let mut last = match initial(tokens, first) {
        after if after > first => after,
        _ => first + 1,
    };
    for _ in 0..4 {
        if tokens.before(last, 1).possessive {
            break;
        }
        let next = tokens.at(last);
        if next.lines > 1 || (next.lines == 1 && (tokens.mark(last + 1, ":") || tokens.mark(last + 2, ":"))) {
            break;
        }
        let after_initial = initial(tokens, last);
        if after_initial > last {
            last = after_initial;
        } else if tokens.mark(last, "-") && tokens.joined(last) && tokens.joined(last + 1) && hyphened(tokens, last + 1)
        {
            last += 2;
        } else if is_particle(tokens.lower(last)) && next.shape == Shape::Lower && particle_end(tokens, last).is_some()
        {
            last = particle_end(tokens, last).unwrap_or(last);
        } else if follows(tokens, last) {
            last += 1;
        } else if quoted(tokens, last) {
            last += 3;
        } else {
            break;
        }
    }
    last + usize::from(is_suffix(tokens, last)) + usize::from(tokens.mark(last, ",") && is_suffix(tokens, last + 1)) * 2
}

/// Whether the token goes on with a name after a hyphen: `Hall-Okoye`, `Hyun-woo`.
fn hyphened(tokens: &Tokens<'_>, index: usize) -> bool {
    let token = tokens.at(index);
    token.capital() || token.shape == Shape::Lower && !token.senses.any(Senses::WORD.with(Senses::NEVER))
}

/// Whether the token at `index` goes on with a name.
fn follows(tokens: &Tokens<'_>, index: usize) -> bool {
    let token = tokens.at(index);
    let pure_word = token.senses.has(Senses::WORD) && !token.senses.any(Senses::SURNAME.with(Senses::GIVEN));
    token.lines == 0
        && token.apart
        && may_be(tokens, index)
        && !pure_word
        && !tokens.at(index).is(Senses::INSTITUTION)
        && !tokens.at(index).is(Senses::HEAD)
}

/// `Robert "Bobby" Hall`.
fn quoted(tokens: &Tokens<'_>, index: usize) -> bool {
    matches!(tokens.text(index), "\"" | "'" | "(")
        && tokens.at(index + 1).capital()
        && matches!(tokens.text(index + 2), "\"" | "'" | ")")
        && follows(tokens, index + 3)
        && tokens.at(index + 1).senses.any(Senses::GIVEN)
}

/// The token after particles and the part that they lead to.
fn particle_end(tokens: &Tokens<'_>, index: usize) -> Option<usize> {
    let second =
        index + 1 + usize::from(is_particle(tokens.lower(index + 1)) && tokens.at(index + 1).shape == Shape::Lower);
    (may_be(tokens, second) && tokens.at(second).lines == 0).then_some(second + 1)
}

fn is_suffix(tokens: &Tokens<'_>, index: usize) -> bool {
    tokens.at(index).lines == 0 && matches!(tokens.text(index), "Jr" | "Sr" | "II" | "III" | "IV" | "Esq")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<&str> {
        let tokens = Tokens::of(text);
        let mut found = Vec::new();
        scan(&tokens, &mut found);
        found.iter().map(|f| &text[f.start..f.end]).collect()
    }

    #[test]
    fn names_are_found_by_what_introduces_them_and_by_the_tables() {
        assert_eq!(read("seen by Dr. Okonkwo-Bassey today"), ["Dr. Okonkwo-Bassey"]);
        assert_eq!(read("a man named Qarvo Tzill with gout"), ["Qarvo Tzill"]);
        assert_eq!(read("gout in a man, Walter P., on allopurinol"), ["Walter P."]);
        assert_eq!(read("notes for Jennifer Rodriguez and J.R. Castellano"), ["Jennifer Rodriguez", "J.R. Castellano"]);
        assert_eq!(read("chart of Castellano, Jennifer M."), ["Castellano, Jennifer M."]);
        assert_eq!(read("my name is qarvo tzill, hello"), ["qarvo tzill"]);
        assert_eq!(read("Ms. Ana de la Cruz came"), ["Ms. Ana de la Cruz"]);
        assert_eq!(read("Will call back.\n- JM"), ["JM"]);
        assert_eq!(read("Her husband Tobias drives."), ["Tobias"]);
    }

    #[test]
    fn eponyms_drugs_and_headings_are_no_names() {
        for text in [
            "a Wells score of 3 and Crohn's disease",
            "Gleason 7, Cushing's syndrome, Foley catheter",
            "the Chaddock reflex and Babinski sign",
            "Humira vs. Enbrel in Parkinson's",
            "Assessment and Plan",
            "Ehlers-Danlos syndrome, Guillain-Barre",
            "What is the best dose of Xarelto?",
            "Patients in May may take Tylenol",
            "Lewy body dementia",
            "Hispanic or African American women",
            "high Framingham risk score",
            "Type 1 Diabetes and Vitamin D deficiency",
            "Hashimoto thyroiditis",
            "Modified Duke Score",
        ] {
            assert!(read(text).is_empty(), "{text}: {:?}", read(text));
        }
    }
}
