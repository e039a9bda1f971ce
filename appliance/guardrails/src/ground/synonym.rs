//! Words that say the same, brought to one form.

use std::{collections::HashMap, sync::OnceLock};

use crate::words;

const TABLE: &str = include_str!("tables/synonyms.txt");

/// The common form of a stem: the stem of the first word of its group, or itself.
pub(super) fn common(stem: &str) -> &str {
    static GROUPS: OnceLock<HashMap<String, String>> = OnceLock::new();
    let groups = GROUPS.get_or_init(|| {
        let mut groups = HashMap::new();
        for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
            let mut stems = line.split(',').map(|word| words::stem(word.trim())).filter(|stem| !stem.is_empty());
            let Some(first) = stems.next() else { continue };
            groups.entry(first.clone()).or_insert_with(|| first.clone());
            let first = groups.get(&first).cloned().unwrap_or(first);
            for stem in stems {
                groups.entry(stem).or_insert_with(|| first.clone());
            }
        }
        groups
    });
    groups.get(stem).map_or(stem, String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_one_group_come_to_one_form() {
        assert_eq!(common(&words::stem("meals")), common(&words::stem("food")));
        assert_eq!(common(&words::stem("prescriber")), common(&words::stem("doctor")));
        assert_eq!(common("pelican"), "pelican");
    }
}
