//! Walks the body of a Word document and writes its blocks.

use std::collections::HashMap;

use super::numbering::{Label, Numbering};
use super::styles::{Styles, is_on};
use crate::parse::table::{RowMark, Table};
use crate::parse::writer::Writer;
use crate::parse::xml::{Element, Node};

/// The walk over one document.
pub(super) struct Body<'a> {
    styles: Styles,
    numbering: Numbering,
    footnotes: HashMap<&'a str, &'a Element>,
    endnotes: HashMap<&'a str, &'a Element>,
    notes: u32,
    embedded: bool,
}

/// The text of one paragraph, and what hangs on it.
#[derive(Default)]
struct Inline<'a> {
    text: String,
    boxes: Vec<&'a Element>,
    notes: Vec<(u32, &'a Element)>,
    /// Some text is not bold.
    plain: bool,
    bold_style: bool,
}

impl<'a> Body<'a> {
    pub(super) fn new(
        styles: Styles,
        numbering: Numbering,
        footnotes: HashMap<&'a str, &'a Element>,
        endnotes: HashMap<&'a str, &'a Element>,
    ) -> Self {
        Self { styles, numbering, footnotes, endnotes, notes: 0, embedded: false }
    }

    pub(super) fn finish(self, writer: &mut Writer) {
        if self.embedded {
            writer.warn("an embedded document was left out");
        }
    }

    /// Writes the paragraphs and tables below `parent`; says whether all of their text is bold.
    pub(super) fn blocks(&mut self, parent: &'a Element, writer: &mut Writer) -> bool {
        let mut bold = true;
        for element in parent.elements() {
            if writer.is_full() {
                return false;
            }
            match element.name.as_str() {
                "p" => bold &= self.paragraph(element, writer),
                "tbl" => {
                    self.table(element, writer);
                    bold = false;
                }
                "sdt" | "sdtContent" | "customXml" | "ins" | "moveTo" | "smartTag" => {
                    bold &= self.blocks(element, writer)
                }
                "AlternateContent" => {
                    if let Some(choice) = element.child("Choice").or_else(|| element.child("Fallback")) {
                        bold &= self.blocks(choice, writer);
                    }
                }
                "altChunk" => self.embedded = true,
                _ => {}
            }
        }
        bold
    }

    fn paragraph(&mut self, paragraph: &'a Element, writer: &mut Writer) -> bool {
        let properties = paragraph.child("pPr");
        let value = |path: &[&str]| properties.and_then(|one| one.at(path)).and_then(|one| one.attribute("val"));
        let style = value(&["pStyle"]);
        let mut inline = Inline { bold_style: self.styles.is_bold(style), ..Inline::default() };
        self.inline(paragraph, &mut inline);

        let direct =
            value(&["outlineLvl"]).and_then(|level| level.parse::<u8>().ok()).map(|level| level.saturating_add(1));
        let heading = direct.filter(|level| *level <= 9).or_else(|| self.styles.heading(style));
        let list = match (value(&["numPr", "numId"]), self.styles.numbering(style)) {
            (Some("0"), _) => None,
            (Some(list), inherited) => {
                let level = value(&["numPr", "ilvl"]).and_then(|level| level.parse().ok());
                Some((list.to_owned(), level.or(inherited.map(|(_, level)| level)).unwrap_or(0)))
            }
            (None, inherited) => inherited,
        };
        let blank = inline.text.trim().is_empty();
        let label = list.filter(|_| !blank).and_then(|(list, level)| self.numbering.next(&list, level));
        if !blank {
            if writer.title.is_none() && self.styles.is_title(style) {
                writer.title = Some(inline.text.clone());
            }
            self.write(writer, &inline.text, heading, label, style);
        }
        for text_box in &inline.boxes {
            self.blocks(text_box, writer);
        }
        for (number, note) in &inline.notes {
            let mut inner = Writer::within(writer);
            self.blocks(note, &mut inner);
            writer.paragraph(&format!("[{number}] {}", inner.text().trim().replace("\n\n", "\n")));
        }
        blank || !inline.plain
    }

