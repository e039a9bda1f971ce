//! Names that words before them introduce: titles, roles, kin, `named`, greetings.

use super::{
    super::{
        kind::Kind,
        lexicon::Senses,
        token::{Shape, Tokens},
    },
    Name, extent, likely, may_be, term,
};
use crate::drug::is_built_like_one;

/// A title and the name after it: `Dr. Hall`, `Drs. Hall and Okonkwo` one by one. `Dr. Hall's office` is a place.
pub(super) fn titled(tokens: &Tokens<'_>, index: usize) -> Option<Name> {
    let lower = tokens.lower(index);
    if !tokens.at(index).is(Senses::TITLE) {
        return None;
    }
    let spelled_out = matches!(lower, "doctor" | "professor" | "miss");
    let first = index + 1 + usize::from(!spelled_out && tokens.mark(index + 1, "."));
    let token = tokens.at(first);
    if tokens.text(index) == "MS" && first == index + 1 && token.shape != Shape::Capitals {
        return None; // the illness
    }
    if token.lines > 0 && !spelled_out && tokens.at(index).lines > 0 || token.lines > 1 {
        return None;
    }
    let initials = super::initial(tokens, first) > first;
    let capital = token.capital() && !tokens.at(first).is(Senses::NEVER);
    let small = token.shape == Shape::Lower
        && tokens.mark(index + 1, ".")
        && token.senses.any(Senses::SURNAME.with(Senses::GIVEN))
        && !token.senses.has(Senses::COMMON);
    if !(capital || initials || small)
        || (spelled_out || lower == "ms") && !initials && !small && !may_be(tokens, first)
    {
        return None;
    }
    let last = extent(tokens, first);
    let office = tokens.before(last, 1).possessive
        && matches!(tokens.lower(last), "office" | "clinic" | "practice" | "surgery" | "pharmacy" | "group");
    if office {
        return Some(Name { kind: Kind::Facility, ..Name::new(index, last + 1, 0.85, "office") });
    }
    Some(Name::new(index, last, 0.95, "title"))
}

/// What leads to a name, and how much the next word must itself look like one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lead {
    /// `my name is`, `named`: any word, also in small letters.
    Any,
    /// `patient`, `husband`: a capitalised word that may be a name.
    Person,
    /// `dear`, `hi`: a capitalised word that the tables know as a name, or do not know at all.
    Likely,
}

/// A name after words that introduce it.
pub(super) fn named(tokens: &Tokens<'_>, index: usize) -> Option<Name> {
    let (length, lead, confidence) = lead(tokens, index)?;
    let mut first = index + length;
    while matches!(tokens.text(first), "\"" | "'" | ":" | "-") && tokens.at(first).lines == 0 {
        first += 1;
    }
    if tokens.at(first).is(Senses::TITLE) {
        return None; // the title finds it
    }
    let token = tokens.at(first);
    if token.lines > 1
        || tokens.at(first).is(Senses::NEVER)
        || tokens.joined(first + 1) && tokens.at(first + 1).shape == Shape::Digits
    {
        return None;
    }
    let capital = super::initial(tokens, first) > first && tokens.at(super::initial(tokens, first)).capital()
        || may_be(tokens, first);
    let fits = match lead {
        Lead::Any => {
            (capital && !tokens.at(first + 1).is(Senses::HEAD))
                || tokens.lower(index) != "named" && small_name(tokens, first)
        }
        Lead::Person => {
            capital
                && tokens.at(first + 1).shape != Shape::Digits
                && !tokens.at(first).senses.has(Senses::EPONYM)
                && (likely(tokens, first) || person(tokens, first))
        }
        Lead::Likely => capital && likely(tokens, first) && !tokens.at(first).senses.has(Senses::EPONYM),
    };
    if !fits
        || token.shape == Shape::Capitals
            && (token.end - token.start <= 3 && lead != Lead::Any
                || token.end - token.start <= 5 && matches!(tokens.lower(index), "aka" | "called"))
    {
        return None;
    }
    let last = if token.shape == Shape::Lower { small_extent(tokens, first) } else { extent(tokens, first) };
    (!term::eponymous(tokens, first, last) && !tokens.at(last).is(Senses::INSTITUTION))
        .then(|| Name::new(first, last, confidence, "introduced"))
}

