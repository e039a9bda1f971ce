//! What is said to an engine and what it says, in OpenAI's form.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::pipeline::model::{Constraint, FinishReason, GenerateRequest, PromptText, Usage};

/// A line of the stream: more is no piece of text but a mistake.
const LINE: usize = 1 << 20;

/// Where to post, and what.
///
/// Settings that OpenAI's form lacks go under the names that vLLM and llama.cpp's server use; an engine ignores the other's.
/// Everything that an engine has a default of its own for is named, so that equal requests mean the same to every engine.
pub(super) fn asked(model: &str, request: &GenerateRequest) -> (&'static str, Vec<u8>) {
    let sampling = &request.sampling;
    let mut body = json!({
        "model": model,
        "stream": true,
        "stream_options": {"include_usage": true},
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "min_p": sampling.min_p,
        "top_k": -1,
        "repetition_penalty": sampling.repetition_penalty,
        "repeat_penalty": sampling.repetition_penalty,
        // vLLM keeps its prefix caches apart by it.
        "cache_salt": format!("{:016x}", request.salt),
    });
    let mut set = |name: &str, value: Value| {
        if let Some(body) = body.as_object_mut() {
            body.insert(name.to_owned(), value);
        }
    };
    if let Some(seed) = sampling.seed {
        // Engines take signed numbers of 32 or 64 bits; these fit both.
        set("seed", json!(seed & 0x7fff_ffff));
    }
    if !sampling.stop.is_empty() {
        set("stop", json!(sampling.stop));
    }
    if sampling.ignore_eos {
        set("ignore_eos", json!(true));
    }
    if let Some(Constraint::JsonSchema(schema)) = &sampling.constraint {
        let named = json!({"name": "answer", "strict": true, "schema": schema});
        set("response_format", json!({"type": "json_schema", "json_schema": named}));
    }
    let path = match &request.prompt {
        PromptText::Plain(text) => {
            set("prompt", json!(text));
            "/v1/completions"
        }
        PromptText::Chat(messages) => {
            let told = messages.iter().map(|said| json!({"role": said.role.as_str(), "content": said.content}));
            set("messages", told.collect());
            "/v1/chat/completions"
        }
    };
    (path, body.to_string().into_bytes())
}

/// Something that the engine said.
#[derive(Debug, PartialEq)]
pub(super) enum Said {
    Text(String),
    Ended(FinishReason),
    Used(Usage),
    Done,
}

/// Takes a stream of server-sent events apart, wherever its packets were cut.
#[derive(Default)]
pub(super) struct Lines {
    unread: Vec<u8>,
    said: std::collections::VecDeque<Said>,
}

impl Lines {
    /// Takes in more bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), &'static str> {
        self.unread.extend_from_slice(bytes);
        if self.unread.len() > LINE && !self.unread.contains(&b'\n') {
            return Err("a line of its stream has no end");
        }
        Ok(())
    }

    /// The next thing said, if it is there whole.
    pub(super) fn next(&mut self) -> Result<Option<Said>, &'static str> {
        loop {
            if let Some(said) = self.said.pop_front() {
                return Ok(Some(said));
            }
            let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') else { return Ok(None) };
            let line: Vec<u8> = self.unread.drain(..=end).collect();
            let line = std::str::from_utf8(&line).map_err(|_| "its stream is not UTF-8")?.trim();
            // Comments, names of events and empty lines carry nothing.
            let Some(data) = line.strip_prefix("data:") else { continue };
            match data.trim() {
                "[DONE]" => self.said.push_back(Said::Done),
                chunk => self.read(chunk)?,
            }
        }
    }

    fn read(&mut self, chunk: &str) -> Result<(), &'static str> {
        let chunk: Chunk = serde_json::from_str(chunk).map_err(|_| "a piece of its stream is not as it must be")?;
        if chunk.error.is_some() {
            return Err("it failed while it wrote");
        }
        for choice in chunk.choices {
            let text = choice.text.or(choice.delta.and_then(|delta| delta.content)).unwrap_or_default();
            if !text.is_empty() {
                self.said.push_back(Said::Text(text));
            }
            match choice.finish_reason.as_deref() {
                None => {}
                Some("stop") => self.said.push_back(Said::Ended(FinishReason::Stop)),
                Some("length") => self.said.push_back(Said::Ended(FinishReason::Length)),
                Some(_) => return Err("it ended for a reason that is not known here"),
            }
        }
        if let Some(Used { prompt_tokens, completion_tokens }) = chunk.usage {
            self.said.push_back(Said::Used(Usage { prompt_tokens, completion_tokens }));
        }
        Ok(())
    }
}

/// A chunk of either completion. Without `choices` it is none, unless it says what went wrong.
#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<Used>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    text: Option<String>,
    delta: Option<Delta>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Delta {
    content: Option<String>,
}

#[derive(Deserialize)]
struct Used {
    prompt_tokens: usize,
    completion_tokens: usize,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STREAM: &str = concat!(
        ": a comment\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\"},\"finish_reason\":null}]}\r\n\r\n",
        "data: {\"choices\":[{\"delta\":{\"content\":\"Store at 2 \"}}]}\n\n",
        "data:{\"choices\":[{\"delta\":{\"content\":\"to 8 °C\"},\"finish_reason\":null}]}\n\n",
        "event: message\ndata: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":31,\"completion_tokens\":9,\"total_tokens\":40}}\n\n",
        "data: [DONE]\n\n",
    );

    fn all(pieces: &[&[u8]]) -> Vec<Said> {
        let (mut lines, mut said) = (Lines::default(), Vec::new());
        for piece in pieces {
            lines.push(piece).unwrap();
            while let Some(one) = lines.next().unwrap() {
                said.push(one);
            }
        }
        said
    }

    proptest! {
        #[test]
        fn a_stream_reads_the_same_wherever_its_packets_are_cut(cuts in prop::collection::vec(0..STREAM.len(), 0..12)) {
            let mut cuts = cuts;
            cuts.extend([0, STREAM.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &STREAM.as_bytes()[pair[0]..pair[1]]).collect();
            let used = Usage { prompt_tokens: 31, completion_tokens: 9 };
            prop_assert_eq!(all(&pieces), [
                Said::Text("Store at 2 ".to_owned()),
                Said::Text("to 8 °C".to_owned()),
                Said::Ended(FinishReason::Stop),
                Said::Used(used),
                Said::Done,
            ]);
        }
    }

    #[test]
    fn what_is_not_as_it_must_be_is_an_error_that_repeats_nothing() {
        for line in [
            "data: {\"choices\": 7}\n",
            "data: Ana Cruz\n",
            "data: {\"error\": {\"message\": \"Ana Cruz\"}}\n",
            "data: {\"choices\":[{\"text\":\"\",\"finish_reason\":\"Ana Cruz\"}]}\n",
        ] {
            let mut lines = Lines::default();
            lines.push(line.as_bytes()).unwrap();
            let error = lines.next().unwrap_err();
            assert!(!error.contains("Ana"), "{line}");
        }
        assert!(Lines::default().push(&vec![b'x'; LINE + 1]).is_err());
    }
}
