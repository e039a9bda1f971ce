//! What must hold after a power loss: everything that was acknowledged, and a start that is clean and goes on.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use cloister_governance::{
    accounts::Accounts,
    audit::{Body, Evidence, Log, Outcome, Reader},
    keys::MasterKey,
    store::{Database, Store},
};
use cloister_knowledge::{CollectionSpec, Library, parse::InProcess, parse::Source};

use super::workload::{Seeded, clock, collection, intent, library, tenant, text};

type Checked = Result<(), String>;

/// Opens what is left in `folder`, checks it against what was `said`, goes on working, and checks again.
pub(crate) fn recover(folder: &Path, said: &[&str]) -> Checked {
    let told = Told::of(said);
    let site = Site::start(folder)?;
    site.agrees(&told)?;
    let went_on = site.go_on(&told)?;
    drop(site);
    let again = Site::start(folder).map_err(|what| format!("at the start after that: {what}"))?;
    let lines: Vec<&str> = said.iter().copied().chain(went_on.iter().map(String::as_str)).collect();
    again.agrees(&Told::of(&lines)).map_err(|what| format!("after going on: {what}"))
}

/// What was acknowledged.
#[derive(Default)]
struct Told<'a> {
    store: bool,
    tenants: BTreeSet<&'a str>,
    destroyed: BTreeSet<&'a str>,
    /// Entries, and whether it was the outcome.
    records: BTreeSet<(&'a str, bool)>,
    documents: BTreeSet<(&'a str, &'a str)>,
    /// Collections that may be gone, or are.
    deleted: BTreeSet<&'a str>,
    accounts: BTreeSet<&'a str>,
    disabled: BTreeSet<&'a str>,
    master: Option<&'a str>,
    backup: Option<&'a str>,
    bundle: Option<&'a str>,
    rekeyed: bool,
}

impl<'a> Told<'a> {
    fn of(said: &[&'a str]) -> Self {
        let mut told = Self::default();
        for line in said {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["store"] => told.store = true,
                ["tenant", name] => drop(told.tenants.insert(name)),
                ["destroyed", name] => drop(told.destroyed.insert(name)),
                ["intent", entry] => drop(told.records.insert((entry, false))),
                ["outcome", entry] => drop(told.records.insert((entry, true))),
                ["document", tenant, name] => drop(told.documents.insert((tenant, name))),
                ["deleted", tenant] => drop(told.deleted.insert(tenant)),
                ["account", name] => drop(told.accounts.insert(name)),
                ["disabled", name] => drop(told.disabled.insert(name)),
                ["master", id] => told.master = Some(id),
                ["backup", file] => told.backup = Some(file),
                ["bundle", id] => told.bundle = Some(id),
                ["rekeyed", _] => told.rekeyed = true,
                _ => panic!("the child said what nobody understands: {line}"),
            }
        }
        told
    }
}

struct Site {
    folder: std::path::PathBuf,
    store: Store,
    log: Log,
}

impl Site {
    /// As the program starts.
    fn start(folder: &Path) -> Result<Self, String> {
        let random = Seeded::new();
        let master = MasterKey::load_or_create(&folder.join("master.key"), random.as_ref())
            .map_err(|error| format!("the master key: {error}"))?;
        let store = Store::open(&folder.join("store"), master, random.clone())
            .map_err(|error| format!("the store does not open: {error}: {:?}", std::error::Error::source(&error)))?;
        let log = Log::open(&store.audit(), clock(), random)
            .map_err(|error| format!("the log does not open: {error}: {:?}", std::error::Error::source(&error)))?;
        store.record_key_uses(&log, "built-in-1").map_err(|error| error.to_string())?;
        Ok(Self { folder: folder.to_owned(), store, log })
    }

