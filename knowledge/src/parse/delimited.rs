//! CSV and its relatives: the delimiter is found out, and each row carries its headers.

use super::table::{RowMark, Table};
use super::writer::Writer;
use super::{Format, Limits, ParseError, Parsed, encoding};

/// Rows looked at to find the delimiter.
const SAMPLE: usize = 50;
/// Rows per table: a very long file is written piece by piece, each piece with the headers of the first.
const PIECE: usize = 5_000;

pub(crate) fn parse(bytes: &[u8], limits: &Limits) -> Result<Parsed, ParseError> {
    let decoded = encoding::decode(bytes, None);
    let mut writer = Writer::new(limits);
    writer.warnings.extend(decoded.warning);
    let text = decoded.text;
    let delimiter = delimiter(&text);
    let mut records = reader(&text, delimiter).into_records();
    let header: Vec<String> = match records.next() {
        Some(Ok(record)) => record.iter().map(str::to_owned).collect(),
        Some(Err(error)) => return Err(damaged(&error)),
        None => return Err(ParseError::Empty { format: Format::Csv }),
    };
    let mut uneven = 0_usize;
    let (mut done, mut first) = (false, true);
    while !done && !writer.is_full() {
        let mut table = Table::default();
        let mut rows = 0;
        add(&mut table, RowMark::Header, header.iter().map(String::as_str));
        for _ in 0..PIECE {
            let Some(record) = records.next() else {
                done = true;
                break;
            };
            let record = record.map_err(|error| damaged(&error))?;
            uneven += usize::from(record.len() != header.len());
            add(&mut table, RowMark::Plain, record.iter());
            rows += 1;
        }
        if rows > 0 || first {
            table.write(&mut writer, true);
        }
        first = false;
    }
    if uneven > 0 {
        writer.warn(format!("{uneven} row(s) have more or fewer cells than the header"));
    }
    writer.finish(Format::Csv)
}

fn add<'a>(table: &mut Table, mark: RowMark, cells: impl Iterator<Item = &'a str>) {
    table.begin_row(mark);
    cells.for_each(|cell| table.cell(cell, 1, 1));
}

fn reader(text: &str, delimiter: u8) -> csv::Reader<&[u8]> {
    csv::ReaderBuilder::new().delimiter(delimiter).has_headers(false).flexible(true).from_reader(text.as_bytes())
}

/// The delimiter with which most rows come out as wide as the first, and wider than one.
fn delimiter(text: &str) -> u8 {
    let score = |delimiter: u8| {
        let widths: Vec<usize> =
            reader(text, delimiter).records().take(SAMPLE).flatten().map(|record| record.len()).collect();
        let first = widths.first().copied().unwrap_or(0);
        let alike = widths.iter().filter(|width| **width == first).count();
        if first < 2 { (0, 0) } else { (alike * 100 / widths.len().max(1), first) }
    };
    // Of equals the last wins, so the commonest comes last.
    [b'|', b'\t', b';', b','].into_iter().max_by_key(|one| score(*one)).unwrap_or(b',')
}

fn damaged(error: &csv::Error) -> ParseError {
    let line = error.position().map_or(0, csv::Position::line);
    ParseError::Damaged { format: Format::Csv, place: format!("line {line}"), why: "the row cannot be read".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(source: &str) -> String {
        parse(source.as_bytes(), &Limits::default()).unwrap().text
    }

    #[test]
    fn the_delimiter_is_found_out() {
        for source in ["Drug,Tier\nA,1\n", "Drug;Tier\nA;1\n", "Drug\tTier\nA\t1\n", "Drug|Tier\nA|1\n"] {
            assert_eq!(text(source), "Drug: A; Tier: 1");
        }
    }

    #[test]
    fn a_quoted_comma_does_not_split_a_cell() {
        assert_eq!(text("Drug,Note\nA,\"oral, once\"\nB,\"x; y\"\n"), "Drug: A; Note: oral, once\nDrug: B; Note: x; y");
    }

    #[test]
    fn a_row_of_another_width_is_kept_and_reported() {
        let parsed = parse(b"Drug,Tier\nA,1,extra\nB\n", &Limits::default()).unwrap();
        assert_eq!(parsed.text, "Drug: A; Tier: 1; extra\nDrug: B");
        assert_eq!(parsed.warnings.len(), 1);
    }
}
