//! What the child does: everything that a site writes into its folder, on two threads and more. Each line that it says is an
//! acknowledgement as a caller would get it: what it names is durable.
//!
//! ```text
//! store | tenant NAME | destroyed NAME | intent ENTRY | outcome ENTRY | document TENANT NAME
//! account NAME | disabled NAME | deleted TENANT | master ID | rekeyed TENANT | bundle ID | backup FILE
//! ```

use std::{
    collections::BTreeMap,
    io::Write as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use cloister_governance::{
    accounts::{AccountId, Accounts, NewAccount},
    audit::{Entry, Intent, Log, Outcome, Who},
    keys::MasterKey,
    store::{Store, StoreError},
};
use cloister_knowledge::{
    CollectionSpec, Content, Embed, EmbedError, EmbedIdentity, Library, Progress, Submission,
    parse::{InProcess, Source},
};
use cloister_terms::{Action, Clock, CollectionId, FixedClock, Random, RequestId, Role, TenantId};

/// Documents that each of two threads ingests one by one, and that are ingested together: enough for SQLite to bring its
/// write-ahead logs into the databases several times.
const SINGLE: usize = 24;
const TOGETHER: usize = 24;

/// Records that are written without a document, so that the log's own write-ahead log is brought in too.
const RECORDS: usize = 150;

/// A document is an order of so many steps.
const STEPS: usize = 24;

pub(crate) struct Seeded(AtomicU64);

impl Seeded {
    /// No two of them in a process give the same, nor do two processes.
    pub(crate) fn new() -> Arc<Self> {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let made = MADE.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self(AtomicU64::new(u64::from(std::process::id()) << 40 | made << 24)))
    }
}

impl Random for Seeded {
    fn fill(&self, bytes: &mut [u8]) {
        for byte in bytes {
            *byte = super::dice::Dice::new(self.0.fetch_add(1, Ordering::Relaxed)).next() as u8;
        }
    }
}

/// Letters counted: an embedding that costs nothing.
pub(crate) struct Letters;

impl Embed for Letters {
    fn identity(&self) -> EmbedIdentity {
        EmbedIdentity { name: "letters".into(), sha256: "00".into(), dimensions: 32, max_tokens: 256 }
    }

    fn count_tokens(&self, text: &str) -> usize {
        text.split_whitespace().count() + 2
    }

    fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let vector = |text: &String| {
            let mut vector = [0.1_f32; 32];
            text.bytes().for_each(|byte| vector[usize::from(byte) % 32] += 1.0);
            let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
            vector.iter().map(|x| x / length).collect()
        };
        Ok(texts.iter().map(vector).collect())
    }
}

pub(crate) fn clock() -> Arc<FixedClock> {
    Arc::new(FixedClock::at("2026-03-01T00:00:00Z".parse().unwrap()))
}

pub(crate) fn tenant(name: &str) -> TenantId {
    name.parse().unwrap()
}

pub(crate) fn collection() -> CollectionId {
    "procedures".parse().unwrap()
}

pub(crate) fn library(store: &Store, name: &str) -> Result<Library, String> {
    let database = store.tenant(&tenant(name)).map_err(|error| format!("tenant {name}: {error}"))?;
    let connect = {
        let database = database.clone();
        move || database.connect()
    };
    let library = Library::open(Arc::new(connect), Arc::new(Letters), clock(), Seeded::new())
        .map_err(|error| format!("library of {name}: {error}: {:?}", std::error::Error::source(&error)))?;
    database.follow().map_err(|error| format!("following {name}: {error}"))?;
    Ok(library)
}

pub(crate) fn intent(number: u128) -> Intent {
    Intent {
        who: Who { account: AccountId::local(), name: "keeper".to_owned(), role: Role::KnowledgeManager },
        action: Action::ManageDocuments,
        purpose: None,
        tenant: None,
        collections: vec![collection()],
        session: None,
        emergency: None,
        capture: None,
        request: RequestId::from(number),
        policy: "built-in-1".to_owned(),
        policies: Vec::new(),
    }
}

pub(crate) fn text(name: &str) -> String {
    let step =
        |n| format!("## Step {n} of {name}\n\nCount the tablets of shelf {n} twice, then note lot {}.\n\n", n * 7);
    format!("# Order {name}\n\n{}", (0..STEPS).map(step).collect::<String>())
}

