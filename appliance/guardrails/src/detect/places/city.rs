//! Cities and counties.

use super::{
    super::{
        finding::Finding,
        kind::Kind,
        lexicon::{self, Senses},
        names::term,
        token::{Shape, Tokens},
    },
    state_end,
};

/// Finds them all.
pub(super) fn scan(tokens: &Tokens<'_>, found: &mut Vec<Finding>) {
    let mut index = 0;
    while index < tokens.len() {
        match read(tokens, index) {
            Some((last, confidence)) => {
                found.push(Finding::new(
                    Kind::Location,
                    tokens.at(index).start,
                    tokens.at(last - 1).end,
                    confidence,
                    "place",
                ));
                index = last;
            }
            None => index += 1,
        }
    }
}

fn read(tokens: &Tokens<'_>, index: usize) -> Option<(usize, f32)> {
    let token = tokens.at(index);
    if !token.capital() && token.shape != Shape::Lower
        || tokens.joined(index) && tokens.lower_before(index, 1) != "(" && tokens.lower_before(index, 1) != "\""
    {
        return None;
    }
    if let Some(last) = county(tokens, index) {
        return Some((last, 0.85));
    }
    let lives = matches!(tokens.lower_before(index, 1), "in" | "to" | "from" | "near")
        && matches!(
            tokens.lower_before(index, 2),
            "residing"
                | "resides"
                | "reside"
                | "lives"
                | "live"
                | "lived"
                | "living"
                | "moved"
                | "relocated"
                | "born"
                | "raised"
                | "grew"
                | "home"
                | "native"
                | "hails"
        );
    let in_place = lives
        || matches!(
            tokens.lower_before(index, 1),
            "in" | "at"
                | "from"
                | "near"
                | "to"
                | "around"
                | "outside"
                | "of"
                | "for"
                | "visiting"
                | "downtown"
                | "via"
                | "toward"
                | "leaving"
                | "through"
                | "between"
        );
    if token.shape == Shape::Lower {
        let last = several(tokens, index).filter(|last| *last > index + 1)?;
        return (in_place && !tokens.at(index + 1).senses.has(Senses::COMMON)).then_some((last, 0.5));
    }
    if token.shape == Shape::Capitals {
        let short = matches!(tokens.text(index), "NYC" | "LA" | "DC" | "SF")
            && matches!(tokens.lower_before(index, 1), "in" | "to" | "from" | ",");
        let city = token.end - token.start >= 5 && token.is(Senses::PLACE) && in_place;
        return (short || city).then_some((with_state(tokens, index + 1).unwrap_or(index + 1), 0.6));
    }
    if let Some(last) = several(tokens, index).filter(|last| *last > index + 1) {
        let person = tokens.at(index).is(Senses::GIVEN_ONLY) && !in_place;
        let end = with_state(tokens, last).unwrap_or(last);
        return (!person || end > last).then_some((end, 0.8));
    }
    if lives
        && token.shape == Shape::Title
        && !token.senses.any(Senses::COMMON.with(Senses::NEVER).with(Senses::COUNTRY))
        && !super::is_state(tokens, index)
        && state_end(tokens, index).is_none()
    {
        let last = index
            + 1
            + usize::from(
                tokens.at(index + 1).shape == Shape::Title
                    && tokens.at(index + 1).lines == 0
                    && tokens.at(index + 1).apart,
            );
        return Some((with_state(tokens, last).unwrap_or(last), 0.7));
    }
    single(tokens, index, in_place)
}

