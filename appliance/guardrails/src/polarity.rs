//! Negation, direction and comparison: the small words that turn a statement round.

use std::collections::BTreeSet;

use crate::words;

/// Words that negate what follows.
const CUES: &[&str] = &[
    "not",
    "no",
    "never",
    "cannot",
    "without",
    "neither",
    "nor",
    "none",
    "avoid",
    "avoiding",
    "refuse",
    "unable",
    "prohibited",
    "forbidden",
    "contraindicated",
];

/// Openings that look like a negation and are none: they bound or stress.
const NO_CUES: &[[&str; 2]] = &[
    ["no", "more"],
    ["no", "less"],
    ["no", "later"],
    ["no", "earlier"],
    ["not", "more"],
    ["not", "only"],
    ["not", "less"],
    ["no", "matter"],
];

/// Pairs of opposite words. The first list of a pair is one side, the second the other.
const OPPOSITES: &[(&[&str], &[&str])] = &[
    (&["start", "begin", "resume"], &["stop", "discontinue", "quit", "cease", "end"]),
    (&["increase", "raise", "higher", "more"], &["decrease", "reduce", "lower", "less", "fewer"]),
    (&["before"], &["after"]),
    (&["allowed", "permitted", "allow", "permit"], &["prohibited", "forbidden", "prohibit", "forbid"]),
    (&["with"], &["without"]),
    (&["open"], &["closed"]),
    (&["enroll", "enrol"], &["cancel", "unenroll"]),
    (&["accept"], &["reject", "refuse", "decline"]),
    (&["safe"], &["unsafe", "dangerous", "harmful"]),
    (&["covered"], &["uncovered", "excluded"]),
    (&["minimum", "least"], &["maximum", "most"]),
    (&["always"], &["never"]),
    (&["brand"], &["generic"]),
    (&["above", "over"], &["below", "under"]),
];

/// Stems that a text negates, and the sides it takes in the pairs of opposites.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Polarity {
    /// The stem of the first meaningful word after each negation.
    pub negated: BTreeSet<String>,
    /// For each pair of opposites that occurs: its place in the list, and whether the first, the second or both occur.
    sides: Vec<(usize, bool, bool)>,
    cues: usize,
}

impl Polarity {
    /// Reads the polarity of one sentence.
    pub fn of(sentence: &str) -> Self {
        let words: Vec<String> = words::lower(sentence).map(|(_, word)| word).collect();
        let mut negated = BTreeSet::new();
        let mut cues = 0;
        for (index, word) in words.iter().enumerate() {
            let next = words.get(index + 1).map(String::as_str).unwrap_or_default();
            let is_cue = CUES.contains(&word.as_str()) || word.ends_with("n't") || word == "can't";
            if !is_cue || NO_CUES.iter().any(|[cue, after]| cue == word && *after == next) {
                continue;
            }
            cues += 1;
            let follower = words
                .get(index + 1..)
                .unwrap_or_default()
                .iter()
                .find(|word| !words::is_little(word) && !word.contains(|c: char| c.is_ascii_digit()));
            negated.extend(follower.map(|word| words::stem(word)));
        }
        let holds = |side: &[&str]| {
            words.iter().any(|word| side.iter().any(|w| w == word || words::stem(w) == words::stem(word)))
        };
        let sides = OPPOSITES
            .iter()
            .enumerate()
            .map(|(index, (one, other))| (index, holds(one), holds(other)))
            .filter(|&(_, one, other)| one || other)
            .collect();
        Self { negated, sides, cues }
    }

    /// Whether the sentence holds a negation at all.
    pub const fn negates(&self) -> bool {
        self.cues > 0
    }

    /// Whether `self` and `other` take opposite sides: one only the first, the other only the second of a pair.
    pub fn opposes(&self, other: &Self) -> bool {
        self.sides
            .iter()
            .any(|&(pair, one, two)| one != two && other.sides.iter().any(|&(p, o, t)| p == pair && o != t && o != one))
    }
}

/// Whether a claim and a sentence speak about the same words and one negates what the other states.
pub fn contradict(claim: &str, sentence: &str) -> bool {
    let (a, b) = (Polarity::of(claim), Polarity::of(sentence));
    if a.opposes(&b) {
        return true;
    }
    let (in_claim, in_sentence) = (words::stems(claim), words::stems(sentence));
    let turned = |one: &Polarity, other: &Polarity, held: &BTreeSet<String>| {
        one.negated.iter().any(|stem| held.contains(stem) && !other.negated.contains(stem))
    };
    turned(&a, &b, &in_sentence) || turned(&b, &a, &in_claim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_or_added_negation_contradicts() {
        for (claim, sentence) in [
            ("Crush the tablets.", "Do not crush the tablets."),
            ("It must not be given to children.", "It can be given to children."),
            ("Refills are allowed.", "No refills are allowed."),
            ("Take it with grapefruit.", "Avoid grapefruit."),
            ("You can't return opened packages.", "You can return opened packages."),
        ] {
            assert!(contradict(claim, sentence), "{claim} / {sentence}");
        }
    }

    #[test]
    fn opposite_directions_contradict() {
        for (claim, sentence) in [
            ("Start the medicine on Monday.", "Stop the medicine on Monday."),
            ("Take it before meals.", "Take it after meals."),
            ("Increase the dose.", "Reduce the dose."),
        ] {
            assert!(contradict(claim, sentence), "{claim} / {sentence}");
        }
    }

    #[test]
    fn the_same_statement_in_other_words_does_not_contradict() {
        for (claim, sentence) in [
            ("Never crush the tablets.", "Do not crush the tablets."),
            ("You don't have to be there to crush it.", "Nobody has to be there."),
            ("Order no later than Friday.", "Order by Friday."),
            ("Use no more than 4 tablets.", "Use at most 4 tablets."),
            ("Keep it in the refrigerator.", "Keep it in the refrigerator and do not freeze it."),
        ] {
            assert!(!contradict(claim, sentence), "{claim} / {sentence}");
        }
    }
}
