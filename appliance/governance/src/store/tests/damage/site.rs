//! Every file of a site's folder, damaged one at a time: what is seen after it is what was seen before, or an error.

use std::{collections::BTreeMap, os::unix::fs::PermissionsExt as _};

use cloister_terms::{Action, RequestId, Role};
use rusqlite::Connection;

use super::*;
use crate::{
    accounts::{Accounts, NewAccount},
    audit::{Evidence, Intent, Log, Outcome, Reader, Who},
    policy::Principal,
    testing::clock,
};

/// Everything that a site holds, as a program that starts on it sees it.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    rows: Vec<String>,
    accounts: Vec<String>,
    records: Vec<String>,
    found: String,
}

/// A number that no other call in this process gets.
fn fresh() -> u64 {
    static MADE: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    MADE.fetch_add(1, std::sync::atomic::Ordering::Relaxed) << 32
}

fn open(folder: &Path) -> Result<Store, String> {
    let master = MasterKey::load(&folder.join("master.key")).map_err(|error| error.to_string())?;
    Store::open(&folder.join("data"), master, Arc::new(Seeded::new(fresh()))).map_err(|error| error.to_string())
}

/// Reads all of it, and verifies the log.
fn seen(folder: &Path) -> Result<Seen, String> {
    let store = open(folder)?;
    let mut rows = Vec::new();
    // By name, as they stand in a site's configuration: one that is gone is not one that never was.
    for name in ["a", "b"] {
        let database = store.tenant(&tenant(name)).map_err(|error| error.to_string())?;
        rows.extend(read(&database).map_err(|error| error.to_string())?);
        if !backup::sound(&database) {
            return Err(format!("the check of {name}"));
        }
    }
    if !backup::sound(&store.fleet()) {
        return Err("the check of the fleet".to_owned());
    }
    let accounts = Accounts::open(&store.fleet(), clock(), Arc::new(Seeded::new(fresh())));
    let accounts = accounts.and_then(|accounts| accounts.list()).map_err(|error| error.to_string())?;
    let log = Log::open(&store.audit(), clock(), Arc::new(Seeded::new(fresh()))).map_err(|error| error.to_string())?;
    let records = log.since(0, usize::MAX).map_err(|error| error.to_string())?;
    drop(log);
    let reader = Reader::of(&store);
    let verified = reader.verify(&Evidence::default()).map_err(|error| error.to_string())?;
    if !verified.findings.is_empty() {
        return Err(format!("{:?}", verified.findings));
    }
    let found = reader.query("SELECT * FROM audit", 1000).map_err(|error| error.to_string())?;
    Ok(Seen {
        rows,
        accounts: accounts.iter().map(|account| format!("{account:?}")).collect(),
        records: records.iter().map(|record| format!("{record:?}")).collect(),
        found: format!("{found:?}"),
    })
}

/// Does something and records it, as every command and request does.
fn recorded<T>(log: &Log, work: impl FnOnce() -> T) -> T {
    let entry = log
        .intent_blocking(Intent {
            who: Who::from(&Principal::local(Role::Operator, None)),
            action: Action::ManageDocuments,
            purpose: None,
            tenant: None,
            collections: Vec::new(),
            session: None,
            emergency: None,
            capture: None,
            request: RequestId::from(u128::from(fresh())),
            policy: "built-in-1".to_owned(),
            policies: Vec::new(),
        })
        .unwrap();
    let done = work();
    entry.complete_blocking(Outcome::done()).unwrap();
    done
}

type Files = BTreeMap<PathBuf, Vec<u8>>;

/// A site's files at three moments: at work early, at work late with all of it acknowledged, and at rest after that.
struct Moments {
    early: Files,
    late: Files,
    rest: Files,
}