/// Whether a word that is also common is a name here: an initial or another likely part follows.
fn person(tokens: &Tokens<'_>, first: usize) -> bool {
    let next = first + 1;
    super::initial(tokens, next) > next || tokens.at(next).lines == 0 && likely(tokens, next)
}

fn small_name(tokens: &Tokens<'_>, index: usize) -> bool {
    let token = tokens.at(index);
    let name = token.senses.any(Senses::GIVEN_ONLY.with(Senses::SURNAME_ONLY)) || token.senses.unknown();
    token.shape == Shape::Lower
        && token.lines == 0
        && name
        && token.end - token.start >= 3
        && !is_built_like_one(tokens.lower(index))
}

/// A name in small letters, as far as its parts are no words.
fn small_extent(tokens: &Tokens<'_>, first: usize) -> usize {
    let mut last = first + 1;
    while last < first + 4
        && tokens.at(last).lines == 0
        && tokens.at(last).apart
        && !tokens.at(last).senses.has(Senses::WORD)
        && small_name(tokens, last)
    {
        last += 1;
    }
    last
}

fn lead(tokens: &Tokens<'_>, index: usize) -> Option<(usize, Lead, f32)> {
    let word = |step: usize| tokens.lower(index + step);
    let token = tokens.at(index);
    let (kin, profession) = (token.is(Senses::KIN), token.is(Senses::PROFESSION));
    let speaker = token.word() && matches!(word(0), "i" | "i'm");
    if !(kin || profession || speaker || token.is(Senses::LEAD)) {
        return None;
    }
    Some(match (word(0), word(1)) {
        ("name" | "names", "is" | "are" | "was" | ":" | "of") => (2, Lead::Any, 0.9),
        ("named" | "nicknamed" | "aka" | "née" | "alias" | "surnamed", _) => (1, Lead::Any, 0.9),
        ("called", "\"" | "'") if tokens.lower_before(index, 1) == "be" => (1, Lead::Any, 0.75),
        ("called", _)
            if matches!(tokens.text(index + 1), "\"" | "'")
                || matches!(
                    tokens.lower_before(index, 1),
                    "be" | "is" | "was" | "man" | "woman" | "patient" | "boy" | "girl"
                ) =>
        {
            (1, Lead::Likely, 0.75)
        }
        ("known", "as") => (2, Lead::Likely, 0.7),
        ("i", "am") | ("this", "is") | ("i'm", _) => (if word(0) == "i'm" { 1 } else { 2 }, Lead::Likely, 0.7),
        (
            "patient" | "pt" | "patients" | "client" | "member" | "caller" | "resident" | "beneficiary" | "subscriber",
            "," | ":" | "is",
        ) => (2, Lead::Person, 0.75),
        (_, ",") if profession => (2, Lead::Likely, 0.7),
        ("patient" | "pt" | "client" | "caller", _) => (1, Lead::Person, 0.7),
        (_, _) if profession => (1, Lead::Person, 0.7),
        (_, "," | "is" | ":") if kin => (2, Lead::Likely, 0.75),
        (_, _) if kin => (1, Lead::Person, 0.75),
        ("dear" | "hi" | "hello" | "hey" | "attn" | "attention" | "cc" | "bcc", _) => {
            (1 + usize::from(matches!(word(1), "," | "." | ":")), Lead::Likely, 0.75)
        }
        ("regards" | "sincerely" | "cheers" | "signed" | "thanks" | "best" | "respectfully" | "yours", "," | ":") => {
            (2, Lead::Likely, 0.75)
        }
        (
            "seen" | "evaluated" | "examined" | "referred" | "treated" | "prescribed" | "dictated" | "signed"
            | "reviewed" | "ordered" | "performed" | "written" | "approved" | "accompanied" | "administered"
            | "interviewed" | "admitted" | "discharged",
            "by",
        ) => (2, Lead::Likely, 0.8),
        ("on", "behalf") if word(2) == "of" => (3, Lead::Likely, 0.75),
        ("spoke" | "speak" | "talked" | "speaking" | "met" | "consulted", "with" | "to") => (2, Lead::Likely, 0.75),
        _ => return None,
    })
}
