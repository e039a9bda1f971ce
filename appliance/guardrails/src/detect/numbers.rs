//! Identifiers that are numbers or codes: by their label, by their form, by their check digits.
//!
//! # Why
//! - **A label outranks a failed check; a passed check outranks a missing label.** Numbers that people make up for
//!   examples, and numbers that a typist got wrong, fail their checks and identify all the same.
//! - **No expressions, one pass.** Each recogniser looks at the groups of digits at one place, so the cost is one look a
//!   number, not one pass of the text a recogniser.

use super::{
    finding::Finding,
    token::{Shape, Tokens},
};

mod bank;
mod card;
mod checksum;
mod code;
mod device;
mod label;
mod license;
mod phone;
pub(super) mod run;
mod ssn;
mod vehicle;
pub(super) mod zip;

use run::Chunk;

/// The first words of all labels, for the lexicon.
pub(super) fn label_words() -> impl Iterator<Item = &'static str> {
    label::first_words()
}

/// Finds them all.
pub(super) fn scan(tokens: &Tokens<'_>, found: &mut Vec<Finding>) {
    label::scan(tokens, found);
    let mut skip = 0;
    for index in 0..tokens.len() {
        if index < skip || !opens(tokens, index) {
            continue;
        }
        if let Some((finding, last)) = at(tokens, index) {
            found.push(finding);
            skip = last;
        }
    }
}

/// Whether a number or code may begin at `index`.
fn opens(tokens: &Tokens<'_>, index: usize) -> bool {
    let token = tokens.at(index);
    match token.shape {
        Shape::Mark => matches!(tokens.text(index), "(" | "+") && tokens.at(index + 1).shape == Shape::Digits,
        _ => {
            !tokens.joined(index)
                || matches!(
                    tokens.lower_before(index, 1),
                    "(" | "[" | "\"" | "'" | ":" | "," | "=" | "#" | "+" | "<" | ">" | "|" | ";" | "*" | "{"
                )
        }
    }
}

/// What stands at `index`, and the token after it.
fn at(tokens: &Tokens<'_>, index: usize) -> Option<(Finding, usize)> {
    let first = tokens.at(index);
    if first.shape == Shape::Mark {
        return device::udi(tokens, index).or_else(|| phone::read(tokens, index));
    }
    let chunk = run::chunk(tokens, index)?;
    let text = tokens.text.get(chunk.start..chunk.end)?;
    if chunk.digits == 0 {
        return None;
    }
    let number = first.shape == Shape::Digits;
    let postal = if number { zip::read(tokens, index) } else { None };
    if postal.is_some() {
        return postal;
    }
    // Most numbers are short, and a short one is none of these.
    if number && run::read(tokens, index, 7).is_some_and(|run| run.digits.len() >= 7) {
        let known = ssn::read(tokens, index)
            .or_else(|| card::read(tokens, index))
            .or_else(|| device::imei(tokens, index))
            .or_else(|| license::npi(tokens, &chunk))
            .or_else(|| phone::read(tokens, index));
        if known.is_some() {
            return known;
        }
    }
    vehicle::vin(text, &chunk)
        .or_else(|| license::dea(text, &chunk))
        .or_else(|| bank::iban(tokens, &chunk))
        .or_else(|| zip::postcode(tokens, &chunk))
        .or_else(|| misread(text, &chunk))
        .or_else(|| code::read(tokens, text, &chunk))
}

/// A number in which a scanner read digits as letters.
fn misread(text: &str, chunk: &Chunk) -> Option<(Finding, usize)> {
    let mended = run::misread_digits(text)?;
    let tokens = Tokens::of(&mended);
    let (finding, _) = ssn::read(&tokens, 0).or_else(|| card::read(&tokens, 0)).or_else(|| phone::read(&tokens, 0))?;
    (finding.start == 0 && finding.end == mended.len()).then(|| {
        (Finding::new(finding.kind, chunk.start, chunk.end, finding.confidence * 0.9, "misread-digits"), chunk.last)
    })
}

/// Whether a unit of measure follows, so that the number is an amount.
fn measured(tokens: &Tokens<'_>, at: usize) -> bool {
    matches!(
        tokens.lower(at),
        "mg" | "mcg"
            | "ml"
            | "g"
            | "kg"
            | "units"
            | "unit"
            | "%"
            | "iu"
            | "meq"
            | "mmol"
            | "cells"
            | "copies"
            | "ng"
            | "pg"
            | "l"
            | "hours"
            | "days"
            | "weeks"
            | "months"
            | "years"
            | "mm"
            | "cm"
            | "bpm"
            | "mmhg"
            | "patients"
            | "participants"
            | "people"
            | "women"
            | "men"
            | "children"
            | "cases"
            | "tablets"
            | "pills"
            | "dollars"
            | "steps"
            | "calories"
    )
}

#[cfg(test)]
mod tests {
    use super::{super::kind::Kind, *};

    pub(super) fn read(text: &str) -> Vec<(Kind, &str)> {
        crate::detect::testing::found(text, scan)
    }

    #[test]
    fn numbers_are_known_by_their_form() {
        assert_eq!(read("402-19-8877"), [(Kind::Ssn, "402-19-8877")]);
        assert_eq!(read("call (402) 555-0142 today"), [(Kind::Phone, "(402) 555-0142")]);
        assert_eq!(read("+44 20 7946 0958"), [(Kind::Phone, "+44 20 7946 0958")]);
        assert_eq!(read("paid with 4111 1111 1111 1111"), [(Kind::Card, "4111 1111 1111 1111")]);
        assert_eq!(read("GB82 WEST 1234 5698 7654 32"), [(Kind::Iban, "GB82 WEST 1234 5698 7654 32")]);
        assert_eq!(read("drives 1M8GDM9AXKP042788"), [(Kind::Vin, "1M8GDM9AXKP042788")]);
        assert_eq!(read("AB1234563"), [(Kind::Dea, "AB1234563")]);
        assert_eq!(read("490154203237518"), [(Kind::Imei, "490154203237518")]);
        assert_eq!(read("1234567893"), [(Kind::Npi, "1234567893")]);
        assert_eq!(read("Salem, OR 97301-4417"), [(Kind::Zip, "97301-4417")]);
        assert_eq!(read("4O2-l9-8877"), [(Kind::Ssn, "4O2-l9-8877")]);
        assert_eq!(read("HX-448120"), [(Kind::UniqueId, "HX-448120")]);
    }

    #[test]
    fn amounts_and_terms_are_no_identifiers() {
        for text in [
            "BP 120/80, HR 72, SpO2 98%",
            "5000 units of heparin, 1000mg of paracetamol, 2500000 units",
            "HbA1c 7.2 and B12 normal; COVID-19; CHA2DS2-VASc 4; E11.65",
            "between 150-2000 mg in 2021-2022",
        ] {
            assert!(read(text).is_empty(), "{text}: {:?}", read(text));
        }
    }
}
