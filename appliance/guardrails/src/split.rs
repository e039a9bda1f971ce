//! Sentences, list items and table rows, found the same way in a finished text and in one that is still arriving.
//!
//! **Invariant (no second thoughts).** A boundary is announced only when no further text can move it: cutting a text
//! into pieces and feeding them one by one yields the same sentences as splitting the whole. A property test holds it.

mod abbreviation;
#[cfg(test)]
mod tests;

/// A sentence's place: bytes, at character boundaries, without white space at its ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// The text at this place; empty when the span belongs to another text.
    pub fn of(self, text: &str) -> &str {
        text.get(self.start..self.end).unwrap_or_default()
    }
}

/// The sentences of a finished text, in order. Together they hold every character that is not white space.
pub fn sentences(text: &str) -> Vec<Span> {
    let mut from = 0;
    std::iter::from_fn(|| {
        let span = next_sentence(text, from, true)?;
        from = span.end;
        Some(span)
    })
    .collect()
}

/// The first sentence of `text` at or after byte `from`; `None` when there is none, or, unless the text has `ended`,
/// none whose end is certain.
pub fn next_sentence(text: &str, from: usize, ended: bool) -> Option<Span> {
    let rest = text.get(from..)?;
    let start = from + (rest.len() - rest.trim_start().len());
    let reader = Reader { text, start, ended };
    let mut at = start;
    while let Some(character) = text.get(at..)?.chars().next() {
        let step = match character {
            '.' | '!' | '?' | '…' => reader.after_terminator(at),
            '\n' => reader.after_line(at),
            other => Step::On(at + other.len_utf8()),
        };
        match step {
            Step::On(next) => at = next,
            Step::End(end) => return Some(Span { start, end: start + text.get(start..end)?.trim_end().len() }),
            Step::Wait => return None,
        }
    }
    let last = text.get(start..)?.trim_end();
    (ended && !last.is_empty()).then_some(Span { start, end: start + last.len() })
}

enum Step {
    On(usize),
    End(usize),
    Wait,
}

/// What a full stop is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// The end of a sentence.
    Sentence,
    /// A part of an abbreviation, inside a sentence.
    Abbreviation,
    /// A part of a list item's number, whose text may begin in the next line and is then another sentence.
    Number,
}

struct Reader<'a> {
    text: &'a str,
    start: usize,
    ended: bool,
}

