//! Reading the file and the command line's settings into one configuration.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    path::{Path, PathBuf},
};

use serde::Deserialize as _;
use toml::de::DeTable;

use super::{
    Complaint, Config, ConfigError, Origin, Setting,
    complaint::line_of,
    origin::{settings, spans},
};

/// A configuration that holds, with the origin of each value.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    file: Option<PathBuf>,
    lines: BTreeMap<String, usize>,
    sets: BTreeSet<String>,
}

impl Loaded {
    /// Where the value of `key`, written `section.key`, came from.
    pub fn origin(&self, key: &str) -> Origin {
        if self.sets.contains(key) {
            return Origin::Set;
        }
        match (&self.file, self.lines.get(key)) {
            (Some(path), Some(line)) => Origin::File { path: path.clone(), line: *line },
            _ => Origin::Default,
        }
    }

    /// Every value with its origin, in the order of declaration.
    pub fn settings(&self) -> Vec<Setting> {
        settings(&self.config, |key| self.origin(key))
    }

    /// The file that was read.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }
}

pub(super) fn load(file: Option<&Path>, sets: &[String]) -> Result<Loaded, ConfigError> {
    let text = match file {
        Some(path) => {
            std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?
        }
        None => String::new(),
    };
    let name = file.map_or_else(|| "defaults".to_owned(), |path| path.display().to_string());
    let complain = |place, message| ConfigError::Wrong(Box::new(Complaint::new(&name, &text, place, message)));

    // The file by itself first, so that what is wrong in it is shown at its place.
    let parsed = DeTable::parse(&text).map_err(|error| complain(error.span(), error.message().to_owned()))?;
    let places = spans(parsed.get_ref());
    let mut config: Config =
        toml::from_str(&text).map_err(|error| complain(error.span(), error.message().to_owned()))?;

    let mut table: toml::Table =
        toml::from_str(&text).map_err(|error| complain(error.span(), error.message().to_owned()))?;
    let mut set = BTreeSet::new();
    for argument in sets {
        let refuse =
            |message| ConfigError::Wrong(Box::new(Complaint::new("--set", argument, whole(argument), message)));
        let (key, value) = argument.split_once('=').ok_or_else(|| refuse("write section.key=value".to_owned()))?;
        insert(&mut table, key.trim(), value.trim()).map_err(refuse)?;
        config = Config::deserialize(toml::Value::Table(table.clone()))
            .map_err(|error| refuse(error.message().to_owned()))?;
        set.insert(key.trim().to_owned());
    }
    if let Some((key, why)) = config.contradiction() {
        let message = format!("`{key}` {why}");
        // What came by `--set` has no place in the file.
        let place = places.get(key).filter(|_| !set.contains(key)).cloned();
        return Err(complain(place, message));
    }
    let lines = places.into_iter().map(|(key, place)| (key, line_of(&text, place.start))).collect();
    Ok(Loaded { config, file: file.map(Path::to_owned), lines, sets: set })
}

const fn whole(text: &str) -> Option<Range<usize>> {
    Some(0..text.len())
}

/// Puts `value` at `key`. A value that is not TOML is taken as text, so that paths need no quotes.
fn insert(table: &mut toml::Table, key: &str, value: &str) -> Result<(), String> {
    let value = value.parse().unwrap_or_else(|_| toml::Value::String(value.to_owned()));
    let mut parts: Vec<&str> = key.split('.').collect();
    let last = parts.pop().filter(|last| !last.is_empty() && !parts.is_empty());
    let last = last.ok_or_else(|| "write section.key=value".to_owned())?;
    let mut inner = table;
    for part in parts {
        let entry = inner.entry(part).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        inner = entry.as_table_mut().ok_or_else(|| format!("`{part}` is a value, not a section"))?;
    }
    inner.insert(last.to_owned(), value);
    Ok(())
}
