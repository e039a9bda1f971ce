//! Rich text: paragraphs, headings by style, list markers, tables. Fonts, pictures and the inner workings of fields are
//! skipped, and so is text that is hidden or deleted.

mod token;

use std::collections::HashMap;

use encoding_rs::{Encoding, WINDOWS_1252};

use super::plain;
use super::table::{RowMark, Table};
use super::writer::{Writer, one_line};
use super::{Format, Limits, ParseError, Parsed};
use token::{Token, Tokens};

/// Groups nest no deeper than this in files that a program wrote.
const DEEPEST: usize = 1_000;

pub(crate) fn parse(bytes: &[u8], limits: &Limits) -> Result<Parsed, ParseError> {
    let mut reader = Reader {
        writer: Writer::new(limits),
        now: Group { unicode_skip: 1, ..Group::default() },
        saved: Vec::new(),
        codepage: WINDOWS_1252,
        pending: Vec::new(),
        skip: 0,
        high: None,
        text: String::new(),
        marker: String::new(),
        headings: HashMap::new(),
        table: Table::default(),
        row_open: false,
    };
    for token in Tokens::new(bytes) {
        if reader.writer.is_full() {
            break;
        }
        reader.take(&token)?;
    }
    reader.end_paragraph();
    reader.end_table();
    reader.writer.finish(Format::Rtf)
}

/// Where text goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Target {
    #[default]
    Body,
    /// What stands in front of a list entry.
    Marker,
    /// The name of a style.
    Style,
    /// A property of the document.
    Property(&'static str),
    Nowhere,
}

/// What a group changes and gives back at its end.
#[derive(Debug, Clone, Default)]
struct Group {
    target: Target,
    hidden: bool,
    /// Bytes that follow each Unicode character for readers that know none.
    unicode_skip: usize,
    style: i32,
    outline: Option<u8>,
    in_table: bool,
}

struct Reader {
    writer: Writer,
    now: Group,
    saved: Vec<Group>,
    codepage: &'static Encoding,
    /// Bytes of the document's code page, not yet decoded.
    pending: Vec<u8>,
    skip: usize,
    /// First half of a character beyond the basic plane.
    high: Option<u16>,
    text: String,
    marker: String,
    headings: HashMap<i32, u8>,
    table: Table,
    row_open: bool,
}

impl Reader {
    fn take(&mut self, token: &Token<'_>) -> Result<(), ParseError> {
        match token {
            Token::Open => {
                self.decode();
                if self.saved.len() > DEEPEST {
                    let why = "its groups are nested too deeply".to_owned();
                    return Err(ParseError::Damaged { format: Format::Rtf, place: "its body".into(), why });
                }
                self.saved.push(self.now.clone());
            }
            Token::Close => self.close(),
            Token::Starred(word) => {
                // Text boxes are starred too, and are read.
                if *word != "shpinst" {
                    self.now.target = Target::Nowhere;
                }
            }
            Token::Byte(byte) => {
                if self.skip > 0 {
                    self.skip -= 1;
                } else if self.now.target != Target::Nowhere && !self.now.hidden {
                    self.pending.push(*byte);
                }
            }
            Token::Word(word, number) => self.word(word, *number),
        }
        Ok(())
    }

    fn word(&mut self, word: &str, number: Option<i32>) {
        if let Some(target) = destination(word) {
            self.decode();
            // What stands inside something skipped stays skipped, but for the text of boxes.
            if self.now.target != Target::Nowhere || word == "shptxt" {
                self.now.target = target;
            }
            return;
        }
        let on = number != Some(0);
        match word {
            "par" | "sect" | "page" => self.end_paragraph(),
            "line" | "lbr" => self.put("\n"),
            "tab" => self.put("\t"),
            "cell" => self.end_cell(),
            "row" => self.end_row(),
            "intbl" => self.now.in_table = true,
            "pard" => {
                self.now.in_table = false;
                self.now.outline = None;
                self.now.style = 0;
            }
            "plain" => self.now.hidden = false,
            "v" | "deleted" => {
                self.decode();
                self.now.hidden = on;
            }
            "s" => self.now.style = number.unwrap_or(0),
            "outlinelevel" => {
                self.now.outline = number.and_then(|level| u8::try_from(level + 1).ok()).filter(|level| *level <= 9)
            }
            "uc" => self.now.unicode_skip = usize::try_from(number.unwrap_or(1)).unwrap_or(1).min(16),
            "u" => self.unicode(number.unwrap_or(0)),
            "ansicpg" => self.codepage = codepage(number.unwrap_or(1252)),
            "bullet" => self.put("•"),
            "endash" => self.put("–"),
            "emdash" => self.put("—"),
            "lquote" => self.put("‘"),
            "rquote" => self.put("’"),
            "ldblquote" => self.put("“"),
            "rdblquote" => self.put("”"),
            "emspace" | "enspace" | "qmspace" => self.put(" "),
            _ => {}
        }
    }

    fn put(&mut self, text: &str) {
        self.decode();
        if self.now.hidden {
            return;
        }
        match self.now.target {
            Target::Body | Target::Style | Target::Property(_) => self.text.push_str(text),
            Target::Marker => self.marker.push_str(text),
            Target::Nowhere => {}
        }
    }

    /// A UTF-16 unit, written as a signed number.
    fn unicode(&mut self, number: i32) {
        self.skip = self.now.unicode_skip;
        let unit = (number & 0xffff) as u16;
        let units: Vec<u16> = self.high.take().into_iter().chain([unit]).collect();
        match char::decode_utf16(units.iter().copied()).next() {
            Some(Ok(char)) => self.put(char.encode_utf8(&mut [0; 4])),
            _ => self.high = Some(unit),
        }
    }

