//! Rows of cells: lines that stand side by side, one row under the other.

use std::collections::{BTreeSet, HashSet};

use super::look::is_marker;
use super::piece::{Line, together};
use crate::parse::writer::Writer;

/// Fewer rows one after the other are not a table.
const FEWEST_ROWS: usize = 3;

/// Lines that stand side by side.
pub(super) struct Row {
    /// As they were found: cut at every gap that may lie between cells.
    pieces: Vec<Line>,
    /// How many are plainly apart; loosely set words are not.
    cells: usize,
}

/// Gathers lines that stand side by side.
pub(super) fn rows(lines: &[Line]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for line in lines {
        match rows.last_mut().filter(|_| line.beside) {
            Some(row) => {
                let apart = row.pieces.last().is_none_or(|before| !together(before, line));
                row.cells += usize::from(apart);
                row.pieces.push(line.clone());
            }
            None => rows.push(Row { pieces: vec![line.clone()], cells: 1 }),
        }
    }
    rows
}

/// How many rows from here on form a table; 0 where none begins.
pub(super) fn table_rows(rows: &[Row]) -> usize {
    let marked = |row: &Row| row.cells == 2 && row.pieces.first().is_some_and(|first| is_marker(&first.text));
    let count = rows.iter().take_while(|row| row.cells > 1 && !marked(row)).count();
    if count < FEWEST_ROWS { 0 } else { count }
}

/// A row as one line.
pub(super) fn joined(row: &Row) -> Option<Line> {
    let row = &row.pieces;
    let text = row.iter().map(|line| line.text.as_str()).collect::<Vec<_>>().join(" ");
    let right = row.iter().map(|line| line.right).fold(f32::MIN, f32::max);
    let bold = row.iter().all(|line| line.bold);
    row.first().map(|first| Line { text, right, bold, ..first.clone() })
}

/// Writes rows of cells, each cell with its header where the first row plainly heads all others.
pub(super) fn write(rows: &[Row], writer: &mut Writer) {
    let rows: Vec<&[Line]> = rows.iter().map(|row| row.pieces.as_slice()).collect();
    let headers = headers(&rows);
    for row in rows.iter().skip(usize::from(headers.is_some())) {
        let cell = |line: &Line| match headers.and_then(|headers| headers.iter().find(|one| overlap(one, line) > 0.0)) {
            Some(header) => format!("{}: {}", header.text.trim_end_matches(':'), line.text),
            None => line.text.clone(),
        };
        let separator = if headers.is_some() { "; " } else { " | " };
        writer.row(&row.iter().map(cell).collect::<Vec<_>>().join(separator));
    }
}

/// The first row, if it reads like a header and every cell below stands under exactly one of its cells. A wrong header
/// is worse than none.
fn headers<'a>(rows: &[&'a [Line]]) -> Option<&'a [Line]> {
    let (first, rest) = rows.split_first()?;
    let names: BTreeSet<&str> = first.iter().map(|line| line.text.as_str()).collect();
    let is_name = |line: &Line| line.text.chars().any(char::is_alphabetic) && line.text.chars().count() < 60;
    let fits = |row: &&[Line]| {
        let columns = |line: &Line| {
            first.iter().enumerate().filter(|(_, one)| overlap(one, line) > 0.0).map(|(index, _)| index).collect()
        };
        let under: Vec<Vec<usize>> = row.iter().map(columns).collect();
        let distinct: HashSet<&Vec<usize>> = under.iter().collect();
        under.iter().all(|columns| columns.len() == 1) && distinct.len() == row.len()
    };
    let heads = names.len() == first.len() && first.iter().all(is_name) && rest.iter().all(fits);
    heads.then_some(*first)
}

/// How far two lines overlap from left to right.
fn overlap(a: &Line, b: &Line) -> f32 {
    a.right.min(b.right) - a.left.max(b.left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::{Format, Limits};

    fn row(cells: &[(&str, f32, f32)]) -> Row {
        let line = |(text, left, right): &(&str, f32, f32)| Line {
            text: (*text).into(),
            left: *left,
            right: *right,
            bottom: 0.0,
            size: 10.0,
            bold: false,
            level: None,
            beside: false,
        };
        Row { pieces: cells.iter().map(line).collect(), cells: cells.len() }
    }

    fn text(rows: &[Row]) -> String {
        let mut writer = Writer::new(&Limits::default());
        write(rows, &mut writer);
        writer.finish(Format::Pdf).unwrap().text
    }

    #[test]
    fn cells_that_stand_under_one_header_each_carry_it() {
        let rows = [
            row(&[("Drug", 50.0, 80.0), ("Limit", 200.0, 230.0)]),
            row(&[("Warfarin", 50.0, 95.0), ("30 days", 200.0, 240.0)]),
            row(&[("Codeine", 50.0, 90.0), ("7 days", 200.0, 235.0)]),
        ];
        assert_eq!(text(&rows), "Drug: Warfarin; Limit: 30 days\nDrug: Codeine; Limit: 7 days");
    }

    #[test]
    fn a_cell_between_two_headers_gets_neither() {
        let rows = [
            row(&[("Drug", 50.0, 80.0), ("Limit", 100.0, 130.0)]),
            row(&[("Warfarin sodium", 50.0, 120.0), ("30", 125.0, 135.0)]),
            row(&[("Codeine", 50.0, 90.0), ("7", 100.0, 110.0)]),
        ];
        assert_eq!(text(&rows), "Drug | Limit\nWarfarin sodium | 30\nCodeine | 7");
    }
}