/// In one write, so that what the child says and what it asks of the disk stand in one order.
fn say(what: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("acknowledged {what}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

struct Worker {
    store: Store,
    log: Log,
}

impl Worker {
    fn begin(&self, number: u128) -> Entry {
        let entry = self.log.intent_blocking(intent(number)).unwrap();
        say(&format!("intent {}", entry.id()));
        entry
    }

    /// Ends an entry, and only then says what was done, as a response is sent after its outcome.
    fn end(entry: Entry, done: &[String]) {
        let id = entry.id();
        entry.complete_blocking(Outcome::done().with_count("documents", done.len() as u64)).unwrap();
        say(&format!("outcome {id}"));
        done.iter().for_each(|done| say(done));
    }

    fn ingest(&self, library: &Library, tenant: &str, number: u128) {
        let entry = self.begin(number);
        let name = format!("{}.md", entry.id());
        let source = Source { bytes: text(&name).into_bytes(), name: name.clone() };
        library.ingest(&collection(), &source, &BTreeMap::new(), &InProcess::default()).unwrap();
        Self::end(entry, &[format!("document {tenant} {name}")]);
    }

    fn ingest_together(&self, library: &Library, tenant: &str) {
        let entry = self.begin(9_000);
        let submission = |n| {
            let name = format!("{}.{n}.md", entry.id());
            Submission { content: Content::Bytes(text(&name).into_bytes()), name, overrides: BTreeMap::new() }
        };
        let submissions = (0..TOGETHER).map(submission).collect();
        library
            .ingest_many(&collection(), submissions, &InProcess::default(), &mut |progress| {
                if let Progress::File { report, .. } = progress {
                    assert!(report.result.is_ok(), "{report:?}");
                    // Said at once: it is stored, whatever becomes of the rest.
                    say(&format!("document {tenant} {}", report.name));
                }
            })
            .unwrap();
        Self::end(entry, &[]);
    }

    fn new_tenant(&self, name: &str) -> Library {
        self.store.create_tenant(&tenant(name)).unwrap();
        let library = library(&self.store, name).unwrap();
        library.create(CollectionSpec { id: collection(), title: "Procedures".into() }).unwrap();
        say(&format!("tenant {name}"));
        library
    }

    fn accounts(&self) {
        let accounts = Accounts::open(&self.store.fleet(), clock(), Seeded::new()).unwrap();
        for n in 0..6 {
            let name = format!("desk-{n}");
            let (id, _) = accounts.issue(NewAccount::of(&name, Role::Agent).within(tenant("a"))).unwrap();
            say(&format!("account {name}"));
            if n % 2 == 0 {
                accounts.disable(&id).unwrap();
                say(&format!("disabled {name}"));
            }
        }
    }
}

pub(crate) fn work(folder: &Path) {
    let random = Seeded::new();
    let master = MasterKey::load_or_create(&folder.join("master.key"), random.as_ref()).unwrap();
    let store = Store::open(&folder.join("store"), master, random.clone()).unwrap();
    say("store");
    let log = Log::open(&store.audit(), clock(), Seeded::new()).unwrap();
    store.record_key_uses(&log, "built-in-1").unwrap();
    let worker = Worker { store, log };
    let a = worker.new_tenant("a");
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let (worker, a) = (&worker, &a);
            scope.spawn(move || (0..SINGLE).for_each(|n| worker.ingest(a, "a", (thread * 1000 + n) as u128)));
        }
        scope.spawn(|| {
            worker.accounts();
            for n in 0..RECORDS {
                Worker::end(worker.begin(5_000 + n as u128), &[]);
                if n % 40 == 20 {
                    worker.log.checkpoint_blocking().unwrap();
                }
            }
        });
        scope.spawn(|| {
            let b = worker.new_tenant("b");
            worker.ingest(&b, "b", 7_000);
            say(&format!("master {}", worker.store.rotate_master().unwrap()));
            let (name, again) = ("order.md", ["first", "second"]);
            for text in again {
                let source = Source { bytes: self::text(text).into_bytes(), name: name.to_owned() };
                b.ingest(&collection(), &source, &BTreeMap::new(), &InProcess::default()).unwrap();
            }
            say(&format!("document b {name}"));
            b.delete(&collection()).unwrap();
            say("deleted b");
        });
    });
    worker.ingest_together(&a, "a");
    drop(a);
    let backup = folder.join("site.backup");
    worker.store.back_up(&backup, &BTreeMap::new(), clock().now()).unwrap();
    say("backup site.backup");
    worker.store.replace_tenant_key(&tenant("a")).unwrap();
    say("rekeyed a");
    worker.ingest(&library(&worker.store, "a").unwrap(), "a", 8_000);
    let bundle = worker.store.issue_bundle((2, 3), None).unwrap().written().unwrap();
    say(&format!("bundle {}", bundle.label.bundle));
    worker.store.destroy_tenant(&tenant("b"), || Ok::<_, StoreError>(())).unwrap();
    say("destroyed b");
    worker.ingest(&library(&worker.store, "a").unwrap(), "a", 8_001);
    worker.log.checkpoint_blocking().unwrap();
}
