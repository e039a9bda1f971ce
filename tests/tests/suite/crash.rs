//! Power gone in the middle of an ingest: what was acknowledged is there, and index and database agree.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::site::program;

/// How many times the ingest is killed; `CLOISTER_KILLS=50` for the long run.
fn kills() -> u64 {
    std::env::var("CLOISTER_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(4)
}

#[test]
fn killing_an_ingest_at_any_moment_loses_no_acknowledged_document() {
    let site = program().site();
    let folder = tempfile::tempdir().unwrap();
    let documents = 60 * usize::try_from(kills()).unwrap().min(20);
    for n in 0..documents {
        let text = format!(
            "# Bulletin {n}\n\nBulletin number {n} concerns shelf {} of the store room.\n\n## Detail\n\nCount the stock of item {n} on Monday.\n",
            n % 17
        );
        fs::write(folder.path().join(format!("bulletin-{n:05}.md")), text).unwrap();
    }
    assert!(site.run(["kb", "create", "bulletins"]).status.success());
    let mut acknowledged: Vec<String> = Vec::new();
    let mut cut_short = 0;
    for kill in 0..kills() {
        let mut command = site.program().command();
        command.args([
            "kb",
            "ingest",
            "bulletins",
            folder.path().to_str().unwrap(),
            "--json",
            "--config",
            &site.config(),
        ]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        // From before the model is loaded to well into the writing; spread by a fixed multiplier, not by chance alone.
        let until = Instant::now() + Duration::from_millis(100 + (kill * 0x9E37_79B9) % 2_900);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let reader = std::thread::spawn(move || lines.map_while(Result::ok).collect::<Vec<_>>());
        while Instant::now() < until && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        cut_short += u64::from(child.try_wait().unwrap().is_none());
        let _gone = child.kill();
        child.wait().unwrap();
        for line in reader.join().unwrap() {
            let Ok(event) = serde_json::from_str::<Value>(&line) else { continue };
            if event["outcome"] == "added" || event["outcome"] == "unchanged" {
                acknowledged.push(event["name"].as_str().unwrap().to_owned());
            }
        }
        let verified = site.run(["kb", "verify", "bulletins"]);
        assert!(verified.status.success(), "after kill {kill}: {}", String::from_utf8_lossy(&verified.stdout));
        let shown = site.run(["kb", "show", "bulletins", "--json"]);
        let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
        let present: Vec<&str> =
            shown["documents"].as_array().unwrap().iter().map(|d| d["name"].as_str().unwrap()).collect();
        for name in &acknowledged {
            assert!(present.contains(&name.as_str()), "after kill {kill}: {name} was acknowledged and is gone");
        }
    }
    assert!(cut_short > 0, "no run was cut short: the test shows nothing");
    let rest = site.run(["kb", "ingest", "bulletins", folder.path().to_str().unwrap()]);
    assert!(rest.status.success(), "{}", String::from_utf8_lossy(&rest.stderr));
    assert!(site.run(["kb", "verify", "bulletins"]).status.success());
    assert!(site.run(["doctor"]).status.code().is_some());
}
