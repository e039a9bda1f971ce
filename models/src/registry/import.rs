//! Making a model of the registry out of what people have: a GGUF file, a directory, a bundle.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::files::write_durably;
use super::sentence::settings;
use super::verified::VerifiedFile;
use super::{MANIFEST, Registry, RegistryError, bundle, io};
use crate::manifest::{FORMAT, FileEntry, FileKind, Manifest, PICKLE_REASON, Pooling, Task, check_name, is_pickle};
use crate::weights::gguf;

/// A configuration file longer than this is not one.
pub(crate) const MAX_JSON_BYTES: u64 = 1024 * 1024;

/// What the source itself does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Import {
    /// Name in the registry; taken from the file or directory where it is not given.
    pub name: Option<String>,
    /// Licence of the weights.
    pub licence: Option<String>,
    /// Where the files came from, for the record.
    pub source: Option<String>,
}

/// A file to take over.
struct Taken {
    from: PathBuf,
    path: String,
    kind: FileKind,
}

pub(super) fn refused(path: &Path, what: impl Into<String>) -> RegistryError {
    RegistryError::Import { path: path.display().to_string(), what: what.into() }
}

pub(super) fn import(registry: &Registry, source: &Path, import: &Import) -> Result<Manifest, RegistryError> {
    let found = std::fs::metadata(source).map_err(io("opening", source))?;
    let ending = source.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    if found.is_dir() {
        let directory = snapshot(source)?;
        if directory.join(MANIFEST).is_file() {
            return bundle::import_directory(registry, &directory, import);
        }
        return files(registry, source, choose(&directory)?, import);
    }
    match ending {
        "gguf" => {
            let path = source.file_name().and_then(|name| name.to_str()).unwrap_or("model.gguf").to_owned();
            files(registry, source, vec![Taken { from: source.to_owned(), path, kind: FileKind::Weights }], import)
        }
        "tar" => bundle::import(registry, source, import),
        "safetensors" => Err(refused(
            source,
            "safetensors alone is not a model; give the directory that also holds config.json and tokenizer.json",
        )),
        _ if is_pickle(&source.to_string_lossy()) => Err(refused(source, PICKLE_REASON)),
        _ => Err(refused(source, "give a .gguf file, a .tar bundle, or a directory")),
    }
}

/// In the cache of Hugging Face's tools the files of a revision lie in `snapshots/REVISION`.
pub(super) fn snapshot(source: &Path) -> Result<PathBuf, RegistryError> {
    let snapshots = source.join("snapshots");
    if !snapshots.is_dir() {
        return Ok(source.to_owned());
    }
    if let Ok(revision) = std::fs::read_to_string(source.join("refs/main")) {
        let directory = snapshots.join(revision.trim());
        if check_name(revision.trim()).is_ok() && directory.is_dir() {
            return Ok(directory);
        }
    }
    let entries = std::fs::read_dir(&snapshots).map_err(io("reading", &snapshots))?;
    let mut revisions: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    match (revisions.pop(), revisions.is_empty()) {
        (Some(only), true) => Ok(only),
        _ => Err(refused(source, "it holds several revisions; give the directory below `snapshots` that is meant")),
    }
}

/// The files of a directory that make a model.
fn choose(directory: &Path) -> Result<Vec<Taken>, RegistryError> {
    let mut taken = Vec::new();
    let mut pickles = false;
    for entry in std::fs::read_dir(directory).map_err(io("reading", directory))? {
        let from = entry.map_err(io("reading", directory))?.path();
        let Some(path) = from.file_name().and_then(|name| name.to_str()).map(str::to_owned) else { continue };
        let kind = match path.as_str() {
            "config.json" => FileKind::Config,
            "tokenizer.json" => FileKind::Tokenizer,
            "chat_template.jinja" => FileKind::Template,
            _ if path.ends_with(".safetensors") || path.ends_with(".gguf") => FileKind::Weights,
            _ if path.starts_with("LICENSE") || path.starts_with("LICENCE") => FileKind::Other,
            _ => {
                pickles |= is_pickle(&path);
                continue;
            }
        };
        let real = std::fs::canonicalize(&from).map_err(io("opening", &from))?;
        if !real.starts_with(bounds(directory)?) {
            return Err(refused(&from, "is a link that leads out of the directory; copy the file itself"));
        }
        if real.is_file() {
            taken.push(Taken { from: real, path, kind });
        }
    }
    taken.sort_by(|a, b| a.path.cmp(&b.path));
    let ends = |ending: &str| taken.iter().filter(|file| file.path.ends_with(ending)).count();
    match (ends(".safetensors"), ends(".gguf")) {
        (0, 0) if pickles => Err(refused(directory, format!("what it holds {PICKLE_REASON}"))),
        (0, 0) => Err(refused(directory, "it holds no .safetensors and no .gguf file")),
        (0, 1) => Ok(taken),
        (0, _) => Err(refused(directory, "it holds several .gguf files; give the one that is meant")),
        (_, 0) => Ok(taken),
        _ => Err(refused(directory, "it holds .safetensors and .gguf files; give the .gguf file, or move it away")),
    }
}