    fn write(&self, writer: &mut Writer, text: &str, heading: Option<u8>, label: Option<Label>, style: Option<&str>) {
        match (heading, label) {
            (Some(level), Some(Label { text: marker, number: Some(_) })) => {
                writer.heading(level, &format!("{marker} {text}"));
            }
            (Some(level), _) => {
                writer.heading(level, text);
            }
            (None, Some(label)) => writer.item(&label.text, label.number, text),
            (None, None) if self.styles.is_quote(style) => writer.quote(text),
            (None, None) => {
                writer.paragraph(text);
            }
        }
    }

    fn inline(&mut self, parent: &'a Element, out: &mut Inline<'a>) {
        for element in parent.elements() {
            match element.name.as_str() {
                "r" => self.run(element, out),
                "del" | "moveFrom" | "pPr" | "rPr" | "rt" | "sdtPr" | "fldData" => {}
                "AlternateContent" => {
                    if let Some(choice) = element.child("Choice").or_else(|| element.child("Fallback")) {
                        self.inline(choice, out);
                    }
                }
                "txbxContent" => out.boxes.push(element),
                "oMath" => {
                    formula(element, &mut out.text);
                    out.plain = true;
                }
                _ => self.inline(element, out),
            }
        }
    }

    fn run(&mut self, run: &'a Element, out: &mut Inline<'a>) {
        let on = |name: &str| {
            let property = run.at(&["rPr", name])?;
            Some(property.attribute("val").is_none_or(is_on))
        };
        if on("vanish") == Some(true) {
            return;
        }
        let before = out.text.len();
        for element in run.elements() {
            match element.name.as_str() {
                "t" => out.text.extend(element.children.iter().filter_map(|node| match node {
                    Node::Text(text) => Some(text.as_str()),
                    Node::Element(_) => None,
                })),
                "tab" | "ptab" => out.text.push('\t'),
                "br" | "cr" => out.text.push('\n'),
                "noBreakHyphen" => out.text.push('-'),
                "sym" => out.text.extend(symbol(element)),
                "footnoteReference" => self.note(element, false, out),
                "endnoteReference" => self.note(element, true, out),
                "drawing" | "pict" | "object" | "AlternateContent" | "ruby" => {
                    // A drawing may hold text boxes; ruby holds its base text in runs of its own.
                    let holder = element.child("Choice").or_else(|| element.child("rubyBase")).unwrap_or(element);
                    self.inline(holder, out);
                }
                _ => {}
            }
        }
        let said = out.text.get(before..).is_some_and(|text| !text.trim().is_empty());
        out.plain |= said && !on("b").unwrap_or(out.bold_style);
    }

    fn note(&mut self, reference: &Element, end: bool, out: &mut Inline<'a>) {
        let notes = if end { &self.endnotes } else { &self.footnotes };
        // Taken out, so that a note that refers to itself ends.
        let Some((_, note)) = reference.attribute("id").and_then(|id| notes.get_key_value(id)) else { return };
        let note = *note;
        let id = reference.attribute("id").unwrap_or_default();
        if end {
            self.endnotes.remove(id)
        } else {
            self.footnotes.remove(id)
        };
        self.notes += 1;
        out.text.push_str(&format!("[{}]", self.notes));
        out.notes.push((self.notes, note));
    }

    fn table(&mut self, source: &'a Element, writer: &mut Writer) {
        let rows = rows(source);
        if rows.iter().all(|row| cells(row).len() < 2) {
            // One column is a frame around text, not a table.
            for cell in rows.iter().flat_map(|row| cells(row)) {
                self.blocks(cell, writer);
            }
            return;
        }
        let style = source.at(&["tblPr", "tblStyle"]).and_then(|style| style.attribute("val"));
        let look = source.at(&["tblPr", "tblLook"]);
        let first_row_on = look.is_none_or(|look| look.attribute("firstRow").is_none_or(is_on));
        let styled = first_row_on && self.styles.heads_first_row(style);
        let mut table = Table::default();
        for (index, row) in rows.iter().enumerate() {
            let header = row.at(&["trPr", "tblHeader"]).is_some_and(|one| one.attribute("val").is_none_or(is_on));
            table.begin_row(RowMark::Plain);
            let bold = self.row(row, &mut table, writer);
            table.mark_row(match () {
                () if header || (styled && index == 0) => RowMark::Header,
                () if bold => RowMark::Strong,
                () => RowMark::Plain,
            });
        }
        table.write(writer, false);
    }

