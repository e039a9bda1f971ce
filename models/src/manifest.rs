//! `model.toml`: what a model directory holds, and the hashes that say so.
//!
//! Its first line is the SHA-256 of all that follows, so that a disk that alters a word of it is noticed. One that somebody
//! wrote by hand need not have that line. It proves nothing against whoever means harm: they can write the line anew.

use std::path::{Component, Path};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The version of `model.toml` that this build writes and reads.
pub const FORMAT: u32 = 1;

/// What stands before the digest in the first line.
const DIGEST: &str = "# sha256 ";

/// A manifest longer than this is not one: a real one takes about a kilobyte.
pub const MAX_MANIFEST_BYTES: u64 = 256 * 1024;

/// What a model is for. One pool runs one task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// Text to a vector of fixed length.
    Embed,
    /// Text to more text, token by token.
    Generate,
    /// A question and a text to a score.
    Rerank,
}

impl std::fmt::Display for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Task::Embed => "embed",
            Task::Generate => "generate",
            Task::Rerank => "rerank",
        })
    }
}

/// What one file of a model is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileKind {
    /// Tensors: GGUF or safetensors.
    Weights,
    /// Hyperparameters as JSON; GGUF carries its own.
    Config,
    /// `tokenizer.json`; GGUF carries its own.
    Tokenizer,
    /// A chat template that replaces the one in the weights.
    Template,
    /// Licence text, model card and the like: hashed and kept, never parsed.
    Other,
}

/// One file of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Path below the model's directory, with `/` between parts.
    pub path: String,
    /// What the file is.
    pub kind: FileKind,
    /// SHA-256 of the whole file, 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// Length of the file.
    pub bytes: u64,
}

/// How token vectors become one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// Mean over the tokens that are text, padding left out.
    Mean,
    /// The vector of the first token (`[CLS]`).
    Cls,
}

/// What an embedding model, or a cross-encoder, needs besides its weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Embedding {
    /// How token vectors become one vector; a cross-encoder's own files say it of its head.
    pub pooling: Pooling,
    /// Longest input in tokens, the two special ones included: what the model was trained for, which may be less than
    /// what its position table would hold.
    pub max_tokens: usize,
}

/// `model.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of this format; see [`FORMAT`].
    pub format: u32,
    /// Name of the model and of its directory.
    pub name: String,
    /// What it is for.
    pub task: Task,
    /// Architecture by the name its own files give it: `llama`, `bert`.
    pub architecture: String,
    /// Licence of the weights, in words or as an SPDX expression.
    pub licence: String,
    /// Where the files came from, for the record only.
    pub source: String,
    /// Set for embedding models and cross-encoders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding: Option<Embedding>,
    /// Every file of the model. A file on disk that is not listed here makes the model refused.
    pub files: Vec<FileEntry>,
}

/// Why a manifest is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// It is not TOML of this shape.
    #[error("model.toml cannot be read; it was damaged or written by another program")]
    Syntax(#[source] Box<toml::de::Error>),
    /// It does not fit the digest in its first line.
    #[error("model.toml is not as it was written: remove the model and fetch or import it again")]
    Altered,
    /// It is longer than [`MAX_MANIFEST_BYTES`] or not UTF-8.
    #[error("model.toml is not a text file of at most {MAX_MANIFEST_BYTES} bytes")]
    NotText,
    /// It was written by a newer Cloister.
    #[error("model.toml has format {found}, this build reads format {FORMAT}; use a newer build")]
    Format {
        /// Format number in the file.
        found: u32,
    },
    /// A field holds what it may not.
    #[error("model.toml: {what}")]
    Invalid {
        /// Field and reason.
        what: String,
    },
}

/// Which weights answered: name and a hash over every file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ModelIdentity {
    /// Name in the registry.
    pub name: String,
    /// SHA-256 over the manifest's files (path, length and hash of each, sorted by path) and the embedding settings, as
    /// hexadecimal digits. Two directories with the same value compute the same.
    pub sha256: String,
}

impl Manifest {
    /// Reads and checks a manifest.
    ///
    /// # Errors
    /// [`ManifestError`] where it is not one, or names a path that leads out of the directory, a pickle, or a hash that is none.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        if bytes.len() as u64 > MAX_MANIFEST_BYTES {
            return Err(ManifestError::NotText);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| ManifestError::NotText)?;
        let manifest: Self = toml::from_str(text).map_err(|error| ManifestError::Syntax(Box::new(error)))?;
        manifest.check()?;
        match text.strip_prefix(DIGEST).and_then(|text| text.split_once('\n')) {
            Some((digest, rest)) if digest != hex::encode(Sha256::digest(rest)) => Err(ManifestError::Altered),
            _ => Ok(manifest),
        }
    }

    /// The manifest as TOML, under its digest.
    ///
    /// # Errors
    /// [`ManifestError::Invalid`] where it would not be read back.
    pub fn to_toml(&self) -> Result<String, ManifestError> {
        self.check()?;
        let text = toml::to_string(self).map_err(|error| ManifestError::Invalid { what: error.to_string() })?;
        Ok(format!("{DIGEST}{}\n{text}", hex::encode(Sha256::digest(&text))))
    }

    /// The identity that answers and indexes carry.
    #[must_use]
    pub fn identity(&self) -> ModelIdentity {
        let mut files: Vec<&FileEntry> = self.files.iter().collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let mut hasher = Sha256::new();
        for file in files {
            hasher.update(format!("{}\n{}\n{}\n", file.path, file.bytes, file.sha256));
        }
        if let Some(embedding) = self.embedding {
            hasher.update(format!("{:?}\n{}\n", embedding.pooling, embedding.max_tokens));
        }
        ModelIdentity { name: self.name.clone(), sha256: hex::encode(hasher.finalize()) }
    }

    /// The files of one kind, in the manifest's order.
    pub fn of_kind(&self, kind: FileKind) -> impl Iterator<Item = &FileEntry> {
        self.files.iter().filter(move |file| file.kind == kind)
    }

    /// Bytes of weights.
    #[must_use]
    pub fn weight_bytes(&self) -> u64 {
        self.of_kind(FileKind::Weights).map(|file| file.bytes).fold(0, u64::saturating_add)
    }

    fn check(&self) -> Result<(), ManifestError> {
        let invalid = |what: String| Err(ManifestError::Invalid { what });
        if self.format != FORMAT {
            return Err(ManifestError::Format { found: self.format });
        }
        if let Err(what) = check_name(&self.name) {
            return invalid(what);
        }
        if self.embedding.is_some_and(|embedding| !(2..=1 << 20).contains(&embedding.max_tokens)) {
            return invalid("embedding.max_tokens must lie between 2 and 1048576".to_owned());
        }
        if self.of_kind(FileKind::Weights).next().is_none() {
            return invalid("no file is of kind `weights`".to_owned());
        }
        let mut seen = std::collections::BTreeSet::new();
        for file in &self.files {
            if let Err(what) = check_path(&file.path) {
                return invalid(what);
            }
            if file.sha256.len() != 64 || !file.sha256.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
                return invalid(format!("sha256 of `{}` is not 64 lower-case hexadecimal digits", file.path));
            }
            if !seen.insert(file.path.as_str()) {
                return invalid(format!("`{}` is listed twice", file.path));
            }
        }
        Ok(())
    }
}

