//! Addresses of machines, mailboxes and pages.

use super::{finding::Finding, token::Tokens};

mod email;
mod ip;
mod photo;
mod url;

/// Finds them all.
pub(super) fn scan(tokens: &Tokens<'_>, found: &mut Vec<Finding>) {
    let mut end = 0;
    for index in 0..tokens.len() {
        if tokens.at(index).start < end {
            continue;
        }
        let finding = email::read(tokens, index)
            .or_else(|| url::read(tokens, index))
            .or_else(|| ip::read(tokens, index))
            .or_else(|| photo::read(tokens, index));
        if let Some(finding) = finding {
            end = finding.end;
            found.push(finding);
        }
    }
}

/// Top-level domains under which pages and mailboxes of people and sites lie, and those kept for examples (RFC 2606).
const TOP: &[&str] = &[
    "app", "au", "biz", "br", "ca", "ch", "cn", "co", "com", "de", "dev", "edu", "es", "eu", "example", "fr", "gov",
    "health", "ie", "in", "info", "int", "invalid", "io", "it", "jp", "local", "me", "mil", "mx", "net", "nhs", "nl",
    "no", "nz", "online", "org", "pl", "ru", "se", "site", "test", "tv", "uk", "us", "xyz", "za", "at", "be", "cz",
    "dk", "fi", "gr", "hu", "pt", "ro", "si", "sk", "tech", "care", "clinic",
];

/// Whether a word is a top-level domain.
fn is_top(word: &str) -> bool {
    TOP.contains(&word)
}

/// How far to the left of byte `at` the text goes on with letters, digits and `marks`.
fn left<'a>(text: &'a str, at: usize, marks: &str) -> &'a str {
    let before = text.get(..at).unwrap_or_default();
    let kept = before.trim_end_matches(|c: char| c.is_alphanumeric() || marks.contains(c));
    before.get(kept.len()..).unwrap_or_default()
}

/// How far from byte `at` the text goes on with letters, digits and `marks`.
fn right<'a>(text: &'a str, at: usize, marks: &str) -> &'a str {
    let after = text.get(at..).unwrap_or_default();
    let rest = after.trim_start_matches(|c: char| c.is_alphanumeric() || marks.contains(c));
    after.get(..after.len() - rest.len()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{super::kind::Kind, *};

    fn read(text: &str) -> Vec<(Kind, &str)> {
        crate::detect::testing::found(text, scan)
    }

    #[test]
    fn addresses_are_found_whole() {
        assert_eq!(read("write to q.hill+lab@corvid.example."), [(Kind::Email, "q.hill+lab@corvid.example")]);
        assert_eq!(read("q hill at corvid dot example"), [(Kind::Email, "hill at corvid dot example")]);
        assert_eq!(read("qhill (at) corvid (dot) org"), [(Kind::Email, "qhill (at) corvid (dot) org")]);
        assert_eq!(
            read("see https://my.corvid.example/u/7?x=1#top, then"),
            [(Kind::Url, "https://my.corvid.example/u/7?x=1#top")]
        );
        assert_eq!(read("at www.corvid.org/q."), [(Kind::Url, "www.corvid.org/q")]);
        assert_eq!(read("on corvid-clinic.com today"), [(Kind::Url, "corvid-clinic.com")]);
        assert_eq!(read("from 10.34.201.7."), [(Kind::Ip, "10.34.201.7")]);
        assert_eq!(read("via 2001:db8::8a2e:370:7334 ok"), [(Kind::Ip, "2001:db8::8a2e:370:7334")]);
        assert_eq!(read("card 00:1B:44:11:3A:B7."), [(Kind::Mac, "00:1B:44:11:3A:B7")]);
        assert_eq!(read("kept as q_hill_face.jpg here"), [(Kind::Photo, "q_hill_face.jpg")]);
    }

    #[test]
    fn ordinary_marks_are_no_addresses() {
        for text in [
            "b.i.d. or t.i.d. at noon",
            "at 10:30:15 we",
            "3.5.1 of the plan",
            "e.g. this",
            "look at home",
            "Dr.Smith",
            "end.In the",
        ] {
            assert!(read(text).is_empty(), "{text}: {:?}", read(text));
        }
    }
}
