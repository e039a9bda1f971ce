//! From lines to blocks: headings, list entries, paragraphs that run on over lines, columns and pages.

use super::Page;
use super::cells;
use super::look::{LONGEST_HEADING, Look, is_marker};
use super::piece::Line;
use crate::parse::plain;
use crate::parse::writer::Writer;

/// Lines further apart than this many times the size of type do not belong to one paragraph.
const LEADING: f32 = 1.75;
/// A heading of more lines is a paragraph in large type.
const MOST_HEADING_LINES: usize = 3;

/// Writes the blocks of all pages.
pub(super) fn write(pages: &[Page], writer: &mut Writer) {
    let look = Look::of(pages);
    let mut flow = Flow { writer, look: &look, pending: None };
    for page in pages {
        let rows = cells::rows(&page.lines);
        let mut index = 0;
        while let Some(row) = rows.get(index) {
            let count = cells::table_rows(rows.get(index..).unwrap_or_default());
            if count > 0 {
                flow.flush();
                flow.writer.page(page.number);
                cells::write(rows.get(index..index + count).unwrap_or_default(), flow.writer);
                index += count;
            } else {
                if let Some(line) = cells::joined(row) {
                    flow.line(&line, page.number);
                }
                index += 1;
            }
        }
    }
    flow.flush();
}

/// The block at hand.
struct Pending {
    text: String,
    page: u32,
    heading: Option<u8>,
    last: Line,
    /// Left and right edges of its lines so far.
    left: f32,
    right: f32,
    lines: usize,
}

struct Flow<'a, 'w> {
    writer: &'w mut Writer,
    look: &'a Look,
    pending: Option<Pending>,
}

impl Flow<'_, '_> {
    fn line(&mut self, line: &Line, page: u32) {
        let heading = self.look.level(line);
        if let Some(pending) = &mut self.pending
            && pending.goes_on(line, heading, page)
        {
            append(&mut pending.text, &line.text, self.look);
            pending.left = pending.left.min(line.left);
            pending.right = pending.right.max(line.right);
            pending.heading = pending.heading.filter(|_| heading.is_some());
            pending.last = line.clone();
            pending.lines += 1;
            return;
        }
        self.flush();
        let (left, right) = (line.left, line.right);
        self.pending =
            Some(Pending { text: line.text.clone(), page, heading, last: line.clone(), left, right, lines: 1 });
    }

    fn flush(&mut self) {
        let Some(pending) = self.pending.take() else { return };
        self.writer.page(pending.page);
        // Seen whole, large or bold type may turn out to be running text.
        let long = pending.lines > MOST_HEADING_LINES || pending.text.chars().count() > LONGEST_HEADING;
        let heading = pending.heading.filter(|_| !long && !pending.text.ends_with(['.', ',', ';']));
        match (heading, plain::marker(&pending.text)) {
            (Some(level), _) => {
                self.writer.heading(level, &pending.text);
            }
            (None, Some((marker, number, rest))) => self.writer.item(marker, number, rest),
            (None, None) => {
                self.writer.paragraph(&pending.text);
            }
        }
    }
}

impl Pending {
    /// Whether a line continues this block.
    fn goes_on(&self, line: &Line, heading: Option<u8>, page: u32) -> bool {
        let alike = (self.last.size - line.size).abs() <= line.size.max(self.last.size) * 0.12;
        let entry = plain::marker(&line.text).is_some() || is_marker(&line.text);
        if !alike || entry {
            return false;
        }
        let down = self.last.bottom - line.bottom;
        let open = !self.text.ends_with(['.', '!', '?', ':', ';', '”', '"']);
        if page != self.page || down <= 0.0 {
            // On the next page or in the next column a sentence may go on.
            return open && self.heading.is_none() && heading.is_none() && line.text.starts_with(char::is_lowercase);
        }
        if down >= line.size * LEADING {
            return false;
        }
        if self.heading.is_some() || heading.is_some() {
            // A bold line that goes on in plain type in the middle of a sentence was none.
            return self.heading == heading
                || (self.last.bold != line.bold && line.text.starts_with(char::is_lowercase));
        }
        let full = self.last.right > self.right - line.size * 4.0 || self.lines == 1;
        let indented = line.left > self.left + line.size * 0.9 && plain::marker(&self.text).is_none();
        open || (!indented && full)
    }
}

/// Adds a line to a text; a word divided at its end is put together again.
fn append(text: &mut String, line: &str, look: &Look) {
    let divided = text.strip_suffix(['-', '\u{2010}', '\u{ad}']).filter(|before| before.ends_with(char::is_alphabetic));
    if let Some(before) = divided.filter(|_| line.starts_with(char::is_lowercase)) {
        let first = before.rsplit(char::is_whitespace).next().unwrap_or_default();
        let second = line.split(char::is_whitespace).next().unwrap_or_default();
        if !look.hyphenates(first, second) {
            text.pop();
        }
    } else if !text.ends_with(['-', '\u{2010}', '/']) {
        text.push(' ');
    }
    text.push_str(line);
}
