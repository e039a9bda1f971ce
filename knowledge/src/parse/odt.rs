//! OpenDocument text: headings, lists, tables, notes.

use std::collections::HashMap;

use super::archive::Archive;
use super::numerals;
use super::table::{RowMark, Table};
use super::writer::Writer;
use super::xml::{self, Element, Node};
use super::{Format, Limits, ParseError, Parsed};

const FORMAT: Format = Format::Odt;

pub(crate) fn parse(bytes: &[u8], limits: &Limits) -> Result<Parsed, ParseError> {
    let mut archive = Archive::open(bytes, FORMAT, limits)?;
    let manifest = archive.part("META-INF/manifest.xml")?.unwrap_or_default();
    if manifest.windows(15).any(|window| window == b"encryption-data") {
        return Err(ParseError::Encrypted { format: FORMAT });
    }
    let mut writer = Writer::new(limits);
    if let Some(meta) = archive.part("meta.xml")? {
        let meta = xml::parse(&meta, FORMAT, "meta.xml")?;
        for property in meta.elements().flat_map(Element::elements).flat_map(Element::elements) {
            match property.name.as_str() {
                "title" | "subject" | "description" | "creator" | "keyword" => {
                    writer.property(&property.name, &property.text())
                }
                "user-defined" => writer.property(property.attribute("name").unwrap_or_default(), &property.text()),
                _ => {}
            }
        }
    }
    let content = xml::parse(&archive.required("content.xml")?, FORMAT, "content.xml")?;
    let mut styles = ListStyles::default();
    styles.read(&content);
    if let Some(part) = archive.part("styles.xml")? {
        styles.read(&xml::parse(&part, FORMAT, "styles.xml")?);
    }
    let mut body = Body { styles, open: Vec::new(), marker: None, notes: 0 };
    if let Some(text) = content.at(&["document-content", "body", "text"]) {
        body.blocks(text, &mut writer);
    }
    writer.finish(FORMAT)
}

/// How each level of a list style numbers: `None` for bullets.
#[derive(Default)]
struct ListStyles(HashMap<(String, usize), Option<String>>);

impl ListStyles {
    fn read(&mut self, element: &Element) {
        for child in element.elements() {
            if child.name != "list-style" {
                self.read(child);
                continue;
            }
            let name = child.attribute("name").unwrap_or_default();
            for level in child.elements() {
                let depth = level.attribute("level").and_then(|level| level.parse().ok()).unwrap_or(1);
                let numbered = (level.name == "list-level-style-number")
                    .then(|| level.attribute("num-format").unwrap_or("1").to_owned());
                self.0.insert((name.to_owned(), depth), numbered);
            }
        }
    }
}

/// A list that is open: its style, its numbering at this level, the next number.
struct List {
    style: String,
    numerals: Option<String>,
    next: u32,
}

struct Body {
    styles: ListStyles,
    open: Vec<List>,
    /// Of the entry at hand, until its first text is written.
    marker: Option<(String, Option<u32>)>,
    notes: u32,
}

/// The text of a paragraph and the notes and boxes that hang on it.
#[derive(Default)]
struct Inline<'a> {
    text: String,
    notes: Vec<&'a Element>,
    boxes: Vec<&'a Element>,
}

impl Body {
    fn blocks(&mut self, parent: &Element, writer: &mut Writer) {
        for element in parent.elements() {
            if writer.is_full() {
                return;
            }
            match element.name.as_str() {
                "h" | "p" => self.paragraph(element, writer),
                "list" => self.list(element, writer),
                "table" => self.table(element, writer),
                "tracked-changes" | "forms" | "sequence-decls" | "table-of-content" | "alphabetical-index"
                | "annotation" => {}
                _ => self.blocks(element, writer),
            }
        }
    }

    fn paragraph(&mut self, element: &Element, writer: &mut Writer) {
        let mut inline = Inline::default();
        self.inline(element, &mut inline);
        let level = (element.name == "h")
            .then(|| element.attribute("outline-level").and_then(|level| level.parse().ok()).unwrap_or(1));
        let blank = inline.text.trim().is_empty();
        match (level, if blank { None } else { self.marker.take() }) {
            (Some(level), _) => {
                writer.heading(level, &inline.text);
            }
            (None, Some((marker, number))) => writer.item(&marker, number, &inline.text),
            (None, None) => {
                writer.paragraph(&inline.text);
            }
        }
        for text_box in inline.boxes {
            self.blocks(text_box, writer);
        }
        for note in inline.notes {
            let citation = note.child("note-citation").map(Element::text).unwrap_or_default();
            let body = note.child("note-body").map(|body| self.flat(body, writer)).unwrap_or_default();
            writer.paragraph(&format!("[{citation}] {body}"));
        }
    }

