//! Splits rich text into groups, control words and bytes.

/// A piece of rich text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    Open,
    Close,
    /// `\*\word`: a destination that a reader who does not know it skips.
    Starred(&'a str),
    /// `\word` with its number.
    Word(&'a str, Option<i32>),
    /// A byte of text in the document's code page.
    Byte(u8),
}

pub(super) struct Tokens<'a> {
    left: &'a [u8],
}

impl<'a> Tokens<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { left: bytes }
    }

    fn next_byte(&mut self) -> Option<u8> {
        let (first, rest) = self.left.split_first()?;
        self.left = rest;
        Some(*first)
    }

    /// The letters and the number after a backslash.
    fn word(&mut self) -> (&'a str, Option<i32>) {
        let letters = self.left.iter().take_while(|byte| byte.is_ascii_alphabetic()).count().min(32);
        let (word, rest) = self.left.split_at(letters);
        let sign = usize::from(rest.first() == Some(&b'-'));
        let digits = rest.iter().skip(sign).take_while(|byte| byte.is_ascii_digit()).count().min(10);
        let (number, after) = if digits > 0 { rest.split_at(sign + digits) } else { rest.split_at(0) };
        self.left = after.strip_prefix(b" ").unwrap_or(after);
        (
            std::str::from_utf8(word).unwrap_or_default(),
            std::str::from_utf8(number).ok().and_then(|number| number.parse().ok()),
        )
    }

    fn escape(&mut self) -> Option<Token<'a>> {
        if self.left.first().is_some_and(u8::is_ascii_alphabetic) {
            let (word, number) = self.word();
            if word == "bin" {
                let length = usize::try_from(number.unwrap_or(0)).unwrap_or(0);
                self.left = self.left.get(length..).unwrap_or_default();
            }
            return Some(Token::Word(word, number));
        }
        Some(match self.next_byte()? {
            b'\'' => {
                let hex = self.left.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
                let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
                self.left = self.left.get(2..).unwrap_or_default();
                Token::Byte(byte.unwrap_or(b'?'))
            }
            b'*' => {
                self.left = self.left.strip_prefix(b"\\").unwrap_or(self.left);
                Token::Starred(self.word().0)
            }
            b'~' => Token::Byte(b' '),
            b'_' => Token::Byte(b'-'),
            b'\r' | b'\n' => Token::Word("par", None),
            b'\t' => Token::Word("tab", None),
            byte @ (b'\\' | b'{' | b'}') => Token::Byte(byte),
            _ => Token::Word("", None),
        })
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            return match self.next_byte()? {
                b'{' => Some(Token::Open),
                b'}' => Some(Token::Close),
                b'\\' => self.escape(),
                b'\r' | b'\n' | 0 => continue,
                byte => Some(Token::Byte(byte)),
            };
        }
    }
}
