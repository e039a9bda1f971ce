//! Keys of JSON, and of FHIR resources in JSON, at any depth.
//!
//! The walk is over the text, not over a parsed value, so that places are kept and a cut or faulty document is read as
//! far as it goes.

use super::{
    super::{finding::Finding, kind::Kind},
    meaning, plausible,
};

/// Finds the string values whose keys say what they are.
pub(super) fn scan(text: &str, found: &mut Vec<Finding>) {
    let bytes = text.as_bytes();
    let mut keys: Vec<Option<String>> = Vec::new();
    let mut key: Option<String> = None;
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'{' | b'[' => {
                // An array in an array, and an object in an array, go by the array's key.
                let own = key.take().or_else(|| keys.last().cloned().flatten());
                keys.push(own);
                at += 1;
            }
            b'}' | b']' => {
                keys.pop();
                key = None;
                at += 1;
            }
            b',' => {
                key = None;
                at += 1;
            }
            b'"' => {
                let start = at + 1;
                let end = closing(bytes, start);
                let string = text.get(start..end).unwrap_or_default();
                let after = text.get(end + 1..).unwrap_or_default().trim_start();
                if after.starts_with(':') {
                    key = Some(string.to_owned());
                    at = text.len() - after.len() + 1;
                    continue;
                }
                let own = key.as_deref().or_else(|| keys.last().and_then(|key| key.as_deref()));
                let parent = if key.is_some() {
                    keys.last().and_then(|key| key.as_deref())
                } else {
                    keys.iter().rev().nth(1).and_then(|key| key.as_deref())
                };
                if let Some(kind) =
                    own.and_then(|own| of_key(own, parent, string)).filter(|kind| plausible(*kind, string))
                {
                    found.push(Finding::new(kind, start, end, 0.92, "key"));
                }
                at = end + 1;
            }
            b'0'..=b'9' if key.is_some() => {
                let end = bytes
                    .iter()
                    .enumerate()
                    .skip(at)
                    .find(|(_, b)| !(b.is_ascii_digit() || **b == b'.'))
                    .map_or(bytes.len(), |(end, _)| end);
                let number = text.get(at..end).unwrap_or_default();
                let kind = key
                    .as_deref()
                    .and_then(|own| of_key(own, None, number))
                    .filter(|kind| *kind != Kind::Name && plausible(*kind, number));
                if let Some(kind) = kind {
                    found.push(Finding::new(kind, at, end, 0.92, "key"));
                }
                at = end;
            }
            _ => at += 1,
        }
    }
}

/// Where the string that begins at `start` ends: at its quote, or at the end of the text.
fn closing(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// What a value under `key`, itself under `parent`, is.
fn of_key(key: &str, parent: Option<&str>, value: &str) -> Option<Kind> {
    let parent = parent.unwrap_or_default();
    match (parent, key) {
        ("telecom", "value") => {
            return Some(if value.contains('@') {
                Kind::Email
            } else if value.contains("://") {
                Kind::Url
            } else {
                Kind::Phone
            });
        }
        ("identifier", "value") => return Some(Kind::Mrn),
        ("coding" | "code" | "valueSet" | "meta" | "category" | "type" | "unit", _) => return None,
        (
            "name"
            | "contact"
            | "patient"
            | "subject"
            | "performer"
            | "author"
            | "practitioner"
            | "recorder"
            | "asserter"
            | "requester"
            | "individual"
            | "actor"
            | "generalPractitioner"
            | "recipient"
            | "participant"
            | "sender"
            | "member",
            "text" | "display",
        ) => {
            return Some(Kind::Name);
        }
        ("managingOrganization" | "organization" | "serviceProvider" | "custodian" | "location", "display") => {
            return Some(Kind::Facility);
        }
        ("address", "text") => return Some(Kind::Address),
        ("carrierHRF" | "udiCarrier", _) => return Some(Kind::Device),
        ("line" | "given" | "family" | "suffix", _) if key == parent => {}
        _ => {}
    }
    if matches!(
        key,
        "id" | "system"
            | "use"
            | "reference"
            | "url"
            | "code"
            | "display"
            | "text"
            | "value"
            | "identifier"
            | "encounter"
            | "location"
            | "author"
            | "subject"
            | "image"
    ) {
        return None;
    }
    meaning(&words(key))
}

/// `patientName`, `patient_name` and `PATIENT-NAME` as `patient name`.
fn words(key: &str) -> String {
    let mut words = String::with_capacity(key.len() + 4);
    let mut before_lower = false;
    for character in key.chars() {
        if matches!(character, '_' | '-' | '.' | ' ') {
            words.push(' ');
            before_lower = false;
            continue;
        }
        if character.is_uppercase() && before_lower {
            words.push(' ');
        }
        before_lower = character.is_lowercase();
        words.extend(character.to_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(Kind, &str)> {
        crate::detect::testing::found_by_structure(text, scan)
    }

    #[test]
    fn a_fhir_patient_is_walked_to_any_depth() {
        let text = r#"{"resourceType":"Patient","id":"p1","name":[{"use":"official","family":"Tzill","given":["Qarvo","Bel"]}],
            "telecom":[{"system":"phone","value":"402-555-0142"}],"birthDate":"1984-03-14",
            "address":[{"line":["4417 Old Mill Rd"],"city":"Salem","state":"OR","postalCode":"97301"}],
            "contained":[{"identifier":[{"value":"77-0041"}],"subject":{"display":"Tzill, Qarvo"}}]}"#;
        let found = read(text);
        for wanted in [
            (Kind::Name, "Tzill"),
            (Kind::Name, "Qarvo"),
            (Kind::Name, "Bel"),
            (Kind::Phone, "402-555-0142"),
            (Kind::Date, "1984-03-14"),
            (Kind::Address, "4417 Old Mill Rd"),
            (Kind::Location, "Salem"),
            (Kind::Zip, "97301"),
            (Kind::Mrn, "77-0041"),
            (Kind::Name, "Tzill, Qarvo"),
        ] {
            assert!(found.contains(&wanted), "{wanted:?} in {found:?}");
        }
    }

    #[test]
    fn codes_and_their_names_may_stand() {
        let text = r#"{"code":{"coding":[{"system":"http://loinc.org","code":"4548-4","display":"Hemoglobin A1c"}],"text":"HbA1c"},"status":"final"}"#;
        assert!(read(text).is_empty(), "{:?}", read(text));
    }
}
