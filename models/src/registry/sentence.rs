//! How sentence-transformers runs a model, from its own files beside the weights.

use std::io::Read;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::RegistryError;
use super::import::{MAX_JSON_BYTES, bounds, refused, snapshot};
use crate::manifest::{Embedding, Pooling, Task};

/// What stands in `modules.json` for each step.
#[derive(Deserialize)]
struct Module {
    path: String,
    #[serde(rename = "type")]
    kind: String,
}

/// One way of pooling, or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum Modes {
    One(String),
    Many(Vec<String>),
}

/// `1_Pooling/config.json`, in its newer form and in the older one.
#[derive(Default, Deserialize)]
#[serde(default)]
struct PoolingJson {
    pooling_mode: Option<Modes>,
    pooling_mode_cls_token: bool,
    pooling_mode_mean_tokens: bool,
    pooling_mode_max_tokens: bool,
    pooling_mode_mean_sqrt_len_tokens: bool,
    pooling_mode_weightedmean_tokens: bool,
    pooling_mode_lasttoken: bool,
}

impl PoolingJson {
    /// The one way that it names; what is not computed here would give other vectors, so it is refused.
    fn one(self) -> Result<Pooling, String> {
        let old = [
            (self.pooling_mode_cls_token, "cls"),
            (self.pooling_mode_mean_tokens, "mean"),
            (self.pooling_mode_max_tokens, "max"),
            (self.pooling_mode_mean_sqrt_len_tokens, "mean_sqrt_len_tokens"),
            (self.pooling_mode_weightedmean_tokens, "weightedmean"),
            (self.pooling_mode_lasttoken, "lasttoken"),
        ];
        let modes = match self.pooling_mode {
            Some(Modes::One(mode)) => vec![mode],
            Some(Modes::Many(modes)) => modes,
            None => old.iter().filter(|(set, _)| *set).map(|(_, mode)| (*mode).to_owned()).collect(),
        };
        match modes.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["cls"] => Ok(Pooling::Cls),
            ["mean"] => Ok(Pooling::Mean),
            modes => Err(format!("its way of pooling ({}) is not supported yet; mean or cls is", modes.join(" with "))),
        }
    }
}

#[derive(Deserialize)]
struct SentenceJson {
    max_seq_length: Option<usize>,
}

/// The settings of an embedder or a cross-encoder. Where sentence-transformers' files are missing, what the weights say, or the mean over
/// all positions, as E5 has it.
pub(super) fn settings(
    source: &Path,
    task: Task,
    stated: Option<Pooling>,
    positions: usize,
) -> Result<Embedding, RegistryError> {
    // Beside a single file lies whatever lies there.
    let folder = if source.is_dir() { Some(snapshot(source)?) } else { None };
    let folder = folder.as_deref();
    let modules: Option<Vec<Module>> = read(folder, "modules.json")?;
    let mut pooling = "1_Pooling".to_owned();
    for module in modules.into_iter().flatten().filter(|_| task == Task::Embed) {
        match module.kind.rsplit('.').next().unwrap_or_default() {
            "Transformer" | "Normalize" => {}
            "Pooling" => pooling = module.path,
            other => {
                let what = format!("its vectors go through a further step ({other}), which is not supported yet");
                return Err(refused(source, what));
            }
        }
    }
    if crate::manifest::check_path(&pooling).is_err() {
        return Err(refused(source, "modules.json names a folder that is none"));
    }
    let pooling: Option<PoolingJson> = read(folder, &format!("{pooling}/config.json"))?;
    let pooling = match (pooling.filter(|_| task == Task::Embed), stated) {
        (Some(pooling), _) => pooling.one().map_err(|what| refused(source, what))?,
        (None, Some(pooling)) => pooling,
        (None, None) => Pooling::Mean,
    };
    let sentence: Option<SentenceJson> = read(folder, "sentence_bert_config.json")?;
    let longest = sentence.and_then(|sentence| sentence.max_seq_length).map_or(positions, |most| most.min(positions));
    Ok(Embedding { pooling, max_tokens: longest.clamp(2, 1 << 16) })
}

/// Reads a file below the folder; `None` where there is none. One that is there and cannot be read is refused: what it says would be
/// passed over.
fn read<T: DeserializeOwned>(folder: Option<&Path>, path: &str) -> Result<Option<T>, RegistryError> {
    let Some(folder) = folder else { return Ok(None) };
    let from = folder.join(path);
    let Ok(real) = std::fs::canonicalize(&from) else { return Ok(None) };
    if !real.starts_with(bounds(folder)?) || !real.is_file() {
        return Err(refused(&from, "is no file of the directory; copy the file itself"));
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(&real).map_err(super::io("opening", &from))?;
    file.take(MAX_JSON_BYTES + 1).read_to_end(&mut bytes).map_err(super::io("reading", &from))?;
    if bytes.len() as u64 > MAX_JSON_BYTES {
        return Err(refused(&from, "is too long"));
    }
    let parsed = serde_json::from_slice(&bytes);
    parsed.map(Some).map_err(|error| refused(&from, format!("is not what it should be (line {})", error.line())))
}
