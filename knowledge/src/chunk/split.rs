//! Divides a block that is too long: at sentences, then at white space, at last between characters.

use unicode_segmentation::UnicodeSegmentation;

use super::Ruler;

/// A stretch of the block, with its tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) tokens: usize,
}

/// Pieces of at most `most` tokens that cover all but white space of `text`, in order. Sentences stay whole where
/// they fit; lines do where `by_line`.
pub(super) fn pieces(text: &str, by_line: bool, most: usize, ruler: &Ruler<'_>) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut from = 0;
    let mut take = |stretch: &str| {
        halve(stretch, from, most, ruler, &mut pieces);
        from += stretch.len();
    };
    if by_line {
        text.split_inclusive('\n').for_each(&mut take);
    } else {
        joined_abbreviations(text).for_each(&mut take);
    }
    pieces
}

/// Sentences, with those rejoined that Unicode's rules cut after an abbreviation ("500 mg p.o. daily", "Dr. Smith"), or at
/// the end of a line in the midst of a sentence: "from 8:00 a.m." and in the next line "to 4:30 p.m.".
fn joined_abbreviations(text: &str) -> impl Iterator<Item = &str> {
    let mut start = 0;
    let mut end = 0;
    let mut bounds = Vec::new();
    for sentence in text.split_sentence_bounds() {
        end += sentence.len();
        let goes_on = text.get(start..end).zip(text.get(end..)).is_some_and(|(before, after)| {
            ends_in_abbreviation(before) || before.ends_with('\n') && after.trim_start().starts_with(char::is_lowercase)
        });
        if !goes_on {
            bounds.push((start, end));
            start = end;
        }
    }
    if start < end {
        bounds.push((start, end));
    }
    bounds.into_iter().filter_map(|(from, to)| text.get(from..to))
}

fn ends_in_abbreviation(text: &str) -> bool {
    const SHORT: &[&str] = &[
        "dr", "mr", "mrs", "ms", "prof", "st", "no", "nos", "vs", "e.g", "i.e", "cf", "approx", "fig", "max", "min",
        "tel",
    ];
    let Some(word) = text.trim_end().strip_suffix('.').and_then(|rest| rest.split_whitespace().next_back()) else {
        return false;
    };
    let word = word.trim_start_matches(['(', '[', '"']).to_lowercase();
    SHORT.contains(&word.as_str())
}

/// Pushes `text`, halved near its middle until each part fits.
fn halve(text: &str, offset: usize, most: usize, ruler: &Ruler<'_>, into: &mut Vec<Piece>) {
    let content = text.trim();
    if content.is_empty() {
        return;
    }
    let start = offset + (text.len() - text.trim_start().len());
    let tokens = ruler.tokens(content);
    let cut = if tokens <= most { None } else { middle(content) };
    match cut.and_then(|cut| content.split_at_checked(cut)) {
        Some((left, right)) => {
            halve(left, start, most, ruler, into);
            halve(right, start + left.len(), most, ruler, into);
        }
        None => into.push(Piece { start, end: start + content.len(), tokens }),
    }
}

/// The white space nearest to the middle, else the character boundary there; `None` for a single character.
fn middle(text: &str) -> Option<usize> {
    let half = text.len() / 2;
    let nearest = text
        .char_indices()
        .filter(|(at, c)| c.is_whitespace() && *at > 0)
        .map(|(at, _)| at)
        .min_by_key(|at| at.abs_diff(half));
    nearest.or_else(|| text.char_indices().map(|(at, _)| at).filter(|at| *at > 0).min_by_key(|at| at.abs_diff(half)))
}
