//! Screening of text before anything else sees it.
//!
//! Thin for now: length, invisible characters, composed form. Later detectors (identifiers, attacks, topics) join the
//! list of [`Detector`]s and report in the same [`Finding`]s.

use std::fmt;

use unicode_normalization::{UnicodeNormalization, is_nfc};

/// A further check, run over the cleaned text.
pub type Detector = fn(&str) -> Vec<Finding>;

/// What was found, where, and how long it is. It never holds the text itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finding {
    /// What kind of thing.
    pub kind: FindingKind,
    /// First code point, counted in the text as it was given.
    pub start: usize,
    /// Code points.
    pub length: usize,
}

/// Kinds of finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FindingKind {
    /// A control character, removed.
    Control,
    /// A character of no width, or one that turns the direction of writing, removed.
    Invisible,
    /// Letters were written in parts and have been put together (Unicode NFC).
    Composed,
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Control => "control",
            Self::Invisible => "invisible",
            Self::Composed => "composed",
        })
    }
}

/// Text that passed.
#[derive(Clone, PartialEq, Eq)]
pub struct Clean {
    /// The text without what was removed, in composed form, without white space at its ends.
    pub text: String,
    /// What was found on the way, in order of place.
    pub findings: Vec<Finding>,
}

/// Why text was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nothing is left after cleaning.
    #[error("the text is empty")]
    Empty,
    /// Longer than allowed.
    #[error("the text has {characters} characters, more than the {limit} allowed: shorten it")]
    TooLong {
        /// Code points given.
        characters: usize,
        /// Code points allowed.
        limit: usize,
    },
}

/// Cleans `text` and runs `detectors` over the result.
///
/// Line feeds and tabs stay; a carriage return before a line feed goes without a finding.
///
/// # Errors
/// [`Refusal`] when the text is empty or has more than `longest` code points as given.
pub fn screen(text: &str, longest: usize, detectors: &[Detector]) -> Result<Clean, Refusal> {
    let characters = text.chars().count();
    if characters > longest {
        return Err(Refusal::TooLong { characters, limit: longest });
    }
    let (kept, mut findings) = remove_unseen(text);
    let text = if is_nfc(&kept) {
        kept
    } else {
        findings.push(Finding { kind: FindingKind::Composed, start: 0, length: characters });
        kept.nfc().collect()
    };
    let text = text.trim().to_owned();
    if text.is_empty() {
        return Err(Refusal::Empty);
    }
    findings.extend(detectors.iter().flat_map(|detect| detect(&text)));
    findings.sort_by_key(|finding| finding.start);
    Ok(Clean { text, findings })
}

fn remove_unseen(text: &str) -> (String, Vec<Finding>) {
    let mut kept = String::with_capacity(text.len());
    let mut findings: Vec<Finding> = Vec::new();
    let mut characters = text.chars().enumerate().peekable();
    while let Some((start, character)) = characters.next() {
        if character == '\r' && characters.peek().is_some_and(|&(_, next)| next == '\n') {
            continue;
        }
        let kind = if is_invisible(character) {
            FindingKind::Invisible
        } else if character.is_control() && !matches!(character, '\n' | '\t') {
            FindingKind::Control
        } else {
            kept.push(character);
            continue;
        };
        match findings.last_mut() {
            Some(last) if last.kind == kind && last.start + last.length == start => last.length += 1,
            _ => findings.push(Finding { kind, start, length: 1 }),
        }
    }
    (kept, findings)
}

/// Characters of no width: joiners, direction marks, soft hyphen, byte-order mark, and the tag characters that can
/// carry a hidden message (Unicode 16, section 23).
pub(crate) const fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180B}'..='\u{180F}'
        | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FEFF}'
        | '\u{FFA0}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E0FFF}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hidden_characters_are_removed_and_reported_by_place() {
        let clean = screen("re\u{200b}\u{200b}fill\u{7}\r\nnow", 100, &[]).unwrap();
        assert_eq!(clean.text, "refill\nnow");
        assert_eq!(
            clean.findings,
            [
                Finding { kind: FindingKind::Invisible, start: 2, length: 2 },
                Finding { kind: FindingKind::Control, start: 8, length: 1 }
            ]
        );
    }

    #[test]
    fn letters_written_in_parts_are_put_together() {
        let clean = screen("cafe\u{301}", 100, &[]).unwrap();
        assert_eq!(clean.text, "caf\u{e9}");
        assert_eq!(clean.findings.len(), 1);
    }

    #[test]
    fn empty_and_overlong_text_is_refused_without_repeating_it() {
        assert!(matches!(screen("\u{200b} \n", 100, &[]), Err(Refusal::Empty)));
        let Err(refusal) = screen("secret name", 5, &[]) else { panic!("it should be refused") };
        assert_eq!(refusal, Refusal::TooLong { characters: 11, limit: 5 });
        assert!(!refusal.to_string().contains("secret"));
    }

    #[test]
    fn a_further_detector_sees_the_cleaned_text() {
        fn digits(text: &str) -> Vec<Finding> {
            text.chars()
                .position(|c| c.is_ascii_digit())
                .map(|start| Finding { kind: FindingKind::Control, start, length: 1 })
                .into_iter()
                .collect()
        }
        assert_eq!(screen("a\u{200b}1", 10, &[digits]).unwrap().findings.len(), 2);
    }

    proptest! {
        #[test]
        fn what_passed_passes_again_unchanged(text in "\\PC{0,80}") {
            if let Ok(clean) = screen(&text, 1000, &[]) {
                let again = screen(&clean.text, 4000, &[]).unwrap();
                prop_assert_eq!(again.text, clean.text);
            }
        }
    }
}
