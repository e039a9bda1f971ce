//! Columns of a table whose head says what they hold: cells between bars or tabs.

use super::{
    super::{finding::Finding, kind::Kind},
    meaning, plausible,
};

/// Finds the cells under heads that name identifiers.
pub(super) fn scan(text: &str, found: &mut Vec<Finding>) {
    let mut columns: Vec<Option<Kind>> = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let mark = if line.contains('|') { '|' } else { '\t' };
        let cells: Vec<(usize, &str)> = cells(line, mark);
        if cells.len() < 2 {
            columns.clear();
        } else if columns.len() == cells.len() {
            for ((at, cell), kind) in cells.iter().zip(&columns) {
                if let Some(kind) = kind.filter(|kind| plausible(*kind, cell) && !cell.starts_with('-')) {
                    found.push(Finding::new(kind, start + at, start + at + cell.len(), 0.88, "column"));
                }
            }
        } else {
            let kinds: Vec<Option<Kind>> = cells.iter().map(|(_, cell)| meaning(&cell.to_lowercase())).collect();
            columns = if kinds.iter().any(Option::is_some)
                && cells.iter().all(|(_, cell)| !cell.bytes().any(|b| b.is_ascii_digit()))
            {
                kinds
            } else {
                Vec::new()
            };
        }
        start += line.len();
    }
}

/// The cells of a line, trimmed, with their places. Bars at the ends of the line bound no cell.
fn cells(line: &str, mark: char) -> Vec<(usize, &str)> {
    let body = line.trim_end_matches(['\n', '\r']);
    let mut cells = Vec::new();
    let mut at = 0;
    let parts: Vec<&str> = body.split(mark).collect();
    let last = parts.len().saturating_sub(1);
    for (index, part) in parts.iter().enumerate() {
        let inner = part.trim();
        let edge = mark == '|' && inner.is_empty() && (index == 0 || index == last);
        if !edge {
            cells.push((at + (part.len() - part.trim_start().len()), inner));
        }
        at += part.len() + mark.len_utf8();
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_read_under_their_heads() {
        let text =
            "| Name | Drug | DOB |\n|---|---|---|\n| Qarvo Tzill | Metformin | 3/14/84 |\n\nName | of a | thing\n";
        let mut found = Vec::new();
        scan(text, &mut found);
        let read: Vec<&str> = found.iter().map(|f| &text[f.start..f.end]).collect();
        assert_eq!(read, ["Qarvo Tzill", "3/14/84"]);
    }
}
