use super::*;

fn of(name: &str, bytes: &[u8]) -> Result<Format, ParseError> {
    Format::of(&Source { name: name.into(), bytes: bytes.to_vec() })
}

#[test]
fn a_file_named_pdf_that_holds_html_is_refused_by_name() {
    let error = of("policy.pdf", b"<!DOCTYPE html><p>hello").unwrap_err();
    assert_eq!(error, ParseError::Mismatch { extension: "pdf".into(), content: "HTML".into() });
}

#[test]
fn a_pdf_with_another_name_is_refused_and_one_without_extension_is_read() {
    assert!(matches!(of("policy.docx", b"%PDF-1.7\n"), Err(ParseError::Mismatch { .. })));
    assert_eq!(of("policy", b"%PDF-1.7\n").unwrap(), Format::Pdf);
}

#[test]
fn kinds_that_are_not_read_are_named_with_what_to_do() {
    for (name, bytes) in [("a.png", &b"\x89PNG\r\n\x1a\n"[..]), ("a.gz", b"\x1f\x8b\x08"), ("a.exe", b"MZ\x90\0\x03")] {
        assert!(matches!(of(name, bytes), Err(ParseError::Unsupported { .. })), "{name}");
    }
    assert!(of("notes.xyz", b"hello").unwrap_err().to_string().contains(".xyz"));
}

#[test]
fn text_that_happens_to_begin_like_a_program_is_text() {
    assert_eq!(of("a.txt", b"MZ is the abbreviation of ...").unwrap(), Format::Text);
    assert_eq!(of("a.md", b"BM stands for bone marrow").unwrap(), Format::Markdown);
}

#[test]
fn pairs_and_documents_are_told_apart_by_their_fields() {
    assert_eq!(of("a.jsonl", br#"{"question":"q","answer":"a"}"#).unwrap(), Format::Pairs);
    assert_eq!(of("a.jsonl", br#"{"id":"1","title":"t","text":"x"}"#).unwrap(), Format::Documents);
}

#[test]
fn an_encrypted_office_file_is_reported_as_such() {
    let mut bytes = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec();
    bytes.extend("EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes));
    assert_eq!(of("a.xlsx", &bytes).unwrap_err(), ParseError::Encrypted { format: Format::Sheet });
}

#[test]
fn binary_rubbish_under_a_text_name_is_refused() {
    assert!(matches!(of("a.txt", &[0, 1, 2, 3, 0, 200, 0, 7]), Err(ParseError::Unsupported { .. })));
}
