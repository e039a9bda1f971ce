//! Codes without a label: letters and digits together, or many digits, that are no amount and no term.

use super::{
    super::{
        finding::Finding,
        kind::Kind,
        token::{Shape, Tokens},
    },
    measured,
    run::Chunk,
};

/// Letters that make a number with them an amount, an ordinal or a time.
const UNITS: &[&str] = &[
    "mg", "mcg", "ml", "g", "kg", "iu", "units", "u", "mm", "cm", "l", "dl", "meq", "mmol", "k", "m", "hz", "khz", "x",
    "th", "st", "nd", "rd", "s", "am", "pm", "h", "hr", "hrs", "lb", "lbs", "yo", "y", "d", "kcal", "cal", "kb", "mb",
    "gb", "bp", "mgs", "z", "t",
];

/// Prefixes of numbers that name no person: trials, papers, code systems, standards.
const PUBLIC: &[&str] = &[
    "nct", "pmid", "pmc", "doi", "icd", "cpt", "hcpcs", "isbn", "issn", "iso", "rs", "ndc", "rxcui", "loinc", "snomed",
    "atc", "eudract", "pubmed", "med", "fy", "sars", "covid", "cfr", "usc", "nm", "np", "ensg", "mim", "omim", "hgnc",
    "astm", "din", "en", "rfc", "section", "table", "figure", "page", "item", "cve", "kb", "version", "v",
];

/// The code that `chunk` is, if it is one.
pub(super) fn read(tokens: &Tokens<'_>, text: &str, chunk: &Chunk) -> Option<(Finding, usize)> {
    let confidence = if chunk.letters > 0 { mixed(tokens, text, chunk)? } else { plain(tokens, text, chunk)? };
    Some((Finding::new(Kind::UniqueId, chunk.start, chunk.end, confidence, "code"), chunk.last))
}

fn mixed(tokens: &Tokens<'_>, text: &str, chunk: &Chunk) -> Option<f32> {
    if text.contains(['/', '_', '+']) && chunk.digits < 6 {
        return None;
    }
    let mut capitals = true;
    for index in chunk.first..chunk.last {
        let word = tokens.lower(index);
        match tokens.at(index).shape {
            Shape::Digits | Shape::Mark => continue,
            Shape::Lower | Shape::Title => capitals = false,
            _ => {}
        }
        let last = index + 1 == chunk.last;
        if (index == chunk.first && PUBLIC.contains(&word))
            || (last && chunk.letters == word.len() && UNITS.contains(&word))
        {
            return None;
        }
    }
    let dashed = text.contains('-');
    let dotted = text.contains('.');
    if dotted && chunk.digits < 8 || (!capitals && dashed && chunk.digits < 5) {
        return None;
    }
    match (chunk.digits, dashed, capitals) {
        (6.., ..) => Some(0.6),
        (5, ..) => Some(0.5),
        (4, true, true) => Some(0.45),
        _ => None,
    }
}

fn plain(tokens: &Tokens<'_>, text: &str, chunk: &Chunk) -> Option<f32> {
    let hash = chunk.first.checked_sub(1).is_some_and(|before| tokens.mark(before, "#") && tokens.joined(chunk.first));
    let public = (1..=3).any(|back| PUBLIC.contains(&tokens.lower_before(chunk.first, back)));
    if public
        || measured(tokens, chunk.last)
        || text.contains(['.', '/', '_'])
        || tokens.text.get(..chunk.start)?.ends_with(['$', '€', '£'])
    {
        return None;
    }
    if hash && chunk.digits >= 4 {
        return Some(0.6);
    }
    let round = text.ends_with("000");
    let years = text.split('-').all(|part| part.len() == 4 && (part.starts_with("19") || part.starts_with("20")));
    let groups = text.split('-').count();
    match chunk.digits {
        7.. if !round && !years && groups <= 4 => Some(0.45),
        _ => None,
    }
}
