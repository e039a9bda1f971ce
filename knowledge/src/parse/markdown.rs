//! Markdown, as GitHub reads it, with simple front matter.

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use super::table::{RowMark, Table};
use super::writer::Writer;
use super::{Format, Limits, ParseError, Parsed, encoding, html};

pub(crate) fn parse(bytes: &[u8], limits: &Limits) -> Result<Parsed, ParseError> {
    let decoded = encoding::decode(bytes, None);
    let mut writer = Writer::new(limits);
    writer.warnings.extend(decoded.warning);
    let text = decoded.text.replace("\r\n", "\n");
    let body = front_matter(&text, &mut writer);
    write(body, &mut writer);
    writer.finish(Format::Markdown)
}

/// Reads `key: value` lines between two `---` and returns what follows. Lists, inline or as `- entry` lines, are joined
/// by commas; deeper structure is left out.
fn front_matter<'a>(text: &'a str, writer: &mut Writer) -> &'a str {
    let Some(rest) = text.strip_prefix("---\n") else { return text };
    let end = rest.match_indices("\n---").find(|(at, _)| {
        rest.get(at + 4..).is_some_and(|after| {
            after.is_empty() || after.starts_with('\n') || after.trim_start_matches(' ').starts_with('\n')
        })
    });
    let Some((end, _)) = end else { return text };
    let mut pending: Option<(String, Vec<String>)> = None;
    let mut keep = |pending: Option<(String, Vec<String>)>| {
        if let Some((key, values)) = pending {
            writer.property(&key, &values.join(", "));
        }
    };
    for line in rest.get(..end).unwrap_or_default().lines() {
        if let Some(entry) = line.trim_start().strip_prefix("- ") {
            if let Some((_, values)) = &mut pending {
                values.push(unquoted(entry).to_owned());
            }
            continue;
        }
        let is_key = !line.starts_with([' ', '\t', '#']);
        let Some((key, value)) = line.split_once(':').filter(|_| is_key) else { continue };
        keep(pending.take());
        let value = value.trim();
        let list = value.strip_prefix('[').and_then(|value| value.strip_suffix(']'));
        let values = list.map_or_else(|| vec![unquoted(value)], |list| list.split(',').map(unquoted).collect());
        let values = values.into_iter().filter(|value| !value.is_empty()).map(str::to_owned).collect();
        pending = Some((key.trim().to_owned(), values));
    }
    keep(pending);
    rest.get(end + 4..).map_or("", |after| after.split_once('\n').map_or("", |(_, body)| body))
}

fn unquoted(value: &str) -> &str {
    let value = value.trim();
    let quoted = |quote: char| value.strip_prefix(quote).and_then(|value| value.strip_suffix(quote));
    quoted('"').or_else(|| quoted('\'')).unwrap_or(value)
}

/// Writes the blocks of Markdown text.
fn write(text: &str, writer: &mut Writer) {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_HEADING_ATTRIBUTES;
    let mut walk = Walk {
        writer,
        inline: String::new(),
        html: String::new(),
        lists: Vec::new(),
        markers: Vec::new(),
        quotes: 0,
        code: false,
        table: None,
    };
    for event in Parser::new_ext(text, options) {
        if walk.writer.is_full() {
            return;
        }
        walk.event(event);
    }
    walk.flush();
}

struct Walk<'w> {
    writer: &'w mut Writer,
    /// Text of the block at hand.
    inline: String,
    html: String,
    /// Open lists: the next number, or `None` for bullets.
    lists: Vec<Option<u64>>,
    /// Open entries: the marker until its first text is written, then `None`.
    markers: Vec<Option<(String, Option<u32>)>>,
    quotes: usize,
    code: bool,
    table: Option<Table>,
}

