//! Names and numbers that identify things.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::Random;

/// A name that is not allowed as an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{given}` is not a valid {what}: use 1 to {longest} lower-case letters, digits, `-`, `_` or `.`, starting with a letter or digit"
)]
pub struct InvalidName {
    what: &'static str,
    given: String,
    longest: usize,
}

const LONGEST_NAME: usize = 64;

fn checked(what: &'static str, given: &str) -> Result<String, InvalidName> {
    let mut characters = given.chars();
    let starts_well = characters.next().is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let rest_is_well = characters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.'));
    if starts_well && rest_is_well && given.len() <= LONGEST_NAME {
        Ok(given.to_owned())
    } else {
        let shown = given.chars().take(LONGEST_NAME).collect();
        Err(InvalidName { what, given: shown, longest: LONGEST_NAME })
    }
}

macro_rules! name {
    ($(#[$meta:meta])* $type:ident, $what:literal) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $type {
            type Err = InvalidName;
            fn from_str(given: &str) -> Result<Self, InvalidName> {
                checked($what, given).map(Self)
            }
        }

        impl TryFrom<String> for $type {
            type Error = InvalidName;
            fn try_from(given: String) -> Result<Self, InvalidName> {
                given.parse()
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> String {
                name.0
            }
        }
    };
}

name!(
    /// A tenant: a pharmacy, a clinic, a payer desk. Each has its own store, keys and collections.
    TenantId,
    "tenant name"
);
name!(
    /// A collection of documents within a tenant.
    CollectionId,
    "collection name"
);
name!(
    /// What a reader must hold to see a document, `staff` for example.
    AccessLabel,
    "access label"
);

macro_rules! number {
    ($(#[$meta:meta])* $type:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $type(u128);

        impl $type {
            /// A new random one.
            pub fn random(random: &dyn Random) -> Self {
                let mut bytes = [0; 16];
                random.fill(&mut bytes);
                Self(u128::from_be_bytes(bytes))
            }
        }

        impl From<u128> for $type {
            fn from(value: u128) -> Self {
                Self(value)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }

        impl FromStr for $type {
            type Err = InvalidName;
            fn from_str(given: &str) -> Result<Self, InvalidName> {
                let hex = given.len() == 32 && given.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'));
                u128::from_str_radix(given, 16).ok().filter(|_| hex).map(Self).ok_or_else(|| InvalidName {
                    what: stringify!($type),
                    given: given.chars().take(40).collect(),
                    longest: 32,
                })
            }
        }

        impl Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

number!(
    /// One patient interaction; ties every record of it together. 128 bits, shown as 32 hexadecimal digits.
    SessionId
);
number!(
    /// One HTTP request or command, in logs and replies.
    RequestId
);
number!(
    /// One entry of the audit log: an intent and its outcome.
    EntryId
);
number!(
    /// One emergency access: opened by a person for themselves, over within the hour, signed off by another.
    EmergencyId
);
number!(
    /// One document, across its versions.
    DocumentId
);
number!(
    /// One sealed capture: what was asked and what came of it.
    CaptureId
);
number!(
    /// One file of requests, or of what came of them.
    FileId
);
number!(
    /// One batch: a file of requests that is worked through.
    BatchId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_path_in_it_is_refused() {
        for bad in ["", "../etc", "A", "a/b", ".hidden", "a b", &"a".repeat(65)] {
            assert!(bad.parse::<TenantId>().is_err(), "{bad}");
        }
        assert_eq!("larkfield-pharmacy".parse::<TenantId>().unwrap().as_str(), "larkfield-pharmacy");
    }

    #[test]
    fn an_id_reads_back_as_it_was_written() {
        let id = SessionId::from(42);
        assert_eq!(id.to_string().parse::<SessionId>().unwrap(), id);
        assert!("+0000000000000000000000000000042".parse::<SessionId>().is_err());
        assert!("42".parse::<SessionId>().is_err());
    }
}
