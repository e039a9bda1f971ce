//! Runs of digits in groups, and chunks of letters and digits, as people write numbers.

use super::super::token::{Shape, Tokens};

/// Digits in groups: `(402) 555-0142`, `402 19 8877`, `4111-1111-1111-1111`.
pub(crate) struct Run {
    /// The digits alone.
    pub(crate) digits: String,
    /// How many digits each group has.
    pub(crate) groups: Vec<usize>,
    /// What stands between the groups, brackets and blanks aside: `-`, `.`, `/` or blank, one for each gap.
    pub(crate) gaps: Vec<char>,
    /// Whether `+` stands before.
    pub(crate) plus: bool,
    /// Whether the first or second group is in round brackets.
    pub(crate) bracket: bool,
    /// The first token, brackets and plus included.
    pub(crate) first: usize,
    /// One past the last token.
    pub(crate) last: usize,
}

impl Run {
    /// Whether all gaps are this mark.
    pub(crate) fn all_gaps(&self, mark: char) -> bool {
        self.gaps.iter().all(|gap| *gap == mark)
    }

    /// Its groups up to `count`, as a run of its own that ends with the token after the last of them.
    pub(crate) fn head(tokens: &Tokens<'_>, first: usize, count: usize) -> Option<Self> {
        read(tokens, first, count).filter(|run| run.groups.len() == count)
    }
}

/// The longest run of at most `most` groups that begins at `first`.
pub(crate) fn read(tokens: &Tokens<'_>, first: usize, most: usize) -> Option<Run> {
    let mut at = first;
    let mut run = Run {
        digits: String::new(),
        groups: Vec::new(),
        gaps: Vec::new(),
        plus: false,
        bracket: false,
        first,
        last: first,
    };
    if tokens.mark(at, "+") {
        run.plus = true;
        at += 1;
    }
    let mut gap = ' ';
    let mut gap_marks = 0;
    while run.groups.len() < most {
        let token = tokens.at(at);
        if token.lines > 1 || (token.lines == 1 && !run.groups.is_empty() && gap_marks == 0) {
            break;
        }
        match (token.shape, tokens.text(at)) {
            (Shape::Digits, digits) if run.groups.is_empty() || token.apart || gap_marks > 0 => {
                if !run.groups.is_empty() {
                    run.gaps.push(gap);
                }
                run.groups.push(digits.len());
                run.digits.push_str(digits);
                run.last = at + 1;
                (gap, gap_marks) = (' ', 0);
            }
            (Shape::Mark, mark @ ("-" | "." | "/" | "(" | ")")) if gap_marks < 2 => {
                if mark == "-" && token.apart && tokens.at(at + 1).apart {
                    break; // between two numbers, not inside one
                }
                if mark == "(" {
                    run.bracket = true;
                } else if mark != ")" {
                    if run.groups.is_empty() || token.apart && gap_marks > 0 {
                        break;
                    }
                    gap = mark.chars().next().unwrap_or('-');
                }
                gap_marks += 1;
            }
            _ => break,
        }
        at += 1;
    }
    (!run.groups.is_empty()).then_some(run)
}

/// Letters and digits without a gap, with `-`, `.`, `/`, `_`, `:` and `#` inside.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chunk {
    /// The first token.
    pub(crate) first: usize,
    /// One past the last token.
    pub(crate) last: usize,
    /// First byte.
    pub(crate) start: usize,
    /// One past the last byte.
    pub(crate) end: usize,
    /// Digits in it.
    pub(crate) digits: usize,
    /// Letters in it.
    pub(crate) letters: usize,
}

/// The chunk that begins at `first`, if a word or a number stands there.
pub(crate) fn chunk(tokens: &Tokens<'_>, first: usize) -> Option<Chunk> {
    let mut at = first;
    let mut last = first;
    let (mut digits, mut letters) = (0, 0);
    loop {
        let token = tokens.at(at);
        if at > first && !tokens.joined(at) {
            break;
        }
        let length = token.end.saturating_sub(token.start);
        match token.shape {
            Shape::Nothing => break,
            Shape::Digits => digits += length,
            Shape::Mark if at > first && matches!(tokens.text(at), "-" | "." | "/" | "_" | "#" | "+" | "*") => {
                at += 1;
                continue;
            }
            Shape::Mark => break,
            _ => letters += length,
        }
        at += 1;
        last = at;
        if token.possessive {
            break;
        }
    }
    let (start, end) = (tokens.at(first).start, tokens.at(last.checked_sub(1)?).end);
    (last > first).then_some(Chunk { first, last, start, end, digits, letters })
}

/// A chunk in which a scanner read digits as letters, with the digits put back: `4O2-l9-8877`. `None` unless there are
/// such letters, nothing but them, and five digits or more that are digits already.
pub(crate) fn misread_digits(text: &str) -> Option<String> {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let mut mended = String::with_capacity(text.len());
    let mut letters = 0;
    for character in text.chars() {
        let digit = match character {
            'O' | 'o' | 'Q' => '0',
            'l' | 'I' | '|' => '1',
            'Z' => '2',
            'S' => '5',
            'B' => '8',
            other if other.is_alphabetic() => return None,
            other => {
                mended.push(other);
                continue;
            }
        };
        letters += 1;
        mended.push(digit);
    }
    (letters > 0 && digits >= 5 && digits > letters).then_some(mended)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_read_with_their_gaps() {
        let tokens = Tokens::of("(402) 555-0142 x 402 19 8877");
        let run = read(&tokens, 0, 6).unwrap();
        assert_eq!((run.digits.as_str(), run.groups.as_slice(), run.bracket), ("4025550142", &[3, 3, 4][..], true));
    }

    #[test]
    fn letters_that_a_scanner_read_for_digits_are_put_back() {
        assert_eq!(misread_digits("4O2-l9-8877").as_deref(), Some("402-19-8877"));
        assert_eq!(misread_digits("402-19-8877"), None);
        assert_eq!(misread_digits("SOS-1"), None);
        assert_eq!(misread_digits("AB12345"), None);
    }
}
