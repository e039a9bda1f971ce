//! What the type of a document says: the size of its text, which sizes are headings, how its words are spelled.

use std::collections::{HashMap, HashSet};

use super::Page;
use super::piece::Line;
use crate::parse::plain;

/// Larger than the text by this much, a short line is a heading.
const LARGER: f32 = 1.15;
/// Longer than this, nothing is a heading.
pub(super) const LONGEST_HEADING: usize = 160;
/// A size that makes up less than this share of a document, in per cent, may be that of headings.
const RARE: usize = 12;

pub(super) struct Look {
    /// The size in which most is set.
    body: f32,
    /// Sizes of headings in half points, largest first.
    sizes: Vec<i32>,
    /// Bold lines stand out, because most are not.
    bold_heads: bool,
    /// Words of the document in lower case, to decide about hyphens at line ends.
    words: HashSet<String>,
}

impl Look {
    pub(super) fn of(pages: &[Page]) -> Self {
        let mut letters: HashMap<i32, usize> = HashMap::new();
        let mut words = HashSet::new();
        let (mut bold, mut all) = (0_usize, 0_usize);
        for line in pages.iter().flat_map(|page| &page.lines) {
            let count = line.text.chars().count();
            *letters.entry(half_points(line.size)).or_default() += count;
            all += count;
            bold += if line.bold { count } else { 0 };
            words.extend(line.text.split_whitespace().map(bare));
        }
        let commonest = letters.iter().max_by_key(|(size, count)| (**count, **size)).map_or(20, |(size, _)| *size);
        let body = commonest as f32 / 2.0;
        // A size in which much is set is text, not headings, even if another size is commoner.
        let heads = |size: i32, count: usize| size as f32 / 2.0 > body * LARGER && count * 100 < all * RARE;
        let mut sizes: Vec<i32> =
            letters.iter().filter(|(size, count)| heads(**size, **count)).map(|(size, _)| *size).collect();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        Self { body, sizes, bold_heads: bold * 4 < all, words }
    }

    /// The level that a line has if it is a heading; `None` for running text. Whether it is one shows when its
    /// neighbours are known.
    pub(super) fn level(&self, line: &Line) -> Option<u8> {
        if line.level.is_some() {
            return line.level;
        }
        let chars = line.text.chars().count();
        let worded = line.text.chars().filter(|char| char.is_alphabetic()).count() * 2 > chars;
        let bullet = line.text.starts_with(['•', '▪', '●', '◦', '■', '·', '-', '–']);
        if !(2..=LONGEST_HEADING).contains(&chars) || !worded || bullet {
            return None;
        }
        let capped = |level: usize| u8::try_from(level).unwrap_or(6).min(6);
        if let Some(rank) = self.sizes.iter().position(|size| *size == half_points(line.size)) {
            return Some(capped(rank + 1).min(5));
        }
        let heads = self.bold_heads && line.bold && line.size >= self.body * 0.95 && chars <= 100;
        (heads && !is_marker(&line.text)).then(|| capped(self.sizes.len() + 1))
    }

    /// Whether the halves of a word divided at a line end are elsewhere written with a hyphen between them.
    pub(super) fn hyphenates(&self, first: &str, second: &str) -> bool {
        let (first, second) = (bare(first), bare(second));
        self.words.contains(&format!("{first}-{second}")) && !self.words.contains(&format!("{first}{second}"))
    }
}

/// A bullet or number without its text.
pub(super) fn is_marker(text: &str) -> bool {
    plain::marker(&format!("{text} x")).is_some_and(|(_, _, rest)| rest == "x")
}

fn bare(word: &str) -> String {
    word.trim_matches(|char: char| !char.is_alphanumeric()).to_lowercase()
}

fn half_points(size: f32) -> i32 {
    (size * 2.0).round() as i32
}
