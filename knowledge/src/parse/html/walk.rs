//! Walks a page. The walk keeps its own stack instead of recursing, so that no nesting of elements can exhaust it.

use markup5ever_rcdom::{Handle, NodeData};

use super::{attribute, name};
use crate::parse::numerals;
use crate::parse::table::{RowMark, Table};
use crate::parse::writer::Writer;

/// Tables within tables within tables: beyond this they are read as running text.
const DEEPEST_TABLE: usize = 4;

/// A step of the walk.
enum Step {
    Enter(Handle),
    Leave(Handle),
}

pub(super) struct Walk<'w> {
    writer: &'w mut Writer,
    inline: String,
    lists: Vec<List>,
    /// Open entries: the marker until its first text is written.
    markers: Vec<Option<(String, Option<u32>)>>,
    heading: Option<u8>,
    quotes: usize,
    preformatted: usize,
    term: Option<String>,
    tables: usize,
}

struct List {
    /// The next number; `None` for bullets.
    next: Option<i64>,
    style: String,
    down: bool,
}

/// What an element is to a reader.
enum Kind {
    Dropped,
    Heading(u8),
    Block,
    Inline,
}

impl<'w> Walk<'w> {
    pub(super) fn new(writer: &'w mut Writer) -> Self {
        Self {
            writer,
            inline: String::new(),
            lists: Vec::new(),
            markers: Vec::new(),
            heading: None,
            quotes: 0,
            preformatted: 0,
            term: None,
            tables: 0,
        }
    }

    pub(super) fn run(&mut self, root: &Handle) {
        let mut steps = vec![Step::Enter(root.clone())];
        while let Some(step) = steps.pop() {
            if self.writer.is_full() {
                return;
            }
            match step {
                Step::Enter(node) => {
                    if self.enter(&node) {
                        steps.push(Step::Leave(node.clone()));
                        steps.extend(node.children.borrow().iter().rev().map(|child| Step::Enter(child.clone())));
                    }
                }
                Step::Leave(node) => self.leave(&node),
            }
        }
        self.flush();
    }

    /// Handles what stands at the beginning of a node; says whether to go on into it.
    fn enter(&mut self, node: &Handle) -> bool {
        match &node.data {
            NodeData::Text { contents } => {
                self.text(&contents.borrow());
                return false;
            }
            NodeData::Document => return true,
            NodeData::Element { .. } => {}
            _ => return false,
        }
        if is_hidden(node) {
            return false;
        }
        let tag = name(node);
        match tag {
            "title" if self.tables == 0 => {
                let title = text_of(node);
                self.writer.property("title", &title);
                return false;
            }
            "meta" => {
                self.meta(node);
                return false;
            }
            "br" => self.inline.push('\n'),
            "img" => self.inline.push_str(&attribute(node, "alt").map(|alt| format!(" {alt} ")).unwrap_or_default()),
            "input" => self.input(node),
            "table" if self.tables < DEEPEST_TABLE && is_data(node) => {
                self.flush();
                self.table(node);
                return false;
            }
            _ => {}
        }
        match kind(node) {
            Kind::Dropped => return false,
            Kind::Heading(level) => {
                self.flush();
                self.heading = Some(level);
            }
            Kind::Block => {
                self.flush();
                self.open(node);
            }
            Kind::Inline => {}
        }
        true
    }

    fn leave(&mut self, node: &Handle) {
        match kind(node) {
            Kind::Heading(_) => {
                self.flush();
                self.heading = None;
            }
            Kind::Block => {
                if name(node) == "dt" {
                    self.term = Some(std::mem::take(&mut self.inline)).filter(|term| !term.trim().is_empty());
                    return;
                }
                self.flush();
                self.close(node);
            }
            Kind::Inline | Kind::Dropped => {
                // Cells and options of forms stand side by side without white space in the source.
                if matches!(name(node), "option" | "button" | "label" | "legend") {
                    self.inline.push(' ');
                }
            }
        }
    }

    fn open(&mut self, node: &Handle) {
        match name(node) {
            "ol" => {
                let down = attribute(node, "reversed").is_some();
                let start = attribute(node, "start").and_then(|start| start.trim().parse().ok());
                let entries = || node.children.borrow().iter().filter(|child| name(child) == "li").count() as i64;
                let next = Some(start.unwrap_or_else(|| if down { entries() } else { 1 }));
                self.lists.push(List { next, style: attribute(node, "type").unwrap_or_default(), down });
            }
            "ul" | "menu" => self.lists.push(List { next: None, style: String::new(), down: false }),
            "li" => {
                let value = attribute(node, "value").and_then(|value| value.trim().parse().ok());
                let marker = self.lists.last_mut().map_or_else(|| ("-".to_owned(), None), |list| list.marker(value));
                self.markers.push(Some(marker));
            }
            "blockquote" => self.quotes += 1,
            "pre" | "textarea" | "listing" => self.preformatted += 1,
            _ => {}
        }
    }

