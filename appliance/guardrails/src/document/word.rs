//! Words that are not said.

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use unicode_segmentation::UnicodeSegmentation;

use crate::screen::is_invisible;

/// The word list of a guardrail. A word is matched whole, whatever its case and its form in Unicode; an entry of several words
/// is matched where they follow each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Words {
    /// The words.
    pub words: Vec<String>,
    /// Whether they are refused in what a caller says. Default: true.
    pub input: bool,
    /// Whether they are held back in answers. Default: true.
    pub output: bool,
}

impl Default for Words {
    fn default() -> Self {
        Self { words: Vec::new(), input: true, output: true }
    }
}

impl Words {
    /// The entries that stand in `text`, in the order of the list.
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
    let seen: String = text.chars().filter(|c| !is_invisible(*c)).nfkc().collect();
    seen.to_lowercase().unicode_words().map(str::to_owned).collect()
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

    proptest! {
        #[test]
        fn an_entry_is_found_wherever_it_stands(before in "[a-z ]{0,20}", after in "[a-z ]{0,20}") {
            let text = format!("{before} Off The Record {after}");
            let list = words(&["off the record"]);
            prop_assert_eq!(list.found(&text), ["off the record"]);
        }
    }
}
