//! Whom a sentence is about: children, the pregnant, people with weak kidneys.

use crate::{
    fact::{Fact, FactKind},
    same_question::lexicon,
    words,
};

/// The groups that `text` names, each once, at the first word that names it.
pub(super) fn populations(text: &str) -> Vec<Fact> {
    let words: Vec<(usize, String)> = words::lower(text).collect();
    let mut plain: Vec<String> = words.iter().map(|(_, word)| word.clone()).collect();
    for at in 1..plain.len() {
        // "12 years and older" is a bound, not the elderly.
        let joined = plain.get(at - 1).is_some_and(|before| matches!(before.as_str(), "and" | "or"));
        if let Some(word) = plain.get_mut(at).filter(|word| joined && *word == "older") {
            word.clear();
        }
    }
    let whole = lexicon::populations(&plain);
    let mut found: Vec<Fact> = Vec::new();
    for (index, (start, word)) in words.iter().enumerate() {
        let next = plain.get(index + 1).map(String::as_str).unwrap_or_default();
        let general = lexicon::population(plain.get(index).unwrap_or(word))
            .filter(|group| whole.contains(group) && counts(word, group, next));
        let of_place = matches!(next, "unit" | "ward" | "clinic" | "center" | "centre" | "department");
        let stones = matches!(next, "stone" | "stones");
        let Some(group) = condition(word).filter(|_| !of_place && !stones).or(general) else { continue };
        if found.iter().all(|fact| fact.value != group) {
            let end = start + word.len();
            found.push(Fact { kind: FactKind::Population, value: group.to_owned(), start: *start, end, bound: None });
        }
    }
    found
}

/// Whether a word that may name a group does so here: relatives are people who act, not patients of a kind, "nursing" is
/// a trade, and a children's hospital is a place.
fn counts(word: &str, group: &str, next: &str) -> bool {
    let facility = matches!(
        next,
        "hospital"
            | "hospitals"
            | "clinic"
            | "clinics"
            | "center"
            | "centre"
            | "ward"
            | "unit"
            | "department"
            | "medical"
    );
    let mothers = next.starts_with("mother") || next.starts_with("women") || next.starts_with("infant");
    !matches!(group, "another" | "animal")
        && !facility
        && !matches!(word, "minor" | "senior" | "son" | "daughter" | "expecting")
        && (word != "nursing" || mothers)
}

/// Groups by what they suffer from.
fn condition(word: &str) -> Option<&'static str> {
    Some(match word {
        "renal" | "renally" | "kidney" | "kidneys" | "creatinine" | "crcl" | "egfr" | "gfr" | "nephropathy" => "renal",
        "hepatic" | "liver" | "cirrhosis" | "child-pugh" => "hepatic",
        "dialysis" | "hemodialysis" | "haemodialysis" => "dialysis",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_patients_are_found_and_bystanders_are_not() {
        let groups = |text| populations(text).into_iter().map(|fact| fact.value).collect::<Vec<_>>();
        assert_eq!(groups("Children and pregnant women"), ["child", "pregnant"]);
        assert_eq!(groups("For CrCl below 30 mL/min in older adults"), ["renal", "older"]);
        assert_eq!(groups("The nursing station calls the parent."), Vec::<String>::new());
        assert_eq!(groups("Patients 65 years or older, and those older than that"), Vec::<String>::new());
        assert_eq!(groups("Adults 65 years and older"), ["adult"]);
        assert_eq!(groups("Kidney stones in females"), ["women"]);
        assert_eq!(groups("In liver cancer or a kidney infection"), ["hepatic", "renal"]);
        assert_eq!(groups("Call the children's hospital, its renal unit or the women's clinic."), Vec::<String>::new());
    }
}
