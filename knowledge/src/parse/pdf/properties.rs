//! The document information dictionary.

use pdf_oxide::PdfDocument;
use pdf_oxide::object::Object;

use crate::parse::writer::Writer;

pub(super) fn read(document: &PdfDocument, writer: &mut Writer) {
    let Some(reference) = document.trailer().as_dict().and_then(|trailer| trailer.get("Info")) else { return };
    let Ok(info) = document.resolve_references(reference, 2) else { return };
    let Some(info) = info.as_dict() else { return };
    for (name, key) in [
        ("Title", "title"),
        ("Author", "author"),
        ("Subject", "subject"),
        ("Keywords", "keywords"),
        ("CreationDate", "created"),
        ("ModDate", "modified"),
    ] {
        let value = info.get(name).and_then(Object::as_string).map(decode).unwrap_or_default();
        match key {
            "title" if is_file_name(&value) => {}
            "created" | "modified" => writer.property(key, &date(&value)),
            _ => writer.property(key, &value),
        }
    }
}

/// Text strings are UTF-16 with a mark, UTF-8 with a mark, or an encoding close to Windows-1252.
fn decode(bytes: &[u8]) -> String {
    crate::parse::encoding::decode(bytes, None).text
}

/// Word processors leave the name of the file as the title when nobody gave one.
fn is_file_name(title: &str) -> bool {
    let lower = title.trim().to_ascii_lowercase();
    let ends =
        [".doc", ".docx", ".pdf", ".indd", ".xls", ".xlsx", ".ppt", ".pptx", ".rtf", ".odt", ".dvi", ".qxd", ".fm"];
    lower.starts_with("microsoft word -")
        || lower.starts_with("untitled")
        || ends.iter().any(|end| lower.ends_with(end))
}

/// `D:20260131090000Z` as `2026-01-31`.
fn date(value: &str) -> String {
    let digits = value.trim_start_matches("D:");
    match (digits.get(..4), digits.get(4..6), digits.get(6..8)) {
        (Some(year), Some(month), Some(day)) if digits.bytes().take(8).all(|byte| byte.is_ascii_digit()) => {
            format!("{year}-{month}-{day}")
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_titles_are_cleaned() {
        assert_eq!(date("D:20260131090000Z"), "2026-01-31");
        assert_eq!(date("yesterday"), "");
        assert!(
            is_file_name("Microsoft Word - policy") && is_file_name("policy.DOCX") && !is_file_name("Refill policy")
        );
    }
}
