//! Postal codes. Three digits of a ZIP code may stay unless fewer than 20,001 people live under them.

use super::{
    super::{
        finding::Finding,
        kind::Kind,
        places,
        token::{Shape, Tokens},
    },
    run::Chunk,
};

/// The first three digits of ZIP codes under which 20,000 people or fewer live, by the census of 2000: the list that
/// the Office for Civil Rights gives in its guidance to 45 CFR 164.514(b)(2)(i)(B) (2012). They must become 000.
pub(crate) const RESTRICTED: [&str; 17] = [
    "036", "059", "063", "102", "203", "556", "692", "790", "821", "823", "830", "831", "878", "879", "884", "890",
    "893",
];

/// Whether a postal code as written is finer than the rule allows.
pub(super) fn too_fine(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let stars = text.trim_end_matches(['x', 'X', '*', '-']);
    match digits {
        3 if stars.len() == 3 => RESTRICTED.contains(&stars),
        0..=1 => false,
        _ => true,
    }
}

/// Five digits, or nine, after a state or a city.
pub(super) fn read(tokens: &Tokens<'_>, index: usize) -> Option<(Finding, usize)> {
    if tokens.text(index).len() != 5 {
        return None;
    }
    let comma = usize::from(tokens.lower_before(index, 1) == ",");
    let before = index.checked_sub(1 + comma)?;
    let state = places::is_state(tokens, before);
    let city =
        comma == 0 && tokens.at(before).capital() && tokens.at(before).senses.any(super::super::lexicon::Senses::PLACE);
    if !state && !city {
        return None;
    }
    let long = tokens.mark(index + 1, "-")
        && tokens.joined(index + 1)
        && tokens.joined(index + 2)
        && tokens.text(index + 2).len() == 4;
    let last = if long { index + 3 } else { index + 1 };
    let end = tokens.at(last - 1).end;
    Some((Finding::new(Kind::Zip, tokens.at(index).start, end, if state { 0.9 } else { 0.7 }, "zip"), last))
}

/// British and Canadian codes: `SW1A 2AA`, `K1A 0B1`.
pub(super) fn postcode(tokens: &Tokens<'_>, chunk: &Chunk) -> Option<(Finding, usize)> {
    let form = |text: &str| -> String {
        text.chars()
            .map(|c| match c {
                'A'..='Z' => 'A',
                '0'..='9' => '9',
                _ => '?',
            })
            .collect()
    };
    let outward = form(tokens.text.get(chunk.start..chunk.end)?);
    let inward = super::run::chunk(tokens, chunk.last).filter(|_| tokens.at(chunk.last).lines == 0)?;
    let second = form(tokens.text.get(inward.start..inward.end)?);
    let british = second == "9AA" && matches!(outward.as_str(), "A9" | "A99" | "AA9" | "AA99" | "A9A" | "AA9A");
    let canadian = outward == "A9A" && second == "9A9";
    let shapes = tokens.at(chunk.first).shape != Shape::Lower;
    (shapes && (british || canadian))
        .then(|| (Finding::new(Kind::Zip, chunk.start, inward.end, 0.7, "postcode"), inward.last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_are_too_fine_only_where_few_people_live() {
        assert!(too_fine("036") && too_fine("893") && too_fine("036xx"));
        assert!(!too_fine("037") && !too_fine("945**"));
        assert!(too_fine("97301") && too_fine("97301-4417"));
        assert!(RESTRICTED.is_sorted());
    }
}
