//! Words that carry meaning, brought to a common form by a light stemmer.

use std::collections::BTreeSet;

use unicode_segmentation::UnicodeSegmentation;

/// Words that say little by themselves: articles, pronouns, prepositions, auxiliaries, question words, courtesies.
/// Sorted, so that it can be searched by halving. Negations are absent: they have their own module.
const LITTLE: &[&str] = &[
    "a",
    "about",
    "according",
    "after",
    "again",
    "all",
    "also",
    "am",
    "an",
    "and",
    "another",
    "any",
    "anyone",
    "anything",
    "are",
    "as",
    "at",
    "be",
    "because",
    "been",
    "before",
    "being",
    "both",
    "but",
    "by",
    "can",
    "could",
    "did",
    "do",
    "does",
    "doing",
    "done",
    "each",
    "either",
    "else",
    "etc",
    "every",
    "for",
    "from",
    "get",
    "gets",
    "getting",
    "give",
    "given",
    "go",
    "goes",
    "going",
    "got",
    "had",
    "has",
    "have",
    "having",
    "he",
    "hello",
    "help",
    "her",
    "here",
    "hers",
    "hi",
    "him",
    "his",
    "how",
    "however",
    "i",
    "i'd",
    "i'm",
    "i've",
    "if",
    "in",
    "into",
    "is",
    "it",
    "it's",
    "its",
    "just",
    "kindly",
    "know",
    "let",
    "like",
    "long",
    "make",
    "makes",
    "many",
    "may",
    "me",
    "might",
    "more",
    "most",
    "much",
    "must",
    "my",
    "need",
    "needs",
    "now",
    "of",
    "off",
    "on",
    "once",
    "one",
    "only",
    "or",
    "other",
    "our",
    "ours",
    "out",
    "over",
    "own",
    "please",
    "same",
    "shall",
    "she",
    "should",
    "so",
    "some",
    "someone",
    "something",
    "such",
    "sure",
    "tell",
    "than",
    "thank",
    "thanks",
    "that",
    "that's",
    "the",
    "their",
    "theirs",
    "them",
    "then",
    "there",
    "these",
    "they",
    "thing",
    "things",
    "this",
    "those",
    "to",
    "too",
    "under",
    "until",
    "up",
    "us",
    "use",
    "used",
    "using",
    "via",
    "want",
    "was",
    "way",
    "we",
    "we'll",
    "well",
    "were",
    "what",
    "what's",
    "when",
    "where",
    "which",
    "while",
    "who",
    "whom",
    "whose",
    "why",
    "will",
    "with",
    "would",
    "yes",
    "you",
    "you'll",
    "you're",
    "your",
    "yours",
];

/// One word that carries meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Its common form.
    pub stem: String,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

/// The words of `text` that carry meaning, in order. Words with digits are left to [`fact`](crate::fact).
pub fn content(text: &str) -> Vec<Content> {
    lower(text)
        .filter(|(_, word)| !is_little(word) && !word.contains(|c: char| c.is_ascii_digit()))
        .map(|(start, word)| (start, stem(&word), word.len()))
        .filter(|(_, stem, _)| !stem.is_empty())
        .map(|(start, stem, length)| Content { stem, start, end: start + length })
        .collect()
}

/// The common forms of the words of `text` that carry meaning, each once.
pub fn stems(text: &str) -> BTreeSet<String> {
    content(text).into_iter().map(|word| word.stem).collect()
}

/// Share of the members of `asked` that stand in `held`; 1 for an empty `asked`.
pub fn share(asked: &BTreeSet<String>, held: &BTreeSet<String>) -> f32 {
    if asked.is_empty() {
        return 1.0;
    }
    asked.intersection(held).count() as f32 / asked.len() as f32
}

/// Every word in lower case with the byte at which it starts; typographic apostrophes become plain ones.
pub(crate) fn lower(text: &str) -> impl Iterator<Item = (usize, String)> + '_ {
    text.unicode_word_indices().map(|(start, word)| (start, word.to_lowercase().replace('\u{2019}', "'")))
}

pub(crate) fn is_little(word: &str) -> bool {
    LITTLE.binary_search(&word).is_ok()
}