    /// Decodes the bytes at hand and puts them where text goes.
    fn decode(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let bytes = std::mem::take(&mut self.pending);
        let (text, _) = self.codepage.decode_without_bom_handling(&bytes);
        self.put(&text);
    }

    fn close(&mut self) {
        self.decode();
        self.skip = 0;
        match self.now.target {
            Target::Style => {
                let name = one_line(&std::mem::take(&mut self.text)).to_lowercase();
                let level = name.trim_end_matches(';').strip_prefix("heading ").and_then(|level| level.parse().ok());
                if let Some(level) = level {
                    self.headings.insert(self.now.style, level);
                }
            }
            Target::Property(key) => {
                let value = std::mem::take(&mut self.text);
                self.writer.property(key, &value);
            }
            _ => {}
        }
        self.now = self.saved.pop().unwrap_or_default();
    }

    fn end_paragraph(&mut self) {
        self.decode();
        if self.now.target != Target::Body {
            return;
        }
        if self.now.in_table {
            self.text.push('\n');
            return;
        }
        self.end_table();
        let text = std::mem::take(&mut self.text);
        let marker = one_line(&std::mem::take(&mut self.marker));
        let level = self.now.outline.or_else(|| self.headings.get(&self.now.style).copied());
        if text.trim().is_empty() {
            return;
        }
        match level {
            Some(level) => {
                self.writer.heading(level, &format!("{marker} {text}"));
            }
            None if marker.is_empty() => {
                self.writer.paragraph(&text);
            }
            None => {
                // The marker is read as in plain text: `3.` numbers, a bullet does not.
                let line = format!("{marker} x");
                let (marker, number) =
                    plain::marker(&line).map_or((marker.as_str(), None), |(marker, number, _)| (marker, number));
                self.writer.item(marker, number, &text);
            }
        }
    }

    fn end_cell(&mut self) {
        self.decode();
        if self.now.target != Target::Body {
            return;
        }
        if !self.row_open {
            self.table.begin_row(RowMark::Plain);
            self.row_open = true;
        }
        let marker = std::mem::take(&mut self.marker);
        let text = format!("{marker} {}", std::mem::take(&mut self.text));
        self.table.cell(&text, 1, 1);
    }

    fn end_row(&mut self) {
        self.row_open = false;
    }

    fn end_table(&mut self) {
        if !self.table.is_empty() {
            std::mem::take(&mut self.table).write(&mut self.writer, false);
            self.row_open = false;
        }
    }
}

/// Groups whose text is not text of the body.
fn destination(word: &str) -> Option<Target> {
    Some(match word {
        "fonttbl" | "colortbl" | "info" | "pict" | "object" | "header" | "headerl" | "headerr" | "headerf"
        | "footer" | "footerl" | "footerr" | "footerf" | "fldinst" | "themedata" | "datastore" | "listtable"
        | "listoverridetable" | "rsidtbl" | "generator" | "xmlnstbl" | "latentstyles" | "template" | "filetbl"
        | "revtbl" | "nonshppict" | "comment" | "operator" | "company" | "doccomm" | "hlinkbase" | "atnid"
        | "atnauthor" | "annotation" | "bkmkstart" | "bkmkend" | "xe" | "tc" => {
            if word == "info" {
                Target::Property("")
            } else {
                Target::Nowhere
            }
        }
        "stylesheet" => Target::Style,
        "listtext" | "pntext" => Target::Marker,
        "title" => Target::Property("title"),
        "author" => Target::Property("author"),
        "subject" => Target::Property("subject"),
        "keywords" => Target::Property("keywords"),
        "shptxt" => Target::Body,
        _ => return None,
    })
}

fn codepage(number: i32) -> &'static Encoding {
    let label = match number {
        932 => "shift_jis".to_owned(),
        936 => "gbk".to_owned(),
        949 => "euc-kr".to_owned(),
        950 => "big5".to_owned(),
        65001 => "utf-8".to_owned(),
        10000 => "macintosh".to_owned(),
        other => format!("windows-{other}"),
    };
    Encoding::for_label(label.as_bytes()).unwrap_or(WINDOWS_1252)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::BlockKind;

    fn parsed(source: &str) -> Parsed {
        parse(source.as_bytes(), &Limits::default()).unwrap()
    }

    #[test]
    fn headings_lists_and_letters_are_read() {
        let parsed = parsed(
            r"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Arial;}}{\stylesheet{\s1 heading 1;}}{\info{\title Refill policy}}
            \pard\s1 Refills\par\pard Caf\'e9 \u8211?\ldblquote ok\rdblquote{\v secret}\par
            \pard{\listtext 1.\tab}Call\par{\listtext\'b7\tab}Wait{\*\unknown x}\par}",
        );
        assert_eq!(parsed.title.as_deref(), Some("Refill policy"));
        assert_eq!(parsed.text, "Refills\n\nCafé –“ok”\n\n1. Call\n- Wait");
        assert_eq!(parsed.blocks[0].kind, BlockKind::Heading { level: 1 });
        assert_eq!(parsed.blocks[2].kind, BlockKind::ListItem { number: Some(1) });
    }

    #[test]
    fn table_cells_stand_together() {
        let parsed = parsed(
            r"{\rtf1\trowd\intbl Owner\cell Pharmacy\cell\row\trowd\intbl Review\cell yearly\cell\row\pard End\par}",
        );
        assert_eq!(parsed.text, "Owner: Pharmacy\nReview: yearly\n\nEnd");
    }

    #[test]
    fn unbalanced_groups_do_no_harm() {
        assert_eq!(parsed(r"{\rtf1 a}}}}} b").text, "a b");
    }
}
