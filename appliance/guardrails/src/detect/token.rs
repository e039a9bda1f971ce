//! A text as tokens: words, runs of digits, single marks.

use super::lexicon::{self, Senses};

/// How a word is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A small letter first, or letters that know no capitals.
    Lower,
    /// A capital, then small letters.
    Title,
    /// Two capitals or more and nothing else.
    Capitals,
    /// One capital letter by itself.
    Letter,
    /// A capital first and further ones inside: `McKay`.
    Mixed,
    /// Digits.
    Digits,
    /// A mark.
    Mark,
    /// No token: before the first or after the last.
    Nothing,
}

/// One token.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Token {
    /// First byte in the reading form.
    pub(crate) start: usize,
    /// One past the last byte. A possessive `'s` is not part of it.
    pub(crate) end: usize,
    /// How it is written.
    pub(crate) shape: Shape,
    /// What the word may be.
    pub(crate) senses: Senses,
    /// Line ends between the token before and this one.
    pub(crate) lines: u8,
    /// Whether white space or the beginning stands before it.
    pub(crate) apart: bool,
    /// Whether `'s` or `'` follows.
    pub(crate) possessive: bool,
}

const NOTHING: Token = Token {
    start: usize::MAX,
    end: usize::MAX,
    shape: Shape::Nothing,
    senses: Senses::NONE,
    lines: 9,
    apart: true,
    possessive: false,
};

impl Token {
    /// Whether it is a word.
    pub(crate) const fn word(&self) -> bool {
        !matches!(self.shape, Shape::Digits | Shape::Mark | Shape::Nothing)
    }

    /// Whether it is a word with a capital first, of two letters or more.
    pub(crate) const fn capital(&self) -> bool {
        matches!(self.shape, Shape::Title | Shape::Capitals | Shape::Mixed)
    }

    /// Whether the word may be this.
    pub(crate) const fn is(&self, sense: Senses) -> bool {
        self.word() && self.senses.has(sense)
    }
}

/// The tokens of a text in reading form.
pub(crate) struct Tokens<'a> {
    /// The reading form.
    pub(crate) text: &'a str,
    lower: String,
    all: Vec<Token>,
}

impl<'a> Tokens<'a> {
    /// Cuts `text`.
    pub(crate) fn of(text: &'a str) -> Self {
        let mut tokens = Self { text, lower: text.to_ascii_lowercase(), all: Vec::with_capacity(text.len() / 4) };
        tokens.cut();
        tokens
    }

    /// How many there are.
    pub(crate) const fn len(&self) -> usize {
        self.all.len()
    }

    /// The token at `index`; an empty one beyond the ends.
    pub(crate) fn at(&self, index: usize) -> &Token {
        self.all.get(index).unwrap_or(&NOTHING)
    }

    /// The token `back` places before `index`.
    pub(crate) fn before(&self, index: usize, back: usize) -> &Token {
        index.checked_sub(back).map_or(&NOTHING, |index| self.at(index))
    }

    /// The text of the token at `index`.
    pub(crate) fn text(&self, index: usize) -> &str {
        let token = self.at(index);
        self.text.get(token.start..token.end).unwrap_or_default()
    }

    /// The text of the token at `index` in lower case (ASCII letters).
    pub(crate) fn lower(&self, index: usize) -> &str {
        let token = self.at(index);
        self.lower.get(token.start..token.end).unwrap_or_default()
    }

    /// The lower-case text of the token `back` places before `index`.
    pub(crate) fn lower_before(&self, index: usize, back: usize) -> &str {
        index.checked_sub(back).map_or("", |index| self.lower(index))
    }

    /// Whether the token at `index` is this mark.
    pub(crate) fn mark(&self, index: usize, mark: &str) -> bool {
        self.at(index).shape == Shape::Mark && self.text(index) == mark
    }

    /// Whether token `index` follows the one before it without a gap.
    pub(crate) fn joined(&self, index: usize) -> bool {
        index > 0 && !self.at(index).apart
    }

    /// Whether a sentence or a line begins at `index`.
    pub(crate) fn begins(&self, index: usize) -> bool {
        let token = self.at(index);
        if index == 0 || token.lines > 0 {
            return true;
        }
        let mut back = 1;
        while matches!(self.lower_before(index, back), "\"" | "'" | ")" | "(" | "*" | "-") {
            back += 1;
        }
        match self.lower_before(index, back) {
            "." => {
                !self.before(index, back + 1).is(Senses::TITLE) && self.before(index, back + 1).shape != Shape::Letter
            }
            "!" | "?" | "" => true,
            _ => false,
        }
    }

    /// The first token that starts at or after byte `place`.
    pub(crate) fn from(&self, place: usize) -> usize {
        self.all.partition_point(|token| token.start < place)
    }

