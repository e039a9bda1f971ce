//! Street addresses and post boxes.

use super::{
    super::{
        finding::Finding,
        kind::Kind,
        lexicon::Senses,
        token::{Shape, Tokens},
    },
    state_end,
};

/// Finds them all.
pub(super) fn scan(tokens: &Tokens<'_>, found: &mut Vec<Finding>) {
    let mut index = 0;
    while index < tokens.len() {
        let read = street(tokens, index)
            .or_else(|| box_number(tokens, index))
            .or_else(|| cued(tokens, index))
            .or_else(|| named_street(tokens, index));
        match read {
            Some((first, last, confidence)) if last > index => {
                found.push(Finding::new(
                    Kind::Address,
                    tokens.at(first).start,
                    tokens.at(last - 1).end,
                    confidence,
                    "address",
                ));
                index = last;
            }
            _ => index += 1,
        }
    }
}

type Read = Option<(usize, usize, f32)>;

/// `4417 Old Kettle Rd`, `12B N. 3rd Street`.
fn street(tokens: &Tokens<'_>, index: usize) -> Read {
    let number = tokens.at(index);
    if number.shape != Shape::Digits
        || number.end - number.start > 6
        || tokens.joined(index) && matches!(tokens.lower_before(index, 1), "." | "/" | "-" | ":")
    {
        return None;
    }
    let mut at = index + 1;
    if tokens.joined(at) && tokens.at(at).shape == Shape::Letter {
        at += 1;
    }
    if tokens.mark(at, "-") && tokens.joined(at + 1) && tokens.at(at + 1).shape == Shape::Digits {
        at += 2;
    }
    let named = at;
    let leading = matches!(tokens.lower(at), "rue" | "calle" | "avenida" | "via" | "highway" | "route" | "county")
        && tokens.at(at + 1).lines == 0;
    for step in 0..6 {
        let token = tokens.at(at);
        if token.lines > 0 || token.shape == Shape::Nothing {
            return None;
        }
        let ends = tokens.at(at).is(Senses::STREET)
            && token.word()
            && (token.capital() || step > 0 && tokens.before(at, 1).capital());
        if ends && at > named {
            let short = tokens.at(at).end - tokens.at(at).start <= 4;
            let dot = usize::from(tokens.mark(at + 1, ".") && tokens.joined(at + 1) && short);
            // `St` and `Dr` may stand before the street's own name: `12 St James Road`.
            let more = matches!(tokens.lower(at), "st" | "dr")
                && (1..=3).any(|ahead| {
                    tokens.at(at + ahead).is(Senses::STREET)
                        && tokens.at(at + ahead).capital()
                        && tokens.at(at + ahead).lines == 0
                });
            if !more {
                return Some((index, tail(tokens, at + 1 + dot), 0.9));
            }
        }
        let ordinal =
            token.shape == Shape::Digits || matches!(tokens.lower(at), "st" | "nd" | "rd" | "th") && tokens.joined(at);
        let inside = token.capital()
            || token.shape == Shape::Letter
            || ordinal && step < 4
            || tokens.mark(at, ".") && tokens.before(at, 1).shape != Shape::Digits
            || matches!(tokens.lower(at), "de" | "la" | "del" | "of" | "the") && step > 0;
        if !inside {
            break;
        }
        at += 1;
    }
    (leading && at > named + 1).then(|| (index, tail(tokens, at), 0.75))
}

/// `Elm Street`, `Old Kettle Road`: a street without a number.
fn named_street(tokens: &Tokens<'_>, index: usize) -> Read {
    let long = matches!(
        tokens.lower(index),
        "street" | "avenue" | "boulevard" | "road" | "lane" | "highway" | "parkway" | "blvd" | "ave"
    );
    if !long || tokens.at(index).shape != Shape::Title || tokens.at(index).lines > 0 {
        return None;
    }
    let mut first = index;
    while first > 0
        && index - first < 3
        && tokens.at(first - 1).shape == Shape::Title
        && tokens.at(first).lines == 0
        && !tokens.at(first - 1).is(Senses::NEVER)
    {
        first -= 1;
    }
    (first < index).then(|| (first, tail(tokens, index + 1), 0.7))
}