    fn inline<'a>(&mut self, parent: &'a Element, out: &mut Inline<'a>) {
        for node in &parent.children {
            let element = match node {
                Node::Text(text) => {
                    // Line ends in the XML are layout, not text.
                    out.text.push_str(&text.replace(['\n', '\t'], " "));
                    continue;
                }
                Node::Element(element) => element,
            };
            match element.name.as_str() {
                "s" => {
                    let count = element.attribute("c").and_then(|count| count.parse().ok()).unwrap_or(1_usize);
                    out.text.push_str(&" ".repeat(count.min(100)));
                }
                "tab" => out.text.push('\t'),
                "line-break" => out.text.push('\n'),
                "note" => {
                    self.notes += 1;
                    out.text.push_str(&format!(
                        "[{}]",
                        element.child("note-citation").map(Element::text).unwrap_or_default()
                    ));
                    out.notes.push(element);
                }
                "text-box" => out.boxes.push(element),
                "annotation" | "annotation-end" | "title" | "desc" => {}
                _ => self.inline(element, out),
            }
        }
    }

    fn list(&mut self, list: &Element, writer: &mut Writer) {
        let style = list.attribute("style-name").map(str::to_owned);
        let style = style.or_else(|| self.open.last().map(|outer| outer.style.clone())).unwrap_or_default();
        let numerals = self.styles.0.get(&(style.clone(), self.open.len() + 1)).cloned().flatten();
        self.open.push(List { style, numerals: numerals.filter(|format| !format.is_empty()), next: 1 });
        for item in list.elements().filter(|item| matches!(item.name.as_str(), "list-item" | "list-header")) {
            if let Some(open) = self.open.last_mut() {
                open.next = item.attribute("start-value").and_then(|value| value.parse().ok()).unwrap_or(open.next);
                self.marker = (item.name == "list-item").then(|| open.marker());
            }
            self.blocks(item, writer);
            self.marker = None;
        }
        self.open.pop();
    }

    fn table(&mut self, source: &Element, writer: &mut Writer) {
        let mut table = Table::default();
        self.rows(source, RowMark::Plain, &mut table, writer);
        if table.width() < 2 {
            for row in
                source.elements().filter(|row| row.name.starts_with("table-row") || row.name == "table-header-rows")
            {
                self.blocks(row, writer);
            }
            return;
        }
        table.write(writer, false);
    }

    fn rows(&mut self, parent: &Element, mark: RowMark, table: &mut Table, writer: &mut Writer) {
        for element in parent.elements() {
            match element.name.as_str() {
                "table-header-rows" => self.rows(element, RowMark::Header, table, writer),
                "table-rows" | "table-row-group" => self.rows(element, mark, table, writer),
                "table-row" => {
                    table.begin_row(mark);
                    for cell in element.elements().filter(|cell| cell.name == "table-cell") {
                        let count = |name: &str| {
                            cell.attribute(name).and_then(|count| count.parse::<usize>().ok()).unwrap_or(1)
                        };
                        let text = self.flat(cell, writer);
                        for _ in 0..count("number-columns-repeated").min(64) {
                            table.cell(&text, count("number-columns-spanned"), count("number-rows-spanned"));
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// The text of a cell or a note.
    fn flat(&mut self, element: &Element, outer: &Writer) -> String {
        let mut inner = Writer::within(outer);
        self.blocks(element, &mut inner);
        inner.text().to_owned()
    }
}

impl List {
    fn marker(&mut self) -> (String, Option<u32>) {
        let Some(format) = &self.numerals else { return ("-".into(), None) };
        let number = self.next;
        self.next = self.next.saturating_add(1);
        let text = match format.as_str() {
            "a" => numerals::letters(number),
            "A" => numerals::letters(number).to_uppercase(),
            "i" => numerals::roman(number),
            "I" => numerals::roman(number).to_uppercase(),
            _ => number.to_string(),
        };
        (format!("{text}."), Some(number))
    }
}
