//! Plain text: paragraphs between blank lines, and lists where lines begin like list entries.

use super::writer::{Writer, clean};
use super::{Format, Limits, ParseError, Parsed, encoding};

pub(crate) fn parse(bytes: &[u8], limits: &Limits) -> Result<Parsed, ParseError> {
    let decoded = encoding::decode(bytes, None);
    let mut writer = Writer::new(limits);
    writer.warnings.extend(decoded.warning);
    write(&decoded.text, &mut writer);
    writer.finish(Format::Text)
}

/// Writes the blocks of plain text.
pub(crate) fn write(text: &str, writer: &mut Writer) {
    let cleaned = clean(text);
    let mut block = Pending::default();
    for line in cleaned.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() {
            block.write(writer);
        } else if let Some((marker, number, rest)) = marker(trimmed) {
            block.write(writer);
            block = Pending { marker: Some((marker.to_owned(), number)), text: rest.to_owned() };
        } else {
            // A wrapped line of an entry is indented, or goes on in the middle of a sentence.
            let goes_on = line.starts_with([' ', '\t']) || !trimmed.starts_with(char::is_uppercase);
            if block.marker.is_some() && !goes_on {
                block.write(writer);
            }
            block.text.push('\n');
            block.text.push_str(trimmed);
        }
        if writer.is_full() {
            return;
        }
    }
    block.write(writer);
}

#[derive(Default)]
struct Pending {
    marker: Option<(String, Option<u32>)>,
    text: String,
}

impl Pending {
    fn write(&mut self, writer: &mut Writer) {
        let text = std::mem::take(&mut self.text);
        match self.marker.take() {
            Some((marker, number)) => writer.item(&marker, number, &text),
            None => {
                writer.paragraph(&text);
            }
        }
    }
}

/// Splits a list entry's line: `3. Call` into `3.`, 3 and `Call`.
pub(crate) fn marker(line: &str) -> Option<(&str, Option<u32>, &str)> {
    let (first, rest) = line.split_once([' ', '\t'])?;
    let rest = rest.trim();
    if rest.is_empty() {
        return None;
    }
    if matches!(first, "-" | "*" | "+" | "•" | "◦" | "▪" | "●" | "○" | "■" | "–" | "·" | "\u{f0b7}" | "\u{f0a7}")
    {
        return Some(("-", None, rest));
    }
    let digits = first.strip_suffix(['.', ')'])?;
    let number = (digits.len() <= 3).then(|| digits.parse().ok()).flatten()?;
    Some((first, Some(number), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::BlockKind;

    #[test]
    fn paragraphs_and_lists_are_told_apart() {
        let parsed =
            parse(b"Refills\nsee below\r\n\r\n1. Call\n   early\n2) Wait\n* or not\n", &Limits::default()).unwrap();
        assert_eq!(parsed.text, "Refills\nsee below\n\n1. Call\nearly\n2) Wait\n- or not");
        let kinds: Vec<BlockKind> = parsed.blocks.iter().map(|block| block.kind).collect();
        let item = |number| BlockKind::ListItem { number };
        assert_eq!(kinds, [BlockKind::Paragraph, item(Some(1)), item(Some(2)), item(None)]);
    }

    #[test]
    fn a_sentence_that_begins_with_a_year_is_no_list_entry() {
        assert_eq!(marker("2026. That was the year."), None);
    }
}