    /// Whether the words around `index` are all in capitals, so that a capital says nothing.
    pub(crate) fn shouts(&self, index: usize) -> bool {
        let (mut words, mut capitals) = (0, 0);
        for at in index.saturating_sub(6)..index + 7 {
            let token = self.at(at);
            words += usize::from(token.word() && token.shape != Shape::Letter);
            capitals += usize::from(token.shape == Shape::Capitals);
        }
        words >= 4 && capitals * 10 >= words * 7
    }

    fn cut(&mut self) {
        let text = self.text;
        let bytes = text.as_bytes();
        let byte = |at: usize| bytes.get(at).copied().unwrap_or(b' ');
        let (mut at, mut lines, mut apart) = (0, 0u8, true);
        let mut fold = String::new();
        while at < bytes.len() {
            let first = byte(at);
            if first.is_ascii_whitespace() {
                lines = lines.saturating_add(u8::from(first == b'\n'));
                (at, apart) = (at + 1, true);
                continue;
            }
            let start = at;
            let (shape, mut possessive) = if first.is_ascii_digit() {
                while byte(at).is_ascii_digit() {
                    at += 1;
                }
                (Shape::Digits, false)
            } else {
                let (end, possessive) = word_end(text, at);
                if end == at {
                    at += text.get(at..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8);
                    (Shape::Mark, false)
                } else {
                    at = end;
                    (shape(text.get(start..at).unwrap_or_default()), possessive)
                }
            };
            let end = at;
            let senses = match shape {
                Shape::Digits | Shape::Mark | Shape::Letter => Senses::default(),
                _ => {
                    let lower = self.lower.get(start..end).unwrap_or_default();
                    if lower.is_ascii() && !lower.contains('\'') {
                        lexicon::senses(lower)
                    } else {
                        fold.clear();
                        fold.push_str(&lexicon::folded(lower));
                        fold.retain(|letter| letter != '\'');
                        lexicon::senses(&fold)
                    }
                }
            };
            if possessive {
                at += 1;
                if matches!(byte(at), b's' | b'S') {
                    at += 1;
                }
            }
            possessive &= shape != Shape::Mark;
            self.all.push(Token { start, end, shape, senses, lines, apart, possessive });
            (lines, apart) = (0, false);
        }
    }
}

/// Where the word that begins at `at` ends, and whether a possessive follows. `at` itself if no word begins there.
fn word_end(text: &str, at: usize) -> (usize, bool) {
    let bytes = text.as_bytes();
    let letter = |at: usize| -> usize {
        match bytes.get(at) {
            Some(byte) if byte.is_ascii_alphabetic() => 1,
            Some(byte) if byte.is_ascii() => 0,
            Some(_) => {
                let next = text.get(at..).and_then(|rest| rest.chars().next());
                next.filter(|c| c.is_alphabetic()).map_or(0, char::len_utf8)
            }
            None => 0,
        }
    };
    let mut end = at;
    loop {
        let length = letter(end);
        if length > 0 {
            end += length;
            continue;
        }
        if end == at || bytes.get(end) != Some(&b'\'') {
            return (end, false);
        }
        let after = letter(end + 1);
        if after == 0 {
            return (end, false);
        }
        let ends_word = letter(end + 1 + after) == 0;
        if ends_word && matches!(bytes.get(end + 1), Some(b's' | b'S')) {
            return (end, true);
        }
        end += 1;
    }
}

fn shape(word: &str) -> Shape {
    let mut letters = word.chars().filter(|c| c.is_alphabetic());
    let first = letters.next().is_some_and(char::is_uppercase);
    let (mut upper, mut lower) = (0, 0);
    for letter in letters {
        if letter.is_uppercase() {
            upper += 1;
        } else {
            lower += 1;
        }
    }
    match (first, upper, lower) {
        (true, 0, 0) => Shape::Letter,
        (true, 0, _) => Shape::Title,
        (true, _, 0) => Shape::Capitals,
        (false, ..) => Shape::Lower,
        (true, ..) => Shape::Mixed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_numbers_and_marks_are_told_apart() {
        let tokens = Tokens::of("Dr. O'Hara's pt, MRN CH123-4!\nNext");
        let read: Vec<&str> = (0..tokens.len()).map(|index| tokens.text(index)).collect();
        assert_eq!(read, ["Dr", ".", "O'Hara", "pt", ",", "MRN", "CH", "123", "-", "4", "!", "Next"]);
        assert!(tokens.at(2).possessive);
        assert!(tokens.joined(7) && !tokens.joined(6));
        assert!(tokens.begins(11) && !tokens.begins(2));
    }
}
