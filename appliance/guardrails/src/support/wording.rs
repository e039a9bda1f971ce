//! What a claim does to the wording of a sentence, beyond its words and facts: what a small model gets wrong while every word of it stands there.

use std::collections::{BTreeMap, BTreeSet};

use crate::{polarity::Polarity, words};

/// Words for how much of something holds; the words of one row say the same.
const QUANTIFIERS: [&[&str]; 8] = [
    &["all", "every", "each", "always", "everyone", "everything"],
    &["any", "anyone", "anything"],
    &["both"],
    &["only", "solely"],
    &["most", "mostly", "usually"],
    &["some", "sometimes"],
    &["same"],
    &["never", "none", "nobody", "nothing"],
];

/// The rows without which a sentence says more than it did.
const LIMITING: [usize; 3] = [3, 4, 5];

/// The row that says no more than "not".
const NEVER: usize = 7;

/// Words that a clause begins with under which the rest holds.
const CONDITIONS: [&str; 6] = ["if", "when", "unless", "until", "while", "whenever"];

/// Words by which a claim keeps a condition, told in another frame: "for a missed dose".
const KEEPING: [&str; 7] = ["for", "with", "without", "in", "before", "on", "upon"];

/// Whether the claim may be said for the sentence: nothing twice that stands there once, no other quantifier, and no condition told as a fact.
pub(super) fn holds(claim: &str, sentence: &str) -> bool {
    !repeats(claim, sentence) && same_quantifiers(claim, sentence) && !asserts_condition(claim, sentence)
}

/// Whether a meaningful word stands in the claim more often than in the sentence, and more than once: "in both milliliters and milliliters".
fn repeats(claim: &str, sentence: &str) -> bool {
    let (said, told) = (counts(claim), counts(sentence));
    said.iter().any(|(stem, times)| *times > told.get(stem).copied().unwrap_or_default().max(1))
}

fn counts(text: &str) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for word in words::content(text) {
        *found.entry(word.stem).or_default() += 1;
    }
    found
}

/// Whether the claim has no quantifier that the sentence lacks, and leaves out none that limits it.
fn same_quantifiers(claim: &str, sentence: &str) -> bool {
    let (said, told) = (quantifiers(claim), quantifiers(sentence));
    let negated = Polarity::of(sentence).negates();
    let added = said.difference(&told).any(|row| *row != NEVER || !negated);
    !added && LIMITING.iter().all(|row| !told.contains(row) || said.contains(row))
}

/// The rows of which a word stands in the text. "At most 4" is a limit of its own and a fact.
fn quantifiers(text: &str) -> BTreeSet<usize> {
    let words: Vec<String> = words::lower(text).map(|(_, word)| word).collect();
    let bound = |at: usize| at > 0 && words.get(at - 1).is_some_and(|before| before == "at");
    let row = |word: &String| QUANTIFIERS.iter().position(|row| row.contains(&word.as_str()));
    words.iter().enumerate().filter(|(at, _)| !bound(*at)).filter_map(|(_, word)| row(word)).collect()
}

/// Whether the claim has words of a condition of the sentence which the rest of the sentence has not, and neither states nor keeps a condition itself:
/// "If the plan approves later, we run the claim again" is not "The plan approves the claim".
fn asserts_condition(claim: &str, sentence: &str) -> bool {
    let Some((condition, rest)) = condition(sentence) else { return false };
    let (said, held) = (words::stems(claim), words::stems(&rest));
    let only: BTreeSet<String> = words::stems(condition).difference(&held).cloned().collect();
    let own = frames(condition);
    // "On appeal" that the condition has itself keeps nothing of it.
    let framed = frames(claim).iter().any(|frame| only.contains(&frame.1) && !own.contains(frame));
    // A condition of its own keeps it where what it tells outside of that is not of the condition.
    let stated = self::condition(claim).is_some_and(|(_, rest)| words::stems(&rest).is_disjoint(&only));
    let kept = framed || stated;
    !kept && only.iter().any(|stem| said.contains(stem))
}

/// Each word that may keep a condition, and the stem of the meaningful word after it.
fn frames(text: &str) -> Vec<(String, String)> {
    let words: Vec<String> = words::lower(text).map(|(_, word)| word).collect();
    let next = |at: usize| words.iter().skip(at + 1).find(|next| !words::is_little(next)).map(|next| words::stem(next));
    let keeping = words.iter().enumerate().filter(|(_, word)| KEEPING.contains(&word.as_str()));
    keeping.filter_map(|(at, word)| Some((word.clone(), next(at)?))).collect()
}

/// The first condition of a sentence, up to the comma that ends it or the end, and the rest.
fn condition(sentence: &str) -> Option<(&str, String)> {
    let (start, _) = words::lower(sentence).find(|(_, word)| CONDITIONS.contains(&word.as_str()))?;
    let (before, clause) = sentence.split_at_checked(start)?;
    let goes_on = |after: &str| {
        let after = after.trim_start();
        after.starts_with(|c: char| c.is_ascii_digit()) || ["or ", "and "].iter().any(|word| after.starts_with(word))
    };
    let end = clause.match_indices(',').find(|(at, _)| clause.get(at + 1..).is_some_and(|after| !goes_on(after)));
    let (condition, after) = end.map_or(Some((clause, "")), |(at, _)| clause.split_at_checked(at))?;
    Some((condition, format!("{before} {after}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_in_the_sentence_s_own_way_holds() {
        for (claim, sentence) in [
            ("Each dose is given in milliliters and milligrams.", "Give every dose in milliliters and milligrams."),
            ("Take it when you remember that you missed a dose.", "If you miss a dose, take it when you remember."),
            ("For a missed dose, call the desk.", "If you miss a dose, call the desk."),
            ("Call the desk at 555-0110.", "2. If you miss a dose, call the desk at 555-0110."),
            ("The desk calls the desk of the ward.", "The desk calls the desk of the ward."),
            ("Never crush tablets.", "Do not crush tablets."),
            ("Take at most 4 tablets.", "Take up to 4 tablets."),
            ("Take 1 tablet once daily.", "Once daily, take 1 tablet."),
        ] {
            assert!(holds(claim, sentence), "{claim}");
        }
    }

    #[test]
    fn a_word_twice_another_quantifier_or_a_condition_told_as_a_fact_does_not() {
        for (claim, sentence) in [
            ("Give doses in both milliliters and milliliters.", "Give doses in both milliliters and milligrams."),
            ("We make both creams and liquids.", "We make only creams and liquids."),
            ("Tablets are never crushed.", "Tablets are crushed."),
            ("Tablets may be crushed.", "Some tablets may be crushed."),
            ("Do not take all tablets.", "Do not take any tablets."),
            (
                "The plan approves the claim on appeal.",
                "If the plan approves the claim on appeal, we refund the copay.",
            ),
            ("The plan approves the claim.", "3. If the claim is late, or the plan approves it, we run it again."),
            (
                "When we run the claim again, the plan approves later.",
                "If the plan approves later, we run the claim again.",
            ),
            ("The plan approves later.", "We run the claim again if the plan approves later."),
            ("You owe 1,500 dollars on a plan.", "If you owe 1,500 dollars or more, you may ask for a plan."),
            (
                "The plan is approved within 14 days of the fill.",
                "If the plan approves later, we can run the claim again within 14 days of the fill.",
            ),
        ] {
            assert!(!holds(claim, sentence), "{claim}");
        }
    }
}
