//! The requests of a file: one JSON object a line.

use std::collections::HashSet;

use cloister_governance::batches::Complaint;
use cloister_terms::Phi;
use serde_json::{Map, Value};

/// The routes that a batch may go to.
pub(crate) const ENDPOINTS: [&str; 3] = ["/v1/chat/completions", "/v1/completions", "/v1/embeddings"];

/// Most requests in a file, as OpenAI has it.
const MOST: usize = 50_000;
/// Most complaints that are told.
const TOLD: usize = 100;
/// Most characters of a name that the caller gives a request.
const LONGEST_ID: usize = 512;

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// Its line, from 1 on.
    pub(crate) line: u32,
    /// What the caller calls it.
    pub(crate) custom_id: Phi<String>,
    /// What its route is sent.
    pub(crate) body: Phi<Map<String, Value>>,
}

/// What a file holds.
#[derive(Debug, Default)]
pub(crate) struct Read {
    /// The requests, in order.
    pub(crate) requests: Vec<Request>,
    /// What is wrong with it: nothing of it is done then.
    pub(crate) complaints: Vec<Complaint>,
}

/// Reads a file of requests to `endpoint`. Empty lines are passed over.
pub(crate) fn read(bytes: &[u8], endpoint: &str) -> Read {
    let (mut read, mut ids) = (Read::default(), HashSet::new());
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Read::refused("invalid_file", "the file is not UTF-8: write it again as UTF-8");
    };
    for (number, line) in (1_u32..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        match request(number, line, endpoint, &mut ids) {
            Ok(request) => read.requests.push(request),
            Err(complaint) => read.complaints.push(complaint),
        }
        if read.complaints.len() == TOLD {
            return read;
        }
        if read.requests.len() > MOST {
            let message = format!("the file has more than {MOST} requests: hand them in as several batches");
            return Read::refused("too_many_requests", &message);
        }
    }
    if read.requests.is_empty() && read.complaints.is_empty() {
        return Read::refused("empty_file", "the file holds no request: put one JSON object on each line");
    }
    read
}

impl Read {
    fn refused(code: &str, message: &str) -> Self {
        let complaint = Complaint { code: code.to_owned(), message: message.to_owned(), line: None, param: None };
        Self { requests: Vec::new(), complaints: vec![complaint] }
    }
}

fn request(line: u32, text: &str, endpoint: &str, ids: &mut HashSet<String>) -> Result<Request, Complaint> {
    let complaint = |code: &str, param: Option<&str>, message: &str| {
        let (code, message, param) = (code.to_owned(), message.to_owned(), param.map(str::to_owned));
        Complaint { code, message, line: Some(line), param }
    };
    let Ok(Value::Object(mut fields)) = serde_json::from_str::<Value>(text) else {
        return Err(complaint("invalid_json_line", None, "the line is not a JSON object"));
    };
    let id = fields.get("custom_id").and_then(Value::as_str).filter(|id| {
        let length = id.chars().count();
        (1..=LONGEST_ID).contains(&length)
    });
    let Some(id) = id.map(str::to_owned) else {
        let message = format!("`custom_id` must be a text of 1 to {LONGEST_ID} characters");
        return Err(complaint("invalid_custom_id", Some("custom_id"), &message));
    };
    if !ids.insert(id.clone()) {
        return Err(complaint("duplicate_custom_id", Some("custom_id"), "an earlier line has this `custom_id`"));
    }
    if fields.get("method").and_then(Value::as_str) != Some("POST") {
        return Err(complaint("invalid_method", Some("method"), "`method` takes POST"));
    }
    if fields.get("url").and_then(Value::as_str) != Some(endpoint) {
        return Err(complaint("mismatched_url", Some("url"), "`url` must be the batch's `endpoint`"));
    }
    let Some(Value::Object(body)) = fields.remove("body") else {
        return Err(complaint("missing_body", Some("body"), "`body` must be a JSON object"));
    };
    if body.get("stream").is_some_and(|stream| *stream != Value::Bool(false) && !stream.is_null()) {
        return Err(complaint("invalid_stream", Some("body"), "a batch has nobody to stream to: leave `stream` out"));
    }
    Ok(Request { line, custom_id: Phi::new(id), body: Phi::new(body) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WELL: &str = r#"{"custom_id": "a", "method": "POST", "url": "/v1/embeddings", "body": {"input": "x"}}"#;

    fn codes(text: &str) -> Vec<String> {
        let read = read(text.as_bytes(), "/v1/embeddings");
        read.complaints.into_iter().map(|complaint| complaint.code).collect()
    }

    #[test]
    fn each_line_is_a_request_and_empty_ones_are_passed_over() {
        let text = format!("{WELL}\n\n{}\r\n", WELL.replace("\"a\"", "\"b\""));
        let read = read(text.as_bytes(), "/v1/embeddings");
        assert_eq!(read.complaints, []);
        let lines: Vec<_> = read.requests.iter().map(|one| (one.line, one.custom_id.expose().as_str())).collect();
        assert_eq!(lines, [(1, "a"), (3, "b")]);
        assert_eq!(read.requests[0].body.expose()["input"], "x");
    }

    #[test]
    fn what_is_wrong_is_told_by_line_and_field_and_never_by_content() {
        for (line, code) in [
            ("Jane Roe", "invalid_json_line"),
            ("[\"Jane Roe\"]", "invalid_json_line"),
            (&WELL.replace("\"a\"", "\"\""), "invalid_custom_id"),
            (&WELL.replace("\"a\"", "7"), "invalid_custom_id"),
            (&WELL.replace("POST", "GET"), "invalid_method"),
            (&WELL.replace("/v1/embeddings", "/v1/Jane Roe"), "mismatched_url"),
            (&WELL.replace("{\"input\": \"x\"}", "\"Jane Roe\""), "missing_body"),
            (&WELL.replace("\"input\"", "\"stream\": true, \"input\""), "invalid_stream"),
        ] {
            let read = read(line.as_bytes(), "/v1/embeddings");
            let [complaint] = read.complaints.as_slice() else { panic!("{line}: {:?}", read.complaints) };
            assert_eq!((complaint.code.as_str(), complaint.line), (code, Some(1)), "{line}");
            assert!(!format!("{complaint:?}").contains("Jane"), "{complaint:?}");
        }
        assert_eq!(codes(&format!("{WELL}\n{WELL}")), ["duplicate_custom_id"]);
        assert_eq!(codes("\n \n"), ["empty_file"]);
        assert_eq!(read(&[0xff, 0xfe], "/v1/embeddings").complaints[0].code, "invalid_file");
        assert_eq!(codes(&"x\n".repeat(1000)).len(), TOLD);
        let many: String = (0..=MOST).map(|id| WELL.replace("\"a\"", &format!("\"{id}\"")) + "\n").collect();
        assert_eq!(codes(&many), ["too_many_requests"]);
    }
}
