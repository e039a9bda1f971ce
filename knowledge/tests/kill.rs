//! An ingest that is killed without warning loses nothing that it has acknowledged, and leaves database and indexes
//! agreeing.
//!
//! The test starts itself as a child, which ingests files and prints each name once it is acknowledged. The parent
//! kills it with SIGKILL at a moment that differs each time, opens the database and compares.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test: helpers fail by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use cloister_knowledge::parse::{InProcess, Source};
use cloister_knowledge::{
    CollectionSpec, Content, Embed, EmbedError, EmbedIdentity, Library, Mode, Outcome, Progress, Query, Scope,
    Submission,
};
use cloister_terms::{CollectionId, FixedClock, Random};
use rusqlite::Connection;

const CHILD: &str = "CLOISTER_TEST_KILL_FOLDER";
const FILES: usize = 400;
/// So many that a batch of the bulk ingest holds some thirty files.
const SECTIONS: usize = 30;
const KILLS: u64 = 50;

struct Letters;

impl Embed for Letters {
    fn identity(&self) -> EmbedIdentity {
        EmbedIdentity { name: "letters".into(), sha256: "00".into(), dimensions: 32, max_tokens: 256 }
    }

    fn count_tokens(&self, text: &str) -> usize {
        text.split_whitespace().count() + 2
    }

    fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let vector = |text: &String| {
            let mut vector = vec![0.1; 32];
            text.bytes().for_each(|byte| vector[usize::from(byte) % 32] += 1.0);
            vector
        };
        Ok(texts.iter().map(vector).collect())
    }
}

struct Process;

impl Random for Process {
    fn fill(&self, bytes: &mut [u8]) {
        let mut file = std::fs::File::open("/dev/urandom").unwrap();
        std::io::Read::read_exact(&mut file, bytes).unwrap();
    }
}

fn library(folder: &Path) -> Library {
    let path: PathBuf = folder.join("tenant.db");
    let connect = move || {
        let connection = Connection::open(&path)?;
        connection.pragma_update(None, "key", "x'2dd29ca851e7b56e4697b0e1f08507293d761a05ce4d1b628663f411a8086d99'")?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "full")?;
        Ok(connection)
    };
    let clock = FixedClock::at("2026-03-01T00:00:00Z".parse().unwrap());
    Library::open(Arc::new(connect), Arc::new(Letters), Arc::new(clock), Arc::new(Process)).unwrap()
}

fn collection() -> CollectionId {
    "procedures".parse().unwrap()
}

fn submissions() -> Vec<Submission> {
    (0..FILES)
        .map(|number| {
            let sections: String =
                (1..SECTIONS).map(|at| format!("## Part {at}\n\nStep {at} of order {number}.\n\n")).collect();
            let text = format!("# Order {number}\n\n{sections}## Notes\n\nmarker{number}\n");
            Submission {
                name: format!("{number}.md"),
                content: Content::Bytes(text.into_bytes()),
                overrides: BTreeMap::default(),
            }
        })
        .collect()
}

/// What the child does: ingests file by file and in bulk, and tells `say` what is newly durable.
fn ingest(folder: &Path, say: &dyn Fn(&str)) {
    let library = library(folder);
    let _ = library.create(CollectionSpec { id: collection(), title: "Procedures".into() });
    let tell = |name: &str, outcome: Outcome| {
        if outcome == Outcome::Added {
            say(name);
        }
    };
    let parser = InProcess::default();
    let (singly, together) = {
        let mut all = submissions();
        let together = all.split_off(FILES / 2);
        (all, together)
    };
    for submission in singly {
        let Content::Bytes(bytes) = submission.content else { continue };
        let source = Source { name: submission.name.clone(), bytes };
        let done = library.ingest(&collection(), &source, &submission.overrides, &parser).unwrap();
        tell(&submission.name, done.outcome);
    }
    library
        .ingest_many(&collection(), together, &parser, &mut |progress| {
            if let Progress::File { report, .. } = progress {
                tell(&report.name, report.result.as_ref().unwrap().outcome);
            }
        })
        .unwrap();
}

fn acknowledge(name: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "ack {name}").unwrap();
    out.flush().unwrap();
}

#[test]
fn a_killed_ingest_loses_nothing_acknowledged_and_agrees_with_itself() {
    if let Some(folder) = std::env::var_os(CHILD) {
        return ingest(Path::new(&folder), &acknowledge);
    }
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeSet::new();
    let mut at_work = 0;
    for round in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_killed_ingest_loses_nothing_acknowledged_and_agrees_with_itself", "--nocapture"])
            .env(CHILD, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // A different moment each round: after some acknowledgements, and then some microseconds into what follows.
        let wait_for = usize::try_from(round * 5 % 9).unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut seen = 0;
        let mut killed = false;
        for line in lines.map_while(Result::ok) {
            if let Some((_, name)) = line.split_once("ack ") {
                acknowledged.insert(name.to_owned());
                seen += 1;
            }
            if seen >= wait_for && !killed {
                std::thread::park_timeout(Duration::from_micros(round * 937 % 20_000));
                child.kill().unwrap();
                killed = true;
            }
        }
        child.wait().unwrap();

        let library = library(folder.path());
        if library.show(&collection()).is_err() {
            assert!(acknowledged.is_empty(), "the collection was acknowledged with its first file");
            continue;
        }
        let verification = library.verify(&collection()).unwrap();
        assert_eq!(verification.problems, [], "round {round}");
        let names: BTreeSet<String> = library
            .documents(&collection())
            .unwrap()
            .into_iter()
            .flat_map(|document| document.versions.into_iter().map(|version| version.name))
            .collect();
        let lost: Vec<&String> = acknowledged.difference(&names).collect();
        assert!(lost.is_empty(), "round {round}: {lost:?}");
        at_work += usize::from(names.len() < FILES);
    }
    assert!(at_work > 15, "only {at_work} children were killed at work");

    // Left alone it finishes, and everything is found.
    ingest(folder.path(), &|_| {});
    let library = library(folder.path());
    let scope = Scope::new(vec![collection()], vec!["staff".parse().unwrap()], "2026-03-01T00:00:00Z".parse().unwrap());
    for number in [0, FILES / 2, FILES - 1] {
        let query = Query { text: format!("marker{number}"), top: 1, mode: Mode::Words };
        assert_eq!(library.search(&scope, &query).unwrap().passages[0].name, format!("{number}.md"));
    }
    assert_eq!(library.documents(&collection()).unwrap().len(), FILES);
}
