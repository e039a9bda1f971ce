//! `cloister batch`: a file of requests to a running server, worked through behind whatever people wait for.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    client::{self, Client, Reply},
    progress, table,
};

/// How often it is asked how far a batch is.
const POLL: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Hand in a file, wait until it is worked through, and write what came of it
    Run {
        /// Requests, one {"custom_id", "method", "url", "body"} a line, as OpenAI's Batch API has it
        requests: PathBuf,
        #[command(flatten)]
        results: Results,
        #[command(flatten)]
        server: client::Arguments,
    },
    /// Wait for a batch that was handed in before, and write what came of it
    Follow {
        /// The batch
        batch: String,
        #[command(flatten)]
        results: Results,
        #[command(flatten)]
        server: client::Arguments,
    },
    /// List one's own batches
    List {
        #[command(flatten)]
        server: client::Arguments,
    },
    /// Call off a batch
    Cancel {
        /// The batch
        batch: String,
        #[command(flatten)]
        server: client::Arguments,
    },
}

/// Where results go. Files that are there already are never written over.
#[derive(Debug, Args)]
struct Results {
    /// Where answers go, a line each
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Where refusals and failures go, a line each; beside `--out` with `.errors` added if absent
    #[arg(long, value_name = "FILE")]
    errors: Option<PathBuf>,
}

/// A batch as a server gives it.
#[derive(Debug, Deserialize)]
struct Batch {
    id: String,
    endpoint: String,
    status: String,
    created_at: i64,
    request_counts: Counts,
    output_file_id: Option<String>,
    error_file_id: Option<String>,
    errors: Option<Complaints>,
}

#[derive(Debug, Deserialize)]
struct Counts {
    total: u64,
    completed: u64,
    failed: u64,
}

#[derive(Debug, Deserialize)]
struct Complaints {
    data: Vec<Complaint>,
}

#[derive(Debug, Deserialize)]
struct Complaint {
    message: String,
    line: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Handed {
    id: String,
}

#[derive(Debug, Deserialize)]
struct Listed {
    data: Vec<Batch>,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match arguments.verb {
            Verb::Run { requests, results, server } => {
                let (client, places) = (server.client()?, results.places()?);
                let batch = start(&client, &requests).await?;
                report(&format!("{batch} is under way; `cloister batch follow {batch}` goes on if this is stopped"));
                follow(&client, &batch, &places).await
            }
            Verb::Follow { batch, results, server } => {
                let (client, places) = (server.client()?, results.places()?);
                follow(&client, &batch, &places).await
            }
            Verb::List { server } => list(&server.client()?).await,
            Verb::Cancel { batch, server } => {
                let path = format!("/v1/batches/{}/cancel", named(&batch)?);
                let batch: Batch = read(server.client()?.post(&path, &json!({})).await?)?;
                say(&format!("{} {}", batch.id, batch.status));
                Ok(ExitCode::SUCCESS)
            }
        }
    })
}

/// The two files of results.
struct Places {
    out: PathBuf,
    errors: PathBuf,
}

impl Results {
    /// Found out before anything is handed in.
    fn places(self) -> anyhow::Result<Places> {
        let errors = self.errors.unwrap_or_else(|| {
            let mut name = self.out.clone().into_os_string();
            name.push(".errors");
            name.into()
        });
        for path in [&self.out, &errors] {
            if path.exists() {
                bail!("{} is there already: name another file, or move it away", path.display());
            }
        }
        Ok(Places { out: self.out, errors })
    }
}

/// Hands the file in and starts a batch on it. The batch's name.
async fn start(client: &Client, requests: &Path) -> anyhow::Result<String> {
    let bytes = std::fs::read(requests).with_context(|| format!("{} cannot be read", requests.display()))?;
    let endpoint = endpoint(&bytes).with_context(|| {
        format!("{}: the first line is no JSON object with a `url`, as OpenAI's Batch API has it", requests.display())
    })?;
    let name = requests.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let (kind, form) = form(&name, &bytes);
    let file: Handed = read(client.send("POST", "/v1/files", &kind, &form).await?)?;
    let wish = json!({"input_file_id": file.id, "endpoint": endpoint, "completion_window": "24h"});
    let batch: Batch = read(client.post("/v1/batches", &wish).await?)?;
    for Complaint { message, line } in batch.errors.map(|complaints| complaints.data).unwrap_or_default() {
        let line = line.map(|line| format!(", line {line}")).unwrap_or_default();
        report(&format!("{}{line}: {message}", requests.display()));
    }
    if batch.status == "failed" {
        bail!("nothing of {} was done: mend it and hand it in again", requests.display());
    }
    Ok(batch.id)
}

/// The route of the first request.
fn endpoint(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    let first = text.lines().find(|line| !line.trim().is_empty())?;
    Some(serde_json::from_str::<Value>(first).ok()?.get("url")?.as_str()?.to_owned())
}

