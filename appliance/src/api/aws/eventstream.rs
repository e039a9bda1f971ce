//! `application/vnd.amazon.eventstream`: the frames in which AWS's faces stream.
//!
//! A frame is its length and that of its headers (32 bits each, big-endian), the CRC-32 of these two, headers, payload, and
//! the CRC-32 of all before it (<https://smithy.io/2.0/aws/amazon-eventstream.html>). A header is the length of its name (8
//! bits), the name, the type (7, a string), the length of the value (16 bits), the value.

use serde_json::Value;

/// The content type of such a stream.
pub(crate) const CONTENT_TYPE: &str = "application/vnd.amazon.eventstream";

/// Bytes around headers and payload: two lengths, two checksums.
const AROUND: usize = 16;

/// An event of a stream.
pub(crate) fn event(name: &str, value: &Value) -> Vec<u8> {
    let headers = [(":event-type", name), (":content-type", "application/json"), (":message-type", "event")];
    frame(&headers, value.to_string().as_bytes())
}

/// An error after the beginning: the last frame of a stream. `kind` is the exception's name as the service's model has it.
pub(crate) fn exception(kind: &str, message: &str) -> Vec<u8> {
    let headers = [(":exception-type", kind), (":content-type", "application/json"), (":message-type", "exception")];
    frame(&headers, serde_json::json!({ "message": message }).to_string().as_bytes())
}

fn frame(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    const STRING: u8 = 7;
    let mut named = Vec::new();
    for (name, value) in headers {
        // Names and values are ours, and short.
        named.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        named.extend_from_slice(name.as_bytes());
        named.push(STRING);
        named.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
        named.extend_from_slice(value.as_bytes());
    }
    let length = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes();
    let mut frame = Vec::with_capacity(AROUND + named.len() + payload.len());
    frame.extend_from_slice(&length(AROUND + named.len() + payload.len()));
    frame.extend_from_slice(&length(named.len()));
    frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
    frame.extend_from_slice(&named);
    frame.extend_from_slice(payload);
    frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
    frame
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// Headers and payload of a frame.
    type Frame = (BTreeMap<String, String>, Value);

    /// A frame as a client reads it, and what follows. Nothing where a length or a checksum is wrong.
    fn read(bytes: &[u8]) -> Option<(Frame, &[u8])> {
        let number = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let (length, headers) = (number(0)? as usize, number(4)? as usize);
        let end = length.checked_sub(4)?;
        if number(8)? != crc32fast::hash(&bytes[..8]) || number(end)? != crc32fast::hash(&bytes[..end]) {
            return None;
        }
        let (mut rest, mut named) = (bytes.get(12..12 + headers)?, BTreeMap::new());
        while let [size, more @ ..] = rest {
            let (name, more) = more.split_at_checked(usize::from(*size))?;
            let [7, high, low, more @ ..] = more else { return None };
            let (value, more) = more.split_at_checked(usize::from(u16::from_be_bytes([*high, *low])))?;
            named.insert(String::from_utf8(name.to_vec()).ok()?, String::from_utf8(value.to_vec()).ok()?);
            rest = more;
        }
        let payload = serde_json::from_slice(bytes.get(12 + headers..end)?).ok()?;
        Some(((named, payload), &bytes[length..]))
    }

    /// All frames of a stream: the name of each event or exception, and its payload.
    pub(crate) fn events(mut bytes: &[u8]) -> Vec<(String, Value)> {
        let mut found = Vec::new();
        while !bytes.is_empty() {
            let ((mut headers, payload), rest) = read(bytes).expect("a frame that a client can read");
            let name = headers.remove(":event-type").or_else(|| headers.remove(":exception-type")).unwrap();
            found.push((name, payload));
            bytes = rest;
        }
        found
    }

    proptest! {
        #[test]
        fn a_frame_reads_back_and_no_flipped_bit_is_overlooked(name in "[a-z]{1,40}", text in ".{0,400}", at: usize, bit in 0u32..8) {
            let value = json!({ "text": text });
            let bytes = event(&name, &value);
            prop_assert_eq!(events(&bytes), [(name, value)]);
            let mut bad = bytes.clone();
            bad[at % bytes.len()] ^= 1u8 << bit;
            prop_assert!(read(&bad).is_none());
        }
    }

    #[test]
    fn an_exception_says_what_it_is_and_why() {
        let told = events(&exception("throttlingException", "slow down"));
        assert_eq!(told, [("throttlingException".to_owned(), json!({"message": "slow down"}))]);
    }
}
