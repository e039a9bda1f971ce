//! The used cells of a sheet, cut into the tables that a reader sees.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::parse::table::{RowMark, Table};
use crate::parse::writer::Writer;

/// Cells beyond this many are not kept.
const MOST_CELLS: usize = 1_000_000;

/// The used cells of a sheet.
#[derive(Default)]
pub(super) struct Grid {
    rows: BTreeMap<u32, BTreeMap<u32, Cell>>,
    cells: usize,
    pub(super) merges: Vec<Merge>,
    pub(super) truncated: bool,
}

struct Cell {
    text: String,
    bold: bool,
    number: bool,
}

/// Cells shown as one; both corners belong to it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Merge {
    pub(super) start: (u32, u32),
    pub(super) end: (u32, u32),
}

/// Rows and columns, ends included.
#[derive(Debug, Clone, Copy)]
struct Region {
    top: u32,
    bottom: u32,
    left: u32,
    right: u32,
}

impl Grid {
    /// Adds a cell; says whether there is room for more.
    pub(super) fn put(&mut self, (row, column): (u32, u32), text: String, bold: bool, number: bool) -> bool {
        if text.trim().is_empty() {
            return true;
        }
        if self.cells >= MOST_CELLS {
            self.truncated = true;
            return false;
        }
        self.cells += 1;
        self.rows.entry(row).or_default().insert(column, Cell { text, bold, number });
        true
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        let merges = Merges::new(&self.merges);
        for band in self.bands(Region { top: 0, bottom: u32::MAX, left: 0, right: u32::MAX }) {
            let mut parts = self.columns(band);
            // Beside each other stand different tables only where they differ in height; an empty column within one
            // table must not tear its rows apart.
            let extent = |part: &Region| self.bands(*part).first().map(|first| (first.top, first.bottom));
            if parts.iter().all(|part| self.bands(*part).len() == 1 && extent(part) == Some((band.top, band.bottom))) {
                parts = vec![self.trimmed(band)];
            }
            for part in parts {
                for region in self.bands(part) {
                    if writer.is_full() {
                        return;
                    }
                    self.table(self.trimmed(region), &merges, writer);
                }
            }
        }
    }

    /// Cuts a region at its empty rows.
    fn bands(&self, region: Region) -> Vec<Region> {
        let used = |cells: &BTreeMap<u32, Cell>| cells.range(region.left..=region.right).next().is_some();
        let rows = self.rows.range(region.top..=region.bottom).filter(|(_, cells)| used(cells)).map(|(row, _)| *row);
        runs(rows).map(|(top, bottom)| Region { top, bottom, ..region }).collect()
    }

    /// Cuts a region at its empty columns.
    fn columns(&self, region: Region) -> Vec<Region> {
        let cells =
            self.rows.range(region.top..=region.bottom).flat_map(|(_, cells)| cells.range(region.left..=region.right));
        let mut columns: Vec<u32> = cells.map(|(column, _)| *column).collect::<HashSet<_>>().into_iter().collect();
        columns.sort_unstable();
        runs(columns.into_iter()).map(|(left, right)| Region { left, right, ..region }).collect()
    }

    /// The region without empty columns at its sides.
    fn trimmed(&self, region: Region) -> Region {
        let columns = self.columns(region);
        match (columns.first(), columns.last()) {
            (Some(first), Some(last)) => Region { left: first.left, right: last.right, ..region },
            _ => region,
        }
    }

    fn table(&self, mut region: Region, merges: &Merges, writer: &mut Writer) {
        // Lone cells on top are titles.
        while region.top < region.bottom && region.left < region.right {
            let cells = self.rows.get(&region.top).into_iter().flat_map(|row| row.range(region.left..=region.right));
            let cells: Vec<&Cell> = cells.map(|(_, cell)| cell).collect();
            let [lone] = cells.as_slice() else { break };
            writer.paragraph(&lone.text);
            region.top += 1;
        }
        let mut table = Table::default();
        for (row, cells) in self.rows.range(region.top..=region.bottom) {
            let inside = || cells.range(region.left..=region.right).map(|(_, cell)| cell);
            let bold = inside().all(|cell| cell.bold);
            table.begin_row(if bold { RowMark::Strong } else { RowMark::Plain });
            let mut column = region.left;
            while column <= region.right && !table.truncated {
                let text = cells.get(&column).map_or("", |cell| &cell.text);
                let (down, across) = merges.at(*row, column);
                let across = across.min(region.right - column + 1);
                if !merges.is_covered(*row, column) {
                    table.cell(text, across as usize, down.min(region.bottom - row + 1) as usize);
                }
                column += across;
            }
        }
        let first = self.rows.get(&region.top).into_iter().flat_map(|row| row.range(region.left..=region.right));
        let first: Vec<&Cell> = first.map(|(_, cell)| cell).collect();
        let named = first.len() > 1 && first.iter().all(|cell| !cell.number);
        table.write(writer, named && region.bottom > region.top);
    }
}

