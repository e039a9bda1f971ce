//! One small document of each format, read as a person reads it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests say what went wrong by failing")]

use cloister_knowledge::parse::{BlockKind, Format, InProcess, Parse, ParseError, Parsed, Source};

fn fixture(name: &str) -> Result<Parsed, ParseError> {
    let path =
        std::path::PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("tests/fixtures").join(name);
    InProcess::default().parse(&Source { name: name.into(), bytes: std::fs::read(path).unwrap() })
}

/// The text of each block with its kind in short, for comparing whole documents at a glance.
fn outline(parsed: &Parsed) -> Vec<String> {
    assert!(parsed.is_sound());
    let kind = |kind: BlockKind| match kind {
        BlockKind::Heading { level } => format!("h{level}"),
        BlockKind::Paragraph => "p".into(),
        BlockKind::ListItem { number } => number.map_or_else(|| "-".into(), |number| format!("#{number}")),
        BlockKind::TableRow => "row".into(),
        BlockKind::Code => "code".into(),
        BlockKind::Quote => "quote".into(),
    };
    parsed.blocks.iter().map(|block| format!("{} {}", kind(block.kind), parsed.block_text(block))).collect()
}

#[test]
fn a_word_document_keeps_its_headings_numbers_and_tables_and_not_its_hidden_text() {
    let parsed = fixture("policy.docx").unwrap();
    assert_eq!((parsed.title.as_deref(), parsed.format), (Some("Refill policy"), Format::Docx));
    assert_eq!(parsed.metadata["author"], "Pharmacy");
    assert_eq!(
        outline(&parsed),
        [
            "h1 Refills",
            "p Call seven days before the supply ends.",
            "h2 Steps",
            "#1 1. Find the prescription.",
            "#2 2. Check the refills left.",
            "#3 3. Send it to the counter.",
            "- - Bring a photo ID",
            "row Drug: Warfarin; Limit: 30 days; Note: monitor INR",
            "row Drug: Codeine; Limit: 7 days",
            "p Seen",
        ]
    );
    assert_eq!(parsed.blocks[3].headings, ["Refills", "Steps"]);
}

#[test]
fn a_workbook_shows_its_values_as_its_reader_sees_them() {
    let parsed = fixture("formulary.xlsx").unwrap();
    assert_eq!(
        outline(&parsed),
        [
            "h1 Formulary",
            "p Formulary of the demo hospital",
            "row Drug: Warfarin; NDC: 00093; Coinsurance: 20%; Since: 2026-01-01",
            "row Drug: Insulin; NDC: 00002; Coinsurance: 15%; Since: 2026-02-01",
        ]
    );
    assert_eq!(parsed.warnings, ["1 hidden sheet(s) left out"]);
}

#[test]
fn a_pdf_is_read_without_its_margins_and_with_its_divided_words_whole() {
    let parsed = fixture("returns.pdf").unwrap();
    assert_eq!((parsed.title.as_deref(), parsed.pages), (Some("Returns policy"), Some(3)));
    assert_eq!(
        outline(&parsed),
        [
            "h1 Returns",
            "p Medicines that left the pharmacy cannot be taken back, because nobody knows how they were stored. \
             The exception is a recall: follow the recall procedure.",
            "#1 1. Take the package.",
            "#2 2. Give a receipt.",
            "p The end of the policy is on this page.",
            "row Drug: Warfarin; Class: anticoagulant; Limit: 30",
            "row Drug: Codeine; Class: opioid; Limit: 7",
            "row Drug: Insulin; Class: hormone; Limit: 90",
        ]
    );
    let pages: Vec<Option<u32>> = parsed.blocks.iter().map(|block| block.page).collect();
    assert_eq!(pages[..5], [Some(1), Some(1), Some(2), Some(2), Some(3)]);
}

#[test]
fn the_columns_of_a_page_are_read_one_after_the_other() {
    let text = fixture("columns.pdf").unwrap().text;
    assert!(
        text.contains("sign it with your initials.\n\nWhen the fridge fails, move the stock to the second"),
        "{text}"
    );
}

#[test]
fn a_pdf_that_only_forbids_printing_is_read_and_one_with_a_password_is_reported() {
    assert_eq!(fixture("restricted.pdf").unwrap().text, fixture("returns.pdf").unwrap().text);
    assert_eq!(fixture("locked.pdf"), Err(ParseError::Encrypted { format: Format::Pdf }));
}

#[test]
fn a_scan_is_reported_with_what_to_do() {
    let error = fixture("scan.pdf").unwrap_err();
    assert_eq!(error, ParseError::NoText { pages: 2 });
    assert!(error.to_string().contains("run OCR first"));
}
