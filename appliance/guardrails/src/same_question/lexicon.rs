//! Words whose presence in only one of two questions changes the answer.

use std::collections::BTreeSet;

use crate::words;

/// The groups of people, or animals, that the words of a question name.
pub(crate) fn populations(words: &[String]) -> BTreeSet<&'static str> {
    let mut found: BTreeSet<_> = words
        .iter()
        .enumerate()
        .filter(|(index, _)| words.get(index + 1).is_none_or(|next| next != "than")) // "older than 65" is a number
        .filter_map(|(_, word)| population(word))
        .collect();
    if found.contains("older") {
        found.remove("adult"); // "older adults" and "the elderly" are the same people
    }
    if found.contains("pregnant") || found.contains("breastfeeding") {
        found.remove("women");
    }
    found
}

/// Somebody for whom another asks: what group they belong to is not told.
pub(super) const ANOTHER: &str = "another";

/// The group that a word in lower case names.
pub(crate) fn population(word: &str) -> Option<&'static str> {
    Some(match word.strip_suffix("'s").unwrap_or(word) {
        "child" | "children" | "kid" | "kids" | "pediatric" | "paediatric" | "minor" | "minors" | "toddler"
        | "toddlers" | "teen" | "teens" | "teenager" | "adolescent" | "son" | "daughter" | "grandchild" => "child",
        "infant" | "infants" | "baby" | "babies" | "newborn" | "newborns" | "neonate" | "neonates" => "infant",
        "adult" | "adults" => "adult",
        "elderly" | "older" | "senior" | "seniors" | "geriatric" => "older",
        "pregnant" | "pregnancy" | "pregnancies" | "expecting" => "pregnant",
        "breastfeeding" | "breastfeed" | "nursing" | "lactating" => "breastfeeding",
        "husband" | "wife" | "spouse" | "partner" | "mother" | "mom" | "father" | "dad" | "parent" | "parents"
        | "sister" | "brother" | "sibling" | "siblings" | "relative" | "friend" | "neighbor" | "neighbour"
        | "roommate" | "caregiver" | "carer" | "dependent" | "dependents" => ANOTHER,
        "dog" | "dogs" | "cat" | "cats" | "pet" | "pets" => "animal",
        "man" | "men" | "male" | "males" => "men",
        "woman" | "women" | "female" | "females" => "women",
        _ => return None,
    })
}

/// The places in a row that words in lower case name, but for the first, which is mostly said of something else ("what comes first?").
pub(super) fn ordinals(words: &[String]) -> BTreeSet<usize> {
    let place = |word: &String| ORDINALS.iter().position(|forms| forms.contains(&word.as_str()));
    words.iter().filter_map(place).map(|at| at + 2).collect()
}

const ORDINALS: [[&str; 2]; 5] =
    [["second", "2nd"], ["third", "3rd"], ["fourth", "4th"], ["fifth", "5th"], ["sixth", "6th"]];

/// Acts that undo: by its wording, a question about them is never the same as one without them.
const UNDOING: &[&str] = &[
    "cancel",
    "delete",
    "discontinue",
    "dispose",
    "end",
    "lose",
    "lost",
    "opt-out",
    "quit",
    "remove",
    "return",
    "revoke",
    "rid",
    "steal",
    "stole",
    "stolen",
    "stop",
    "unsubscribe",
    "withdraw",
];

/// Words for a direction. Two questions that move must move the same way.
const INWARD: &[&str] = &["in", "into", "from", "receive"];
const OUTWARD: &[&str] = &["out", "to", "away", "send"];
const MOVES: &[&str] = &[
    "transfer",
    "transfers",
    "transferred",
    "transferring",
    "move",
    "moves",
    "moved",
    "moving",
    "switch",
    "switched",
    "switching",
    "forward",
];

/// Whether one of two questions, as words in lower case, has a word for undoing and the other has none.
pub(super) fn undone(asked: &[String], known: &[String]) -> bool {
    let undoing = |question: &[String]| {
        question.iter().any(|word| UNDOING.iter().any(|undo| words::stem(undo) == words::stem(word)))
    };
    undoing(asked) != undoing(known)
}

/// Words after "to" or "from" in which it is told whose it is.
const GOAL: usize = 4;

/// Where something moves to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Goal {
    Here,
    Elsewhere,
    Named,
}

/// Whether one of two questions, as words in lower case, moves the other way, or elsewhere.
pub(super) fn turned(asked: &[String], known: &[String]) -> bool {
    let way = |question: &[String]| {
        let at = question.iter().position(|word| MOVES.contains(&word.as_str()))?;
        let after = question.get(at..)?.iter();
        after.into_iter().find_map(|word| match word.as_str() {
            word if INWARD.contains(&word) => Some(true),
            word if OUTWARD.contains(&word) => Some(false),
            _ => None,
        })
    };
    // To us, to somebody else, or to something that is named: all are "to", and none is another. Out of ours is elsewhere.
    let goal = |question: &[String]| {
        let at = question.iter().position(|word| MOVES.contains(&word.as_str()))?;
        let after = question.get(at..)?;
        let here = |words: &[String]| {
            words.iter().find_map(|word| match word.as_str() {
                "your" | "yours" | "our" | "ours" | "you" | "us" | "here" | "this" => Some(true),
                "another" | "other" | "others" | "different" | "elsewhere" | "somewhere" => Some(false),
                _ => None,
            })
        };
        let goal = |here: bool| if here { Goal::Here } else { Goal::Elsewhere };
        let near = |from: usize| after.get(from..).map(|tail| tail.get(..GOAL).unwrap_or(tail));
        let last = |word: &str| after.iter().rposition(|other| other == word);
        if let Some(to) = last("to").and_then(near) {
            return Some(here(to).map_or(Goal::Named, goal));
        }
        let left = [last("away"), last("out")].into_iter().flatten().max();
        match (left, last("from")) {
            (Some(left), _) => Some(near(left).and_then(here).map_or(Goal::Elsewhere, |here| goal(!here))),
            (None, Some(from)) => Some(near(from).and_then(here).map_or(Goal::Here, |here| goal(!here))),
            (None, None) => here(after).map(goal),
        }
    };
    let differ = matches!((goal(asked), goal(known)), (Some(one), Some(other)) if one != other);
    let opposed = |a: Option<bool>, b: Option<bool>| matches!((a, b), (Some(a), Some(b)) if a != b);
    opposed(way(asked), way(known)) || differ
}
