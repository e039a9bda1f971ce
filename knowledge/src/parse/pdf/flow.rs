//! From lines to blocks: headings, list entries, paragraphs that run on over lines and pages, rows of cells.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::Page;
use super::piece::Line;
use crate::parse::plain;
use crate::parse::writer::Writer;

/// Larger than the text by this much, a short line is a heading.
const LARGER: f32 = 1.15;
/// Longer than this, nothing is a heading.
const LONGEST_HEADING: usize = 160;
/// Lines further apart than this many times the size of type do not belong to one paragraph.
const LEADING: f32 = 1.75;

/// Writes the blocks of all pages.
pub(super) fn write(pages: &[Page], writer: &mut Writer) {
    let look = Look::of(pages);
    let mut flow = Flow { writer, look: &look, pending: None };
    for page in pages {
        let rows = rows(&page.lines);
        let mut index = 0;
        while let Some(row) = rows.get(index) {
            let run = table_run(rows.get(index..).unwrap_or_default());
            if run >= 3 {
                flow.flush();
                flow.writer.page(page.number);
                cells(rows.get(index..index + run).unwrap_or_default(), flow.writer);
                index += run;
            } else {
                flow.line(&joined(row), page.number);
                index += 1;
            }
        }
    }
    flow.flush();
}

/// Lines that stand side by side.
fn rows(lines: &[Line]) -> Vec<Vec<&Line>> {
    let mut rows: Vec<Vec<&Line>> = Vec::new();
    for line in lines {
        match rows.last_mut() {
            Some(row) if line.beside => row.push(line),
            _ => rows.push(vec![line]),
        }
    }
    rows
}

fn is_marker(text: &str) -> bool {
    plain::marker(&format!("{text} x")).is_some_and(|(_, _, rest)| rest == "x")
}

/// How many rows from here on have cells side by side.
fn table_run(rows: &[Vec<&Line>]) -> usize {
    let has_cells = |row: &&Vec<&Line>| {
        row.len() > 1 && !(row.len() == 2 && row.first().is_some_and(|first| is_marker(&first.text)))
    };
    rows.iter().take_while(has_cells).count()
}

/// A row as one line.
fn joined(row: &[&Line]) -> Line {
    let text = row.iter().map(|line| line.text.as_str()).collect::<Vec<_>>().join(" ");
    let right = row.iter().map(|line| line.right).fold(f32::MIN, f32::max);
    let bold = row.iter().all(|line| line.bold);
    row.first().map_or_else(
        || Line {
            text: String::new(),
            left: 0.0,
            right: 0.0,
            bottom: 0.0,
            size: 0.0,
            bold: false,
            level: None,
            beside: false,
        },
        |first| Line { text, right, bold, ..(*first).clone() },
    )
}

/// Writes rows of cells, each cell with its header where the first row plainly heads all others.
fn cells(rows: &[Vec<&Line>], writer: &mut Writer) {
    let headers = headers(rows);
    for row in rows.iter().skip(usize::from(headers.is_some())) {
        let cell = |line: &&Line| match headers
            .and_then(|headers| headers.iter().find(|header| overlap(header, line) > 0.0))
        {
            Some(header) => format!("{}: {}", header.text.trim_end_matches(':'), line.text),
            None => line.text.clone(),
        };
        let separator = if headers.is_some() { "; " } else { " | " };
        writer.row(&row.iter().map(cell).collect::<Vec<_>>().join(separator));
    }
}