/// A name is a directory name on every file system and a safe word in every log line.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    let fine = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.' | b'_');
    let starts = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if starts && name.len() <= 64 && name.bytes().all(fine) {
        return Ok(());
    }
    Err("a model's name has 1 to 64 of a-z, 0-9, `-`, `.`, `_` and starts with a letter or a digit".to_owned())
}

/// File endings that mean Python's pickle, or an archive that torch writes around one.
const PICKLE_ENDINGS: [&str; 9] = ["bin", "pt", "pth", "pkl", "pickle", "ckpt", "joblib", "npy", "npz"];

/// Whether a path looks like a pickle by its name.
#[must_use]
pub fn is_pickle(path: &str) -> bool {
    let ending = Path::new(path).extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    PICKLE_ENDINGS.contains(&ending.as_str())
}

/// The reason given wherever a pickle is refused.
pub(crate) const PICKLE_REASON: &str =
    "is a pickle, which runs code when it is read; convert the model to safetensors or GGUF";

pub(crate) fn check_path(path: &str) -> Result<(), String> {
    if is_pickle(path) {
        return Err(format!("`{path}` {PICKLE_REASON}"));
    }
    let plain = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
    let printable = path.chars().all(|c| c.is_ascii_graphic() && c != '\\' && c != ':');
    let canonical = !path.ends_with('/') && !path.contains("//") && !path.split('/').any(|part| part == ".");
    if path.is_empty() || path.len() > 255 || path == crate::registry::MANIFEST || !plain || !printable || !canonical {
        return Err(
            "a file's path is a plain relative one: no `..`, no leading `/`, no spaces, not model.toml".to_owned()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Manifest {
        Manifest {
            format: FORMAT,
            name: "small".to_owned(),
            task: Task::Embed,
            architecture: "bert".to_owned(),
            licence: "Apache-2.0".to_owned(),
            source: "test".to_owned(),
            embedding: Some(Embedding { pooling: Pooling::Mean, max_tokens: 256 }),
            files: vec![FileEntry {
                path: "model.safetensors".to_owned(),
                kind: FileKind::Weights,
                sha256: "0".repeat(64),
                bytes: 12,
            }],
        }
    }

    #[test]
    fn a_manifest_is_read_back_as_it_was_written() {
        let manifest = sample();
        assert_eq!(Manifest::parse(manifest.to_toml().unwrap().as_bytes()).unwrap(), manifest);
    }

    #[test]
    fn a_path_that_leads_out_of_the_directory_is_refused() {
        for path in
            ["../x", "/etc/passwd", "a/../../b", "a//b", "./a", "a/", "", "a\\b", "a\0b", "model.toml", "C:x", "a/./b"]
        {
            let mut manifest = sample();
            manifest.files[0].path = path.to_owned();
            assert!(manifest.to_toml().is_err(), "{path:?} was taken");
        }
    }

    #[test]
    fn a_pickle_is_refused_with_the_reason() {
        for path in ["pytorch_model.bin", "x.PT", "a/b.ckpt", "w.pkl"] {
            let mut manifest = sample();
            manifest.files[0].path = path.to_owned();
            assert!(manifest.to_toml().unwrap_err().to_string().contains("pickle"), "{path}");
        }
    }

    #[test]
    fn the_identity_changes_with_any_file_and_not_with_their_order() {
        let mut manifest = sample();
        manifest.files.push(FileEntry {
            path: "a.json".to_owned(),
            kind: FileKind::Config,
            sha256: "1".repeat(64),
            bytes: 3,
        });
        let before = manifest.identity();
        manifest.files.reverse();
        assert_eq!(manifest.identity(), before);
        manifest.files[0].sha256 = "2".repeat(64);
        assert_ne!(manifest.identity(), before);
    }

    #[test]
    fn unknown_keys_and_other_formats_are_refused() {
        let text = sample().to_toml().unwrap();
        assert!(Manifest::parse(format!("surprise = 1\n{text}").as_bytes()).is_err());
        let newer = text.replace("format = 1", "format = 2");
        assert!(matches!(Manifest::parse(newer.as_bytes()), Err(ManifestError::Format { found: 2 })));
    }
}