/// Merged cells by where they begin, and the cells that they cover.
struct Merges {
    spans: HashMap<(u32, u32), (u32, u32)>,
    covered: HashSet<(u32, u32)>,
}

impl Merges {
    fn new(merges: &[Merge]) -> Self {
        let mut out = Self { spans: HashMap::new(), covered: HashSet::new() };
        for merge in merges {
            let height = merge.end.0.saturating_sub(merge.start.0).saturating_add(1);
            let width = merge.end.1.saturating_sub(merge.start.1).saturating_add(1);
            // A merge of a million cells formats a sheet; it says nothing.
            if u64::from(height) * u64::from(width) > 10_000 || out.covered.len() > MOST_CELLS {
                continue;
            }
            out.spans.insert(merge.start, (height, width));
            let rows = merge.start.0..=merge.end.0;
            out.covered.extend(rows.flat_map(|row| (merge.start.1..=merge.end.1).map(move |column| (row, column))));
            out.covered.remove(&merge.start);
        }
        out
    }

    /// How many rows and columns the cell there takes.
    fn at(&self, row: u32, column: u32) -> (u32, u32) {
        self.spans.get(&(row, column)).copied().unwrap_or((1, 1))
    }

    fn is_covered(&self, row: u32, column: u32) -> bool {
        self.covered.contains(&(row, column))
    }
}

/// Runs of consecutive numbers, as first and last.
fn runs(numbers: impl Iterator<Item = u32>) -> impl Iterator<Item = (u32, u32)> {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(number) => *last = number,
            _ => runs.push((number, number)),
        }
    }
    runs.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::{Format, Limits};

    fn text(cells: &[(u32, u32, &str)], merges: &[Merge]) -> String {
        let mut grid = Grid { merges: merges.to_vec(), ..Grid::default() };
        for (row, column, text) in cells {
            grid.put((*row, *column), (*text).to_owned(), false, text.parse::<f64>().is_ok());
        }
        let mut writer = Writer::new(&Limits::default());
        grid.write(&mut writer);
        writer.finish(Format::Sheet).unwrap().text
    }

    #[test]
    fn a_title_above_a_table_is_not_its_header() {
        let cells = [(0, 0, "Formulary"), (1, 0, "Drug"), (1, 1, "Tier"), (2, 0, "Warfarin"), (2, 1, "1")];
        assert_eq!(text(&cells, &[]), "Formulary\n\nDrug: Warfarin; Tier: 1");
    }

    #[test]
    fn tables_beside_each_other_are_told_apart_and_an_empty_column_does_not_tear_one() {
        let beside = [
            (0, 0, "Drug"),
            (0, 1, "Tier"),
            (1, 0, "A"),
            (1, 1, "1"),
            (2, 0, "B"),
            (2, 1, "2"),
            (0, 3, "Site"),
            (0, 4, "Phone"),
            (1, 3, "East"),
            (1, 4, "5"),
        ];
        assert_eq!(text(&beside, &[]), "Drug: A; Tier: 1\nDrug: B; Tier: 2\nSite: East; Phone: 5");
        let torn = [(0, 0, "Drug"), (0, 2, "Tier"), (1, 0, "A"), (1, 2, "1")];
        assert_eq!(text(&torn, &[]), "Drug: A; Tier: 1");
    }

    #[test]
    fn a_merged_cell_counts_for_every_row_that_it_covers() {
        let cells = [(0, 0, "Class"), (0, 1, "Drug"), (1, 0, "Opioid"), (1, 1, "Morphine"), (2, 1, "Codeine")];
        let merges = [Merge { start: (1, 0), end: (2, 0) }];
        assert_eq!(text(&cells, &merges), "Class: Opioid; Drug: Morphine\nClass: Opioid; Drug: Codeine");
    }
}