fn files(folder: &Path) -> Files {
    let mut files = Files::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(at) = folders.pop() {
        for entry in std::fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            let name = path.to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if !name.ends_with("-shm") && !name.ends_with(".reserve") {
                // Shared memory does not outlive a crash, and the reserve is empty room.
                files.insert(path.strip_prefix(folder).unwrap().to_owned(), std::fs::read(path).unwrap());
            }
        }
    }
    files
}

fn put(files: &Files, to: &Path) {
    if to.exists() {
        std::fs::remove_dir_all(to).unwrap();
    }
    private_folder(to).unwrap();
    for (name, bytes) in files {
        let path = to.join(name);
        private_folder(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
}

fn moments() -> Moments {
    let (folder, store) = case();
    // Closed and opened again, so that the tables are counted as those of any site are.
    let accounts = Accounts::open(&store.fleet(), clock(), Arc::new(Seeded::new(fresh()))).unwrap();
    drop((accounts, store));
    let store = open(folder.path()).unwrap();
    let (a, fleet, audit) = (store.tenant(&tenant("a")).unwrap(), store.fleet(), store.audit());
    // Held open, so that the write-ahead logs stay as a crash would leave them.
    let held: Vec<Connection> = [&a, &fleet, &audit].map(|database| database.connect().unwrap()).into();
    let accounts = Accounts::open(&fleet, clock(), Arc::new(Seeded::new(fresh()))).unwrap();
    let work = |text: &str| {
        let log = Log::open(&audit, clock(), Arc::new(Seeded::new(fresh()))).unwrap();
        let new = || accounts.issue(NewAccount::of(text, Role::Agent).within(tenant("a"))).unwrap().0;
        let id = recorded(&log, new);
        recorded(&log, || held[0].execute("UPDATE t SET x = x || ?1 WHERE rowid % 7 = 1", [text]).unwrap());
        recorded(&log, || accounts.disable(&id).unwrap());
        drop(log);
        // The index is brought up to date by whoever searches.
        Reader::of(&store).query("SELECT count(*) FROM audit", 1).unwrap();
    };
    work(" early");
    let early = files(folder.path());
    recorded(&Log::open(&audit, clock(), Arc::new(Seeded::new(fresh()))).unwrap(), || store.rotate_master().unwrap());
    work(" late");
    let late = files(folder.path());
    drop((held, accounts, a, fleet, audit, store));
    Moments { early, late, rest: files(folder.path()) }
}

/// What was tried and what it came to.
#[derive(Default)]
struct Tally {
    tried: usize,
    refused: usize,
}

impl Tally {
    /// Puts the damaged files in place and holds what is seen against what should be.
    fn try_out(&mut self, files: &Files, should: &Seen, what: &str) {
        let folder = tempfile::tempdir().unwrap();
        let site = folder.path().join("site");
        put(files, &site);
        let after = seen(&site);
        self.tried += 1;
        self.refused += usize::from(after.is_err());
        if let Ok(after) = after {
            assert!(after == *should, "{what}: something else is seen, and nothing says so");
        }
    }

    fn say(&self, what: &str) {
        #[allow(clippy::print_stdout, reason = "the figures of a long run are what it is for")]
        if everything() {
            println!(
                "{what}: {} tried, {} refused, {} without effect",
                self.tried,
                self.refused,
                self.tried - self.refused
            );
        }
    }
}

fn seen_of(files: &Files) -> Seen {
    let folder = tempfile::tempdir().unwrap();
    let site = folder.path().join("site");
    put(files, &site);
    seen(&site).unwrap()
}

#[test]
fn a_file_with_altered_or_missing_bytes_is_refused_or_changes_nothing() {
    let moments = moments();
    let should = seen_of(&moments.late);
    assert_eq!(should, seen_of(&moments.rest), "a crash and an orderly end leave the same");
    let places = if everything() { 300 } else { 1 };
    let dice = Seeded::new(6);
    let of = |bound: usize| {
        let mut bytes = [0; 8];
        dice.fill(&mut bytes);
        (u64::from_le_bytes(bytes) % bound as u64) as usize
    };
    for (kind, good) in [("at work", &moments.late), ("at rest", &moments.rest)] {
        let (mut altered, mut cut, mut gone) = (Tally::default(), Tally::default(), Tally::default());
        for (name, bytes) in good.iter().filter(|(_, bytes)| !bytes.is_empty()) {
            for _ in 0..places {
                let (at, bit) = (of(bytes.len()), of(8));
                let mut bad = good.clone();
                bad.get_mut(name).unwrap()[at] ^= 1 << bit;
                altered.try_out(&bad, &should, &format!("{kind}: bit {bit} of byte {at} of {}", name.display()));
                let mut bad = good.clone();
                let length = of(bytes.len());
                bad.get_mut(name).unwrap().truncate(length);
                cut.try_out(&bad, &should, &format!("{kind}: {} cut to {length}", name.display()));
            }
            let mut bad = good.clone();
            bad.remove(name);
            gone.try_out(&bad, &should, &format!("{kind}: {} gone", name.display()));
        }
        altered.say(&format!("altered bits, {kind}"));
        cut.say(&format!("cut files, {kind}"));
        gone.say(&format!("removed files, {kind}"));
        assert!(altered.refused > 0 && cut.refused > 0 && gone.refused > 0, "the test shows nothing");
    }
}

#[test]
fn two_files_that_changed_places_are_refused_or_change_nothing() {
    let moments = moments();
    let should = seen_of(&moments.rest);
    for (kind, good) in [("at work", &moments.late), ("at rest", &moments.rest)] {
        let mut tally = Tally::default();
        let names: Vec<&PathBuf> = good.keys().collect();
        let pairs =
            names.iter().enumerate().flat_map(|(at, one)| names[at + 1..].iter().map(move |other| (*one, *other)));
        for (one, other) in pairs.step_by(if everything() { 1 } else { 5 }) {
            let mut bad = good.clone();
            bad.insert(one.clone(), good[other].clone());
            bad.insert(other.clone(), good[one].clone());
            tally.try_out(&bad, &should, &format!("{kind}: {} and {} exchanged", one.display(), other.display()));
        }
        tally.say(&format!("files exchanged, {kind}"));
        assert!(tally.refused > 0, "the test shows nothing");
    }
}

#[test]
fn a_file_or_a_database_put_back_to_an_earlier_moment_is_refused_or_changes_nothing() {
    let moments = moments();
    let should = seen_of(&moments.rest);
    let name = |text: &str| PathBuf::from(text);
    for (kind, good) in [("at work", &moments.late), ("at rest", &moments.rest)] {
        let mut tally = Tally::default();
        for (file, bytes) in &moments.early {
            let mut bad = good.clone();
            bad.insert(file.clone(), bytes.clone());
            tally.try_out(&bad, &should, &format!("{kind}: {} put back", file.display()));
        }
        // A whole database, with what stands beside it; and the two files that hold the keys.
        for together in [
            ["data/tenants/a/tenant.db", "data/tenants/a/tenant.db-wal"],
            ["data/fleet.db", "data/fleet.db-wal"],
            ["data/audit.db", "data/audit.db-wal"],
            ["data/keyring", "master.key"],
        ] {
            let mut bad = good.clone();
            for file in together.map(name) {
                match moments.early.get(&file) {
                    Some(bytes) => bad.insert(file, bytes.clone()),
                    None => bad.remove(&file),
                };
            }
            let before = tally.refused;
            tally.try_out(&bad, &should, &format!("{kind}: {together:?} put back"));
            assert_eq!(tally.refused, before + 1, "{kind}: {together:?} put back together");
        }
        tally.say(&format!("files put back, {kind}"));
    }
}

#[test]
fn all_of_it_put_back_to_one_moment_is_what_nobody_can_tell() {
    let moments = moments();
    let (early, late) = (seen_of(&moments.early), seen_of(&moments.late));
    assert_ne!(early, late, "only a checkpoint that is kept elsewhere tells: the documentation says so");
}
