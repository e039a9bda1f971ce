//! Which files of a repository make the model.

use anyhow::{bail, ensure};

/// Files beside the weights that an import looks at.
const BESIDE: [&str; 5] =
    ["config.json", "tokenizer.json", "chat_template.jinja", "sentence_bert_config.json", "1_Pooling/config.json"];

/// Chooses among the files that are there. The first one chosen lies at the top of the repository.
pub(crate) fn choose(there: &[String], asked: Option<&str>) -> anyhow::Result<Vec<String>> {
    if let Some(asked) = asked {
        ensure!(there.iter().any(|file| file == asked), "the repository holds no `{asked}`");
        ensure!(asked.ends_with(".gguf"), "--file takes a .gguf file; other models are taken whole");
        return Ok(vec![asked.to_owned()]);
    }
    let top = |ending: &str| -> Vec<String> {
        there.iter().filter(|file| file.ends_with(ending) && !file.contains('/')).cloned().collect()
    };
    let weights = top(".safetensors");
    if !weights.is_empty() {
        let beside = BESIDE.iter().filter(|file| there.iter().any(|other| other == *file));
        return Ok(weights.into_iter().chain(beside.map(|file| (*file).to_owned())).collect());
    }
    match top(".gguf").as_slice() {
        [only] => Ok(vec![only.clone()]),
        [] if there.iter().any(|file| cloister_models::manifest::is_pickle(file)) => {
            bail!(
                "the repository holds only pickled weights, which run code when they are read; look for one with safetensors or GGUF"
            )
        }
        [] => bail!("the repository holds neither .safetensors nor .gguf files"),
        several => bail!("the repository holds several models, name one with --file:\n  {}", several.join("\n  ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn safetensors_are_taken_with_what_belongs_to_them_and_nothing_else() {
        let there = files(&[
            "README.md",
            "config.json",
            "pytorch_model.bin",
            "model.safetensors",
            "tokenizer.json",
            "1_Pooling/config.json",
            "onnx/model.onnx",
            "other/model.safetensors",
        ]);
        let chosen = choose(&there, None).unwrap();
        assert_eq!(chosen, files(&["model.safetensors", "config.json", "tokenizer.json", "1_Pooling/config.json"]));
    }

    #[test]
    fn of_several_gguf_files_one_must_be_named() {
        let there = files(&["m.Q4_K_M.gguf", "m.Q8_0.gguf"]);
        assert!(choose(&there, None).unwrap_err().to_string().contains("m.Q8_0.gguf"));
        assert_eq!(choose(&there, Some("m.Q8_0.gguf")).unwrap(), files(&["m.Q8_0.gguf"]));
        assert!(choose(&there, Some("other.gguf")).is_err());
    }

    #[test]
    fn pickled_weights_are_refused_with_the_reason() {
        assert!(choose(&files(&["pytorch_model.bin"]), None).unwrap_err().to_string().contains("run code"));
        assert!(choose(&files(&["README.md"]), None).is_err());
    }
}
