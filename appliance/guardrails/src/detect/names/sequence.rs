//! Names by the tables: given name and surname, initials, surname first.

use super::{
    super::{
        lexicon::Senses,
        token::{Shape, Tokens},
    },
    Name, extent, initial, likely, may_be, term, unknown,
};
use crate::drug::is_built_like_one;

/// The name that begins at `index`, by the words themselves.
pub(super) fn read(tokens: &Tokens<'_>, index: usize) -> Option<Name> {
    let token = tokens.at(index);
    if tokens.joined(index)
        && matches!(tokens.text(index - 1), "-" | "/" | "." | "@" | "_" | "\\" | "&")
        && !tokens.before(index, 1).apart
    {
        return None;
    }
    match token.shape {
        Shape::Letter => initials_first(tokens, index),
        Shape::Lower => small_letters(tokens, index),
        Shape::Title | Shape::Mixed | Shape::Capitals => surname_first(tokens, index)
            .or_else(|| given_first(tokens, index))
            .or_else(|| double(tokens, index))
            .or_else(|| middle_initial(tokens, index))
            .or_else(|| pair(tokens, index))
            .or_else(|| speaker(tokens, index))
            .or_else(|| surname_alone(tokens, index)),
        _ => None,
    }
}

/// `Jennifer Rodriguez`, `Walter P.`, `Jennifer`.
fn given_first(tokens: &Tokens<'_>, index: usize) -> Option<Name> {
    let token = tokens.at(index);
    let sure = token.is(Senses::GIVEN_ONLY);
    if !token.is(Senses::GIVEN) || !may_be(tokens, index) {
        return None;
    }
    let capitals = token.shape == Shape::Capitals;
    let next = index + 1;
    let last = extent(tokens, index);
    let followed = last > next && !token.possessive;
    if followed {
        let by_initial = initial(tokens, next) > next;
        let pointed = by_initial && tokens.mark(next + 1, ".");
        let second = tokens.at(next);
        let fits = if by_initial {
            sure && (pointed || !capitals) || pointed && !token.senses.has(Senses::COMMON)
        } else if capitals {
            sure && second.shape == Shape::Capitals && second.senses.has(Senses::SURNAME)
        } else {
            second_part(tokens, next, sure) && second.shape != Shape::Capitals
        };
        if fits && !term::eponymous(tokens, index, last) {
            let confidence = if sure { 0.9 } else { 0.7 };
            return Some(Name::new(index, last, confidence, "given-and-surname"));
        }
    }
    if !sure || capitals || term::eponymous(tokens, index, next) || tokens.at(next).is(Senses::INSTITUTION) {
        return None;
    }
    let place = token.senses.any(Senses::PLACE.with(Senses::COUNTY))
        && matches!(tokens.lower_before(index, 1), "in" | "at" | "near" | "from");
    let saint = tokens.lower_before(index, 1) == "." && matches!(tokens.lower_before(index, 2), "st" | "mt");
    let after_term = tokens.before(index, 1).capital()
        && token.lines == 0
        && token.apart
        && tokens.before(index, 1).senses.has(Senses::WORD);
    let term = token.senses.has(Senses::EPONYM) || after_term;
    let capital_next = tokens.at(next).capital() && tokens.at(next).lines == 0 && tokens.at(next).apart;
    if place || saint || term || capital_next && !follows_person(tokens, next) {
        return None;
    }
    Some(Name::new(index, next, if tokens.begins(index) { 0.5 } else { 0.6 }, "given-alone"))
}

/// Whether the capitalised word after a lone given name does not make it the name of something else.
fn follows_person(tokens: &Tokens<'_>, next: usize) -> bool {
    let token = tokens.at(next);
    token.shape == Shape::Capitals || token.senses.has(Senses::COMMON) && !tokens.at(next).is(Senses::INSTITUTION)
}

/// Whether the token goes with a given name before it.
fn second_part(tokens: &Tokens<'_>, index: usize, sure: bool) -> bool {
    let token = tokens.at(index);
    if super::is_particle(tokens.lower(index)) {
        return true;
    }
    let surname = token.senses.has(Senses::SURNAME);
    let given = token.senses.has(Senses::GIVEN);
    let word = token.senses.has(Senses::WORD);
    if tokens.mark(index, "-") {
        return sure || tokens.at(index + 1).shape == Shape::Lower || likely(tokens, index + 1);
    }
    if tokens.mark(index, "\"") || tokens.mark(index, "'") {
        return true;
    }
    if sure {
        surname || given || unknown(tokens, index) || !word
    } else {
        token.senses.has(Senses::SURNAME_ONLY) || surname && !word && !token.senses.has(Senses::EPONYM)
    }
}

