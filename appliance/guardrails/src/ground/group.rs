//! Groups of patients that a dose is for: named in its sentence, or in the heading that it stands under.

use std::collections::BTreeSet;

use super::{heading::Headings, population, reading::Reading};
use crate::{
    drug::Lexicon,
    split::{self, Span},
};

/// Groups that a text names.
pub(super) fn groups(text: &str) -> BTreeSet<String> {
    population::populations(text).into_iter().map(|fact| fact.value).collect()
}

/// The groups of the innermost line of a context that names any: "Adults" under "Ibuprofen for children and adults".
pub(super) fn scope(context: &Reading) -> BTreeSet<String> {
    context.text.lines().rev().map(groups).find(|groups| !groups.is_empty()).unwrap_or_default()
}

/// Whether the claim gives a dose without the group that it is for, or for another. A dose for adults is what is meant
/// where nobody is named.
///
/// A group that was `asked` about is understood: but of a sentence that doses two groups each dose is one group's, so that
/// there it must be named.
pub(super) fn dropped(claim: &Reading, sentence: &Reading, context: &Reading, asked: &BTreeSet<String>) -> bool {
    if !claim.has_dose() {
        return false;
    }
    let limits = |groups: &BTreeSet<String>| groups.iter().any(|group| group != "adult");
    let named = groups(&claim.text);
    let (own, scope) = (groups(&sentence.text), scope(context));
    let understood = own.len() == 1 && own.is_subset(asked);
    if named.is_empty() && limits(&own) && !understood {
        return true;
    }
    let meant = if named.is_empty() { asked } else { &named };
    if limits(&scope) && !scope.contains("adult") {
        return own.is_disjoint(&scope) && meant.is_disjoint(&scope);
    }
    // The dose for adults is not that of others who were asked about.
    let others = !asked.is_empty() && asked.is_disjoint(&scope) && asked.is_disjoint(&own);
    named.is_empty() && !scope.is_empty() && others
}

/// The groups named last in `texts`, which stand in order: what "the dose" in the text after them is about.
pub(crate) fn named_last<'a>(texts: impl DoubleEndedIterator<Item = &'a str>) -> BTreeSet<String> {
    texts.rev().map(groups).find(|groups| !groups.is_empty()).unwrap_or_default()
}

/// Whether `sentence` gives a dose under headings, one a line, that are about another group than the question asks about.
pub fn doses_another(question: &str, sentence: &str, headings: &str, lexicon: &Lexicon) -> bool {
    let (asked, own) = (groups(question), groups(sentence));
    let scope = scope(&Reading::of(headings, lexicon));
    let apart = |held: &BTreeSet<String>| held.is_disjoint(&asked);
    !asked.is_empty() && !scope.is_empty() && apart(&scope) && apart(&own) && Reading::of(sentence, lexicon).has_dose()
}

/// The headings that stand in `text` itself above the place `span`, one a line, the innermost last. Those that are
/// `kept_out` are passed over.
pub fn headings_above(text: &str, span: Span, kept_out: &dyn Fn(Span) -> bool) -> String {
    let mut headings = Headings::default();
    for sentence in split::sentences(text).into_iter().take_while(|sentence| sentence.end <= span.start) {
        if !kept_out(sentence) {
            headings.take(sentence.of(text));
        }
    }
    headings.lines()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left_out(claim: &str, sentence: &str, context: &str, asked: &str) -> bool {
        let read = |text| Reading::of(text, Lexicon::built_in());
        dropped(&read(claim), &read(sentence), &read(context), &groups(asked))
    }

    const DOSE: &str = "Give 5 mg twice daily.";

    #[test]
    fn a_dose_is_for_the_group_of_its_heading_alone() {
        let heading = "Ibuprofen for children and adults\nChildren";
        assert!(left_out(DOSE, DOSE, heading, "How much ibuprofen is given?"));
        assert!(left_out(DOSE, DOSE, heading, "How much do adults get?"));
        assert!(left_out("Adults get 5 mg twice daily.", DOSE, heading, ""));
        assert!(!left_out(DOSE, DOSE, heading, "How much do children get?"));
        assert!(!left_out("Children get 5 mg twice daily.", DOSE, heading, ""));
        assert!(!left_out("Give it twice daily.", DOSE, heading, ""), "it is no dose");
        assert!(left_out(DOSE, DOSE, "Renal impairment:", ""));
    }

    #[test]
    fn where_adults_are_meant_nobody_need_be_named() {
        assert!(!left_out(DOSE, DOSE, "Adults", ""));
        assert!(left_out(DOSE, DOSE, "Adults", "How much do children get?"));
        let children = "Children get 5 mg twice daily.";
        assert!(!left_out(DOSE, children, "Adults", "How much do children get?"));
        assert!(!left_out(DOSE, DOSE, "Adults and children", ""));
        assert!(!left_out(DOSE, DOSE, "Riverside Children's Hospital", ""));
        assert!(!left_out(DOSE, DOSE, "Storage", ""));
    }

    #[test]
    fn of_a_sentence_for_two_groups_the_group_is_named() {
        let both = "Children get 5 mg and adults get 10 mg.";
        assert!(left_out("Give 10 mg.", both, "", "How much for children?"));
        assert!(!left_out("Give 5 mg.", "Children get 5 mg.", "", "How much for children?"));
        assert!(left_out("Give 5 mg.", "Children get 5 mg.", "", "How much for adults?"));
    }

    #[test]
    fn a_quote_under_another_group_s_heading_is_told_apart() {
        let lexicon = Lexicon::built_in();
        assert!(doses_another("What do adults take?", DOSE, "Ibuprofen\nChildren", lexicon));
        assert!(!doses_another("What do children take?", DOSE, "Ibuprofen\nChildren", lexicon));
        assert!(!doses_another("What is taken?", DOSE, "Ibuprofen\nChildren", lexicon));
        assert!(!doses_another("What do adults do?", "Keep it dry.", "Ibuprofen\nChildren", lexicon));
        assert!(!doses_another("What do adults take?", "Adults take 5 mg.", "Ibuprofen\nChildren", lexicon));
    }

    #[test]
    fn the_headings_of_a_passage_are_those_above_the_place() {
        let text = "Doses\n\nChildren:\nGive 5 mg.\n\nAdults:\nGive 9 mg.";
        let start = text.find("Give 5").unwrap();
        let place = Span { start, end: start + 10 };
        assert_eq!(headings_above(text, place, &|_| false), "Doses\nChildren:");
        assert_eq!(headings_above(text, place, &|span| span.of(text) == "Children:"), "Doses");
    }
}