    fn agrees(&self, told: &Told<'_>) -> Checked {
        self.keys(told)?;
        let intents = self.records(told)?;
        self.accounts(told)?;
        let there: BTreeSet<String> = self.tenants()?.into_iter().collect();
        for name in &told.tenants {
            if !there.contains(*name) && *name != "b" {
                return Err(format!("tenant {name} is gone"));
            }
        }
        for name in &told.destroyed {
            if there.contains(*name) {
                return Err(format!("tenant {name}, which was destroyed, is there"));
            }
        }
        for name in &there {
            self.tenant(told, name, &intents)?;
        }
        // What was acknowledged of a tenant that is not there any more is lost, unless its destruction had begun.
        if !there.contains("b") && told.tenants.contains("b") && told.bundle.is_none() {
            return Err("tenant b is gone, and nobody had begun to destroy it".to_owned());
        }
        self.verifies()?;
        if let Some(file) = told.backup {
            let contents = self.store.verify_backup(&self.folder.join(file)).map_err(|error| error.to_string())?;
            let readable = |part: &String| !part.contains("tenants/");
            if contents.unreadable.keys().any(readable) {
                return Err(format!("the backup does not open: {:?}", contents.unreadable));
            }
        }
        Ok(())
    }

    fn keys(&self, told: &Told<'_>) -> Checked {
        let state = self.store.keys().map_err(|error| error.to_string())?;
        if told.bundle.is_some_and(|id| !state.bundles.iter().any(|bundle| bundle.bundle == id)) {
            return Err("the recovery bundle that was issued is not known".to_owned());
        }
        if told.rekeyed && !state.keys.iter().any(|key| key.version == 2) {
            return Err("the tenant's new key is gone".to_owned());
        }
        // Destroying a tenant replaces the master key once more.
        if told.master.is_some_and(|id| id != state.master) && told.bundle.is_none() {
            return Err("the new master key is gone".to_owned());
        }
        Ok(())
    }

    /// Every record that was acknowledged is in the log. The entries that have an intent.
    fn records(&self, told: &Told<'_>) -> Result<BTreeSet<String>, String> {
        let records = self.log.since(0, usize::MAX).map_err(|error| error.to_string())?;
        let kept: BTreeSet<(String, bool)> =
            records.iter().map(|record| (record.entry.to_string(), matches!(record.body, Body::Outcome(_)))).collect();
        let lost = told.records.iter().filter(|(entry, outcome)| !kept.contains(&((*entry).to_owned(), *outcome)));
        match lost.count() {
            0 => Ok(kept.into_iter().filter(|(_, outcome)| !outcome).map(|(entry, _)| entry).collect()),
            lost => Err(format!("{lost} acknowledged records are gone from the log of {}", records.len())),
        }
    }

    fn accounts(&self, told: &Told<'_>) -> Checked {
        let accounts =
            Accounts::open(&self.store.fleet(), clock(), Seeded::new()).map_err(|error| error.to_string())?;
        let there: BTreeMap<String, bool> = accounts
            .list()
            .map_err(|error| error.to_string())?
            .into_iter()
            .map(|account| (account.principal.name, account.disabled.is_some()))
            .collect();
        for name in &told.accounts {
            if !there.contains_key(*name) {
                return Err(format!("account {name} is gone"));
            }
        }
        for name in &told.disabled {
            if there.get(*name) != Some(&true) {
                return Err(format!("account {name} is not disabled any more"));
            }
        }
        fits(&self.store.fleet(), "fleet")
    }

    fn tenants(&self) -> Result<Vec<String>, String> {
        let tenants = self.store.tenants().map_err(|error| error.to_string())?;
        Ok(tenants.into_iter().map(|tenant| tenant.to_string()).collect())
    }

