//! Tables: cells placed on a grid, and each row written with its headers, so that it can be read alone.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::writer::{Writer, one_line};

/// Wider spans are cut: no real table has them, and each column of a span costs a copy.
const WIDEST_SPAN: usize = 64;
/// Cells beyond this many are not kept; the largest real sheets have fewer.
const MOST_CELLS: usize = 2_000_000;
/// A first cell longer than this is running text, not a label for the cell beside it.
const LONGEST_LABEL: usize = 80;

/// A table under construction.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
    reaches: Vec<Reach>,
    cells: usize,
    /// Cells were left out because there were too many.
    pub(crate) truncated: bool,
}

/// A row under construction. Cells of one span share their text by pointer.
struct Row {
    cells: Vec<Rc<str>>,
    mark: RowMark,
    /// How many cells the source had, a span counting once.
    sources: usize,
}

/// A cell that reaches down into later rows.
struct Reach {
    column: usize,
    /// First row that it no longer covers.
    until: usize,
    text: Rc<str>,
}

/// What the source says about a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowMark {
    /// Explicitly a header.
    Header,
    /// Emphasised throughout: a header if rows below are not.
    Strong,
    /// Nothing.
    Plain,
}

impl Table {
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Columns of the widest row.
    pub(crate) fn width(&self) -> usize {
        self.rows.iter().map(|row| row.cells.len()).max().unwrap_or(0)
    }

    pub(crate) fn begin_row(&mut self, mark: RowMark) {
        self.rows.push(Row { cells: Vec::new(), mark, sources: 0 });
        self.place_reaching();
    }

    /// Changes what is known of the row begun last.
    pub(crate) fn mark_row(&mut self, mark: RowMark) {
        if let Some(row) = self.rows.last_mut() {
            row.mark = mark;
        }
    }

    /// Adds a cell to the row begun last; it spans `columns` to the right and `rows` downwards.
    pub(crate) fn cell(&mut self, text: &str, columns: usize, rows: usize) {
        let text: Rc<str> = one_line(text).into();
        self.place(&text, columns, rows);
    }

    /// Adds a cell that continues the one above it, where the source marks a vertical merge cell by cell.
    pub(crate) fn continued_cell(&mut self, columns: usize) {
        let column = self.rows.last().map_or(0, |row| row.cells.len());
        let above = self.rows.len().checked_sub(2).and_then(|index| self.rows.get(index));
        let text = above.and_then(|row| row.cells.get(column)).map_or_else(|| Rc::from(""), Rc::clone);
        self.place(&text, columns, 1);
    }

    fn place(&mut self, text: &Rc<str>, columns: usize, rows: usize) {
        let until = self.rows.len().saturating_sub(1).saturating_add(rows);
        let Some(row) = self.rows.last_mut() else { return };
        row.sources += 1;
        for _ in 0..columns.clamp(1, WIDEST_SPAN) {
            self.cells += 1;
            if self.cells > MOST_CELLS {
                self.truncated = true;
                return;
            }
            if rows > 1 {
                self.reaches.push(Reach { column: row.cells.len(), until, text: Rc::clone(text) });
            }
            row.cells.push(Rc::clone(text));
        }
        self.place_reaching();
    }

    /// Fills the next columns with cells that reach down from rows above.
    fn place_reaching(&mut self) {
        let index = self.rows.len().saturating_sub(1);
        self.reaches.retain(|reach| reach.until > index);
        let Some(row) = self.rows.last_mut() else { return };
        while let Some(reach) = self.reaches.iter().find(|reach| reach.column == row.cells.len()) {
            self.cells += 1;
            if self.cells > MOST_CELLS {
                self.truncated = true;
                return;
            }
            row.cells.push(Rc::clone(&reach.text));
        }
    }

