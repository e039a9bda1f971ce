//! The wording under which a passage is embedded: its title and headings, then its text, in pieces that the model
//! sees whole.

use super::{Ruler, split};

/// The most tokens of title and headings before a passage's text. The innermost are kept.
pub(super) const PREFIX_MOST: usize = 32;

/// What is said before a passage's own text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wording<'a> {
    /// The document's title; empty where it has none.
    pub(crate) title: &'a str,
    /// The headings above the passage.
    pub(crate) headings: &'a [String],
}

/// The texts to embed for a passage: one, unless it is longer than the model sees.
pub(crate) fn windows(wording: Wording<'_>, body: &str, ruler: &Ruler<'_>) -> Vec<String> {
    let prefix = prefix(wording, ruler);
    let whole = format!("{prefix}{body}");
    if ruler.tokens(&whole) <= ruler.room() {
        return vec![whole];
    }
    let left = ruler.room().saturating_sub(ruler.tokens(&prefix)).max(1);
    // Tokens at a seam may merge or part differently than counted alone; a little slack pays for that.
    let most = left.saturating_sub(left / 16).max(1);
    let mut texts = Vec::new();
    let mut open: Option<(usize, usize, usize)> = None;
    for piece in split::pieces(body, false, most, ruler) {
        open = match open {
            Some((start, _, held)) if held + piece.tokens <= most => Some((start, piece.end, held + piece.tokens)),
            Some((start, end, _)) => {
                texts.extend(body.get(start..end).map(|text| format!("{prefix}{text}")));
                Some((piece.start, piece.end, piece.tokens))
            }
            None => Some((piece.start, piece.end, piece.tokens)),
        };
    }
    if let Some((start, end, _)) = open {
        texts.extend(body.get(start..end).map(|text| format!("{prefix}{text}")));
    }
    texts
}

/// Title and headings, each once, each ending a sentence. Where they are too long the outermost go first, and a single
/// one that is too long goes too.
fn prefix(wording: Wording<'_>, ruler: &Ruler<'_>) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in std::iter::once(wording.title).chain(wording.headings.iter().map(String::as_str)) {
        let part = part.trim().trim_end_matches(['.', ':']);
        if !part.is_empty() && !parts.iter().any(|known| known.eq_ignore_ascii_case(part)) {
            parts.push(part);
        }
    }
    let most = ruler.prefix_most();
    let mut kept: Vec<&str> = Vec::new();
    let mut held = 0;
    for part in parts.iter().rev() {
        let tokens = ruler.tokens(part) + 1;
        if held + tokens > most {
            break;
        }
        held += tokens;
        kept.push(part);
    }
    kept.iter().rev().map(|part| format!("{part}. ")).collect()
}
