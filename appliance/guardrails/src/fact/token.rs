//! The pieces in which facts are written: runs of digits, words, marks.

/// One piece of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) text: &'a str,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl<'a> Token<'a> {
    /// The text, if it is digits and nothing else.
    pub(crate) fn digits(&self) -> Option<&'a str> {
        self.text.bytes().all(|b| b.is_ascii_digit()).then_some(self.text)
    }

    /// The number in its common form: `1,000` is `1000`, `2.50` is `2.5`, `.5` is `0.5`.
    pub(crate) fn number(&self) -> Option<String> {
        if !self.text.ends_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let plain = self.text.replace(',', "");
        let (whole, part) = plain.split_once('.').unwrap_or((&plain, ""));
        let whole = whole.trim_start_matches('0');
        let whole = if whole.is_empty() { "0" } else { whole };
        let part = part.trim_end_matches('0');
        Some(if part.is_empty() { whole.to_owned() } else { format!("{whole}.{part}") })
    }

    pub(crate) fn lower(&self) -> String {
        self.text.to_lowercase()
    }
}

/// Splits a text into numbers (with grouping commas and a decimal part), words and single marks; white space goes.
pub(crate) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut found: Vec<Token<'_>> = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let after_digit = found.last().is_some_and(|token| token.end == at && token.digits().is_some());
        let length = piece(rest, after_digit);
        if let Some(piece) = rest.get(..length).filter(|piece| !piece.trim().is_empty()) {
            found.push(Token { text: piece, start: at, end: at + length });
        }
        at += length.max(1);
    }
    found
}

fn piece(rest: &str, after_digit: bool) -> usize {
    let Some(first) = rest.chars().next() else { return 0 };
    let run = |wanted: fn(char) -> bool| rest.find(|c: char| !wanted(c)).unwrap_or(rest.len());
    if first.is_ascii_digit() || (first == '.' && !after_digit && digit_at(rest, 1)) {
        number_length(rest)
    } else if first == '°' && rest.chars().nth(1).is_some_and(|c| matches!(c, 'C' | 'F' | 'c' | 'f')) {
        first.len_utf8() + 1
    } else if first.is_alphabetic() {
        run(char::is_alphabetic)
    } else if first.is_whitespace() {
        run(char::is_whitespace)
    } else {
        first.len_utf8()
    }
}

fn digit_at(text: &str, at: usize) -> bool {
    text.as_bytes().get(at).is_some_and(u8::is_ascii_digit)
}

/// Digits; then commas that three digits follow; then one point that a digit follows, unless the digits go on in
/// groups, as in a telephone number written `555.010.0100`.
fn number_length(rest: &str) -> usize {
    let digits =
        |from: usize| rest.get(from..).map_or(0, |rest| rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
    let mut length = digits(0);
    while rest.get(length..).is_some_and(|rest| rest.starts_with(',')) && digits(length + 1) == 3 {
        length += 4;
    }
    let grouped = |at: usize| rest.get(at..).is_some_and(|rest| rest.starts_with('.')) && digit_at(rest, at + 1);
    if grouped(length) {
        let decimals = digits(length + 1);
        let telephone = digits(0) == 3 && decimals == 3 && grouped(length + 1 + decimals);
        let second_part = digits(0) == 3 && decimals == 4 && length == 3;
        if !telephone && !second_part {
            length += 1 + decimals;
        }
    }
    length
}