    fn tenant(&self, told: &Told<'_>, name: &str, intents: &BTreeSet<String>) -> Checked {
        let library = library(&self.store, name)?;
        fits(&self.store.tenant(&tenant(name)).map_err(|error| error.to_string())?, name)?;
        let Ok(listed) = library.documents(&collection()) else {
            let deleted = name == "b" && told.documents.contains(&("b", "order.md"));
            return match told.tenants.contains(name) && !deleted {
                true => Err(format!("the collection of {name} is gone")),
                false => Ok(()),
            };
        };
        if told.deleted.contains(name) {
            return Err(format!("the collection of {name}, which was deleted, is there"));
        }
        let there: BTreeSet<String> =
            listed.into_iter().flat_map(|document| document.versions.into_iter().map(|version| version.name)).collect();
        for (of, document) in told.documents.iter().filter(|(of, _)| *of == name) {
            if !there.contains(*document) {
                return Err(format!("document {document} of {of} is gone; {} are there", there.len()));
            }
        }
        // No work without a recorded intent, whatever the power did.
        for document in there.iter().filter(|name| name.as_str() != "order.md") {
            let entry = document.split('.').next().unwrap_or_default();
            if !intents.contains(entry) {
                return Err(format!("document {document} of {name} is there, and the log does not know of it"));
            }
        }
        let verification = library.verify(&collection()).map_err(|error| error.to_string())?;
        match verification.problems.as_slice() {
            [] => Ok(()),
            problems => Err(format!("the library of {name}: {problems:?}")),
        }
    }

    /// The log verifies, with its published tree and its search index.
    fn verifies(&self) -> Checked {
        self.log.checkpoint_blocking().map_err(|error| error.to_string())?;
        fits(&self.store.audit(), "audit")?;
        let reader = Reader::of(&self.store);
        reader.query("SELECT count(*) FROM audit", 1).map_err(|error| format!("searching the log: {error}"))?;
        let verified = reader.verify(&Evidence::default()).map_err(|error| error.to_string())?;
        match verified.findings.as_slice() {
            [] if verified.covered == verified.records => Ok(()),
            findings => Err(format!("the log: {} of {} covered, {findings:?}", verified.covered, verified.records)),
        }
    }

    /// Does a little more of everything. What was acknowledged meanwhile.
    fn go_on(&self, told: &Told<'_>) -> Result<Vec<String>, String> {
        let mut said = vec!["store".to_owned()];
        let there = self.tenants()?;
        // The collection of b, and b itself, are about to go once this is said.
        let b = (!told.documents.contains(&("b", "order.md"))).then_some("b");
        for name in ["a"].into_iter().chain(b) {
            if !there.iter().any(|tenant| tenant == name) {
                self.store.create_tenant(&tenant(name)).map_err(|error| format!("making tenant {name}: {error}"))?;
            }
            let library = library(&self.store, name)?;
            if library.show(&collection()).is_err() {
                let spec = CollectionSpec { id: collection(), title: "Procedures".into() };
                library.create(spec).map_err(|error| error.to_string())?;
            }
            said.extend(self.ingest(&library, name)?);
        }
        Ok(said)
    }

    fn ingest(&self, library: &Library, tenant: &str) -> Result<Vec<String>, String> {
        let entry = self.log.intent_blocking(intent(1)).map_err(|error| error.to_string())?;
        let (id, name) = (entry.id(), format!("{}.md", entry.id()));
        let source = Source { bytes: text(&name).into_bytes(), name: name.clone() };
        library
            .ingest(&collection(), &source, &BTreeMap::new(), &InProcess::default())
            .map_err(|error| format!("going on in {tenant}: {error}"))?;
        entry.complete_blocking(Outcome::done()).map_err(|error| error.to_string())?;
        Ok(vec![format!("intent {id}"), format!("outcome {id}"), format!("document {tenant} {name}")])
    }
}

/// Every page of the database is authentic, and they fit together.
fn fits(database: &Database, name: &str) -> Checked {
    let checked = database.connect().and_then(|connection| {
        let altered = connection.prepare("PRAGMA cipher_integrity_check")?.exists([])?;
        let fits: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        Ok((altered, fits))
    });
    match checked {
        Ok((false, fits)) if fits == "ok" => Ok(()),
        other => Err(format!("the database of {name}: {other:?}")),
    }
}
