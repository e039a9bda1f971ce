//! Text brought to one form for reading, with the way back to the original.
//!
//! Compatibility forms (NFKC), characters of no width, look-alike letters in a word of mixed scripts, typographic
//! quotes and dashes, digits of other scripts, and words or numbers broken over a line end. Digits that a scanner read
//! as letters are left to the [numbers](super::numbers): whether `O` is a nought depends on what surrounds it.

use std::{borrow::Cow, ops::Range};

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// Text in reading form.
pub(crate) struct Normal<'a> {
    /// The reading form. It is the original itself where nothing had to change, as for nearly all plain text.
    pub(crate) text: Cow<'a, str>,
    /// For each byte of the reading form, the bytes of the original that it came from; `None` where they are the same.
    map: Option<Vec<(usize, usize)>>,
}

impl<'a> Normal<'a> {
    /// Brings `text` to reading form.
    pub(crate) fn of(text: &'a str) -> Self {
        if text.is_ascii() && !text.contains("-\n") && !text.contains("-\r\n") {
            return Self { text: Cow::Borrowed(text), map: None };
        }
        let mut pieces = composed(text);
        unmix(&mut pieces);
        let (normal, map) = unwrapped(&pieces);
        Self { text: Cow::Owned(normal), map: Some(map) }
    }

    /// Where a range of the reading form stands in the original.
    pub(crate) fn original(&self, range: Range<usize>) -> Range<usize> {
        let Some(map) = &self.map else { return range };
        let start = map.get(range.start).map(|(start, _)| *start);
        let end = range.end.checked_sub(1).and_then(|last| map.get(last)).map(|(_, end)| *end);
        match (start, end) {
            (Some(start), Some(end)) => start..end.max(start),
            _ => 0..0,
        }
    }
}

/// One character of the reading form, and the bytes of the original that it came from.
#[derive(Clone, Copy)]
struct Piece {
    character: char,
    start: usize,
    end: usize,
}

/// Each base character with its marks, composed; characters of no width left out.
fn composed(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::with_capacity(text.len());
    let mut characters = text.char_indices().peekable();
    let mut cluster = String::new();
    while let Some((start, character)) = characters.next() {
        if invisible(character) {
            continue;
        }
        let mut end = start + character.len_utf8();
        if character.is_ascii() && characters.peek().is_none_or(|(_, next)| next.is_ascii()) {
            pieces.push(Piece { character, start, end });
            continue;
        }
        cluster.clear();
        cluster.push(character);
        while let Some(&(at, next)) = characters.peek() {
            if !(is_combining_mark(next) || invisible(next)) {
                break;
            }
            if !invisible(next) {
                cluster.push(next);
            }
            end = at + next.len_utf8();
            characters.next();
        }
        pieces.extend(cluster.nfkc().map(|character| Piece { character: plain(character), start, end }));
    }
    pieces
}

/// Characters of no width and those that turn the direction of writing.
const fn invisible(character: char) -> bool {
    matches!(character,
        '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180B}'..='\u{180F}'
        | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}'
        | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E0FFF}')
}

/// Typographic quotes and dashes as typed ones, digits of other scripts as European ones.
fn plain(character: char) -> char {
    match character {
        '\u{2018}' | '\u{2019}' | '\u{201B}' | '\u{02BC}' | '\u{02B9}' | '\u{00B4}' | '\u{2032}' => '\'',
        '\u{201C}' | '\u{201D}' | '\u{201F}' => '"',
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{00B7}' => '-',
        '\u{2028}' | '\u{2029}' => '\n',
        other if other.is_whitespace() && !other.is_ascii() => ' ',
        other => digit(other).unwrap_or(other),
    }
}

/// The European digit for one of another script: Arabic-Indic, Persian, Devanagari, Bengali.
fn digit(character: char) -> Option<char> {
    let zero = match character {
        '\u{0660}'..='\u{0669}' => 0x0660,
        '\u{06F0}'..='\u{06F9}' => 0x06F0,
        '\u{0966}'..='\u{096F}' => 0x0966,
        '\u{09E6}'..='\u{09EF}' => 0x09E6,
        _ => return None,
    };
    char::from_digit(u32::from(character) - zero, 10)
}

