//! The power goes: whatever of what was not synced the disk kept, lost or tore, everything acknowledged is there, store,
//! log and documents agree, and the next start is clean.
//!
//! A child works on a real store while `strace` writes down what it asks of the disk and what it acknowledges, in one
//! order. From that record the folder is rebuilt as a disk could hold it after a power loss at any moment of the work
//! ([`power::disk`] says what is allowed), and opened with the real code ([`power::recovery`] says what must hold).
//!
//! Run by hand, with strace installed: `CLOISTER_POWER_LOSSES=1000`, or `CLOISTER_POWER_LOSS=17` for that one alone.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "every function here is a part of a test"
)]

mod power {
    pub(crate) mod dice;
    pub(crate) mod disk;
    pub(crate) mod recovery;
    pub(crate) mod trace;
    pub(crate) mod workload;
}

use std::{path::Path, process::Command, sync::OnceLock};

use power::{
    dice::Dice,
    disk::Disk,
    recovery::recover,
    trace::{Event, events},
};

const CHILD: &str = "CLOISTER_TEST_POWER_FOLDER";

/// System calls that change files, or say what a descriptor is. A writable shared mapping would go past all of them.
const CALLS: &str = "openat,open,creat,write,pwrite64,writev,pwritev,pwritev2,lseek,ftruncate,truncate,fallocate,rename,\
     renameat,renameat2,unlink,unlinkat,link,linkat,symlink,symlinkat,mkdir,mkdirat,rmdir,fsync,fdatasync,\
     sync_file_range,sync,syncfs,copy_file_range,sendfile,splice,dup,dup2,dup3,mmap";

fn losses() -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match number("CLOISTER_POWER_LOSS") {
        Some(one) => one..one + 1,
        None => 0..number("CLOISTER_POWER_LOSSES").unwrap_or(40),
    }
}

fn strace() -> bool {
    let wanted = ["CLOISTER_POWER_LOSSES", "CLOISTER_POWER_LOSS"].iter().any(|name| std::env::var_os(name).is_some());
    if !wanted {
        eprintln!("SKIPPED the power losses: set CLOISTER_POWER_LOSSES=1000 to run them, with strace installed");
    }
    wanted
}

/// Runs in a child of the tests below.
#[test]
fn child_works() {
    let Some(folder) = std::env::var_os(CHILD) else { return };
    power::workload::work(Path::new(&folder));
}

/// What the child asked of the disk, and where its folder was.
fn recorded() -> &'static (std::path::PathBuf, Vec<Event>) {
    static RECORDED: OnceLock<(std::path::PathBuf, Vec<Event>)> = OnceLock::new();
    RECORDED.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        // The kernel's name of it, as strace tells it.
        let (site, written) = (folder.path().canonicalize().unwrap().join("site"), folder.path().join("trace"));
        std::fs::create_dir(&site).unwrap();
        let output = Command::new("strace")
            .args(["--seccomp-bpf", "-f", "-y", "-xx", "-s", "4194304", "-e", &format!("trace={CALLS}"), "-o"])
            .arg(&written)
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "child_works", "--nocapture"])
            .env(CHILD, &site)
            .output()
            .unwrap();
        assert!(output.status.success(), "the child failed: {}", String::from_utf8_lossy(&output.stderr));
        let events = events(&std::fs::read(&written).unwrap(), &site);
        (site, events)
    })
}

/// Plays the power loss `seed` over `events`, and says what was lost or is wrong after it.
fn lose(site: &Path, events: &[Event], seed: u64, to: &Path) -> Result<(), String> {
    let mut dice = Dice::new(seed);
    // Half of them just after something was acknowledged, when most is at stake; the others anywhere.
    let said: Vec<usize> =
        events.iter().enumerate().filter(|(_, event)| matches!(event, Event::Said(_))).map(|(at, _)| at + 1).collect();
    let until = if dice.of(2) == 0 { said[dice.of(said.len())] } else { dice.of(events.len() + 1) };
    let mut disk = Disk::new(site);
    let mut acknowledged = Vec::new();
    for event in &events[..until] {
        match event {
            Event::Said(line) => acknowledged.push(line.as_str()),
            event => disk.play(event),
        }
    }
    if to.exists() {
        std::fs::remove_dir_all(to).unwrap();
    }
    disk.lose_power(to, &mut dice);
    recover(to, &acknowledged)
        .map_err(|what| format!("power loss {seed}, after {until} of {} steps: {what}", events.len()))
}

#[test]
fn no_power_loss_loses_what_was_acknowledged_and_the_next_start_is_clean() {
    if !strace() {
        return;
    }
    let (site, events) = recorded();
    let folder = tempfile::tempdir().unwrap();
    let failed: Vec<String> =
        losses().filter_map(|seed| lose(site, events, seed, &folder.path().join("site")).err()).collect();
    let said = events.iter().filter(|event| matches!(event, Event::Said(_))).count();
    println!(
        "{} power losses over {} steps with {said} acknowledgements: {} failed",
        losses().count(),
        events.len(),
        failed.len()
    );
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn without_any_one_kind_of_sync_the_same_power_losses_do_lose_something() {
    if !strace() {
        return;
    }
    let (site, events) = recorded();
    let folder = tempfile::tempdir().unwrap();
    let without = |dropped: &dyn Fn(&Path) -> bool| {
        let kept = |event: &&Event| !matches!(event, Event::Sync { path, .. } if dropped(path));
        let events: Vec<Event> = events.iter().filter(kept).cloned().collect();
        (0..1000).any(|seed| lose(site, &events, seed, &folder.path().join("site")).is_err())
    };
    let ends = |ending: &'static str| move |path: &Path| path.to_string_lossy().ends_with(ending);
    assert!(without(&ends("-wal")), "the harness would not notice a write-ahead log that is not synced");
    assert!(without(&ends(".db")), "nor a database that is not synced before its log is written anew");
    assert!(without(&|path| path.to_string_lossy().contains("keyring")), "nor a keyring that is not synced");
    assert!(without(&|path| path.extension().is_none()), "nor a folder that is not synced");
}
