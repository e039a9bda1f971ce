//! The claims of an answer: its sentences, split further at semicolons and where one line doses several drugs.

use crate::{
    drug::Lexicon,
    fact,
    split::{self, Span},
    words,
};

/// The places of the claims of `answer`, in order. What claims nothing (a greeting, a question) is left out.
pub(super) fn claims(answer: &str, lexicon: &Lexicon) -> Vec<Span> {
    split::sentences(answer)
        .into_iter()
        .flat_map(|sentence| pieces(answer, sentence, |at| answer.get(at..).is_some_and(|rest| rest.starts_with(';'))))
        .flat_map(|part| doses(answer, part, lexicon))
        .filter(|part| claims_something(part.of(answer)))
        .collect()
}

fn claims_something(text: &str) -> bool {
    let asks = text.trim_end_matches(['"', '\'', ')', '*', '_']).ends_with('?');
    let heading = text.starts_with('#') || text.trim_end_matches(['*', '_']).ends_with(':');
    let said = words::content(text).len();
    !asks && (!heading || !fact::facts(text).is_empty()) && (said > 1 || said + fact::facts(text).len() > 1)
}

/// `span` cut at every byte where `cuts` says so; the mark itself goes to neither side.
fn pieces(text: &str, span: Span, cuts: impl Fn(usize) -> bool) -> Vec<Span> {
    let mut parts = Vec::new();
    let mut from = span.start;
    let inside = span.of(text).char_indices().map(|(at, character)| (span.start + at, character.len_utf8()));
    for (at, length) in inside {
        if cuts(at) {
            parts.extend(trimmed(text, Span { start: from, end: at }));
            from = at + length;
        }
    }
    parts.extend(trimmed(text, Span { start: from, end: span.end }));
    parts
}

/// A line that gives several drugs, each with its amount, is one claim for each: "A 5 mg daily, B 10 mg at night".
fn doses(text: &str, span: Span, lexicon: &Lexicon) -> Vec<Span> {
    let inside = span.of(text);
    let drugs = lexicon.mentions(inside);
    if drugs.len() < 2 {
        return vec![span];
    }
    let amounts: Vec<usize> =
        fact::facts(inside).into_iter().filter(|fact| fact.dimension() == "dose").map(|fact| fact.start).collect();
    let followed = drugs.iter().enumerate().all(|(index, drug)| {
        let next = drugs.get(index + 1).map_or(inside.len(), |next| next.start);
        amounts.iter().any(|at| (drug.end..next).contains(at))
    });
    if !followed {
        return vec![span];
    }
    let cuts: Vec<usize> = drugs.iter().skip(1).map(|drug| drug.start).collect();
    let mut parts = Vec::new();
    let mut from = span.start;
    for cut in cuts {
        let before = text.get(from..span.start + cut).unwrap_or_default();
        let Some(mark) = before.rfind([',', '/']).or_else(|| before.rfind(" and ")) else { continue };
        parts.extend(trimmed(text, Span { start: from, end: from + mark }));
        from += mark + 1;
    }
    parts.extend(trimmed(text, Span { start: from, end: span.end }));
    parts
}

fn trimmed(text: &str, span: Span) -> Option<Span> {
    let inside = span.of(text);
    let start = span.start + (inside.len() - inside.trim_start().len());
    let end = start + inside.trim().len();
    (end > start).then_some(Span { start, end })
}

/// Whether a claim begins with a word that stands for what was said before it, be it after one other ("Still, it").
pub fn refers_back(claim: &str) -> bool {
    words::lower(claim).take(2).any(|(_, word)| BACK.contains(&word.as_str()))
}

const BACK: [&str; 11] = ["both", "he", "it", "its", "she", "such", "their", "these", "they", "this", "those"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_refers_back_by_the_words_that_it_begins_with() {
        assert!(refers_back("These pens stay cold.") && refers_back("Still, it is kept."));
        assert!(!refers_back("Insulin stays cold.") && !refers_back("Nurses say that it stays cold."));
    }

    #[test]
    fn an_answer_comes_apart_into_what_can_be_checked_by_itself() {
        let answer = "Hello! Take it with food; do not crush it. Give lisinopril 10 mg daily, metformin 500 mg twice \
                      daily and aspirin 81 mg. Is that all? See below:";
        let found: Vec<&str> = claims(answer, Lexicon::built_in()).into_iter().map(|span| span.of(answer)).collect();
        assert_eq!(
            found,
            [
                "Take it with food",
                "do not crush it.",
                "Give lisinopril 10 mg daily",
                "metformin 500 mg twice daily",
                "and aspirin 81 mg."
            ]
        );
    }
}