/// Links may lead no further than this: the directory itself, or the cache it belongs to, whose files are links.
pub(super) fn bounds(directory: &Path) -> Result<PathBuf, RegistryError> {
    let real = std::fs::canonicalize(directory).map_err(io("opening", directory))?;
    let cache = real.parent().filter(|parent| parent.ends_with("snapshots")).and_then(Path::parent);
    Ok(cache.map_or_else(|| real.clone(), Path::to_owned))
}

/// Copies the files, hashes the copies, and reads from them what the model is.
fn files(registry: &Registry, source: &Path, taken: Vec<Taken>, import: &Import) -> Result<Manifest, RegistryError> {
    let name = name(source, &taken, import)?;
    registry.publish(&name, |draft| {
        let mut copies = Vec::new();
        for file in &taken {
            let to = draft.join(&file.path);
            std::fs::copy(&file.from, &to).map_err(io("copying", &file.from))?;
            File::open(&to).and_then(|copy| copy.sync_all()).map_err(io("writing", &to))?;
            copies.push(VerifiedFile::hash(&to, file.kind, &file.path).map_err(io("reading", &to))?);
        }
        let facts = facts(source, &mut copies)?;
        let embedding = match facts.task {
            Task::Generate => None,
            Task::Embed | Task::Rerank => Some(settings(source, facts.task, facts.pooling, facts.positions)?),
        };
        Ok(Manifest {
            format: FORMAT,
            name: name.clone(),
            task: facts.task,
            architecture: facts.architecture,
            licence: import.licence.clone().or(facts.licence).unwrap_or_else(|| "unknown".to_owned()),
            source: import.source.clone().unwrap_or_else(|| "imported".to_owned()),
            embedding,
            files: copies.into_iter().map(|file| file.entry().clone()).collect::<Vec<FileEntry>>(),
        })
    })
}

fn name(source: &Path, taken: &[Taken], import: &Import) -> Result<String, RegistryError> {
    let given = import.name.clone().unwrap_or_else(|| {
        let base = match taken {
            [only] => Path::new(&only.path).file_stem(),
            _ => source.file_name(),
        };
        let base = base.unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        let base = base.rsplit("--").next().unwrap_or_default().to_owned();
        base.chars().map(|c| if c.is_ascii_alphanumeric() || "-._".contains(c) { c } else { '-' }).collect()
    });
    match check_name(&given) {
        Ok(()) => Ok(given),
        Err(what) => Err(refused(source, format!("{what}; name it with --name"))),
    }
}

/// What the files say about themselves.
struct Facts {
    task: Task,
    architecture: String,
    licence: Option<String>,
    positions: usize,
    /// Where the file itself says it.
    pooling: Option<Pooling>,
}

#[derive(Deserialize)]
struct ConfigJson {
    model_type: Option<String>,
    #[serde(default)]
    architectures: Vec<String>,
    max_position_embeddings: Option<usize>,
    /// As Nomic calls it, and the longest that it was trained for.
    n_positions: Option<usize>,
    max_trained_positions: Option<usize>,
    pad_token_id: Option<usize>,
    #[serde(default)]
    id2label: BTreeMap<String, serde::de::IgnoredAny>,
    num_labels: Option<usize>,
}

impl ConfigJson {
    /// What the model is for, by its architecture and by the head that it was saved with.
    fn task(&self, architecture: &str) -> Result<Task, String> {
        if !architecture.contains("bert") {
            return Ok(Task::Generate);
        }
        if !self.architectures.iter().any(|name| name.ends_with("ForSequenceClassification")) {
            return Ok(Task::Embed);
        }
        // transformers takes two labels where none are named.
        let labels = self.num_labels.unwrap_or(if self.id2label.is_empty() { 2 } else { self.id2label.len() });
        if labels == 1 {
            return Ok(Task::Rerank);
        }
        Err(format!("it sorts texts into {labels} classes; embedders, and cross-encoders with one output, are read"))
    }
}

