//! Builds the canonical text and its blocks; every parser writes through it, so that all formats come out alike.

use std::collections::BTreeMap;

use super::{Block, BlockKind, Format, Limits, Pair, ParseError, Parsed};

/// A heading's text in the path of the blocks below it is cut here: a path is a label, and it is stored with each block.
const PATH_HEADING_CHARS: usize = 200;

/// Collects blocks into a [`Parsed`].
pub(crate) struct Writer {
    text: String,
    blocks: Vec<Block>,
    path: Vec<(u8, String)>,
    page: Option<u32>,
    spent: u64,
    limit: u64,
    pairs: Vec<Pair>,
    pub(crate) title: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) pages: Option<u32>,
    pub(crate) warnings: Vec<String>,
}

impl Writer {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            text: String::new(),
            blocks: Vec::new(),
            path: Vec::new(),
            page: None,
            spent: 0,
            limit: limits.output_bytes,
            pairs: Vec::new(),
            title: None,
            metadata: BTreeMap::new(),
            pages: None,
            warnings: Vec::new(),
        }
    }

    /// A writer for a part that is then placed in another: a table's cell, a note. It has what room is left there.
    pub(crate) fn within(outer: &Self) -> Self {
        let left = outer.limit.saturating_sub(outer.spent);
        Self::new(&Limits { output_bytes: left, ..Limits::default() })
    }

    /// What follows begins on this page, counted from 1.
    pub(crate) fn page(&mut self, page: u32) {
        self.page = Some(page);
    }

    /// Whether the output limit is reached: what follows is not kept, and [`Writer::finish`] will refuse the file.
    pub(crate) fn is_full(&self) -> bool {
        self.spent > self.limit
    }

    pub(crate) fn heading(&mut self, level: u8, text: &str) -> Option<(usize, usize)> {
        let line = one_line(text);
        if line.is_empty() {
            return None;
        }
        let level = level.clamp(1, 9);
        self.path.retain(|(above, _)| *above < level);
        let place = self.push(BlockKind::Heading { level }, &line);
        self.path.push((level, line.chars().take(PATH_HEADING_CHARS).collect()));
        place
    }

    /// Keeps a question-and-answer pair whose texts are already written.
    pub(crate) fn pair(&mut self, pair: Pair) {
        let fields = pair.metadata.iter().map(|(key, value)| key.len() + value.len());
        let cost = pair.question.len()
            + pair.answer.len()
            + fields.sum::<usize>()
            + pair.also.iter().map(String::len).sum::<usize>();
        self.spent = self.spent.saturating_add(cost as u64);
        self.pairs.push(pair);
    }

    pub(crate) fn paragraph(&mut self, text: &str) -> Option<(usize, usize)> {
        self.push(BlockKind::Paragraph, text)
    }

    pub(crate) fn quote(&mut self, text: &str) {
        self.push(BlockKind::Quote, text);
    }

    pub(crate) fn code(&mut self, text: &str) {
        self.push(BlockKind::Code, text);
    }

    /// `marker` is what a reader sees before the text: `3.`, `b)`, or `-` for a bullet.
    pub(crate) fn item(&mut self, marker: &str, number: Option<u32>, text: &str) {
        let text = tidy(text);
        if !text.is_empty() {
            self.push(BlockKind::ListItem { number }, &format!("{marker} {text}"));
        }
    }

    pub(crate) fn row(&mut self, text: &str) {
        self.push(BlockKind::TableRow, &one_line(text));
    }

    /// Keeps a property of the document; the first one to name a key wins.
    pub(crate) fn property(&mut self, key: &str, value: &str) {
        let (key, value) = (one_line(key).to_lowercase(), one_line(value));
        if key.is_empty() || value.is_empty() || self.metadata.contains_key(&key) {
            return;
        }
        self.spent = self.spent.saturating_add((key.len() + value.len()) as u64);
        if !self.is_full() {
            self.metadata.insert(key, value);
        }
    }

    pub(crate) fn warn(&mut self, warning: impl Into<String>) {
        let warning = warning.into();
        if self.warnings.len() < 20 && !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// Keeps an approved text as it was written, blank lines included; it must have passed [`clean`] and be trimmed.
    pub(crate) fn verbatim(&mut self, text: &str) -> Option<(usize, usize)> {
        self.put(BlockKind::Paragraph, text)
    }

    /// Appends a block and returns where it stands; nothing where the text is blank or the limit is reached.
    pub(crate) fn push(&mut self, kind: BlockKind, text: &str) -> Option<(usize, usize)> {
        match kind {
            BlockKind::Code => self.put(kind, clean(text).trim_matches('\n').trim_end()),
            _ => self.put(kind, &tidy(text)),
        }
    }

    fn put(&mut self, kind: BlockKind, text: &str) -> Option<(usize, usize)> {
        if text.is_empty() {
            return None;
        }
        let headings: Vec<String> = self.path.iter().map(|(_, heading)| heading.clone()).collect();
        let cost = text.len() + 64 + headings.iter().map(String::len).sum::<usize>();
        self.spent = self.spent.saturating_add(cost as u64);
        if self.is_full() {
            return None;
        }
        if let Some(last) = self.blocks.last() {
            let tight = |kind: BlockKind| matches!(kind, BlockKind::ListItem { .. } | BlockKind::TableRow);
            let together = tight(kind) && std::mem::discriminant(&kind) == std::mem::discriminant(&last.kind);
            self.text.push_str(if together { "\n" } else { "\n\n" });
        }
        let start = self.text.len();
        self.text.push_str(text);
        let end = self.text.len();
        self.blocks.push(Block { kind, start, end, page: self.page, headings });
        Some((start, end))
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The document, or why there is none.
    pub(crate) fn finish(mut self, format: Format) -> Result<Parsed, ParseError> {
        if self.is_full() {
            return Err(ParseError::TooLarge { what: "the extracted text in bytes".into(), limit: self.limit });
        }
        if self.blocks.is_empty() {
            return Err(ParseError::Empty { format });
        }
        let title = self.title.take().map(|title| one_line(&title)).filter(|title| !title.is_empty());
        let title = title.or_else(|| self.metadata.get("title").cloned());
        // The first sheet, question or document of many does not name the whole.
        let one_of_many = matches!(format, Format::Sheet | Format::Pairs | Format::Documents);
        let title = title.or_else(|| self.first_heading().filter(|_| !one_of_many));
        Ok(Parsed {
            title,
            text: self.text,
            blocks: self.blocks,
            pairs: self.pairs,
            metadata: self.metadata,
            format,
            pages: self.pages,
            warnings: self.warnings,
        })
    }

    /// The first heading of the outermost level that occurs.
    fn first_heading(&self) -> Option<String> {
        let level = |block: &&Block| match block.kind {
            BlockKind::Heading { level } => Some(level),
            _ => None,
        };
        let first = self.blocks.iter().filter(|block| level(block).is_some()).min_by_key(level)?;
        self.text.get(first.start..first.end).map(str::to_owned)
    }
}

/// Normalises line ends and removes what a reader cannot see: control characters, soft hyphens, marks that reorder
/// text, and the tag characters with which instructions are hidden from people but not from models.
pub(crate) fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '\r' => {
                if chars.peek() != Some(&'\n') {
                    out.push('\n');
                }
            }
            '\u{0b}' | '\u{0c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => out.push('\n'),
            '\u{a0}' | '\u{202f}' | '\u{2007}' => out.push(' '),
            '\n' | '\t' => out.push(char),
            '\u{ad}' | '\u{200b}' | '\u{2060}' | '\u{feff}' => {}
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            '\u{e0000}'..='\u{e007f}' => {}
            _ if char.is_control() => {}
            _ => out.push(char),
        }
    }
    out
}

/// [`clean`], without white space at the ends of lines and of the whole, and without blank lines.
pub(crate) fn tidy(text: &str) -> String {
    let cleaned = clean(text);
    let mut out = String::with_capacity(cleaned.len());
    for line in cleaned.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(line);
    }
    out
}

/// [`clean`], on one line, words separated by single spaces.
pub(crate) fn one_line(text: &str) -> String {
    let cleaned = clean(text);
    let mut out = String::with_capacity(cleaned.len());
    for word in cleaned.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}
