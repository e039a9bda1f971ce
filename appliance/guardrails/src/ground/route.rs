//! The way into the body: "by mouth", "IV", "under the tongue".

use crate::{
    fact::{Fact, FactKind},
    words,
};

/// Phrases and the route they name. A phrase is words in lower case; the longer stands before the shorter.
const ROUTES: &[(&[&str], &str)] = &[
    (&["by", "mouth"], "oral"),
    (&["oral"], "oral"),
    (&["orally"], "oral"),
    (&["po"], "oral"),
    (&["p.o"], "oral"),
    (&["swallow"], "oral"),
    (&["swallowed"], "oral"),
    (&["swallowing"], "oral"),
    (&["intravenous"], "intravenous"),
    (&["intravenously"], "intravenous"),
    (&["into", "a", "vein"], "intravenous"),
    (&["iv"], "intravenous"),
    (&["i.v"], "intravenous"),
    (&["intramuscular"], "intramuscular"),
    (&["intramuscularly"], "intramuscular"),
    (&["into", "a", "muscle"], "intramuscular"),
    (&["into", "the", "muscle"], "intramuscular"),
    (&["im"], "intramuscular"),
    (&["i.m"], "intramuscular"),
    (&["under", "the", "skin"], "subcutaneous"),
    (&["subcutaneous"], "subcutaneous"),
    (&["subcutaneously"], "subcutaneous"),
    (&["subq"], "subcutaneous"),
    (&["sc"], "subcutaneous"),
    (&["sq"], "subcutaneous"),
    (&["under", "the", "tongue"], "sublingual"),
    (&["sublingual"], "sublingual"),
    (&["sublingually"], "sublingual"),
    (&["sl"], "sublingual"),
    (&["inside", "the", "cheek"], "buccal"),
    (&["buccal"], "buccal"),
    (&["buccally"], "buccal"),
    (&["topical"], "topical"),
    (&["topically"], "topical"),
    (&["on", "the", "skin"], "topical"),
    (&["to", "the", "skin"], "topical"),
    (&["rectal"], "rectal"),
    (&["rectally"], "rectal"),
    (&["into", "the", "rectum"], "rectal"),
    (&["vaginal"], "vaginal"),
    (&["vaginally"], "vaginal"),
    (&["into", "the", "vagina"], "vaginal"),
    (&["inhale"], "inhaled"),
    (&["inhaled"], "inhaled"),
    (&["by", "inhalation"], "inhaled"),
    (&["nebulized"], "inhaled"),
    (&["by", "nebulizer"], "inhaled"),
    (&["nasal"], "nasal"),
    (&["nasally"], "nasal"),
    (&["intranasal"], "nasal"),
    (&["intranasally"], "nasal"),
    (&["nostril"], "nasal"),
    (&["nostrils"], "nasal"),
    (&["in", "the", "nose"], "nasal"),
    (&["into", "the", "nose"], "nasal"),
    (&["ophthalmic"], "eye"),
    (&["eye"], "eye"),
    (&["eyes"], "eye"),
    (&["otic"], "ear"),
    (&["ear"], "ear"),
    (&["ears"], "ear"),
    (&["transdermal"], "transdermal"),
    (&["transdermally"], "transdermal"),
    (&["intrathecal"], "intrathecal"),
    (&["intrathecally"], "intrathecal"),
    (&["epidural"], "epidural"),
    (&["intradermal"], "intradermal"),
    (&["intradermally"], "intradermal"),
    (&["intraosseous"], "intraosseous"),
    (&["feeding", "tube"], "tube"),
    (&["nasogastric"], "tube"),
    (&["gastrostomy"], "tube"),
];

/// Abbreviations that are also words of other kinds: they count only in capitals.
const CAPITALS_ONLY: &[&str] = &["po", "iv", "im", "sc", "sq", "sl"];

/// Parts of the body whose name alone is no route: an ear infection is not treated by the ear.
const PARTS_OF_THE_BODY: &[&str] = &["eye", "eyes", "ear", "ears", "nostril", "nostrils"];

/// Whether the part of the body at `index` is where something is put: "in each eye", "ear drops".
fn is_treated(words: &[(usize, String)], index: usize) -> bool {
    let word = |at: Option<usize>| at.and_then(|at| words.get(at)).map_or("", |(_, word)| word.as_str());
    let put = ["drop", "drops", "ointment", "gel", "spray", "solution", "suspension"];
    let into = ["in", "into", "to", "per", "each", "both", "affected", "left", "right", "one"];
    put.contains(&word(Some(index + 1)))
        || (1..=3).any(|back| into.contains(&word(index.checked_sub(back))))
            && !AILMENTS.contains(&word(Some(index + 1)))
}

/// Words after a part of the body that make it what is ill or looked at.
const AILMENTS: &[&str] = &["disease", "exam", "examination", "infection", "infections", "pain", "pressure", "surgery"];

/// The routes that `text` names, in order.
pub(super) fn routes(text: &str) -> Vec<Fact> {
    let words: Vec<(usize, String)> = words::lower(text).collect();
    let mut found = Vec::new();
    for (index, (start, first)) in words.iter().enumerate() {
        let fits = |phrase: &[&str]| {
            let told = words.get(index..index + phrase.len());
            told.is_some_and(|told| told.iter().zip(phrase).all(|((_, word), wanted)| word == wanted))
        };
        let Some((phrase, route)) = ROUTES.iter().find(|(phrase, _)| fits(phrase)) else { continue };
        let end = words.get(index + phrase.len() - 1).map_or(*start, |(start, word)| start + word.len());
        let written = text.get(*start..end).unwrap_or_default();
        if CAPITALS_ONLY.contains(&first.as_str()) && written.chars().any(char::is_lowercase) {
            continue;
        }
        if PARTS_OF_THE_BODY.contains(&first.as_str()) && !is_treated(&words, index) {
            continue;
        }
        found.push(Fact { kind: FactKind::Route, value: (*route).to_owned(), start: *start, end, bound: None });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_found_by_its_words_and_abbreviations() {
        let routes = |text| routes(text).into_iter().map(|fact| fact.value).collect::<Vec<_>>();
        assert_eq!(routes("Take by mouth, or give 4 mg IV or IM."), ["oral", "intravenous", "intramuscular"]);
        assert_eq!(routes("Place it under the tongue; do not swallow it."), ["sublingual", "oral"]);
        assert_eq!(routes("Im sure the po box is fine."), Vec::<String>::new());
        assert_eq!(routes("One drop in each eye, two ear drops at night."), ["eye", "ear"]);
        assert_eq!(routes("For an ear infection or pain in the eye infection clinic"), Vec::<String>::new());
    }
}
