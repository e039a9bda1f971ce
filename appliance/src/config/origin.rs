//! Where each value came from.

use std::{collections::BTreeMap, fmt, ops::Range, path::PathBuf};

use toml::de::{DeTable, DeValue};

use super::Config;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// The file, at this line.
    File {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// `--set` on the command line.
    Set,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Set => f.write_str("--set"),
        }
    }
}

/// One value with its key and its origin, as `config show` prints it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// `section.key`.
    pub key: String,
    /// The value as TOML; none where nothing is set and the default is to derive it.
    pub value: Option<String>,
    /// Where it came from.
    pub origin: Origin,
}

/// Where in the file each key's value stands, by `section.key`.
pub(super) fn spans(table: &DeTable<'_>) -> BTreeMap<String, Range<usize>> {
    fn walk(prefix: &str, table: &DeTable<'_>, spans: &mut BTreeMap<String, Range<usize>>) {
        for (name, value) in table {
            let key =
                if prefix.is_empty() { name.get_ref().to_string() } else { format!("{prefix}.{}", name.get_ref()) };
            match value.get_ref() {
                DeValue::Table(inner) => walk(&key, inner, spans),
                _ => {
                    spans.insert(key, name.span().start..value.span().end);
                }
            }
        }
    }
    let mut found = BTreeMap::new();
    walk("", table, &mut found);
    found
}

/// Every value of `config` in the order of declaration, with the origin that `origin` says.
pub(super) fn settings(config: &Config, origin: impl Fn(&str) -> Origin) -> Vec<Setting> {
    fn walk(prefix: &str, value: &serde_json::Value, found: &mut Vec<(String, Option<String>)>) {
        match value {
            serde_json::Value::Object(fields) => {
                for (name, value) in fields {
                    let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                    walk(&key, value, found);
                }
            }
            serde_json::Value::Null => found.push((prefix.to_owned(), None)),
            // JSON's scalars and lists of scalars are TOML's.
            other => found.push((prefix.to_owned(), Some(other.to_string()))),
        }
    }
    let mut found = Vec::new();
    if let Ok(value) = serde_json::to_value(config) {
        walk("", &value, &mut found);
    }
    found.into_iter().map(|(key, value)| Setting { origin: origin(&key), key, value }).collect()
}