    fn close(&mut self, node: &Handle) {
        match name(node) {
            "ol" | "ul" | "menu" => {
                self.lists.pop();
            }
            "li" => {
                self.markers.pop();
            }
            "blockquote" => self.quotes = self.quotes.saturating_sub(1),
            "pre" | "textarea" | "listing" => self.preformatted = self.preformatted.saturating_sub(1),
            "dl" => self.term = None,
            _ => {}
        }
    }

    /// Adds text; outside `pre` white space of any kind and length is one space.
    fn text(&mut self, text: &str) {
        if self.preformatted > 0 {
            self.inline.push_str(text);
            return;
        }
        let is_space = |char: char| char.is_ascii_whitespace();
        for char in text.chars() {
            if !is_space(char) {
                self.inline.push(char);
            } else if !self.inline.ends_with(is_space) {
                self.inline.push(' ');
            }
        }
    }

    /// Writes the text at hand as what it stands in.
    fn flush(&mut self) {
        let text = std::mem::take(&mut self.inline);
        if text.trim().is_empty() {
            return;
        }
        let text = match self.term.take() {
            Some(term) => format!("{}: {text}", term.trim().trim_end_matches(':')),
            None => text,
        };
        if let Some(level) = self.heading {
            self.writer.heading(level, &text);
            return;
        }
        match self.markers.last_mut().map(Option::take) {
            Some(Some((marker, number))) => self.writer.item(&marker, number, &text),
            _ if self.preformatted > 0 => self.writer.code(&text),
            _ if self.quotes > 0 => self.writer.quote(&text),
            _ => {
                self.writer.paragraph(&text);
            }
        }
    }

    fn meta(&mut self, node: &Handle) {
        let key = attribute(node, "name").unwrap_or_default().to_ascii_lowercase();
        let key = key.strip_prefix("dc.").or_else(|| key.strip_prefix("dcterms.")).unwrap_or(&key);
        const KEPT: [&str; 10] = [
            "author",
            "description",
            "keywords",
            "version",
            "effective",
            "expires",
            "supersedes",
            "owner",
            "access",
            "date",
        ];
        if KEPT.contains(&key) {
            self.writer.property(key, &attribute(node, "content").unwrap_or_default());
        }
    }

    fn input(&mut self, node: &Handle) {
        let kind = attribute(node, "type").unwrap_or_default().to_ascii_lowercase();
        match kind.as_str() {
            "checkbox" | "radio" => {
                self.inline.push_str(if attribute(node, "checked").is_some() { "☑ " } else { "☐ " })
            }
            _ => {}
        }
    }

    /// Reads a table of data: rows and cells in order, each cell by a walk of its own.
    fn table(&mut self, node: &Handle) {
        let mut table = Table::default();
        let mut captions = Vec::new();
        for (row, in_head) in rows(node, &mut captions) {
            if self.writer.is_full() {
                return;
            }
            let cells: Vec<Handle> =
                row.children.borrow().iter().filter(|cell| matches!(name(cell), "td" | "th")).cloned().collect();
            let all_headers = cells.len() > 1 && cells.iter().all(|cell| name(cell) == "th");
            table.begin_row(if in_head || all_headers { RowMark::Header } else { RowMark::Plain });
            let span = |cell: &Handle, which: &str| attribute(cell, which).and_then(|span| span.trim().parse().ok());
            for cell in &cells {
                if is_hidden(cell) {
                    continue;
                }
                let text = self.cell_text(cell);
                let rows =
                    span(cell, "rowspan").map_or(1, |rows: usize| if rows == 0 { usize::from(u16::MAX) } else { rows });
                table.cell(&text, span(cell, "colspan").unwrap_or(1), rows);
            }
        }
        for caption in captions {
            let text = self.cell_text(&caption);
            self.writer.paragraph(&text);
        }
        table.write(self.writer, false);
    }

    fn cell_text(&mut self, cell: &Handle) -> String {
        let mut inner = Writer::within(self.writer);
        let mut walk = Walk { tables: self.tables + 1, ..Walk::new(&mut inner) };
        for child in cell.children.borrow().iter() {
            walk.run(child);
        }
        inner.text().to_owned()
    }
}