/// The common form of a word in lower case: plural, `-ing`, `-ed`, `-ly`, the possessive and a final `e` are taken
/// off. Light on purpose: a heavy stemmer makes `universe` and `university` one.
pub fn stem(word: &str) -> String {
    let word = regular(word);
    let mut stem = word.strip_suffix("'s").or_else(|| word.strip_suffix('\'')).unwrap_or(word).to_owned();
    if !stem.is_ascii() {
        return stem;
    }
    if let Some(root) = stem.strip_suffix("ies").filter(|root| root.len() >= 2) {
        stem = format!("{root}y");
    } else if ["sses", "shes", "ches", "xes", "zes"].iter().any(|end| stem.ends_with(end)) {
        stem.truncate(stem.len() - 2);
    } else if stem.len() > 3 && stem.ends_with('s') && !["ss", "us", "is"].iter().any(|end| stem.ends_with(end)) {
        stem.truncate(stem.len() - 1);
    }
    for (ending, least) in [("ing", 3), ("ed", 3), ("ly", 3)] {
        if let Some(root) = stem.strip_suffix(ending).filter(|root| root.len() >= least && has_vowel(root)) {
            stem = undouble(root).to_owned();
            break;
        }
    }
    if let Some(root) = stem.strip_suffix('e').filter(|root| root.len() >= 3) {
        stem = root.to_owned();
    } else if let Some(root) = stem.strip_suffix('i').filter(|root| root.len() >= 3) {
        stem = format!("{root}y");
    }
    stem
}

/// The plain form of an irregular participle; any other word as it is.
fn regular(word: &str) -> &str {
    match word {
        "frozen" | "froze" => "freeze",
        "taken" | "took" => "take",
        "broken" | "broke" => "break",
        "eaten" | "ate" => "eat",
        "drunk" | "drank" => "drink",
        "kept" => "keep",
        "held" => "hold",
        "thrown" | "threw" => "throw",
        "shown" => "show",
        "begun" | "began" => "begin",
        "written" | "wrote" => "write",
        "chosen" | "chose" => "choose",
        "forgotten" | "forgot" => "forget",
        "withdrawn" | "withdrew" => "withdraw",
        "drawn" | "drew" => "draw",
        "sent" => "send",
        "paid" => "pay",
        "brought" => "bring",
        "sold" => "sell",
        "lost" => "lose",
        "shaken" | "shook" => "shake",
        other => other,
    }
}

fn has_vowel(root: &str) -> bool {
    root.contains(['a', 'e', 'i', 'o', 'u', 'y'])
}

/// `stopp` to `stop`; `fill`, `pass` and `buzz` stay.
fn undouble(root: &str) -> &str {
    let mut last = root.chars().rev();
    match (last.next(), last.next()) {
        (Some(a), Some(b)) if a == b && !matches!(a, 'l' | 's' | 'z') => root.strip_suffix(a).unwrap_or(root),
        _ => root,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_little_words_can_be_searched() {
        assert!(LITTLE.is_sorted());
        assert!(LITTLE.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn forms_of_a_word_come_together() {
        for group in [
            &["refill", "refills", "refilled", "refilling"][..],
            &["store", "stored", "storing", "stores"],
            &["copay", "copays"],
            &["pharmacy", "pharmacies", "pharmacy's"],
            &["stop", "stopped", "stopping", "stops"],
            &["fax", "faxes", "faxed"],
            &["mail", "mailed", "mailing"],
            &["freeze", "frozen", "froze", "freezing"],
            &["take", "taken", "took", "taking"],
        ] {
            let stems: BTreeSet<String> = group.iter().map(|word| stem(word)).collect();
            assert_eq!(stems.len(), 1, "{stems:?}");
        }
    }

    #[test]
    fn different_words_stay_apart() {
        for (a, b) in [("insulin", "insulated"), ("bus", "busy"), ("dose", "doze"), ("ring", "red"), ("fill", "file")] {
            assert_ne!(stem(a), stem(b));
        }
    }

    #[test]
    fn content_words_know_their_place() {
        let text = "How do I refill the patient\u{2019}s inhaler?";
        let found = content(text);
        assert_eq!(found.iter().map(|word| word.stem.as_str()).collect::<Vec<_>>(), ["refill", "patient", "inhaler"]);
        assert_eq!(&text[found[2].start..found[2].end], "inhaler");
    }
}