    /// Adds the cells of a row; says whether all of their text is bold.
    fn row(&mut self, row: &'a Element, table: &mut Table, writer: &mut Writer) -> bool {
        let count =
            |element: Option<&Element>| element.and_then(|one| one.attribute("val")).and_then(|val| val.parse().ok());
        for _ in 0..count(row.at(&["trPr", "gridBefore"])).unwrap_or(0_usize).min(64) {
            table.cell("", 1, 1);
        }
        let mut bold = true;
        for cell in cells(row) {
            let span = count(cell.at(&["tcPr", "gridSpan"])).unwrap_or(1);
            let merged = cell.at(&["tcPr", "vMerge"]).is_some_and(|merge| merge.attribute("val") != Some("restart"));
            if merged {
                table.continued_cell(span);
                continue;
            }
            let mut inner = Writer::within(writer);
            bold &= self.blocks(cell, &mut inner);
            table.cell(inner.text(), span, 1);
            for warning in inner.warnings {
                writer.warn(warning);
            }
        }
        bold
    }
}

/// The rows of a table, content controls and tracked insertions looked through, deleted rows left out.
fn rows(parent: &Element) -> Vec<&Element> {
    let mut out = Vec::new();
    for element in parent.elements() {
        match element.name.as_str() {
            "tr" if element.at(&["trPr", "del"]).is_none() => out.push(element),
            "sdt" | "sdtContent" | "customXml" | "ins" => out.extend(rows(element)),
            _ => {}
        }
    }
    out
}

fn cells(parent: &Element) -> Vec<&Element> {
    let mut out = Vec::new();
    for element in parent.elements() {
        match element.name.as_str() {
            "tc" => out.push(element),
            "sdt" | "sdtContent" | "customXml" | "ins" => out.extend(cells(element)),
            _ => {}
        }
    }
    out
}

/// A formula on one line: enough to be found and read, not to be set again.
fn formula(element: &Element, out: &mut String) {
    for child in element.elements() {
        match child.name.as_str() {
            "t" => out.push_str(&child.text()),
            "num" | "den" | "sup" | "sub" | "deg" => {
                let mut inner = String::new();
                formula(child, &mut inner);
                let inner = inner.trim();
                let sign = match child.name.as_str() {
                    "den" => "/",
                    "sup" => "^",
                    "sub" => "_",
                    _ => "",
                };
                if !inner.is_empty() {
                    let single = inner.chars().count() == 1 || inner.chars().all(|char| char.is_ascii_digit());
                    out.push_str(&if single { format!("{sign}{inner}") } else { format!("{sign}({inner})") });
                }
            }
            "rPr" | "ctrlPr" => {}
            _ => formula(child, out),
        }
    }
}

/// Characters of the symbol fonts that stand in forms and lists; the rest of those fonts is ornament.
fn symbol(element: &Element) -> Option<char> {
    let code = u32::from_str_radix(element.attribute("char")?, 16).ok()?;
    let font = element.attribute("font").unwrap_or_default().to_ascii_lowercase();
    if font.starts_with("wingdings") {
        return match code & 0xff {
            0xfc | 0xfe | 0x52 => Some('☑'),
            0xfb | 0xfd | 0x54 => Some('☒'),
            0x6f | 0xa8 | 0x71 | 0x72 => Some('☐'),
            0xe0 | 0xe8 | 0xf0 => Some('→'),
            _ => Some('•'),
        };
    }
    if font == "symbol" {
        return match code & 0xff {
            0xa3 => Some('≤'),
            0xb3 => Some('≥'),
            0xb1 => Some('±'),
            0xb0 => Some('°'),
            0x6d => Some('µ'),
            0xb4 => Some('×'),
            0xae => Some('→'),
            0x61 => Some('α'),
            0x62 => Some('β'),
            0x67 => Some('γ'),
            0x44 => Some('Δ'),
            _ => Some('•'),
        };
    }
    char::from_u32(code)
}
