//! From bytes to text: byte order marks, UTF-16, UTF-8, and Windows-1252 for what is none of them.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// Decoded text, and what a reader of the report should know about how.
pub(crate) struct Decoded {
    pub(crate) text: String,
    pub(crate) warning: Option<String>,
}

/// Decodes text. `declared` is an encoding that the file itself names (HTML's `charset`); a byte order mark and plain
/// UTF-8 outrank it, because both are harder to get wrong by accident.
pub(crate) fn decode(bytes: &[u8], declared: Option<&str>) -> Decoded {
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        return with(encoding, bytes.get(mark..).unwrap_or_default());
    }
    if let Some(encoding) = unmarked_utf16(bytes) {
        return with(encoding, bytes);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Decoded { text: text.to_owned(), warning: None };
    }
    let declared = declared.and_then(|label| Encoding::for_label(label.trim().as_bytes()));
    match declared.filter(|encoding| *encoding != UTF_8) {
        Some(encoding) => with(encoding, bytes),
        None if declared.is_none() => {
            let mut decoded = with(WINDOWS_1252, bytes);
            decoded.warning = Some("not UTF-8: read as Windows-1252; save it as UTF-8 if letters look wrong".into());
            decoded
        }
        None => with(UTF_8, bytes),
    }
}

fn with(encoding: &'static Encoding, bytes: &[u8]) -> Decoded {
    let (text, broken) = encoding.decode_without_bom_handling(bytes);
    let warning = broken.then(|| format!("some bytes are not valid {}: replaced", encoding.name()));
    Decoded { text: text.into_owned(), warning }
}

/// UTF-16 without a mark shows by its zero bytes: Western text has them in every second place.
fn unmarked_utf16(bytes: &[u8]) -> Option<&'static Encoding> {
    let sample = bytes.get(..bytes.len().min(1024) & !1)?;
    let pairs = sample.len() / 2;
    let zeros = |offset: usize| sample.iter().skip(offset).step_by(2).filter(|byte| **byte == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    match pairs {
        0..=3 => None,
        _ if odd * 10 > pairs * 6 && even * 10 < pairs => Some(UTF_16LE),
        _ if even * 10 > pairs * 6 && odd * 10 < pairs => Some(UTF_16BE),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf16_is_recognised_with_and_without_a_mark() {
        let plain: Vec<u8> = "Refill policy".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let marked: Vec<u8> =
            [0xfe, 0xff].into_iter().chain("Refill".encode_utf16().flat_map(u16::to_be_bytes)).collect();
        assert_eq!(decode(&plain, None).text, "Refill policy");
        assert_eq!(decode(&marked, None).text, "Refill");
    }

    #[test]
    fn what_is_not_utf8_is_read_as_windows_1252_and_said_so() {
        let decoded = decode(b"caf\xe9 \x93quoted\x94", None);
        assert_eq!(decoded.text, "café “quoted”");
        assert!(decoded.warning.is_some());
    }

    #[test]
    fn a_declared_encoding_is_followed_where_the_bytes_are_not_utf8() {
        assert_eq!(decode(b"\xcf\xf0\xe8\xe2\xe5\xf2", Some("windows-1251")).text, "Привет");
        assert_eq!(decode("Привет".as_bytes(), Some("windows-1251")).text, "Привет");
    }
}
