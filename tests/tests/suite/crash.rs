//! Power gone in the middle of an ingest: what was acknowledged is there, and index and database agree.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::Stdio,
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    time::{Duration, Instant},
};

use cloister_tests::Site;
use serde_json::Value;

use super::site::program;

/// How many times the ingest is killed; `CLOISTER_KILLS=50` for the long run.
fn kills() -> u64 {
    std::env::var("CLOISTER_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(4)
}

/// Documents stored in one transaction at most. Each kill after an acknowledgement uses up that many; some must still be to come.
const TRANSACTION: u64 = 1024;

#[test]
fn killing_an_ingest_at_any_moment_loses_no_acknowledged_document() {
    let site = program().site();
    let folder = tempfile::tempdir().unwrap();
    for n in 0..TRANSACTION * (kills() / 2 + 1) {
        fs::write(folder.path().join(format!("bulletin-{n:05}.md")), format!("# Bulletin {n}\n\nShelf {}.\n", n % 17))
            .unwrap();
    }
    assert!(site.run(["kb", "create", "bulletins"]).status.success());
    let mut acknowledged = BTreeSet::new();
    let (mut cut_short, mut cut_after_an_acknowledgement) = (0, 0);
    for kill in 0..kills() {
        let before = acknowledged.len();
        // Every other one while something new has just been acknowledged, the others from before the model is loaded to
        // well into the work; spread by a fixed multiplier, not by chance alone.
        let after_an_acknowledgement = kill % 2 == 1;
        let longest = if after_an_acknowledgement { 300 } else { 1_500 };
        let spread = Duration::from_millis((kill * 0x9E37_79B9) % longest);
        let was_cut = kill_an_ingest(&site, folder.path(), &mut acknowledged, after_an_acknowledgement, spread);
        cut_short += u64::from(was_cut);
        cut_after_an_acknowledgement += u64::from(was_cut && acknowledged.len() > before);
        let verified = site.run(["kb", "verify", "bulletins"]);
        assert!(
            verified.status.success(),
            "after kill {kill}: {}\n{}{}",
            verified.status,
            String::from_utf8_lossy(&verified.stdout),
            String::from_utf8_lossy(&verified.stderr)
        );
        let shown = site.run(["kb", "show", "bulletins", "--json"]);
        let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
        let present: BTreeSet<&str> =
            shown["documents"].as_array().unwrap().iter().map(|d| d["name"].as_str().unwrap()).collect();
        let lost: Vec<_> = acknowledged.iter().filter(|name| !present.contains(name.as_str())).collect();
        assert!(lost.is_empty(), "after kill {kill}: acknowledged and gone: {lost:?}");
    }
    assert!(cut_short > 1, "hardly a run was cut short: the test shows nothing");
    assert!(cut_after_an_acknowledgement > 0, "no run was cut after it had acknowledged something");
    let rest = site.run(["kb", "ingest", "bulletins", folder.path().to_str().unwrap()]);
    assert!(rest.status.success(), "{}", String::from_utf8_lossy(&rest.stderr));
    assert!(site.run(["kb", "verify", "bulletins"]).status.success());
}

/// Starts an ingest and kills it, `spread` after its start or after the first document that it newly acknowledges.
/// Returns whether it was still at work then.
fn kill_an_ingest(
    site: &Site,
    folder: &Path,
    acknowledged: &mut BTreeSet<String>,
    after_an_acknowledgement: bool,
    spread: Duration,
) -> bool {
    let mut command = site.program().command();
    command.args(["kb", "ingest", "bulletins", folder.to_str().unwrap(), "--json", "--config", &site.config()]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (send, events) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            let Ok(event) = serde_json::from_str::<Value>(&line) else { continue };
            send.send(event).unwrap();
        }
    });
    if after_an_acknowledgement {
        while let Ok(event) = events.recv() {
            if note(&event, acknowledged) && event["outcome"] == "added" {
                break;
            }
        }
    }
    listen(&events, Instant::now() + spread, acknowledged);
    let was_at_work = child.try_wait().unwrap().is_none();
    let _gone = child.kill();
    child.wait().unwrap();
    reader.join().unwrap();
    for event in events.try_iter() {
        note(&event, acknowledged);
    }
    was_at_work
}

fn listen(events: &Receiver<Value>, until: Instant, acknowledged: &mut BTreeSet<String>) {
    loop {
        match events.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(event) => {
                note(&event, acknowledged);
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Keeps the name of a document that the program says is stored.
fn note(event: &Value, acknowledged: &mut BTreeSet<String>) -> bool {
    let stored = event["outcome"] == "added" || event["outcome"] == "unchanged";
    if stored {
        acknowledged.insert(event["name"].as_str().unwrap().to_owned());
    }
    stored
}