/// `Castellano, Jennifer M.`
fn surname_first(tokens: &Tokens<'_>, index: usize) -> Option<Name> {
    let token = tokens.at(index);
    let surname = token.senses.has(Senses::SURNAME) || unknown(tokens, index);
    let given = index + 2;
    if !surname
        || !may_be(tokens, index)
        || !tokens.mark(index + 1, ",")
        || tokens.at(given).lines > 0
        || !tokens.at(given).is(Senses::GIVEN_ONLY)
        || !tokens.at(given).capital()
    {
        return None;
    }
    let listed = tokens.before(index, 1).capital() && tokens.at(index).lines == 0;
    let more = tokens.mark(given + 1, ",") && tokens.at(given + 2).is(Senses::GIVEN_ONLY);
    let first_is_given = token.is(Senses::GIVEN_ONLY) && !token.is(Senses::SURNAME_ONLY);
    let after = initial(tokens, given + 1);
    let last = if after > given + 1 { after } else { given + 1 };
    let surname_follows = tokens.at(last).lines == 0 && super::follows(tokens, last) && after == given + 1;
    (!listed && !more && !first_is_given && !surname_follows).then(|| Name::new(index, last, 0.85, "surname-first"))
}

/// `J. Castellano`, `J.R. Castellano`.
fn initials_first(tokens: &Tokens<'_>, index: usize) -> Option<Name> {
    let mut at = index;
    let mut count = 0;
    while tokens.at(at).shape == Shape::Letter && tokens.mark(at + 1, ".") && count < 3 {
        at += 2;
        count += 1;
    }
    let surname = tokens.at(at);
    let known = surname.senses.has(Senses::SURNAME)
        && (!surname.senses.has(Senses::COMMON) || surname.senses.has(Senses::SURNAME_ONLY))
        || unknown(tokens, at);
    let organism = count == 1 && surname.shape == Shape::Lower;
    if count == 0
        || organism
        || !surname.capital()
        || surname.shape == Shape::Capitals
        || surname.lines > 0
        || !known
        || !may_be(tokens, at)
    {
        return None;
    }
    let after_number = tokens.before(index, 1).shape == Shape::Digits;
    let last = extent(tokens, at);
    (!after_number && !term::eponymous(tokens, at, last)).then(|| Name::new(index, last, 0.8, "initials-first"))
}

/// `Reyes-Villalobos`.
fn double(tokens: &Tokens<'_>, index: usize) -> Option<Name> {
    let second = index + 2;
    let joined = tokens.mark(index + 1, "-") && tokens.joined(index + 1) && tokens.joined(second);
    if !joined
        || !likely(tokens, index)
        || !likely(tokens, second)
        || tokens.joined(second + 1) && tokens.mark(second + 1, "-")
    {
        return None;
    }
    let eponym = tokens.at(index).senses.has(Senses::EPONYM) || tokens.at(second).senses.has(Senses::EPONYM);
    let known = tokens.at(index).senses.any(Senses::SURNAME_ONLY) && tokens.at(second).senses.has(Senses::SURNAME)
        || tokens.at(second).senses.any(Senses::SURNAME_ONLY) && tokens.at(index).senses.has(Senses::SURNAME);
    let last = extent(tokens, index);
    (known && !eponym && !term::eponymous(tokens, index, last)).then(|| Name::new(index, last, 0.6, "double-surname"))
}

/// Two capitalised words that are surnames or unknown, inside a sentence.
fn pair(tokens: &Tokens<'_>, index: usize) -> Option<Name> {
    let second = index + 1;
    let (one, two) = (tokens.at(index), tokens.at(second));
    let term = Senses::EPONYM.with(Senses::WORD);
    let shapes =
        one.shape != Shape::Capitals && two.shape != Shape::Capitals && two.lines == 0 && two.apart && !one.possessive;
    if !shapes || one.senses.any(term) || two.senses.any(term) || !likely(tokens, index) || !likely(tokens, second) {
        return None;
    }
    let name = Senses::SURNAME.with(Senses::GIVEN);
    let known = usize::from(one.senses.any(name)) + usize::from(two.senses.any(name));
    let place = one.senses.any(Senses::PLACE) && two.senses.any(Senses::PLACE);
    let last = extent(tokens, index);
    let facility = tokens.at(last).is(Senses::INSTITUTION)
        || tokens.at(last).capital() && tokens.at(last).senses.has(Senses::COMMON);
    if known == 0 && tokens.begins(index) || place || facility || term::eponymous(tokens, index, last) {
        return None;
    }
    Some(Name::new(index, last, if known == 2 { 0.65 } else { 0.5 }, "capitalised-pair"))
}

