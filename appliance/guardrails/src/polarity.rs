//! Negation, direction and comparison: the small words that turn a statement round.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::OnceLock,
};

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
    "avoids",
    "avoided",
    "avoiding",
    "nobody",
    "nothing",
    "unlikely",
    "lack",
    "lacks",
    "lacking",
    "absence",
    "ineffective",
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
    (&["start", "begin", "resume", "restart"], &["stop", "discontinue", "quit", "cease", "end"]),
    (&["increase", "raise", "higher", "more"], &["decrease", "reduce", "lower", "less", "fewer"]),
    (&["before"], &["after"]),
    (&["allowed", "permitted", "allow", "permit"], &["prohibited", "forbidden", "prohibit", "forbid"]),
    (&["with"], &["without"]),
    (&["open"], &["closed"]),
    (&["enroll", "enrol", "join", "subscribe"], &["cancel", "unenroll", "disenroll", "leave", "unsubscribe"]),
    (&["activate"], &["deactivate"]),
    (&["connect", "attach"], &["disconnect", "detach"]),
    (&["insert"], &["remove"]),
    (&["accept"], &["reject", "refuse", "decline"]),
    (&["safe"], &["unsafe", "dangerous", "harmful"]),
    (&["covered"], &["uncovered", "excluded"]),
    (&["minimum", "least"], &["maximum", "most"]),
    (&["always"], &["never"]),
    (&["brand"], &["generic"]),
    (&["above", "over"], &["below", "under"]),
    (&["morning"], &["evening", "night", "bedtime"]),
    (&["early", "earlier"], &["late", "later"]),
    (&["first"], &["last"]),
    (&["high"], &["low"]),
    (&["hot", "warm"], &["cold", "cool"]),
    (&["required", "mandatory"], &["optional"]),
    (&["inpatient"], &["outpatient"]),
    (&["approve", "approved", "approval"], &["deny", "denied", "denial"]),
    (&["positive"], &["negative"]),
    (&["hyperkalemia"], &["hypokalemia"]),
    (&["hypertension"], &["hypotension"]),
    (&["hyperglycemia"], &["hypoglycemia"]),
    (&["hypernatremia"], &["hyponatremia"]),
    (&["hyperthyroidism"], &["hypothyroidism"]),
    (&["bradycardia"], &["tachycardia"]),
    (&["constipation"], &["diarrhea"]),
    (&["gain"], &["loss"]),
    (&["left"], &["right"]),
    (&["systolic"], &["diastolic"]),
    (&["agonist"], &["antagonist"]),
    (&["inhibit", "inhibits", "inhibitor"], &["induce", "induces", "inducer"]),
    (&["rise", "rises"], &["fall", "falls"]),
    (&["loading"], &["maintenance"]),
    (&["give", "given", "administer"], &["hold", "held", "withhold", "withheld", "omit", "skip"]),
    (&["original"], &["copy", "photocopy", "duplicate"]),
    (&["opened"], &["unopened", "sealed"]),
    (&["locked"], &["unlocked"]),
    (&["include", "included"], &["exclude", "excluded"]),
    (&["inside", "indoors"], &["outside", "outdoors"]),
    (&["signed"], &["unsigned"]),
    (&["upright"], &["flat", "sideways"]),
    (&["dry"], &["wet", "damp", "moist"]),
    (&["mild"], &["severe"]),
    (&["acute"], &["chronic"]),
    (&["weekday", "weekdays"], &["weekend", "weekends"]),
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
        let (mut negated, mut turned) = (BTreeSet::new(), BTreeSet::new());
        let mut cues = 0;
        for (index, word) in words.iter().enumerate() {
            let next = words.get(index + 1).map(String::as_str).unwrap_or_default();
            if !is_cue(word) || NO_CUES.iter().any(|[cue, after]| cue == word && *after == next) {
                continue;
            }
            if bounds(words.get(index + 1..).unwrap_or_default()) {
                continue;
            }
            cues += 1;
            let follower = words
                .get(index + 1..)
                .unwrap_or_default()
                .iter()
                .find(|word| !words::is_little(word) && !word.contains(|c: char| c.is_ascii_digit()));
            negated.extend(follower.map(|word| words::stem(word)));
            let little = words.iter().skip(index + 1).take_while(|word| words::is_little(word)).count();
            turned.extend(index + 1..=index + 1 + little);
        }
        let sides = sides(&words, &turned);
        Self { negated, sides, cues }
    }

    /// Whether the sentence holds a negation at all.
    pub const fn negates(&self) -> bool {
        self.cues > 0
    }

    /// How many negations the sentence holds.
    pub const fn negations(&self) -> usize {
        self.cues
    }

    /// Whether `self` and `other` take opposite sides: one only the first, the other only the second of a pair.
    pub fn opposes(&self, other: &Self) -> bool {
        self.sides
            .iter()
            .any(|&(pair, one, two)| one != two && other.sides.iter().any(|&(p, o, t)| p == pair && o != t && o != one))
    }
}

