//! PDF: text in reading order with its pages, headings by the size of type, paragraphs put together again.
//!
//! A PDF holds no paragraphs, only pieces of text at places on a page. `piece` gathers them into lines, `order` puts the
//! lines of columns one after the other, `margins` finds what repeats at the edges of pages, `flow` joins lines into
//! blocks. A page without any text is reported; a document without any is refused as a scan.

mod flow;
mod margins;
mod order;
mod piece;
mod properties;

use pdf_oxide::PdfDocument;
use pdf_oxide::error::Error;

use super::writer::Writer;
use super::{Format, Limits, ParseError, Parsed};
use piece::Line;

/// More pages than this are refused: no manual has them, and a page may cost nothing to declare.
const MOST_PAGES: usize = 20_000;

/// The lines of a page, in reading order.
struct Page {
    number: u32,
    height: f32,
    lines: Vec<Line>,
}

pub(crate) fn parse(bytes: &[u8], limits: &Limits) -> Result<Parsed, ParseError> {
    let document = PdfDocument::from_bytes(bytes.to_vec()).map_err(|error| failure(&error, "its structure"))?;
    // Many files are encrypted with an empty password only to forbid printing; they open for everyone.
    if document.is_encrypted() && !document.is_authenticated() && !document.authenticate(b"").unwrap_or(false) {
        return Err(ParseError::Encrypted { format: Format::Pdf });
    }
    let count = document.page_count().map_err(|error| failure(&error, "its page tree"))?;
    if count > MOST_PAGES {
        return Err(ParseError::TooLarge { what: "the number of pages".into(), limit: MOST_PAGES as u64 });
    }
    let mut writer = Writer::new(limits);
    properties::read(&document, &mut writer);
    writer.pages = u32::try_from(count).ok();
    let mut pages = pages(&document, count, limits, &mut writer)?;
    if pages.iter().all(|page| page.lines.is_empty()) {
        return Err(ParseError::NoText { pages: writer.pages.unwrap_or(0) });
    }
    margins::remove(&mut pages);
    flow::write(&pages, &mut writer);
    writer.finish(Format::Pdf)
}

fn pages(document: &PdfDocument, count: usize, limits: &Limits, writer: &mut Writer) -> Result<Vec<Page>, ParseError> {
    let (mut pages, mut empty, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    let mut spent = 0_u64;
    for index in 0..count {
        let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
        let spans = match document.extract_spans(index) {
            Ok(spans) => spans,
            Err(Error::EncryptedPdf) => return Err(ParseError::Encrypted { format: Format::Pdf }),
            Err(_) => {
                failed.push(number);
                continue;
            }
        };
        let (left, bottom, right, top) = document.get_page_visible_box(index).unwrap_or((0.0, 0.0, 612.0, 792.0));
        let (width, height) = if right > left && top > bottom { (right - left, top - bottom) } else { (612.0, 792.0) };
        let lines = order::ordered(piece::gather(&spans), width);
        spent = spent.saturating_add(lines.iter().map(|line| line.text.len() as u64).sum());
        if spent > limits.output_bytes {
            return Err(ParseError::TooLarge {
                what: "the extracted text in bytes".into(),
                limit: limits.output_bytes,
            });
        }
        if lines.is_empty() {
            empty.push(number);
        }
        pages.push(Page { number, height, lines });
    }
    if failed.len() == count && count > 0 {
        let why = "none of its pages can be read".to_owned();
        return Err(ParseError::Damaged { format: Format::Pdf, place: "its pages".into(), why });
    }
    report(writer, &failed, "cannot be read");
    report(writer, &empty, "hold no text and may be scans: run OCR first");
    Ok(pages)
}

fn report(writer: &mut Writer, pages: &[u32], what: &str) {
    if !pages.is_empty() {
        let shown: Vec<String> = pages.iter().take(20).map(u32::to_string).collect();
        let more =
            if pages.len() > shown.len() { format!(" and {} more", pages.len() - shown.len()) } else { String::new() };
        writer.warn(format!("page(s) {}{more} {what}", shown.join(", ")));
    }
}

fn failure(error: &Error, place: &str) -> ParseError {
    match error {
        Error::EncryptedPdf => ParseError::Encrypted { format: Format::Pdf },
        // The library's messages may quote the file: only the kind is passed on.
        Error::InvalidXref | Error::UnexpectedEof => {
            damaged(place, "its table of objects is broken or the file is cut short")
        }
        Error::UnsupportedVersion(_) | Error::Unsupported(_) | Error::UnsupportedFilter(_) => {
            damaged(place, "it uses a feature that is not supported")
        }
        Error::CircularReference(_) | Error::RecursionLimitExceeded(_) => {
            damaged(place, "its objects refer to each other in a circle")
        }
        _ => damaged(place, "it cannot be read"),
    }
}

fn damaged(place: &str, why: &str) -> ParseError {
    ParseError::Damaged { format: Format::Pdf, place: place.into(), why: why.into() }
}
