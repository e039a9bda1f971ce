//! The kinds of file that are read.

use serde::{Deserialize, Serialize};

/// A kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
}

impl std::fmt::Display for Format {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name())
    }
}
