//! Workbooks: each sheet a section, each row with the headers of its table.

mod grid;
mod value;

use std::io::Cursor;

use calamine::{Data, Reader, SheetVisible, Sheets, open_workbook_auto_from_rs};

use super::archive::Archive;
use super::writer::Writer;
use super::{Format, Limits, ParseError, Parsed};
use grid::{Grid, Merge};

const FORMAT: Format = Format::Sheet;

type Book<'a> = Sheets<Cursor<&'a [u8]>>;

pub(crate) fn parse(bytes: &[u8], limits: &Limits) -> Result<Parsed, ParseError> {
    if bytes.starts_with(b"PK") {
        // The library keeps no count of what it unpacks, so that is counted first.
        Archive::open(bytes, FORMAT, limits)?.check_expansion()?;
    }
    let mut book: Book<'_> =
        open_workbook_auto_from_rs(Cursor::new(bytes)).map_err(|error| failure(&error, "the workbook"))?;
    let mut writer = Writer::new(limits);
    properties(&mut book, &mut writer);
    let sheets = book.sheets_metadata().to_vec();
    let hidden = sheets.iter().filter(|sheet| sheet.visible != SheetVisible::Visible).count();
    if hidden > 0 {
        writer.warn(format!("{hidden} hidden sheet(s) left out"));
    }
    for (index, sheet) in sheets.iter().enumerate().filter(|(_, sheet)| sheet.visible == SheetVisible::Visible) {
        if writer.is_full() {
            break;
        }
        let grid = grid(&mut book, &sheet.name, index + 1)?;
        if grid.truncated {
            writer.warn("a sheet was cut: it has too many cells");
        }
        if !grid.is_empty() {
            writer.heading(1, &sheet.name);
            grid.write(&mut writer);
        }
    }
    writer.finish(FORMAT)
}

/// The cells of one sheet. Excel's are read one by one: a sheet may claim a size that no memory holds.
fn grid(book: &mut Book<'_>, name: &str, number: usize) -> Result<Grid, ParseError> {
    let place = format!("sheet {number}");
    let mut grid = Grid::default();
    if let Sheets::Xlsx(book) = book {
        let merges = book.merge_cells_by_sheet_name(name).unwrap_or_default();
        grid.merges = merges.iter().map(|merge| Merge { start: merge.start, end: merge.end }).collect();
        let mut reader = match book.worksheet_cells_reader(name) {
            Ok(reader) => reader,
            // A sheet that holds only a chart has no cells.
            Err(calamine::XlsxError::NotAWorksheet(_)) => return Ok(grid),
            Err(error) => return Err(failure(&calamine::Error::Xlsx(error), &place)),
        };
        let styles = reader.styles().to_vec();
        while let Some((cell, style)) =
            reader.next_cell_with_style_id().map_err(|error| failure(&calamine::Error::Xlsx(error), &place))?
        {
            let style = styles.get(style);
            let code = style.and_then(|style| style.number_format.as_ref()).map_or("", |format| &format.format_code);
            let bold = style.and_then(|style| style.font.as_ref()).is_some_and(calamine::Font::is_bold);
            let value: Data = cell.get_value().clone().into();
            if !grid.put(cell.get_position(), value::shown(&value, code), bold, value::is_number(&value)) {
                break;
            }
        }
        return Ok(grid);
    }
    let range = book.worksheet_range(name).map_err(|error| failure(&error, &place))?;
    let (top, left) = range.start().unwrap_or_default();
    for (row, column, value) in range.used_cells() {
        let row = top.saturating_add(u32::try_from(row).unwrap_or(u32::MAX));
        let column = left.saturating_add(u32::try_from(column).unwrap_or(u32::MAX));
        if !grid.put((row, column), value::shown(value, ""), false, value::is_number(value)) {
            break;
        }
    }
    Ok(grid)
}

fn properties(book: &mut Book<'_>, writer: &mut Writer) {
    let Ok(found) = book.workbook_properties() else { return };
    let all = [
        ("title", found.title),
        ("author", found.creator),
        ("subject", found.subject),
        ("description", found.description),
        ("keywords", found.keywords),
        ("category", found.category),
        ("created", found.created),
        ("modified", found.modified),
        ("version", found.version),
    ];
    for (key, value) in all {
        writer.property(key, &value.unwrap_or_default());
    }
}

fn failure(error: &calamine::Error, place: &str) -> ParseError {
    use calamine::{Error, OdsError, XlsError, XlsbError, XlsxError};
    match error {
        Error::Xlsx(XlsxError::Password)
        | Error::Xlsb(XlsbError::Password)
        | Error::Xls(XlsError::Password)
        | Error::Ods(OdsError::Password) => ParseError::Encrypted { format: FORMAT },
        Error::Ods(OdsError::CellLimitExceeded { max, .. }) => {
            ParseError::TooLarge { what: "the number of cells".into(), limit: *max as u64 }
        }
        _ => ParseError::Damaged { format: FORMAT, place: place.into(), why: "its content cannot be read".into() },
    }
}
