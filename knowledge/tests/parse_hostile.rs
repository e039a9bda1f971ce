//! Files made to do harm are refused with a reason, by limits that the parsers keep themselves.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests say what went wrong by failing")]

use std::fmt::Write as _;
use std::io::{Cursor, Write as _};

use cloister_knowledge::parse::{InProcess, Limits, Parse, ParseError, Parsed, Source};
use proptest::prelude::*;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

fn small() -> Limits {
    Limits { input_bytes: 1 << 20, output_bytes: 1 << 20, ..Limits::default() }
}

fn parse(name: &str, bytes: Vec<u8>) -> Result<Parsed, ParseError> {
    InProcess::new(small()).parse(&Source { name: name.into(), bytes })
}

fn zipped(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in parts {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn word(document: &[u8]) -> Vec<u8> {
    zipped(&[("[Content_Types].xml", b"<Types/>"), ("word/document.xml", document)])
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(
        std::path::PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("tests/fixtures").join(name),
    )
    .unwrap()
}

#[test]
fn a_zip_bomb_is_stopped_by_what_comes_out_not_by_what_it_claims() {
    let bomb = word(&vec![b' '; 10 << 20]);
    assert!(bomb.len() < 20_000);
    assert!(matches!(parse("a.docx", bomb), Err(ParseError::TooLarge { .. })));
    let sheet = zipped(&[("[Content_Types].xml", b"<Types/>"), ("xl/workbook.xml", &vec![b' '; 10 << 20])]);
    assert!(matches!(parse("a.xlsx", sheet), Err(ParseError::TooLarge { .. })));
}

#[test]
fn a_document_type_in_an_office_file_is_refused_before_any_entity_grows() {
    let laughs = b"<!DOCTYPE x [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;\">]><document><body><p><r><t>&b;</t></r></p></body></document>";
    assert!(matches!(parse("a.docx", word(laughs)), Err(ParseError::Damaged { .. })));
}

#[test]
fn deep_nesting_is_refused_in_office_files_and_survived_in_html() {
    let deep = format!("<document><body>{}{}</body></document>", "<sdt>".repeat(50_000), "</sdt>".repeat(50_000));
    assert!(matches!(parse("a.docx", word(deep.as_bytes())), Err(ParseError::Damaged { .. })));
    let html = format!("{}deep{}", "<div>".repeat(5_000), "<blockquote><ul><li>".repeat(2_000));
    assert!(parse("a.html", html.into_bytes()).unwrap().text.contains("deep"));
}

#[test]
fn markdown_and_rich_text_nested_without_end_are_survived_or_refused() {
    for markdown in ["> ".repeat(20_000) + "x", "- ".repeat(20_000) + "x", "[".repeat(50_000), "*a_".repeat(20_000)] {
        let _ = parse("a.md", markdown.into_bytes());
    }
    let deep = format!("{{\\rtf1 {}x", "{".repeat(100_000));
    assert!(matches!(parse("a.rtf", deep.into_bytes()), Err(ParseError::Damaged { .. })));
}

#[test]
fn a_part_that_climbs_out_of_its_folder_is_only_a_name() {
    let document = b"<document><body><p><r><t>fine</t></r></p></body></document>";
    let zip =
        zipped(&[("[Content_Types].xml", b"<Types/>"), ("../../etc/passwd", b"x"), ("word/document.xml", document)]);
    assert_eq!(parse("a.docx", zip).unwrap().text, "fine");
}

#[test]
fn a_sheet_that_claims_the_largest_size_costs_only_its_two_cells() {
    let parsed = InProcess::default().parse(&Source { name: "huge.xlsx".into(), bytes: fixture("huge.xlsx") }).unwrap();
    assert!(parsed.text.contains("first") && parsed.text.contains("last"));
}

#[test]
fn a_table_whose_cells_claim_to_span_everything_stays_small() {
    let mut html = String::from("<table><tr><th>a<th>b</tr>");
    for _ in 0..1_000 {
        html.push_str("<tr><td colspan=100000 rowspan=65534>some text that is copied<td>x</tr>");
    }
    let _ = parse("a.html", html.into_bytes());
}

#[test]
fn text_that_grows_when_headers_are_repeated_is_refused_at_the_limit() {
    let mut csv = "h".repeat(1_000);
    csv.push_str(",b\n");
    for row in 0..5_000 {
        writeln!(csv, "{row},x").unwrap();
    }
    assert!(matches!(parse("a.csv", csv.into_bytes()), Err(ParseError::TooLarge { .. })));
}

#[test]
fn a_file_beyond_the_limit_is_not_looked_at() {
    assert!(matches!(parse("a.txt", vec![b'a'; 2 << 20]), Err(ParseError::TooLarge { .. })));
}

#[test]
fn every_fixture_cut_short_anywhere_is_parsed_or_refused() {
    for name in ["policy.docx", "formulary.xlsx", "returns.pdf", "columns.pdf"] {
        let whole = fixture(name);
        for cut in (0..whole.len()).step_by(whole.len() / 40 + 1) {
            let _ = parse(name, whole[..cut].to_vec());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn whatever_text_a_parser_accepts_its_blocks_lie_within(text in "(?s).{0,400}", name in "a\\.(md|txt|html|csv|rtf|eml|jsonl)") {
        let text = if name.ends_with("rtf") { format!("{{\\rtf1 {text}") } else { text };
        if let Ok(parsed) = parse(&name, text.into_bytes()) {
            prop_assert!(parsed.is_sound());
        }
    }

    #[test]
    fn a_flipped_byte_does_no_harm(name in prop::sample::select(vec!["policy.docx", "formulary.xlsx", "returns.pdf"]), at in any::<prop::sample::Index>(), bits in 1_u8..) {
        let mut bytes = fixture(name);
        let at = at.index(bytes.len());
        bytes[at] ^= bits;
        if let Ok(parsed) = parse(name, bytes) {
            prop_assert!(parsed.is_sound());
        }
    }
}