impl List {
    fn marker(&mut self, value: Option<i64>) -> (String, Option<u32>) {
        let Some(next) = self.next else { return ("-".into(), None) };
        let number = value.unwrap_or(next);
        self.next = Some(if self.down { number.saturating_sub(1) } else { number.saturating_add(1) });
        let Ok(number) = u32::try_from(number) else { return (format!("{number}."), None) };
        let text = match self.style.as_str() {
            "a" => numerals::letters(number),
            "A" => numerals::letters(number).to_uppercase(),
            "i" => numerals::roman(number),
            "I" => numerals::roman(number).to_uppercase(),
            _ => number.to_string(),
        };
        (format!("{text}."), Some(number))
    }
}

fn kind(node: &Handle) -> Kind {
    match name(node) {
        "script" | "style" | "noscript" | "template" | "iframe" | "object" | "svg" | "canvas" | "audio" | "video"
        | "nav" | "footer" | "select" | "datalist" => Kind::Dropped,
        "h1" => Kind::Heading(1),
        "h2" => Kind::Heading(2),
        "h3" => Kind::Heading(3),
        "h4" => Kind::Heading(4),
        "h5" => Kind::Heading(5),
        "h6" => Kind::Heading(6),
        "html" | "head" | "body" | "p" | "div" | "section" | "article" | "main" | "header" | "aside" | "ul" | "ol"
        | "menu" | "li" | "dl" | "dt" | "dd" | "blockquote" | "pre" | "listing" | "textarea" | "figure"
        | "figcaption" | "table" | "caption" | "thead" | "tbody" | "tfoot" | "tr" | "td" | "th" | "hr" | "form"
        | "fieldset" | "legend" | "details" | "summary" | "address" | "center" | "hgroup" | "search" | "dialog" => {
            Kind::Block
        }
        _ => Kind::Inline,
    }
}

/// What a page hides from people it must not say to the model.
fn is_hidden(node: &Handle) -> bool {
    if attribute(node, "hidden").is_some_and(|value| value != "until-found")
        || attribute(node, "aria-hidden").as_deref() == Some("true")
    {
        return true;
    }
    let role = attribute(node, "role").unwrap_or_default();
    if matches!(role.as_str(), "navigation" | "contentinfo" | "search") {
        return true;
    }
    let style: String =
        attribute(node, "style").unwrap_or_default().to_ascii_lowercase().split_ascii_whitespace().collect();
    style.contains("display:none") || style.contains("visibility:hidden") || style.contains("font-size:0;")
}

/// A table of data has at least two columns and holds no headings; any other is a frame that places text on the page.
fn is_data(table: &Handle) -> bool {
    if matches!(attribute(table, "role").as_deref(), Some("presentation" | "none")) {
        return false;
    }
    let mut wide = false;
    let mut steps: Vec<Handle> = table.children.borrow().clone();
    while let Some(node) = steps.pop() {
        let tag = name(&node);
        if matches!(tag, "h1" | "h2" | "h3" | "h4" | "h5" | "h6") {
            return false;
        }
        if tag == "tr" {
            wide |= node.children.borrow().iter().filter(|cell| matches!(name(cell), "td" | "th")).count() > 1;
        }
        steps.extend(node.children.borrow().iter().cloned());
    }
    wide
}

/// The rows of a table in order, with whether they stand in its head, and its captions.
fn rows(table: &Handle, captions: &mut Vec<Handle>) -> Vec<(Handle, bool)> {
    let mut out = Vec::new();
    let mut foot = Vec::new();
    let own_rows =
        |group: &Handle| group.children.borrow().iter().filter(|row| name(row) == "tr").cloned().collect::<Vec<_>>();
    for child in table.children.borrow().iter() {
        match name(child) {
            "caption" => captions.push(child.clone()),
            "tr" => out.push((child.clone(), false)),
            "thead" => out.extend(own_rows(child).into_iter().map(|row| (row, true))),
            "tbody" => out.extend(own_rows(child).into_iter().map(|row| (row, false))),
            "tfoot" => foot.extend(own_rows(child).into_iter().map(|row| (row, false))),
            _ => {}
        }
    }
    out.extend(foot);
    out
}

fn text_of(node: &Handle) -> String {
    let mut out = String::new();
    for child in node.children.borrow().iter() {
        if let NodeData::Text { contents } = &child.data {
            out.push_str(&contents.borrow());
        }
    }
    out
}
