//! Words that are not said.

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use unicode_segmentation::UnicodeSegmentation;

use super::profanity;
use crate::screen::is_invisible;

/// A list of words that comes with the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Managed {
    /// English swear words and slurs, as they are commonly disguised too. No word that has a clinical sense, no mild oath.
    Profanity,
}

impl Managed {
    /// The name, as the cloud has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Profanity => "PROFANITY",
        }
    }
}

/// The word lists of a guardrail. A word is matched whole, whatever its case and its form in Unicode; an entry of several words
/// is matched where they follow each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Words {
    /// The words.
    pub words: Vec<String>,
    /// Lists that come with the program.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub managed: Vec<Managed>,
    /// Whether they are refused in what a caller says. Default: true.
    pub input: bool,
    /// Whether they are held back in answers. Default: true.
    pub output: bool,
}

impl Default for Words {
    fn default() -> Self {
        Self { words: Vec::new(), managed: Vec::new(), input: true, output: true }
    }
}

impl Words {
    /// Whether there is no word to look for.
    pub const fn is_empty(&self) -> bool {
        self.words.is_empty() && self.managed.is_empty()
    }

    /// Whether a word of any list stands in `text`.
    pub fn denies(&self, text: &str) -> bool {
        !self.found(text).is_empty() || !self.found_managed(text).is_empty()
    }

    /// The managed lists of which a word stands in `text`, each with the list's form of it.
    pub fn found_managed(&self, text: &str) -> Vec<(Managed, &'static str)> {
        let profanity = self.managed.contains(&Managed::Profanity).then(|| profanity::found(&seen(text)));
        profanity.into_iter().flatten().map(|word| (Managed::Profanity, word)).collect()
    }

    /// The own entries that stand in `text`, in the order of the list.
    pub fn found(&self, text: &str) -> Vec<&str> {
        if self.words.is_empty() {
            return Vec::new();
        }
        let said = plain(text);
        let stands = |entry: &&String| {
            let sought = plain(entry);
            !sought.is_empty() && said.windows(sought.len()).any(|window| window == sought)
        };
        self.words.iter().filter(stands).map(String::as_str).collect()
    }

    pub(super) fn has_empty(&self) -> bool {
        self.words.iter().any(|word| plain(word).is_empty())
    }
}

/// The words of a text in a common form: compatibility forms put together, lower case, nothing invisible.
fn plain(text: &str) -> Vec<String> {
    seen(text).to_lowercase().unicode_words().map(str::to_owned).collect()
}

fn seen(text: &str) -> String {
    text.chars().filter(|c| !is_invisible(*c)).nfkc().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(entries: &[&str]) -> Words {
        Words { words: entries.iter().map(|entry| (*entry).to_owned()).collect(), ..Words::default() }
    }

    #[test]
    fn words_are_found_whole_and_in_any_form() {
        let list = words(&["Acme Corp", "rat"]);
        assert_eq!(list.found("ask ACME\ncorp about it"), ["Acme Corp"]);
        assert_eq!(list.found("\u{ff21}\u{200b}cme   Corp."), ["Acme Corp"]);
        assert_eq!(list.found("A rat!"), ["rat"]);
        assert!(list.found("The rate of Acme's corp").is_empty(), "neither is there whole");
    }

    #[test]
    fn a_managed_list_is_looked_for_where_it_is_named() {
        let named = Words { managed: vec![Managed::Profanity, Managed::Profanity], ..Words::default() };
        assert_eq!(named.found_managed("b\u{200b}ullsh\u{ff29}t and BULLSHIT"), [(Managed::Profanity, "bullshit")]);
        assert!(named.denies("bullshit") && !named.denies("blood"));
        assert!(!words(&["blood"]).denies("bullshit"));
    }

    proptest! {
        #[test]
        fn an_entry_is_found_wherever_it_stands(before in "[a-z ]{0,20}", after in "[a-z ]{0,20}") {
            let text = format!("{before} Off The Record {after}");
            let list = words(&["off the record"]);
            prop_assert_eq!(list.found(&text), ["off the record"]);
        }
    }
}