/// `Jildau S Bouts`: a letter without a point between two words that may be a name.
fn middle_initial(tokens: &Tokens<'_>, index: usize) -> Option<Name> {
    let (letter, surname) = (tokens.at(index + 1), index + 2);
    let parts = likely(tokens, index)
        && likely(tokens, surname)
        && tokens.at(index).shape == Shape::Title
        && tokens.at(surname).shape == Shape::Title;
    let fits = parts
        && letter.shape == Shape::Letter
        && letter.lines == 0
        && tokens.at(surname).lines == 0
        && tokens.at(surname).apart;
    let last = extent(tokens, surname);
    (fits && !term::eponymous(tokens, index, last)).then(|| Name::new(index, last, 0.7, "middle-initial"))
}

/// A name by itself, of whatever kind, that does what only people do: `Oksana reports`, `Thomas denies`.
fn speaker(tokens: &Tokens<'_>, index: usize) -> Option<Name> {
    let token = tokens.at(index);
    let acts = matches!(
        tokens.lower(index + 1),
        "reports"
            | "reported"
            | "denies"
            | "denied"
            | "says"
            | "said"
            | "complains"
            | "complained"
            | "asks"
            | "asked"
            | "agreed"
            | "agrees"
            | "wants"
            | "prefers"
            | "stated"
            | "states"
            | "endorses"
            | "endorsed"
            | "shouted"
            | "told"
            | "tells"
            | "feels"
            | "lives"
            | "thinks"
            | "wonders"
            | "wondered"
            | "tolerated"
            | "verbalized"
            | "admits"
    );
    let name = token.senses.any(Senses::GIVEN.with(Senses::SURNAME)) || unknown(tokens, index);
    let place = super::super::places::is_state(tokens, index);
    (acts
        && name
        && token.shape == Shape::Title
        && !place
        && may_be(tokens, index)
        && !token.senses.has(Senses::COMMON))
    .then(|| Name::new(index, index + 1, 0.6, "speaker"))
}

/// A surname by itself where people stand: `with Castellano`, `Castellano reports`.
fn surname_alone(tokens: &Tokens<'_>, index: usize) -> Option<Name> {
    let token = tokens.at(index);
    let other = Senses::EPONYM.with(Senses::PLACE).with(Senses::COUNTY).with(Senses::WORD);
    let next = index + 1;
    if !token.is(Senses::SURNAME_ONLY)
        || token.shape == Shape::Capitals
        || token.senses.any(other)
        || super::super::places::is_state(tokens, index)
        || !may_be(tokens, index)
        || term::eponymous(tokens, index, next)
    {
        return None;
    }
    if tokens.at(next).capital() && tokens.at(next).lines == 0 && tokens.at(next).apart {
        return None;
    }
    let speaks = matches!(
        tokens.lower(next),
        "reports"
            | "reported"
            | "denies"
            | "denied"
            | "states"
            | "stated"
            | "says"
            | "said"
            | "complains"
            | "presented"
            | "presents"
            | "was"
            | "is"
            | "has"
            | "had"
            | "called"
            | "asked"
            | "asks"
            | "feels"
            | "felt"
            | "lives"
            | "works"
            | "agreed"
            | "agrees"
            | "will"
            | "would"
            | "underwent"
            | "came"
            | "returned"
            | "returns"
            | "took"
            | "takes"
            | "wants"
            | "prefers"
    );
    let leads = matches!(
        tokens.lower_before(index, 1),
        "with" | "by" | "for" | "from" | "to" | "and" | "per" | "told" | "saw" | "asked" | "called" | "contacted"
    );
    (speaks || leads && !tokens.begins(index)).then(|| Name::new(index, next, 0.5, "surname-alone"))
}

/// `jennifer rodriguez`, where neither word means anything else.
fn small_letters(tokens: &Tokens<'_>, index: usize) -> Option<Name> {
    let (one, two) = (tokens.at(index), tokens.at(index + 1));
    let plain = |senses: Senses| !senses.any(Senses::WORD.with(Senses::EPONYM));
    let fits = one.is(Senses::GIVEN_ONLY)
        && two.is(Senses::SURNAME)
        && two.shape == Shape::Lower
        && two.lines == 0
        && two.apart
        && plain(one.senses)
        && plain(two.senses);
    (fits && !is_built_like_one(tokens.lower(index)) && !term::eponymous(tokens, index, index + 2))
        .then(|| Name::new(index, index + 2, 0.6, "small-letters"))
}