/// A word that has an opposite, in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Side {
    /// The place of the pair in the list.
    pub(crate) pair: usize,
    /// Which side of it.
    pub(crate) first: bool,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// The words of a text that have an opposite, in order. A text that negates anything has none: what is turned is not told here.
pub(crate) fn sides_of(text: &str) -> Vec<Side> {
    if Polarity::of(text).negates() {
        return Vec::new();
    }
    let of = |(start, word): (usize, String)| {
        let end = start + word.len();
        let found = stems().get(&words::stem(&word)).cloned().unwrap_or_default();
        found.into_iter().map(move |(pair, first)| Side { pair, first, start, end })
    };
    words::lower(text).flat_map(of).collect()
}

/// The words of [`OPPOSITES`] by their stems, each with its pairs and its side of them.
fn stems() -> &'static HashMap<String, Vec<(usize, bool)>> {
    static STEMS: OnceLock<HashMap<String, Vec<(usize, bool)>>> = OnceLock::new();
    STEMS.get_or_init(|| {
        let mut stems: HashMap<String, Vec<(usize, bool)>> = HashMap::new();
        for (index, (one, other)) in OPPOSITES.iter().enumerate() {
            let both = one.iter().map(|word| (word, true)).chain(other.iter().map(|word| (word, false)));
            for (word, first) in both {
                let sides = stems.entry(words::stem(word)).or_default();
                // "Hold" and "held" have one stem.
                if !sides.contains(&(index, first)) {
                    sides.push((index, first));
                }
            }
        }
        stems
    })
}

/// The pairs of opposites that stand in a sentence, and on which side. The words at the places `turned` are negated: "not
/// given" is on the side of "held".
fn sides(words: &[String], turned: &BTreeSet<usize>) -> Vec<(usize, bool, bool)> {
    let mut found: BTreeMap<usize, (bool, bool)> = BTreeMap::new();
    for (index, word) in words.iter().enumerate() {
        for (pair, first) in stems().get(&words::stem(word)).into_iter().flatten() {
            let first = *first != turned.contains(&index);
            let (one, other) = found.entry(*pair).or_default();
            *one |= first;
            *other |= !first;
        }
    }
    found.into_iter().map(|(pair, (one, other))| (pair, one, other)).collect()
}

fn is_cue(word: &str) -> bool {
    CUES.contains(&word) || word.ends_with("n't")
}

/// Whether a negation that these words follow bounds a number instead of denying something: "do not take more than 4".
fn bounds(after: &[String]) -> bool {
    let near = after.get(..after.len().min(NEAR_BOUND)).unwrap_or_default();
    near.iter().enumerate().any(|(index, word)| {
        let next = after.get(index + 1).map(String::as_str).unwrap_or_default();
        match word.as_str() {
            "exceed" | "exceeds" | "exceeding" => true,
            "more" | "longer" | "greater" | "less" | "fewer" | "higher" | "later" => next == "than",
            _ => false,
        }
    })
}

/// Words after a negation within which a comparison makes it a bound.
const NEAR_BOUND: usize = 5;