/// Unit, city, state and code after a street.
fn tail(tokens: &Tokens<'_>, from: usize) -> usize {
    let mut last = from;
    loop {
        let comma = usize::from(tokens.mark(last, ","));
        let at = last + comma;
        let near = tokens.at(at).lines <= 1;
        let direction = comma == 0
            && tokens.at(at).lines == 0
            && matches!(tokens.text(at), "N" | "S" | "E" | "W" | "NE" | "NW" | "SE" | "SW");
        if direction {
            last = at + 1;
            continue;
        }
        let unit = matches!(
            tokens.lower(at),
            "apt"
                | "apartment"
                | "suite"
                | "ste"
                | "unit"
                | "floor"
                | "fl"
                | "room"
                | "rm"
                | "bldg"
                | "building"
                | "lot"
                | "#"
        );
        let dot = usize::from(unit && tokens.mark(at + 1, "."));
        let hash = usize::from(unit && tokens.mark(at + 1 + dot, "#"));
        let number = at + 1 + dot + hash;
        if near
            && unit
            && (tokens.at(number).shape == Shape::Digits
                || matches!(tokens.at(number).shape, Shape::Letter | Shape::Capitals))
        {
            last = number + 1;
            while tokens.joined(last)
                && (tokens.at(last).word() || tokens.at(last).shape == Shape::Digits || tokens.mark(last, "-"))
            {
                last += 1;
            }
            continue;
        }
        let Some(after) = near.then(|| city_state_code(tokens, at, comma > 0)).flatten() else { return last };
        return after;
    }
}

/// `Fresno, CA 93726`, `Fresno CA`, `93726`.
fn city_state_code(tokens: &Tokens<'_>, at: usize, comma: bool) -> Option<usize> {
    let mut after = at;
    while after < at + 3
        && tokens.at(after).shape == Shape::Title
        && (after == at || tokens.at(after).lines == 0)
        && !tokens.at(after).is(Senses::NEVER)
    {
        if state_end(tokens, after).is_some() && after > at {
            break;
        }
        after += 1;
        after += usize::from(tokens.mark(after, ".") && matches!(tokens.lower(after - 1), "st" | "ft" | "mt"));
    }
    let city = after > at;
    let state_at = after + usize::from(city && tokens.mark(after, ","));
    let state = state_end(tokens, state_at);
    let code_at = state.unwrap_or(after);
    let code = tokens.at(code_at).shape == Shape::Digits && tokens.text(code_at).len() == 5;
    if code && (state.is_some() || city) {
        let long = tokens.mark(code_at + 1, "-") && tokens.joined(code_at + 2) && tokens.text(code_at + 2).len() == 4;
        return Some(code_at + if long { 3 } else { 1 });
    }
    match state {
        Some(state) if city || comma => Some(state),
        _ if city && comma && tokens.at(at).senses.any(Senses::PLACE) => Some(after),
        _ => None,
    }
}

/// `P.O. Box 1182`.
fn box_number(tokens: &Tokens<'_>, index: usize) -> Read {
    if tokens.lower(index) != "box" || tokens.at(index + 1).shape != Shape::Digits {
        return None;
    }
    let po = if tokens.lower_before(index, 1) == "." { 4 } else { 1 };
    let first = index.checked_sub(po)?;
    let fits = tokens.lower(first) == "po" || tokens.lower(first) == "p" && tokens.lower(first + 2) == "o";
    fits.then(|| (first, tail(tokens, index + 2), 0.9))
}

/// What follows `address is`, `lives at`: a number, then capitals and numbers to the end of the sentence.
fn cued(tokens: &Tokens<'_>, index: usize) -> Read {
    let word = |step: usize| tokens.lower(index + step);
    let length = match (word(0), word(1)) {
        ("address", ":" | "is") => 2,
        ("live" | "lives" | "lived" | "living" | "resides" | "residing" | "located", "at") => 2,
        ("address", "of") => (3..8).find(|step| word(*step) == "is").map(|step| step + 1)?,
        _ => return None,
    };
    let first = index + length;
    let mut at = first;
    let mut numbers = 0;
    while at < first + 24 {
        let token = tokens.at(at);
        let mark = matches!(tokens.text(at), "," | "#" | "-" | "/") || tokens.mark(at, ".") && !tokens.begins(at + 1);
        let inside = token.capital()
            || matches!(token.shape, Shape::Digits | Shape::Letter)
            || mark
            || matches!(tokens.lower(at), "de" | "la" | "der" | "den" | "van" | "di" | "del");
        if !inside || token.lines > 1 {
            break;
        }
        numbers += usize::from(token.shape == Shape::Digits);
        at += 1;
    }
    while at > first && tokens.at(at - 1).shape == Shape::Mark {
        at -= 1;
    }
    (numbers > 0 && at > first + 1).then_some((first, at, 0.8))
}
