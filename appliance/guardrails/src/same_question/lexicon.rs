//! Words whose presence in only one of two questions changes the answer.

use std::collections::BTreeSet;

use crate::words;

/// Endings that drug names share (the stems of the international non-proprietary names).
const DRUG_ENDINGS: &[&str] = &[
    "afil",
    "alol",
    "amide",
    "amine",
    "asone",
    "azepam",
    "azole",
    "azine",
    "azoline",
    "barbital",
    "caine",
    "cillin",
    "cycline",
    "dipine",
    "dronate",
    "ergide",
    "etine",
    "fenac",
    "floxacin",
    "formin",
    "gabalin",
    "gliptin",
    "gliflozin",
    "glutide",
    "idone",
    "iazide",
    "mab",
    "micin",
    "mycin",
    "nazole",
    "nidazole",
    "olol",
    "olone",
    "oxetine",
    "parin",
    "pramine",
    "prazole",
    "pril",
    "profen",
    "ridone",
    "sartan",
    "semide",
    "setron",
    "sone",
    "statin",
    "tadine",
    "terol",
    "tidine",
    "tinib",
    "traline",
    "triptan",
    "triptyline",
    "vastatin",
    "vir",
    "xaban",
    "zepam",
    "zodone",
    "zolam",
    "zosin",
    "zyme",
];

/// Common words that end like a drug and are none.
const NOT_DRUGS: &[&str] = &["examine", "determine", "famine", "magazine", "someone", "reason", "person", "medicine"];

/// Common drugs and brands whose names have no telling ending.
const DRUGS: &[&str] = &[
    "acetaminophen",
    "adderall",
    "advair",
    "albuterol",
    "amiodarone",
    "apixaban",
    "aspirin",
    "ativan",
    "baclofen",
    "benadryl",
    "bupropion",
    "carbamazepine",
    "cetirizine",
    "clonidine",
    "clopidogrel",
    "codeine",
    "coumadin",
    "digoxin",
    "diphenhydramine",
    "eliquis",
    "epinephrine",
    "epipen",
    "estradiol",
    "fentanyl",
    "fluoride",
    "gabapentin",
    "glipizide",
    "guaifenesin",
    "heparin",
    "humira",
    "hydralazine",
    "hydrocodone",
    "hydroxyzine",
    "insulin",
    "ivermectin",
    "lantus",
    "levothyroxine",
    "lipitor",
    "lithium",
    "melatonin",
    "methadone",
    "methotrexate",
    "mirtazapine",
    "montelukast",
    "morphine",
    "naloxone",
    "naltrexone",
    "narcan",
    "nicotine",
    "nitroglycerin",
    "nyquil",
    "opioid",
    "oxycodone",
    "ozempic",
    "phenytoin",
    "plavix",
    "potassium",
    "prednisone",
    "pregabalin",
    "quetiapine",
    "sildenafil",
    "suboxone",
    "synthroid",
    "tamoxifen",
    "tamsulosin",
    "tramadol",
    "trazodone",
    "tylenol",
    "valium",
    "viagra",
    "warfarin",
    "xanax",
    "xarelto",
    "zoloft",
    "zolpidem",
];

/// Whether a word in lower case names a drug or is built like a drug's name.
pub(super) fn is_drug_like(word: &str) -> bool {
    DRUGS.contains(&word)
        || (word.len() >= 7 && !NOT_DRUGS.contains(&word) && DRUG_ENDINGS.iter().any(|ending| word.ends_with(ending)))
}

/// The groups of people, or animals, that the words of a question name.
pub(super) fn populations(words: &[String]) -> BTreeSet<&'static str> {
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

/// The group that a word in lower case names.
fn population(word: &str) -> Option<&'static str> {
    Some(match word.strip_suffix("'s").unwrap_or(word) {
        "child" | "children" | "kid" | "kids" | "pediatric" | "paediatric" | "minor" | "minors" | "toddler"
        | "toddlers" | "teen" | "teens" | "teenager" | "adolescent" | "son" | "daughter" | "grandchild" => "child",
        "infant" | "infants" | "baby" | "babies" | "newborn" | "newborns" => "infant",
        "adult" | "adults" => "adult",
        "elderly" | "older" | "senior" | "seniors" | "geriatric" => "older",
        "pregnant" | "pregnancy" | "expecting" => "pregnant",
        "breastfeeding" | "breastfeed" | "nursing" | "lactating" => "breastfeeding",
        "husband" | "wife" | "spouse" | "partner" | "mother" | "mom" | "father" | "dad" | "parent" | "parents"
        | "sister" | "brother" | "sibling" | "siblings" | "relative" | "friend" | "neighbor" | "neighbour"
        | "roommate" | "caregiver" | "carer" | "dependent" | "dependents" => "another",
        "dog" | "dogs" | "cat" | "cats" | "pet" | "pets" => "animal",
        "man" | "men" | "male" => "men",
        "woman" | "women" | "female" => "women",
        _ => return None,
    })
}

/// Acts that undo: a question about them is never the same as one without them.
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
    "stop",
    "unsubscribe",
    "withdraw",
];

/// Words for a direction. Two questions that move must move the same way.
const INWARD: &[&str] = &["in", "into", "from", "receive"];
const OUTWARD: &[&str] = &["out", "to", "away", "send"];
const MOVES: &[&str] = &["transfer", "transferred", "transferring", "move", "moved", "moving", "switch", "forward"];

fn is_direction(word: &str) -> bool {
    INWARD.contains(&word) || OUTWARD.contains(&word)
}

/// Whether one of two questions, as words in lower case, undoes what the other does or moves the other way.
pub(super) fn turned(asked: &[String], known: &[String]) -> bool {
    let undoing = |question: &[String]| {
        let mut found: Vec<String> = question
            .iter()
            .filter(|word| UNDOING.iter().any(|undo| words::stem(undo) == words::stem(word)))
            .map(|word| words::stem(word))
            .collect();
        found.sort();
        !found.is_empty()
    };
    if undoing(asked) != undoing(known) {
        return true;
    }
    let way = |question: &[String]| {
        let at = question.iter().position(|word| MOVES.contains(&word.as_str()))?;
        let after = question.get(at..)?.iter();
        after.into_iter().find_map(|word| match word.as_str() {
            word if INWARD.contains(&word) => Some(true),
            word if OUTWARD.contains(&word) => Some(false),
            _ => None,
        })
    };
    // To us, or to somebody else: both are "to", and the opposite of each other.
    let goal = |question: &[String]| {
        let at = question.iter().position(|word| MOVES.contains(&word.as_str()))?;
        let after = question.get(at..)?.iter().skip_while(|word| !is_direction(word));
        after.into_iter().find_map(|word| match word.as_str() {
            "your" | "our" | "you" | "us" | "here" | "this" => Some(true),
            "another" | "other" | "others" | "different" | "elsewhere" | "somewhere" => Some(false),
            _ => None,
        })
    };
    let opposed = |a: Option<bool>, b: Option<bool>| matches!((a, b), (Some(a), Some(b)) if a != b);
    opposed(way(asked), way(known)) || opposed(goal(asked), goal(known))
}