/// Whether a claim and a sentence speak about the same words and one negates what the other states.
pub fn contradict(claim: &str, sentence: &str) -> bool {
    let (a, b) = (Polarity::of(claim), Polarity::of(sentence));
    if a.opposes(&b) {
        return true;
    }
    let (in_claim, in_sentence) = (clauses(claim), clauses(sentence));
    // A word that one negates stands in the other, in a clause that negates nothing.
    let turned = |one: &Polarity, other: &Polarity, held: &[Clause]| {
        one.negated.iter().filter(|stem| !other.negated.contains(*stem)).any(|stem| {
            let mut with = held.iter().filter(|clause| clause.stems.contains(stem)).peekable();
            with.peek().is_some() && with.all(|clause| !clause.negative)
        })
    };
    turned(&a, &b, &in_sentence) || turned(&b, &a, &in_claim) || parted(&in_claim, &in_sentence)
}

/// A part of a sentence.
struct Clause {
    stems: BTreeSet<String>,
    /// Whether an odd number of negations stands in it.
    negative: bool,
}

/// Whether a clause of the claim denies what the likest clause of the sentence says, or the other way round.
fn parted(claim: &[Clause], sentence: &[Clause]) -> bool {
    claim.iter().filter(|clause| clause.stems.len() >= 2).any(|clause| {
        let common = |other: &Clause| clause.stems.intersection(&other.stems).count();
        let best = sentence.iter().map(common).max().unwrap_or_default();
        let alike = best >= 2 && best as f32 >= SAME_CLAUSE * clause.stems.len() as f32;
        alike && sentence.iter().filter(|other| common(other) == best).all(|other| other.negative != clause.negative)
    })
}

/// Share of a clause's meaningful words from which on another clause is about the same.
const SAME_CLAUSE: f32 = 0.65;

/// Words that begin another clause.
const CONNECTIVES: &[&str] =
    &["but", "and", "if", "when", "unless", "because", "while", "until", "although", "or", "since"];

fn clauses(text: &str) -> Vec<Clause> {
    let mut clauses: Vec<Vec<String>> = vec![Vec::new()];
    let mut end = 0;
    for (start, word) in words::lower(text) {
        let marked = text.get(end..start).is_some_and(|gap| gap.contains([',', ';', ':', '.', '(', ')']));
        end = start + word.len();
        if marked || CONNECTIVES.contains(&word.as_str()) {
            clauses.push(Vec::new());
        }
        if let Some(clause) = clauses.last_mut() {
            clause.push(word);
        }
    }
    clauses.iter().map(|words| clause(words)).collect()
}

fn clause(words: &[String]) -> Clause {
    let negations = words.iter().enumerate().filter(|(index, word)| {
        let next = words.get(index + 1).map(String::as_str).unwrap_or_default();
        is_cue(word)
            && !NO_CUES.iter().any(|[cue, after]| cue == word && *after == next)
            && !bounds(words.get(index + 1..).unwrap_or_default())
    });
    let negative = negations.count() % 2 == 1;
    let meaningful = words
        .iter()
        .filter(|word| !words::is_little(word) && !is_cue(word) && !word.contains(|c: char| c.is_ascii_digit()));
    Clause { stems: meaningful.map(|word| words::stem(word)).collect(), negative }
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
            ("Take ibuprofen; do not take acetaminophen.", "Take acetaminophen; do not take ibuprofen."),
            ("It is safe in pregnancy.", "It is contraindicated in pregnancy."),
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
            ("The dose is given.", "The dose is held."),
            ("Bring the original.", "Bring a copy."),
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
            ("Take at most 4 tablets a day.", "Do not take more than 4 tablets a day."),
            ("Do not use warfarin in pregnancy.", "Warfarin is contraindicated in pregnancy."),
            ("Avoid alcohol with metronidazole.", "Do not drink alcohol with metronidazole."),
            ("Keep it in the refrigerator.", "Keep it in the refrigerator and do not freeze it."),
            ("The dose is not given.", "The dose is held."),
            ("Refills are not allowed.", "Refills are prohibited."),
        ] {
            assert!(!contradict(claim, sentence), "{claim} / {sentence}");
        }
    }
}