fn facts(source: &Path, copies: &mut [VerifiedFile]) -> Result<Facts, RegistryError> {
    if let Some(weights) = copies.iter_mut().find(|file| file.entry().path.ends_with(".gguf")) {
        let header = gguf::Header::read(weights).map_err(|error| refused(source, error.to_string()))?;
        let architecture = header.text("general.architecture").unwrap_or_default().to_owned();
        if architecture.is_empty() {
            return Err(refused(source, "the GGUF file names no architecture"));
        }
        let licence = header.text("general.license").map(str::to_owned);
        if !architecture.contains("bert") {
            return Ok(Facts { task: Task::Generate, architecture, licence, positions: 0, pooling: None });
        }
        let number = |key: &str| header.unsigned(&format!("{architecture}.{key}"));
        let (task, pooling) = pooled(&header, number("pooling_type")).map_err(|what| refused(source, what))?;
        let rows = header.tensor("position_embd.weight").and_then(|place| place.shape.first().copied());
        let positions = rows.or_else(|| number("context_length")).unwrap_or(512);
        return Ok(Facts { task, architecture, licence, positions, pooling });
    }
    let config = copies.iter_mut().find(|file| file.entry().kind == FileKind::Config);
    let config = config.ok_or_else(|| refused(source, "config.json is missing"))?;
    let bytes = config.read_all(MAX_JSON_BYTES).map_err(io("reading", source))?;
    let config: ConfigJson = serde_json::from_slice(&bytes)
        .map_err(|error| refused(source, format!("config.json is not what it should be (line {})", error.line())))?;
    let architecture = config.model_type.clone();
    let architecture = architecture.ok_or_else(|| refused(source, "config.json names no `model_type`"))?;
    let task = config.task(&architecture).map_err(|what| refused(source, what))?;
    if copies.iter().all(|file| file.entry().kind != FileKind::Tokenizer) {
        return Err(refused(source, "tokenizer.json is missing; models without a fast tokenizer are not read"));
    }
    // RoBERTa counts positions from the number of its padding token on; the first ones are never used.
    let unused = if architecture.ends_with("roberta") { config.pad_token_id.unwrap_or(1).saturating_add(1) } else { 0 };
    let positions = config.n_positions.or(config.max_position_embeddings);
    let positions = positions.unwrap_or(512usize.saturating_add(unused)).saturating_sub(unused);
    let positions = positions.min(config.max_trained_positions.unwrap_or(usize::MAX));
    Ok(Facts { task, architecture, licence: None, positions, pooling: None })
}

/// What a GGUF file is for, and how its tokens become one vector: the numbers of `llama_pooling_type` in llama.h. Converters do not
/// write the one of cross-encoders; their last layer tells them.
fn pooled(header: &gguf::Header, kind: Option<usize>) -> Result<(Task, Option<Pooling>), String> {
    match kind {
        None | Some(0) if header.tensor("cls.output.weight").is_some() => Ok((Task::Rerank, Some(Pooling::Cls))),
        None | Some(0) if header.tensor("cls.bias").is_some() => {
            Err("its head is not whole in GGUF: converters leave BERT's pooler out; import it as safetensors"
                .to_owned())
        }
        None | Some(0) => Ok((Task::Embed, None)),
        Some(1) => Ok((Task::Embed, Some(Pooling::Mean))),
        Some(2) => Ok((Task::Embed, Some(Pooling::Cls))),
        Some(4) => Ok((Task::Rerank, Some(Pooling::Cls))),
        Some(other) => {
            Err(format!("its way of pooling ({other}) is not supported yet; the mean and the first token are"))
        }
    }
}

/// Copies the files of a manifest from one directory to another.
pub(super) fn copy_listed(manifest: &Manifest, from: &Path, draft: &Path) -> Result<(), RegistryError> {
    for file in super::Verified::open(from, manifest.clone())?.files() {
        let to = draft.join(&file.entry().path);
        if let Some(parent) = to.parent() {
            std::fs::create_dir_all(parent).map_err(io("making the directory", parent))?;
        }
        write_stream(&to, file)?;
    }
    Ok(())
}

/// Writes what a reader gives into a new file and waits until it is on disk.
pub(super) fn write_stream(to: &Path, mut from: impl std::io::Read) -> Result<(), RegistryError> {
    write_durably(to, &[])?;
    let mut write = || {
        let mut file = File::options().write(true).open(to)?;
        std::io::copy(&mut from, &mut file)?;
        file.sync_all()
    };
    write().map_err(io("writing", to))
}