/// A city of one word, or of any words before a state.
fn single(tokens: &Tokens<'_>, index: usize, in_place: bool) -> Option<(usize, f32)> {
    let token = tokens.at(index);
    let next = index + 1;
    let before_state = (1..=3).find_map(|length| {
        let last = index + length;
        let words = (index..last).all(|at| {
            tokens.at(at).shape == Shape::Title
                && (at == index || tokens.at(at).lines == 0 && tokens.at(at).apart)
                && !tokens.at(at).is(Senses::NEVER)
        });
        (words && tokens.mark(last, ",")).then(|| with_state(tokens, last)).flatten()
    });
    if let Some(end) = before_state.filter(|_| !state_end(tokens, index).is_some_and(|end| tokens.mark(end, ","))) {
        let plain = token.senses.has(Senses::COMMON) && !token.senses.any(Senses::PLACE.with(Senses::PLACE_BEGINS));
        if !(plain && tokens.begins(index)) {
            return Some((end, 0.85));
        }
    }
    if !token.is(Senses::PLACE)
        || token.senses.has(Senses::COUNTRY)
        || tokens.at(index).is(Senses::NEVER)
        || term::eponymous(tokens, index, next)
    {
        return None;
    }
    if let Some(end) = with_state(tokens, next) {
        return Some((end, 0.85));
    }
    let other = token.senses.any(Senses::GIVEN_ONLY.with(Senses::COMMON).with(Senses::EPONYM));
    let capital_next = tokens.at(next).capital() && tokens.at(next).lines == 0 && tokens.at(next).apart;
    let capital_before = tokens.before(index, 1).capital() && token.lines == 0;
    if in_place && !capital_next {
        let people = token.senses.any(Senses::GIVEN_ONLY)
            || token.senses.has(Senses::SURNAME) && matches!(tokens.lower_before(index, 1), "to" | "for" | "of");
        return (!people || matches!(tokens.lower_before(index, 1), "in" | "near" | "outside" | "around" | "from"))
            .then_some((next, 0.7));
    }
    let name = token.senses.any(Senses::GIVEN.with(Senses::SURNAME));
    (!other && !name && !capital_next && !capital_before && !token.possessive).then_some((next, 0.55))
}

/// `Marion County`, `County of Marion`, `Orleans Parish`.
fn county(tokens: &Tokens<'_>, index: usize) -> Option<usize> {
    let title =
        |at: usize| tokens.at(at).shape == Shape::Title && tokens.at(at).lines == 0 && !tokens.at(at).is(Senses::NEVER);
    if tokens.at(index).shape != Shape::Title || tokens.at(index).is(Senses::NEVER) {
        return None;
    }
    if tokens.lower(index) == "county" && tokens.lower(index + 1) == "of" && title(index + 2) {
        return Some(index + 3);
    }
    let last = (1..=2).find(|step| {
        matches!(tokens.lower(index + step), "county" | "parish" | "township" | "borough" | "village")
            && title(index + step)
            && (1..*step).all(|s| title(index + s))
    })?;
    let end = index + last + 1;
    Some(with_state(tokens, end).unwrap_or(end))
}

/// The token after a state that follows: `, OR`, ` Oregon`.
fn with_state(tokens: &Tokens<'_>, last: usize) -> Option<usize> {
    let comma = usize::from(tokens.mark(last, ","));
    let end = state_end(tokens, last + comma)?;
    let next = tokens.at(last + comma);
    let word = comma == 0
        && matches!(
            tokens.text(last),
            "IN" | "OR" | "ON" | "ME" | "HI" | "OK" | "MS" | "MD" | "PA" | "CO" | "AS" | "CT" | "DC" | "ID"
        )
        && tokens.at(end).shape != Shape::Digits;
    (next.lines <= 1 && !word && next.apart).then_some(end)
}

/// The token after the longest place of several words that begins at `index`.
fn several(tokens: &Tokens<'_>, index: usize) -> Option<usize> {
    let saint = matches!(tokens.lower(index), "st" | "ft" | "mt");
    if !tokens.at(index).senses.has(Senses::PLACE_BEGINS) && !saint {
        return None;
    }
    let mut name = match tokens.lower(index) {
        "st" => "saint".to_owned(),
        "ft" => "fort".to_owned(),
        "mt" => "mount".to_owned(),
        word => word.to_owned(),
    };
    let shape = tokens.at(index).shape;
    let mut at = index + 1 + usize::from(saint && tokens.mark(index + 1, "."));
    let mut last = None;
    for _ in 0..2 {
        let token = tokens.at(at);
        if token.lines > 0 || token.shape != shape || !token.apart {
            break;
        }
        name.push(' ');
        name.push_str(tokens.lower(at));
        at += 1;
        if saint && tokens.before(at, 1).possessive {
            break; // a saint's something
        }
        if lexicon::senses(&name).any(Senses::PLACE.with(Senses::COUNTY)) {
            last = Some(at);
        }
    }
    last
}
