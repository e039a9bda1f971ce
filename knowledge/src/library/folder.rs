//! What a folder holds: files to ingest, in order of their names, with what `metadata.toml` says about them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::bulk::{Content, Submission};

/// The file that says what files do not say themselves.
const METADATA: &str = "metadata.toml";

/// How deep folders may lie in folders: more is a mistake, a loop of mounts for example.
const DEEPEST: usize = 64;

/// Why a folder could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum FolderError {
    #[error("a folder could not be read")]
    Read(#[source] std::io::Error),
    #[error("metadata.toml cannot be used")]
    Metadata(#[source] Box<toml::de::Error>),
    #[error("it is a link or no plain file: put the file itself there")]
    MetadataFile,
    #[error("metadata.toml gives `{key}` a value that is neither text, number, date nor truth value")]
    Value { key: String },
}

/// What a folder holds.
#[derive(Debug, Default)]
pub(super) struct Folder {
    pub(super) submissions: Vec<Submission>,
    /// Names that were passed over, and why.
    pub(super) skipped: Vec<(String, &'static str)>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Metadata {
    /// For every file that does not say otherwise.
    #[serde(default)]
    defaults: BTreeMap<String, toml::Value>,
    /// By name relative to the folder, with `/` between parts.
    #[serde(default)]
    files: BTreeMap<String, BTreeMap<String, toml::Value>>,
}

/// Walks a folder. Hidden and temporary files are passed over; so are links that lead out of it and whatever is
/// neither file nor folder.
pub(super) fn walk(root: &Path) -> Result<Folder, FolderError> {
    let root = root.canonicalize().map_err(FolderError::Read)?;
    let metadata = metadata(&root)?;
    let mut walk = Walk { root: &root, folder: Folder::default(), seen: BTreeSet::new() };
    walk.enter(&root, "", 0)?;
    let Folder { submissions: mut found, mut skipped } = walk.folder;
    found.sort_by(|left, right| left.name.cmp(&right.name));
    for name in metadata.files.keys() {
        if found.binary_search_by(|submission| submission.name.cmp(name)).is_err() {
            skipped.push((name.clone(), "named in metadata.toml but not in the folder"));
        }
    }
    let defaults = texts(&metadata.defaults)?;
    for submission in &mut found {
        submission.overrides.clone_from(&defaults);
        if let Some(own) = metadata.files.get(&submission.name) {
            submission.overrides.extend(texts(own)?);
        }
    }
    Ok(Folder { submissions: found, skipped })
}

struct Walk<'a> {
    root: &'a Path,
    folder: Folder,
    /// Real paths of folders entered, so that a link to a parent does not go round for ever.
    seen: BTreeSet<PathBuf>,
}

impl Walk<'_> {
    fn enter(&mut self, directory: &Path, prefix: &str, depth: usize) -> Result<(), FolderError> {
        if depth > DEEPEST || !self.seen.insert(directory.to_owned()) {
            self.skip(prefix, "a loop, or too deep");
            return Ok(());
        }
        for entry in fs::read_dir(directory).map_err(FolderError::Read)? {
            let entry = entry.map_err(FolderError::Read)?;
            let Ok(file_name) = entry.file_name().into_string() else {
                self.skip(&entry.file_name().to_string_lossy(), "its name is not UTF-8");
                continue;
            };
            let name = if prefix.is_empty() { file_name.clone() } else { format!("{prefix}/{file_name}") };
            if name == METADATA {
                continue;
            }
            if is_hidden_or_temporary(&file_name) {
                self.skip(&name, "hidden or temporary");
                continue;
            }
            let Ok(real) = entry.path().canonicalize() else {
                self.skip(&name, "a link that leads nowhere");
                continue;
            };
            if !real.starts_with(self.root) {
                self.skip(&name, "a link that leads out of the folder");
                continue;
            }
            let kind = fs::metadata(&real).map_err(FolderError::Read)?;
            if kind.is_dir() {
                self.enter(&real, &name, depth + 1)?;
            } else if kind.is_file() {
                self.folder.submissions.push(Submission {
                    name,
                    content: Content::File(real),
                    overrides: BTreeMap::new(),
                });
            } else {
                self.skip(&name, "neither a file nor a folder");
            }
        }
        Ok(())
    }

    fn skip(&mut self, name: &str, why: &'static str) {
        self.folder.skipped.push((name.to_owned(), why));
    }
}

/// Files that editors and file managers leave behind, and half-written ones.
fn is_hidden_or_temporary(name: &str) -> bool {
    let lower = name.to_lowercase();
    let ends = |suffix: &&str| lower.ends_with(suffix);
    lower.starts_with('.')
        || lower.starts_with("~$")
        || matches!(lower.as_str(), "thumbs.db" | "desktop.ini")
        || ["~", ".tmp", ".temp", ".swp", ".swo", ".bak", ".part", ".partial", ".crdownload", ".lock"].iter().any(ends)
}

fn metadata(root: &Path) -> Result<Metadata, FolderError> {
    let path = root.join(METADATA);
    match fs::symlink_metadata(&path) {
        Ok(found) if found.is_file() => {
            let text = fs::read_to_string(&path).map_err(FolderError::Read)?;
            toml::from_str(&text).map_err(|error| FolderError::Metadata(Box::new(error)))
        }
        // Labels and dates that cannot be read are not "none": without them files would go in for everybody, at once.
        Ok(_) => Err(FolderError::MetadataFile),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Metadata::default()),
        Err(error) => Err(FolderError::Read(error)),
    }
}

fn texts(values: &BTreeMap<String, toml::Value>) -> Result<BTreeMap<String, String>, FolderError> {
    values
        .iter()
        .map(|(key, value)| {
            let text = match value {
                toml::Value::String(text) => text.clone(),
                toml::Value::Integer(number) => number.to_string(),
                toml::Value::Float(number) => number.to_string(),
                toml::Value::Boolean(truth) => truth.to_string(),
                toml::Value::Datetime(date) => date.to_string(),
                toml::Value::Array(_) | toml::Value::Table(_) => {
                    return Err(FolderError::Value { key: key.clone() });
                }
            };
            Ok((key.to_lowercase(), text))
        })
        .collect()
}
