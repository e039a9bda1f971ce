//! Places smaller than a state: street addresses, cities, counties; and hospitals, clinics, pharmacies and other
//! organisations by their names. A state or a country alone may stand.

use super::{
    finding::Finding,
    token::{Shape, Tokens},
};

mod address;
mod city;
mod facility;

/// The first words of facilities that are known by a short name, for the lexicon.
pub(super) fn known_words() -> impl Iterator<Item = &'static str> {
    facility::known_words()
}

/// Finds them all.
pub(super) fn scan(tokens: &Tokens<'_>, found: &mut Vec<Finding>) {
    facility::scan(tokens, found);
    address::scan(tokens, found);
    city::scan(tokens, found);
}

const STATES: [&str; 58] = [
    "AK", "AL", "AR", "AS", "AZ", "CA", "CO", "CT", "DC", "DE", "FL", "GA", "GU", "HI", "IA", "ID", "IL", "IN", "KS",
    "KY", "LA", "MA", "MD", "ME", "MI", "MN", "MO", "MP", "MS", "MT", "NC", "ND", "NE", "NH", "NJ", "NM", "NV", "NY",
    "OH", "OK", "OR", "PA", "PR", "RI", "SC", "SD", "TN", "TX", "UT", "VA", "VI", "VT", "WA", "WI", "WV", "WY", "ON",
    "BC",
];

/// Names of states, in lower case; those of two words by their second, with the first before it.
const STATE_NAMES: [(&str, &str); 50] = [
    ("", "alabama"),
    ("", "alaska"),
    ("", "arizona"),
    ("", "arkansas"),
    ("", "california"),
    ("", "colorado"),
    ("", "connecticut"),
    ("", "delaware"),
    ("", "florida"),
    ("", "georgia"),
    ("", "hawaii"),
    ("", "idaho"),
    ("", "illinois"),
    ("", "indiana"),
    ("", "iowa"),
    ("", "kansas"),
    ("", "kentucky"),
    ("", "louisiana"),
    ("", "maine"),
    ("", "maryland"),
    ("", "massachusetts"),
    ("", "michigan"),
    ("", "minnesota"),
    ("", "mississippi"),
    ("", "missouri"),
    ("", "montana"),
    ("", "nebraska"),
    ("", "nevada"),
    ("new", "hampshire"),
    ("new", "jersey"),
    ("new", "mexico"),
    ("new", "york"),
    ("north", "carolina"),
    ("north", "dakota"),
    ("", "ohio"),
    ("", "oklahoma"),
    ("", "oregon"),
    ("", "pennsylvania"),
    ("rhode", "island"),
    ("south", "carolina"),
    ("south", "dakota"),
    ("", "tennessee"),
    ("", "texas"),
    ("", "utah"),
    ("", "vermont"),
    ("", "virginia"),
    ("", "washington"),
    ("west", "virginia"),
    ("", "wisconsin"),
    ("", "wyoming"),
];

/// Whether a state ends with the token at `last`: `OR`, `Oregon`, `New Jersey`.
pub(super) fn is_state(tokens: &Tokens<'_>, last: usize) -> bool {
    let token = tokens.at(last);
    match token.shape {
        Shape::Capitals => STATES.contains(&tokens.text(last)),
        Shape::Title => {
            let (word, before) = (tokens.lower(last), tokens.lower_before(last, 1));
            STATE_NAMES.iter().any(|(first, second)| *second == word && (first.is_empty() || *first == before))
        }
        _ => false,
    }
}

/// The token after a state that begins at `first`: one word or two.
fn state_end(tokens: &Tokens<'_>, first: usize) -> Option<usize> {
    if tokens.at(first).lines > 1 {
        return None;
    }
    if is_state(tokens, first) {
        return Some(first + 1);
    }
    let two = tokens.at(first).capital() && tokens.at(first + 1).shape == Shape::Title && is_state(tokens, first + 1);
    let pair =
        STATE_NAMES.iter().any(|(one, second)| *one == tokens.lower(first) && *second == tokens.lower(first + 1));
    (two && pair).then_some(first + 2)
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            finding::{joined_places, resolved},
            kind::Kind,
        },
        *,
    };

    fn read(text: &str) -> Vec<(Kind, &str)> {
        let tokens = Tokens::of(text);
        let mut found = Vec::new();
        scan(&tokens, &mut found);
        joined_places(text, resolved(found)).iter().map(|f| (f.kind, &text[f.start..f.end])).collect()
    }

    #[test]
    fn places_are_found() {
        assert_eq!(read("treated at Harrow Glen Medical Center on"), [(Kind::Facility, "Harrow Glen Medical Center")]);
        assert_eq!(read("seen at St. Brannoc's last week"), [(Kind::Facility, "St. Brannoc's")]);
        assert_eq!(read("moved to Milwaukee in 2020"), [(Kind::Location, "Milwaukee")]);
        assert_eq!(read("from Harrow Glen, Oregon"), [(Kind::Location, "Harrow Glen, Oregon")]);
        assert_eq!(read("lives in Marion County"), [(Kind::Location, "Marion County")]);
        assert_eq!(read("admitted to UCSF"), [(Kind::Facility, "UCSF")]);
        assert_eq!(
            read("at 4417 Old Mill Rd, Apt 3, Salem, OR"),
            [(Kind::Address, "4417 Old Mill Rd, Apt 3, Salem, OR")]
        );
        assert_eq!(read("mail to P.O. Box 1182"), [(Kind::Address, "P.O. Box 1182")]);
        assert_eq!(read("the Children's Hospital of Harrow"), [(Kind::Facility, "Children's Hospital of Harrow")]);
    }

    #[test]
    fn states_wards_and_terms_may_stand() {
        for text in [
            "a center in California",
            "admitted to the ICU",
            "seen at the hospital",
            "taken at Bedtime",
            "our Emergency Department",
            "in May",
            "the Mayo stand",
            "primary care clinic",
            "went to PT and OT",
            "Type 2 Diabetes in Adults",
            "New onset of symptoms",
        ] {
            assert!(read(text).is_empty(), "{text}: {:?}", read(text));
        }
    }
}