impl Reader<'_> {
    fn rest(&self, at: usize) -> &str {
        self.text.get(at..).unwrap_or_default()
    }

    fn after_terminator(&self, at: usize) -> Step {
        let run = self.rest(at).find(|c| !is_terminator(c) && !is_closing(c));
        let Some(length) = run else { return if self.ended { Step::End(self.text.len()) } else { Step::Wait } };
        let end = at + length;
        let marks = self.text.get(at..end).unwrap_or_default();
        if !self.rest(end).starts_with(char::is_whitespace) {
            return Step::On(end);
        }
        let (next, from, new_line) = match self.next_word(end) {
            Next::Word { text, from, new_line } => (text, from, new_line),
            Next::Nothing => return Step::End(end),
            Next::Unsure => return Step::Wait,
        };
        let plain_stop = marks.trim_end_matches(is_closing) == ".";
        let stop = if plain_stop { self.stop(at, next, new_line) } else { Stop::Sentence };
        match stop {
            Stop::Number => Step::On(end),
            // What goes on in the next line is not asked again whether the line's end ends it.
            _ if next.starts_with(char::is_lowercase) || stop == Stop::Abbreviation => {
                Step::On(if new_line && !self.is_ruled(at) { from } else { end })
            }
            _ => Step::End(end),
        }
    }

    /// The word after the white space at `from`, opening marks skipped. White space that holds an empty line ends the
    /// sentence in any case, and so does a list marker.
    fn next_word(&self, from: usize) -> Next<'_> {
        let rest = self.rest(from);
        let Some(gap) = rest.find(|c: char| !c.is_whitespace()) else {
            return if self.ended { Next::Nothing } else { Next::Unsure };
        };
        let (space, rest) = rest.split_at(gap);
        if space.matches('\n').count() > 1 {
            return Next::Nothing;
        }
        let (from, new_line) = (from + gap, space.contains('\n'));
        if new_line {
            match self.marker(from) {
                Some(true) => return Next::Nothing,
                Some(false) => {}
                None => return Next::Unsure,
            }
        }
        let word = rest.trim_start_matches(is_opening);
        let mark = word.chars().next().filter(|c| !c.is_alphanumeric()).map_or(0, char::len_utf8);
        let text = match word.find(|c: char| !c.is_alphanumeric()) {
            Some(length) => word.get(..length.max(mark)).unwrap_or_default(),
            None if self.ended => word,
            None => return Next::Unsure,
        };
        Next::Word { text, from, new_line }
    }

    /// What the full stop at `at` is, before the word or mark `next`, which may begin a line.
    fn stop(&self, at: usize, next: &str, new_line: bool) -> Stop {
        let before = self.text.get(self.start..at).unwrap_or_default();
        let from = before.rfind(|c: char| !c.is_alphanumeric() && c != '.').map_or(0, |i| i + last_width(before, i));
        let (earlier, word) = before.split_at(from);
        let alone_on_line = earlier.is_empty() || earlier.trim_end_matches([' ', '\t']).ends_with('\n');
        if alone_on_line && word.len() <= 3 && !word.is_empty() && word.chars().all(|c| c.is_ascii_digit()) {
            return Stop::Number;
        }
        abbreviation::stands_before(earlier, word, next, new_line)
    }

    /// Whether the line that holds `at` is a heading or a row of a table, which ends where it ends.
    fn is_ruled(&self, at: usize) -> bool {
        self.line(at).starts_with(['|', '#'])
    }

    /// The line that holds `at`, up to there.
    fn line(&self, at: usize) -> &str {
        let line = self.text.get(..at).unwrap_or_default();
        line.get(line.rfind('\n').map_or(0, |i| i + 1)..).unwrap_or_default().trim()
    }

    fn after_line(&self, at: usize) -> Step {
        let after = at + 1;
        let Some(gap) = self.rest(after).find(|c: char| !c.is_whitespace()) else {
            return if self.ended { Step::End(at) } else { Step::Wait };
        };
        let next = after + gap;
        let line = self.line(at);
        if self.text.get(after..next).unwrap_or_default().contains('\n') || self.is_ruled(at) {
            return Step::End(at);
        }
        match self.marker(next) {
            Some(true) => return Step::End(at),
            Some(false) => {}
            None => return Step::Wait,
        }
        let goes_on = self.rest(next).starts_with(char::is_lowercase) || abbreviation::leaves_open(line);
        let wrapped = line.chars().count() >= WRAPPED_LINE && !line.ends_with([':', ';']);
        if goes_on || wrapped { Step::On(after) } else { Step::End(at) }
    }

    /// Whether a list item, a table row or a heading begins at `at`; `None` when that is not yet certain.
    fn marker(&self, at: usize) -> Option<bool> {
        let rest = self.rest(at);
        let first = rest.chars().next()?;
        if matches!(first, '|' | '#' | '•') {
            return Some(true);
        }
        let label = match first {
            '-' | '*' | '–' | '+' => first.len_utf8(),
            _ => {
                let length = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
                let label = rest.get(..length).unwrap_or_default();
                let number = label.chars().all(|c| c.is_ascii_digit()) && length <= 3;
                if length == 0 || !(number || length == 1) {
                    return Some(false);
                }
                match rest.get(length..).and_then(|r| r.chars().next()) {
                    Some('.' | ')') => length + 1,
                    Some(_) => return Some(false),
                    None if self.ended => return Some(false),
                    None => return None,
                }
            }
        };
        match rest.get(label..).and_then(|r| r.chars().next()) {
            Some(character) => Some(character.is_whitespace()),
            None => self.ended.then_some(false),
        }
    }
}

/// A line this long, in characters, was probably broken by its width and goes on in the next.
const WRAPPED_LINE: usize = 50;

enum Next<'a> {
    /// A word, or the one mark that stands in its place, with the place where it (or what opens before it) begins, and
    /// whether it begins a line.
    Word {
        text: &'a str,
        from: usize,
        new_line: bool,
    },
    Nothing,
    Unsure,
}

const fn is_terminator(character: char) -> bool {
    matches!(character, '.' | '!' | '?' | '…')
}

const fn is_closing(character: char) -> bool {
    matches!(character, '"' | '\'' | ')' | ']' | '}' | '”' | '’' | '»' | '*' | '_')
}

const fn is_opening(character: char) -> bool {
    matches!(character, '"' | '\'' | '(' | '[' | '{' | '“' | '‘' | '«' | '*' | '_')
}

fn last_width(text: &str, at: usize) -> usize {
    text.get(at..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8)
}