/// Cyrillic and Greek letters that look like Latin ones (Unicode TR39, confusables).
pub(crate) const fn look_alike(character: char) -> Option<char> {
    Some(match character {
        'а' | 'α' => 'a',
        'А' | 'Α' => 'A',
        'В' | 'Β' => 'B',
        'с' | 'ϲ' => 'c',
        'С' => 'C',
        'ԁ' => 'd',
        'е' => 'e',
        'Е' | 'Ε' => 'E',
        'Н' | 'Η' => 'H',
        'һ' => 'h',
        'і' | 'ι' => 'i',
        'І' | 'Ι' => 'I',
        'ј' => 'j',
        'Ј' => 'J',
        'К' | 'Κ' | 'к' | 'κ' => 'K',
        'М' | 'Μ' => 'M',
        'Ν' => 'N',
        'ո' => 'n',
        'о' | 'ο' => 'o',
        'О' | 'Ο' => 'O',
        'р' | 'ρ' => 'p',
        'Р' | 'Ρ' => 'P',
        'ѕ' => 's',
        'Ѕ' => 'S',
        'Т' | 'Τ' => 'T',
        'ν' => 'v',
        'х' | 'χ' => 'x',
        'Х' | 'Χ' => 'X',
        'у' => 'y',
        'У' | 'Υ' => 'Y',
        'Ζ' => 'Z',
        _ => return None,
    })
}

/// Puts Latin letters for their look-alikes in words that hold Latin letters as well. A name that is all Cyrillic or
/// Greek stays as it is.
fn unmix(pieces: &mut [Piece]) {
    for word in pieces.split_mut(|piece| !piece.character.is_alphanumeric()) {
        let latin = word.iter().any(|piece| piece.character.is_ascii_alphabetic());
        let mixed = latin && word.iter().any(|piece| look_alike(piece.character).is_some());
        if mixed {
            for piece in word {
                piece.character = look_alike(piece.character).unwrap_or(piece.character);
            }
        }
    }
}

/// Joins what was broken at a line end: `Smi-⏎th` to `Smith`, `402-19-⏎8877` to `402-19-8877`.
fn unwrapped(pieces: &[Piece]) -> (String, Vec<(usize, usize)>) {
    let mut text = String::with_capacity(pieces.len());
    let mut map = Vec::with_capacity(pieces.len());
    let at = |index: usize| pieces.get(index).map(|piece| piece.character);
    let mut index = 0;
    while let Some(piece) = pieces.get(index) {
        let broken = piece.character == '-' && index > 0;
        let line_end = match (at(index + 1), at(index + 2)) {
            (Some('\n'), _) => 2,
            (Some('\r'), Some('\n')) => 3,
            _ => 0,
        };
        let before = index.checked_sub(1).and_then(at);
        let after = at(index + line_end);
        if broken && line_end > 0 {
            let letters =
                before.is_some_and(char::is_alphabetic) && after.is_some_and(|c| c.is_alphabetic() && c.is_lowercase());
            let digits = before.is_some_and(|c| c.is_ascii_digit()) && after.is_some_and(|c| c.is_ascii_digit());
            if letters || digits {
                if digits {
                    push(&mut text, &mut map, *piece);
                }
                index += line_end;
                continue;
            }
        }
        push(&mut text, &mut map, *piece);
        index += 1;
    }
    (text, map)
}

fn push(text: &mut String, map: &mut Vec<(usize, usize)>, piece: Piece) {
    text.push(piece.character);
    map.resize(text.len(), (piece.start, piece.end));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn back<'a>(original: &'a str, found: &str) -> &'a str {
        let normal = Normal::of(original);
        let start = normal.text.find(found).expect("it stands in the reading form");
        &original[normal.original(start..start + found.len())]
    }

    #[test]
    fn plain_text_is_left_as_it_is() {
        assert!(matches!(Normal::of("Seen by Dr. Hall on Monday.").text, Cow::Borrowed(_)));
    }

    #[test]
    fn a_place_in_the_reading_form_leads_back_to_the_original() {
        assert_eq!(back("call \u{ff14}\u{ff10}\u{ff12} now", "402"), "\u{ff14}\u{ff10}\u{ff12}");
        assert_eq!(back("for Ha\u{200b}ll here", "Hall"), "Ha\u{200b}ll");
        assert_eq!(back("for Jose\u{301} Ruiz", "Jos\u{e9}"), "Jose\u{301}");
        assert_eq!(back("SSN 402-19-\n8877", "402-19-8877"), "402-19-\n8877");
        assert_eq!(back("Mr Ferring-\nton came", "Ferrington"), "Ferring-\nton");
    }

    #[test]
    fn look_alikes_are_read_as_latin_only_in_mixed_words() {
        assert_eq!(Normal::of("\u{408}ohn").text, "John");
        assert_eq!(Normal::of("Сергей").text, "Сергей");
    }

    proptest! {
        #[test]
        fn every_range_leads_back_to_whole_characters(text in "\\PC{0,60}", cut in 0usize..60) {
            let normal = Normal::of(&text);
            let ends: Vec<usize> = normal.text.char_indices().map(|(at, _)| at).chain([normal.text.len()]).collect();
            let start = ends[cut % ends.len()];
            for end in ends.iter().filter(|end| **end > start) {
                prop_assert!(text.get(normal.original(start..*end)).is_some());
            }
        }
    }
}