/// A form with the file, under a boundary that does not stand in it.
fn form(name: &str, bytes: &[u8]) -> (String, Vec<u8>) {
    let mut boundary = "cloister".to_owned();
    while bytes.windows(boundary.len()).any(|window| window == boundary.as_bytes()) {
        boundary.push('-');
    }
    let name: String = name.chars().filter(|letter| !letter.is_control() && *letter != '"').collect();
    let mut form = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--{boundary}\r\n\
         Content-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: application/jsonl\r\n\r\n"
    )
    .into_bytes();
    form.extend_from_slice(bytes);
    form.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    (format!("multipart/form-data; boundary={boundary}"), form)
}

/// Waits until the batch has ended, and writes its files.
async fn follow(client: &Client, batch: &str, places: &Places) -> anyhow::Result<ExitCode> {
    let path = format!("/v1/batches/{}", named(batch)?);
    let bar = progress::count(0);
    let ended = loop {
        let reply = client.get(&path).await?;
        if !matches!(reply.status, 429 | 503) {
            let stands: Batch = read(reply)?;
            bar.set_length(stands.request_counts.total);
            bar.set_position(stands.request_counts.completed + stands.request_counts.failed);
            if !matches!(stands.status.as_str(), "in_progress" | "cancelling") {
                break stands;
            }
        }
        tokio::time::sleep(POLL).await;
    };
    bar.finish_and_clear();
    for (file, place) in [(&ended.output_file_id, &places.out), (&ended.error_file_id, &places.errors)] {
        if let Some(file) = file {
            write(client, file, place).await?;
        }
    }
    let (status, Counts { completed, failed, .. }) = (ended.status, ended.request_counts);
    say(&format!("{batch} {status}: {completed} answered, {failed} not"));
    let well = status == "completed" && failed == 0;
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Writes a file of results for its owner's eyes alone.
async fn write(client: &Client, file: &str, place: &Path) -> anyhow::Result<()> {
    let reply = client.get(&format!("/v1/files/{file}/content")).await?;
    if reply.status != 200 {
        bail!("the server answered {}: {}", reply.status, told(&reply.body));
    }
    let unwritten = || format!("{} cannot be written", place.display());
    let mut made: File =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(place).with_context(unwritten)?;
    made.write_all(&reply.body).and_then(|()| made.sync_all()).with_context(unwritten)
}

async fn list(client: &Client) -> anyhow::Result<ExitCode> {
    let listed: Listed = read(client.get("/v1/batches?limit=100").await?)?;
    let mut rows = table::plain(["batch", "started", "endpoint", "status", "done"]);
    for Batch { id, created_at, endpoint, status, request_counts: Counts { total, completed, failed }, .. } in
        listed.data
    {
        let at = jiff::Timestamp::from_second(created_at).map(|at| at.to_string()).unwrap_or_default();
        rows.add_row([id, at, endpoint, status, format!("{} of {total}", completed + failed)]);
    }
    say(&rows.to_string());
    Ok(ExitCode::SUCCESS)
}

/// A batch's name, which goes into a path.
fn named(batch: &str) -> anyhow::Result<&str> {
    let well = batch.starts_with("batch_") && batch.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if well { Ok(batch) } else { bail!("a batch is named as `cloister batch list` shows it: batch_...") }
}

/// The reply's JSON, where it is not a refusal.
fn read<T: DeserializeOwned>(reply: Reply) -> anyhow::Result<T> {
    if reply.status != 200 {
        bail!("the server answered {}: {}", reply.status, told(&reply.body));
    }
    serde_json::from_slice(&reply.body).context("the server's reply is not one that this program understands")
}

/// What a refusal says, in words.
fn told(body: &[u8]) -> String {
    let problem: Option<Value> = serde_json::from_slice(body).ok();
    let message = problem.as_ref().and_then(|problem| problem.pointer("/error/message")?.as_str());
    message.unwrap_or("without a reason").to_owned()
}

#[expect(clippy::print_stdout, reason = "what a command was asked for goes to standard output")]
fn say(text: &str) {
    println!("{text}");
}

#[expect(clippy::print_stderr, reason = "what goes on is told while it does")]
fn report(text: &str) {
    eprintln!("{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_holds_the_file_whatever_stands_in_it() {
        let bytes = b"{\"a\": \"--cloister\"}\n--cloister-\r\n";
        let (kind, form) = form("a\"\r\n.jsonl", bytes);
        assert_eq!(kind, "multipart/form-data; boundary=cloister--");
        let text = String::from_utf8(form).unwrap();
        assert!(text.contains("filename=\"a.jsonl\""), "{text}");
        assert_eq!(text.matches("--cloister--\r\n").count(), 2, "two parts");
        assert!(text.contains(std::str::from_utf8(bytes).unwrap()));
    }

    #[test]
    fn the_route_is_that_of_the_first_request() {
        let line = r#"{"custom_id": "a", "method": "POST", "url": "/v1/embeddings", "body": {}}"#;
        assert_eq!(endpoint(format!("\n{line}\n").as_bytes()).as_deref(), Some("/v1/embeddings"));
        assert_eq!(endpoint(b"not JSON"), None);
        assert!(named("batch_00").is_ok() && named("batch_../x").is_err() && named("x").is_err());
    }
}