    /// Writes the rows. `first_is_header` is for formats where that is the rule (CSV, Markdown); else the marks and the
    /// look of the first row decide.
    pub(crate) fn write(mut self, writer: &mut Writer, first_is_header: bool) {
        if self.truncated {
            writer.warn("a table was cut: it has too many cells");
        }
        self.rows.retain(|row| row.cells.iter().any(|cell| !cell.is_empty()));
        let banners = self.rows.iter().take_while(|row| row.is_banner()).count();
        for row in self.rows.drain(..banners.min(self.rows.len())) {
            writer.row(row.cells.first().map_or("", |cell| cell));
        }
        let headed = self.header_rows(first_is_header);
        let headers = self.headers(headed);
        let mut unused: BTreeSet<usize> = (0..headers.len()).collect();
        for row in self.rows.iter().skip(headed) {
            if writer.is_full() {
                return;
            }
            for (column, _) in row.cells.iter().enumerate().filter(|(_, cell)| !cell.is_empty()) {
                unused.remove(&column);
            }
            writer.row(&row.render(&headers));
        }
        let unused: Vec<&str> = unused.iter().filter_map(|column| headers.get(*column)).map(String::as_str).collect();
        writer.row(&distinct(unused.into_iter()).join(" | "));
    }

    /// How many rows at the top are headers.
    fn header_rows(&self, first_is_header: bool) -> usize {
        let marked = self.rows.iter().take_while(|row| row.mark == RowMark::Header).count();
        if marked > 0 {
            return if marked == self.rows.len() { 1 } else { marked };
        }
        let Some((first, rest)) = self.rows.split_first() else { return 0 };
        let stands_out = first.mark == RowMark::Strong && rest.iter().any(|row| row.mark != RowMark::Strong);
        let looks_it = self.width() > 2 && !rest.is_empty() && first.looks_like_header();
        usize::from(first_is_header || stands_out || looks_it)
    }

    /// The header of each column: the texts of the header rows, top to bottom, a repeated one once.
    fn headers(&self, rows: usize) -> Vec<String> {
        let rows = self.rows.get(..rows).unwrap_or_default();
        let width = rows.iter().map(|row| row.cells.len()).max().unwrap_or(0);
        let column = |column: usize| rows.iter().filter_map(move |row| row.cells.get(column)).map(|cell| &**cell);
        (0..width).map(|index| distinct(column(index)).join(" ")).collect()
    }
}

impl Row {
    /// One cell across the whole width: a title within the table.
    fn is_banner(&self) -> bool {
        let all_one = self.cells.windows(2).all(|pair| matches!(pair, [left, right] if Rc::ptr_eq(left, right)));
        self.cells.len() > 1 && self.sources == 1 && all_one
    }

    fn looks_like_header(&self) -> bool {
        let names: BTreeSet<&str> = self.cells.iter().map(|cell| &**cell).collect();
        let is_name = |cell: &str| {
            let digits = cell.chars().filter(char::is_ascii_digit).count();
            !cell.is_empty() && cell.chars().count() <= LONGEST_LABEL && digits * 2 < cell.chars().count()
        };
        names.len() == self.cells.len() && names.iter().all(|cell| is_name(cell))
    }

    fn render(&self, headers: &[String]) -> String {
        if self.is_banner() {
            return self.cells.first().map_or_else(String::new, |cell| cell.to_string());
        }
        let mut parts: Vec<String> = Vec::new();
        let mut before: Option<(&Rc<str>, &str)> = None;
        for (column, cell) in self.cells.iter().enumerate().filter(|(_, cell)| !cell.is_empty()) {
            let header = headers.get(column).map_or("", String::as_str);
            if before.is_some_and(|(text, above)| Rc::ptr_eq(text, cell) && above == header) {
                continue;
            }
            before = Some((cell, header));
            parts.push(if header.is_empty() { cell.to_string() } else { labelled(header, cell) });
        }
        match parts.as_slice() {
            _ if !headers.is_empty() => parts.join("; "),
            [label, value] if label.chars().count() <= LONGEST_LABEL => labelled(label, value),
            _ => parts.join(" | "),
        }
    }
}

fn labelled(label: &str, value: &str) -> String {
    let separator = if label.ends_with([':', '?', '.', '!']) { " " } else { ": " };
    format!("{label}{separator}{value}")
}

