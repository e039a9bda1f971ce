//! What kind of file this is, decided by its content and its extension together.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{ParseError, Source, encoding};

/// A kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Markdown, with or without front matter.
    Markdown,
    /// Plain text.
    Text,
    /// HTML.
    Html,
    /// Word.
    Docx,
    /// PDF.
    Pdf,
    /// A workbook: XLSX, XLSB, XLS or ODS.
    Sheet,
    /// Values separated by commas, tabs, semicolons or bars.
    Csv,
    /// Question-and-answer pairs, one JSON object a line.
    Pairs,
    /// Documents, one JSON object a line.
    Documents,
    /// An e-mail message.
    Email,
    /// Rich text.
    Rtf,
    /// OpenDocument text.
    Odt,
}

impl Format {
    /// Whether people write the metadata into the text themselves: front matter, a column, a field of a line.
    #[must_use]
    pub fn is_written_by_hand(self) -> bool {
        match self {
            Self::Markdown | Self::Text | Self::Pairs | Self::Documents | Self::Csv => true,
            Self::Html | Self::Docx | Self::Pdf | Self::Sheet | Self::Email | Self::Rtf | Self::Odt => false,
        }
    }

    /// What people call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Markdown => "Markdown",
            Self::Text => "plain text",
            Self::Html => "HTML",
            Self::Docx => "DOCX",
            Self::Pdf => "PDF",
            Self::Sheet => "spreadsheet",
            Self::Csv => "CSV",
            Self::Pairs => "question-and-answer JSONL",
            Self::Documents => "document JSONL",
            Self::Email => "e-mail",
            Self::Rtf => "RTF",
            Self::Odt => "ODT",
        }
    }

    /// Which parser a file is for.
    ///
    /// # Errors
    /// Where the content contradicts the extension, or either is of a kind that is not read.
    pub fn of(source: &Source) -> Result<Self, ParseError> {
        let extension = extension(&source.name);
        let extension = extension.as_deref();
        match binary(&source.bytes, extension)? {
            Some((found, name)) => match extension {
                None => Ok(found),
                Some(extension) if belongs(extension, found) => Ok(found),
                Some(extension) => Err(ParseError::Mismatch { extension: extension.into(), content: name.into() }),
            },
            None => text(&source.bytes, extension),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// The extension in lower case, where there is a plain one.
fn extension(name: &str) -> Option<String> {
    let file = name.rsplit(['/', '\\']).next()?;
    let (stem, extension) = file.rsplit_once('.')?;
    let plain = !stem.is_empty()
        && (1..=10).contains(&extension.len())
        && extension.bytes().all(|byte| byte.is_ascii_alphanumeric());
    plain.then(|| extension.to_ascii_lowercase())
}

/// Whether files of that extension may hold that (binary) content.
fn belongs(extension: &str, format: Format) -> bool {
    match format {
        Format::Pdf => extension == "pdf",
        Format::Docx => matches!(extension, "docx" | "docm" | "dotx" | "dotm"),
        Format::Sheet => matches!(extension, "xlsx" | "xlsm" | "xltx" | "xlsb" | "xls" | "ods" | "ots"),
        Format::Odt => matches!(extension, "odt" | "ott"),
        Format::Rtf => matches!(extension, "rtf" | "doc"),
        _ => false,
    }
}

/// Kinds that begin with bytes of their own and are not read here, with what to do instead.
const OTHERS: [(&[u8], &str, &str); 16] = [
    (b"\x89PNG", "a PNG picture", "run OCR and add its text"),
    (b"\xff\xd8\xff", "a JPEG picture", "run OCR and add its text"),
    (b"GIF8", "a GIF picture", "run OCR and add its text"),
    (b"II*\0", "a TIFF picture", "run OCR and add its text"),
    (b"MM\0*", "a TIFF picture", "run OCR and add its text"),
    (b"BM", "a bitmap picture", "run OCR and add its text"),
    (b"\x1f\x8b", "a gzip archive", "unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it first"),
    (b"Rar!", "a RAR archive", "unpack it first"),
    (b"BZh", "a bzip2 archive", "unpack it first"),
    (b"\xfd7zXZ\0", "an xz archive", "unpack it first"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive", "unpack it first"),
    (b"\x7fELF", "a program", "leave it out"),
    (b"MZ", "a program", "leave it out"),
    (b"SQLite format 3\0", "a database", "export what matters as CSV"),
    (b"%!PS", "PostScript", "save it as PDF"),
];

/// The format of a file whose first bytes tell, and what to call the content.
fn binary(bytes: &[u8], extension: Option<&str>) -> Result<Option<(Format, &'static str)>, ParseError> {
    let head = bytes.get(..bytes.len().min(1024)).unwrap_or_default();
    if contains(head, b"%PDF-") {
        return Ok(Some((Format::Pdf, "PDF")));
    }
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
        return container(bytes).map(Some);
    }
    if bytes.starts_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") {
        return compound(bytes, extension).map(Some);
    }
    if bytes.starts_with(b"{\\rtf") {
        return Ok(Some((Format::Rtf, "RTF")));
    }
    let is_text = std::str::from_utf8(head).is_ok() && !head.contains(&0);
    match OTHERS.iter().find(|(magic, ..)| bytes.starts_with(magic) && !(is_text && magic.is_ascii())) {
        Some((_, what, mend)) => Err(ParseError::Unsupported { what: (*what).into(), mend: (*mend).into() }),
        None => Ok(None),
    }
}

/// What a ZIP archive holds, by the names in its directory.
fn container(bytes: &[u8]) -> Result<(Format, &'static str), ParseError> {
    let unsupported = |what: &str, mend: &str| Err(ParseError::Unsupported { what: what.into(), mend: mend.into() });
    let Ok(mut zip) = zip::ZipArchive::new(std::io::Cursor::new(bytes)) else {
        return unsupported("a ZIP archive that is broken or cut short", "copy or export the file again");
    };
    let mut mime = String::new();
    if let Ok(member) = zip.by_name("mimetype") {
        let _ = std::io::Read::read_to_string(&mut std::io::Read::take(member, 128), &mut mime);
    }
    let has = |folder: &[u8]| zip.file_names_raw().any(|name| name.starts_with(folder));
    match mime.trim() {
        "application/vnd.oasis.opendocument.text" => return Ok((Format::Odt, "an OpenDocument text")),
        "application/vnd.oasis.opendocument.spreadsheet" => return Ok((Format::Sheet, "an OpenDocument spreadsheet")),
        other if other.contains("opendocument") => {
            return unsupported("this kind of OpenDocument file", "save it as PDF");
        }
        "application/epub+zip" => return unsupported("an e-book", "save it as HTML or PDF"),
        _ => {}
    }
    if !has(b"[Content_Types].xml") && !has(b"_rels/") {
        return unsupported("a ZIP archive", "unpack it first");
    }
    match () {
        () if has(b"word/") => Ok((Format::Docx, "a Word document")),
        () if has(b"xl/") => Ok((Format::Sheet, "an Excel workbook")),
        () if has(b"ppt/") => unsupported("a PowerPoint presentation", "save it as PDF"),
        () if has(b"visio/") => unsupported("a Visio drawing", "save it as PDF"),
        () => Ok((Format::Docx, "an Office document")),
    }
}

/// What an OLE compound file holds: old Office files, Outlook messages, and encrypted new ones.
fn compound(bytes: &[u8], extension: Option<&str>) -> Result<(Format, &'static str), ParseError> {
    let utf16 = |name: &str| name.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let has = |name: &str| contains(bytes, &utf16(name));
    let unsupported = |what: &str, mend: &str| Err(ParseError::Unsupported { what: what.into(), mend: mend.into() });
    if has("EncryptedPackage") {
        let sheet = extension.is_some_and(|extension| extension.starts_with("xl"));
        return Err(ParseError::Encrypted { format: if sheet { Format::Sheet } else { Format::Docx } });
    }
    match () {
        () if has("__substg1.0_") => unsupported("an Outlook message", "save it as .eml"),
        () if has("WordDocument") => unsupported("a Word 97-2003 document", "save it as .docx"),
        () if has("PowerPoint Document") => unsupported("a PowerPoint presentation", "save it as PDF"),
        () if has("Workbook") || has("Book") => Ok((Format::Sheet, "an Excel 97-2003 workbook")),
        () => unsupported("this kind of compound file", "save it in a current format"),
    }
}

/// The format of a file that is text; here the extension decides, and the content can only object.
fn text(bytes: &[u8], extension: Option<&str>) -> Result<Format, ParseError> {
    let head = bytes.get(..bytes.len().min(64 << 10)).unwrap_or_default();
    let head = encoding::decode(head, None).text;
    let nulls = head.chars().filter(|char| matches!(char, '\0'..='\u{8}' | '\u{e}'..='\u{1a}')).count();
    let unsupported = |what: String, mend: &str| Err(ParseError::Unsupported { what, mend: mend.into() });
    if nulls * 50 > head.chars().count() || (nulls > 0 && head.contains('\0')) {
        let mend = "its content is binary and of no known kind; export it as PDF, DOCX or text";
        return unsupported(
            extension.map_or("a file without extension".into(), |extension| format!("this .{extension} file")),
            mend,
        );
    }
    let mismatch = |extension: &str, content: &str| {
        Err(ParseError::Mismatch { extension: extension.into(), content: content.into() })
    };
    let Some(extension) = extension else {
        return match () {
            () if looks_like_html(&head) => Ok(Format::Html),
            () if looks_like_mail(&head) => Ok(Format::Email),
            () => unsupported("text without an extension".into(), "name it .txt, .md, .csv or .html"),
        };
    };
    match extension {
        "md" | "markdown" | "mdown" | "mkd" => Ok(Format::Markdown),
        "txt" | "text" if looks_like_html(&head) => mismatch(extension, "HTML"),
        "txt" | "text" => Ok(Format::Text),
        "html" | "htm" | "xhtml" => Ok(Format::Html),
        "csv" | "tsv" | "tab" | "psv" if looks_like_html(&head) => mismatch(extension, "HTML"),
        "csv" | "tsv" | "tab" | "psv" => Ok(Format::Csv),
        "jsonl" | "ndjson" => lines(&head),
        "eml" if looks_like_mail(&head) => Ok(Format::Email),
        "eml" => mismatch(extension, "not a message with headers"),
        "pdf" | "docx" | "docm" | "xlsx" | "xlsm" | "xls" | "xlsb" | "ods" | "odt" | "rtf" => {
            mismatch(extension, if looks_like_html(&head) { "HTML" } else { "plain text" })
        }
        "json" => unsupported("a .json file".into(), "write one object a line and name it .jsonl"),
        "doc" => unsupported("a .doc file that is text".into(), "save it as .docx"),
        other => unsupported(format!("a .{other} file"), "export it as PDF, DOCX, HTML, Markdown, CSV or text"),
    }
}

/// The first line that holds an object tells pairs from documents.
fn lines(head: &str) -> Result<Format, ParseError> {
    let first = head.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let has = |key: &str| first.contains(&format!("\"{key}\""));
    match () {
        () if has("question") || has("answer") || !first.starts_with('{') => Ok(Format::Pairs),
        () if has("text") => Ok(Format::Documents),
        () => Ok(Format::Pairs),
    }
}

fn looks_like_html(head: &str) -> bool {
    let start: String = head.trim_start().chars().take(200).collect::<String>().to_ascii_lowercase();
    start.starts_with("<!doctype html") || start.starts_with("<html")
}

/// Header lines up to the first blank one, with one that every message has.
fn looks_like_mail(head: &str) -> bool {
    const KNOWN: [&str; 8] = ["from", "to", "subject", "date", "received", "return-path", "message-id", "mime-version"];
    let mut known = 0;
    for line in head.trim_start_matches('\n').lines().take_while(|line| !line.trim().is_empty()) {
        if line.starts_with([' ', '\t', '>']) || line.starts_with("From ") {
            continue;
        }
        match line.split_once(':') {
            Some((name, _)) if !name.contains(' ') => {
                known += usize::from(KNOWN.contains(&name.to_ascii_lowercase().as_str()))
            }
            _ => return false,
        }
    }
    known >= 2
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

#[cfg(test)]
mod tests;