impl Walk<'_> {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) | Event::Code(text) | Event::InlineMath(text) | Event::DisplayMath(text) => {
                self.inline.push_str(&text);
            }
            Event::SoftBreak => self.inline.push(' '),
            Event::HardBreak => self.inline.push('\n'),
            Event::Html(text) => self.html.push_str(&text),
            Event::InlineHtml(tag) => {
                if tag.to_ascii_lowercase().starts_with("<br") {
                    self.inline.push('\n');
                }
            }
            Event::FootnoteReference(name) => self.inline.push_str(&format!("[{name}]")),
            Event::TaskListMarker(done) => self.inline.push_str(if done { "☑ " } else { "☐ " }),
            Event::Rule => {}
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Heading { .. } | Tag::Paragraph | Tag::HtmlBlock => self.flush(),
            Tag::BlockQuote(_) => {
                self.flush();
                self.quotes += 1;
            }
            Tag::CodeBlock(kind) => {
                self.flush();
                self.code = !matches!(kind, CodeBlockKind::Fenced(language) if &*language == "{=html}");
            }
            Tag::List(first) => {
                self.flush();
                self.lists.push(first);
            }
            Tag::Item => {
                self.flush();
                let marker = match self.lists.last_mut() {
                    Some(Some(next)) => {
                        let number = *next;
                        *next += 1;
                        (format!("{number}."), u32::try_from(number).ok())
                    }
                    _ => ("-".to_owned(), None),
                };
                self.markers.push(Some(marker));
            }
            Tag::FootnoteDefinition(name) => {
                self.flush();
                self.inline.push_str(&format!("[{name}] "));
            }
            Tag::Table(_) => {
                self.flush();
                self.table = Some(Table::default());
            }
            Tag::TableHead => self.table.iter_mut().for_each(|table| table.begin_row(RowMark::Header)),
            Tag::TableRow => self.table.iter_mut().for_each(|table| table.begin_row(RowMark::Plain)),
            Tag::TableCell => self.inline.clear(),
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(level) => {
                let text = std::mem::take(&mut self.inline);
                self.writer.heading(depth(level), &text);
            }
            TagEnd::Paragraph => self.flush(),
            TagEnd::FootnoteDefinition => self.flush(),
            TagEnd::CodeBlock => {
                let text = std::mem::take(&mut self.inline);
                self.writer.code(&text);
                self.code = false;
            }
            TagEnd::BlockQuote(_) => {
                self.flush();
                self.quotes = self.quotes.saturating_sub(1);
            }
            TagEnd::Item => {
                self.flush();
                self.markers.pop();
            }
            TagEnd::List(_) => {
                self.lists.pop();
            }
            TagEnd::HtmlBlock => {
                let source = std::mem::take(&mut self.html);
                html::write(&source, self.writer);
            }
            TagEnd::TableCell => {
                let text = std::mem::take(&mut self.inline);
                self.table.iter_mut().for_each(|table| table.cell(&text, 1, 1));
            }
            TagEnd::Table => {
                if let Some(table) = self.table.take() {
                    table.write(self.writer, true);
                }
            }
            _ => {}
        }
    }

    /// Writes the text at hand as what it stands in.
    fn flush(&mut self) {
        let text = std::mem::take(&mut self.inline);
        if text.trim().is_empty() {
            return;
        }
        match self.markers.last_mut().map(Option::take) {
            Some(Some((marker, number))) => self.writer.item(&marker, number, &text),
            _ if self.quotes > 0 => self.writer.quote(&text),
            _ => {
                self.writer.paragraph(&text);
            }
        }
    }
}

fn depth(level: HeadingLevel) -> u8 {
    match level {
        HeadingLevel::H1 => 1,
        HeadingLevel::H2 => 2,
        HeadingLevel::H3 => 3,
        HeadingLevel::H4 => 4,
        HeadingLevel::H5 => 5,
        HeadingLevel::H6 => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::BlockKind;

    fn parsed(text: &str) -> Parsed {
        parse(text.as_bytes(), &Limits::default()).unwrap()
    }

    #[test]
    fn front_matter_becomes_metadata_and_is_not_text() {
        let parsed = parsed(
            "---\ntitle: \"Refills\"\neffective: 2026-01-01\ntags: [a, b]\naccess:\n- staff\n- nurses\n---\n# Early refills\n",
        );
        assert_eq!(parsed.title.as_deref(), Some("Refills"));
        assert_eq!(parsed.metadata["effective"], "2026-01-01");
        assert_eq!((&*parsed.metadata["tags"], &*parsed.metadata["access"]), ("a, b", "staff, nurses"));
        assert_eq!(parsed.text, "Early refills");
    }

    #[test]
    fn a_rule_at_the_top_is_not_front_matter() {
        assert_eq!(parsed("---\n\nHello: world\n").text, "Hello: world");
    }

    #[test]
    fn steps_keep_their_numbers_and_what_belongs_to_them() {
        let parsed = parsed("## Steps\n\n3. Call.\n   - by phone\n4. Wait.\n\n   Then call again.\n");
        let kinds: Vec<BlockKind> = parsed.blocks.iter().map(|block| block.kind).collect();
        assert_eq!(parsed.text, "Steps\n\n3. Call.\n- by phone\n4. Wait.\n\nThen call again.");
        assert_eq!(kinds[1], BlockKind::ListItem { number: Some(3) });
        assert_eq!(kinds[2], BlockKind::ListItem { number: None });
        assert!(parsed.blocks.iter().skip(1).all(|block| block.headings == ["Steps"]));
    }

    #[test]
    fn tables_and_code_and_quotes_are_what_they_are() {
        let parsed = parsed("| Drug | Tier |\n|---|---|\n| Warfarin | 1 |\n\n> Careful.\n\n```\nx = 1\n  y\n```\n");
        assert_eq!(parsed.text, "Drug: Warfarin; Tier: 1\n\nCareful.\n\nx = 1\n  y");
        assert_eq!(parsed.blocks[1].kind, BlockKind::Quote);
        assert_eq!(parsed.blocks[2].kind, BlockKind::Code);
    }
}