/// Without blanks and without repetitions.
fn distinct<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut out: Vec<&str> = Vec::new();
    for text in texts {
        if !text.is_empty() && !out.contains(&text) {
            out.push(text);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::{Format, Limits};

    fn rows(table: Table, first_is_header: bool) -> Vec<String> {
        let mut writer = Writer::new(&Limits::default());
        table.write(&mut writer, first_is_header);
        let parsed = writer.finish(Format::Csv).unwrap();
        parsed.text.lines().map(str::to_owned).collect()
    }

    /// Text, columns, rows.
    type Cell = (&'static str, usize, usize);

    fn table(source: &[(RowMark, &[Cell])]) -> Table {
        let mut table = Table::default();
        for (mark, cells) in source {
            table.begin_row(*mark);
            cells.iter().for_each(|(text, columns, rows)| table.cell(text, *columns, *rows));
        }
        table
    }

    #[test]
    fn every_cell_stands_with_its_header() {
        let table = table(&[
            (RowMark::Header, &[("Drug", 1, 1), ("Limit", 1, 1)]),
            (RowMark::Plain, &[("Warfarin", 1, 1), ("30 days", 1, 1)]),
            (RowMark::Plain, &[("Insulin", 1, 1), ("", 1, 1)]),
        ]);
        assert_eq!(rows(table, false), ["Drug: Warfarin; Limit: 30 days", "Drug: Insulin"]);
    }

    #[test]
    fn a_cell_that_reaches_down_is_in_every_row_that_it_covers() {
        let table = table(&[
            (RowMark::Header, &[("Class", 1, 1), ("Drug", 1, 1), ("Route", 1, 1)]),
            (RowMark::Plain, &[("Opioid", 1, 2), ("Morphine", 1, 1), ("oral", 1, 1)]),
            (RowMark::Plain, &[("Codeine", 1, 1), ("oral", 1, 1)]),
            (RowMark::Plain, &[("Other", 1, 1), ("Aspirin", 1, 1), ("oral", 1, 1)]),
        ]);
        assert_eq!(rows(table, false)[1], "Class: Opioid; Drug: Codeine; Route: oral");
    }

    #[test]
    fn two_header_rows_are_read_together() {
        let table = table(&[
            (RowMark::Header, &[("Drug", 1, 2), ("Dose", 2, 1)]),
            (RowMark::Header, &[("Adult", 1, 1), ("Child", 1, 1)]),
            (RowMark::Plain, &[("Ibuprofen", 1, 1), ("400 mg", 1, 1), ("10 mg/kg", 1, 1)]),
        ]);
        assert_eq!(rows(table, false), ["Drug: Ibuprofen; Dose Adult: 400 mg; Dose Child: 10 mg/kg"]);
    }

    #[test]
    fn a_list_of_labels_and_values_is_not_read_as_if_its_first_row_were_a_header() {
        let table = table(&[
            (RowMark::Plain, &[("Owner", 1, 1), ("Pharmacy", 1, 1)]),
            (RowMark::Plain, &[("Review", 1, 1), ("yearly", 1, 1)]),
        ]);
        assert_eq!(rows(table, false), ["Owner: Pharmacy", "Review: yearly"]);
    }

    #[test]
    fn a_header_without_any_cell_is_not_lost() {
        let table = table(&[
            (RowMark::Header, &[("Drug", 1, 1), ("Note", 1, 1)]),
            (RowMark::Plain, &[("Warfarin", 1, 1), ("", 1, 1)]),
        ]);
        assert_eq!(rows(table, false), ["Drug: Warfarin", "Note"]);
    }

    #[test]
    fn a_title_across_the_whole_table_is_written_once() {
        let table = table(&[
            (RowMark::Plain, &[("Formulary", 2, 1)]),
            (RowMark::Header, &[("Drug", 1, 1), ("Tier", 1, 1)]),
            (RowMark::Plain, &[("Warfarin", 1, 1), ("1", 1, 1)]),
        ]);
        assert_eq!(rows(table, false), ["Formulary", "Drug: Warfarin; Tier: 1"]);
    }
}