/// The first row, if it reads like a header and every cell below stands under exactly one of its cells.
fn headers<'a>(rows: &'a [Vec<&'a Line>]) -> Option<&'a [&'a Line]> {
    let (first, rest) = rows.split_first()?;
    let names: BTreeSet<&str> = first.iter().map(|line| line.text.as_str()).collect();
    let named = first.iter().all(|line| line.text.chars().any(char::is_alphabetic) && line.text.chars().count() < 60);
    let fits = |row: &Vec<&Line>| {
        let under: Vec<usize> = row
            .iter()
            .flat_map(|line| {
                (0..first.len()).filter(|index| first.get(*index).is_some_and(|header| overlap(header, line) > 0.0))
            })
            .collect();
        under.len() == row.len() && under.iter().collect::<HashSet<_>>().len() == row.len()
    };
    (named && names.len() == first.len() && rest.len() > 1 && rest.iter().all(fits)).then_some(first.as_slice())
}

/// How far two lines overlap from left to right.
fn overlap(a: &Line, b: &Line) -> f32 {
    a.right.min(b.right) - a.left.max(b.left)
}

/// What the type of a document says: the size of its text and which sizes are headings.
struct Look {
    body: f32,
    /// Sizes of headings, largest first.
    sizes: Vec<f32>,
    /// Bold lines stand out, because most are not.
    bold_heads: bool,
    /// Words of the document, to decide about hyphens at line ends.
    words: HashSet<String>,
}

impl Look {
    fn of(pages: &[Page]) -> Self {
        let lines = || pages.iter().flat_map(|page| &page.lines);
        let mut letters: HashMap<i32, usize> = HashMap::new();
        let mut words = HashSet::new();
        let (mut bold, mut total) = (0_usize, 0_usize);
        for line in lines() {
            *letters.entry(half_points(line.size)).or_default() += line.text.len();
            total += 1;
            bold += usize::from(line.bold);
            words.extend(
                line.text
                    .split_whitespace()
                    .map(|word| word.trim_matches(|char: char| !char.is_alphanumeric()).to_lowercase()),
            );
        }
        let body =
            letters.iter().max_by_key(|(size, count)| (**count, **size)).map_or(10.0, |(size, _)| *size as f32 / 2.0);
        let mut sizes: Vec<i32> = lines()
            .filter(|line| line.size > body * LARGER && line.text.chars().count() <= LONGEST_HEADING)
            .map(|line| half_points(line.size))
            .collect();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        sizes.dedup();
        Self {
            body,
            sizes: sizes.into_iter().map(|size| size as f32 / 2.0).collect(),
            bold_heads: bold * 3 < total,
            words,
        }
    }

    /// The level of a heading; `None` for running text.
    fn level(&self, line: &Line) -> Option<u8> {
        if line.level.is_some() {
            return line.level;
        }
        let chars = line.text.chars().count();
        let worded = line.text.chars().filter(|char| char.is_alphabetic()).count() * 2 > chars;
        if chars > LONGEST_HEADING || chars < 2 || !worded || line.text.ends_with(['.', ',', ';']) {
            return None;
        }
        let rank = |size: f32| {
            u8::try_from(self.sizes.iter().take_while(|one| **one > size + 0.25).count() + 1).unwrap_or(6).min(5)
        };
        if line.size > self.body * LARGER {
            return Some(rank(line.size));
        }
        let heads =
            self.bold_heads && line.bold && line.size >= self.body * 0.95 && chars <= 100 && !is_marker(&line.text);
        heads.then(|| u8::try_from(self.sizes.len() + 1).unwrap_or(6).min(6))
    }
}

fn half_points(size: f32) -> i32 {
    (size * 2.0).round() as i32
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
        match (pending.heading, plain::marker(&pending.text)) {
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
        if self.heading != heading || (self.last.size - line.size).abs() > line.size.max(self.last.size) * 0.12 {
            return false;
        }
        let begins_entry = plain::marker(&line.text).is_some() || is_marker(&line.text);
        let down = self.last.bottom - line.bottom;
        if heading.is_some() {
            return page == self.page && down > 0.0 && down < line.size * LEADING && self.lines < 4;
        }
        if begins_entry {
            return false;
        }
        let open = !self.text.ends_with(['.', '!', '?', ':', ';', '”', '"']);
        if page != self.page || down <= 0.0 {
            // On the next page or in the next column a sentence may go on.
            return open && line.text.starts_with(char::is_lowercase);
        }
        let full = self.last.right > self.right - line.size * 4.0 || self.lines == 1;
        let indented = line.left > self.left + line.size * 0.9 && plain::marker(&self.text).is_none();
        down < line.size * LEADING && !(indented && !open) && (full || open) && (self.last.bold == line.bold || open)
    }
}

/// Adds a line to a text; a word divided at its end is put together again.
fn append(text: &mut String, line: &str, look: &Look) {
    let divided = text.strip_suffix(['-', '\u{2010}', '\u{ad}']).filter(|before| before.ends_with(char::is_alphabetic));
    if let Some(before) = divided.filter(|_| line.starts_with(char::is_lowercase)) {
        let plain = |word: &str| word.trim_matches(|char: char| !char.is_alphanumeric()).to_lowercase();
        let first = plain(before.rsplit(char::is_whitespace).next().unwrap_or_default());
        let second = plain(line.split(char::is_whitespace).next().unwrap_or_default());
        let hyphenated =
            look.words.contains(&format!("{first}-{second}")) && !look.words.contains(&format!("{first}{second}"));
        if !hyphenated {
            text.pop();
        }
        text.push_str(line);
        return;
    }
    if !text.ends_with(['-', '\u{2010}', '/']) {
        text.push(' ');
    }
    text.push_str(line);
}
