//! What trust costs a retrieval: requests per second and the 99th percentile at 8 clients, over the same passages, with
//! nothing; with the database encrypted; with policy as well; with the audit log as well.
//!
//! Neither HTTP nor TLS is in it, and an embedding model only where one is named: all of a real request is slower, and the
//! share that trust takes of it smaller than here. The variants take turns, so that a noisy machine is noisy for all of them;
//! what a sync of this disk takes is printed beside, since each audited request waits for two.
//!
//! ```text
//! cargo run -p cloister-benches --example trust -- [REQUESTS PER CLIENT AND ROUND] [ROUNDS] [PASSAGES] [FOLDER] [MODEL]
//! ```

#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measurement prints what it measured, by the clock"
)]

use std::{
    collections::BTreeMap,
    error::Error,
    io::Write as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use cloister::{
    config::Config,
    governed::{Call, Gate, Refusal, governed},
    identity::Caller,
    wiring,
};
use cloister_governance::{
    audit::{Log, Outcome},
    keys::MasterKey,
    policy::{Decision, Policy, Principal, Resource},
    store::Store,
};
use cloister_knowledge::{
    CollectionSpec, Connect, Embed, EmbedError, EmbedIdentity, Library, Mode, Query, Scope,
    parse::{InProcess, Source},
};
use cloister_terms::{Action, Clock, CollectionId, Random, RequestId, Role, TenantId};
use jiff::Timestamp;

type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

const CLIENTS: usize = 8;
const VARIANTS: [&str; 4] = ["bare", "encrypted", "encrypted, policy", "encrypted, policy, audit"];

struct Now;

impl Clock for Now {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// Repeatable random bytes (SplitMix64; Steele, Lea and Flood 2014).
struct Seeded(AtomicU64);

impl Random for Seeded {
    fn fill(&self, bytes: &mut [u8]) {
        for byte in bytes {
            let mut z = self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            *byte = u8::try_from((z ^ (z >> 31)) & 0xFF).unwrap_or(0);
        }
    }
}

/// Words as places in a vector: quick, so that it is not the model that is measured.
struct Words;

impl Embed for Words {
    fn identity(&self) -> EmbedIdentity {
        EmbedIdentity { name: "words".to_owned(), sha256: "22".repeat(32), dimensions: 256, max_tokens: 256 }
    }

    fn count_tokens(&self, text: &str) -> usize {
        text.split_whitespace().count()
    }

    fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbedError> {
        Ok(texts.iter().map(|text| vector(text)).collect())
    }
}

fn vector(text: &str) -> Vec<f32> {
    let mut vector = vec![0.001_f32; 256];
    for word in text.split_whitespace() {
        let place = word.bytes().fold(7_usize, |hash, byte| (hash * 31 + usize::from(byte)) % 256);
        if let Some(value) = vector.get_mut(place) {
            *value += 1.0;
        }
    }
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector.iter().map(|x| x / length).collect()
}

/// The same passages behind a connection of either kind.
fn library(
    connect: Connect,
    embed: &Arc<dyn Embed>,
    passages: usize,
    random: &Arc<dyn Random>,
) -> Fallible<Arc<Library>> {
    let library = Library::open(connect, Arc::clone(embed), Arc::new(Now), Arc::clone(random))?;
    let id: CollectionId = "procedures".parse()?;
    library.create(CollectionSpec { id: id.clone(), title: "Procedures".to_owned() })?;
    let drugs = ["insulin", "warfarin", "heparin", "metformin", "naloxone", "amoxicillin", "digoxin", "lithium"];
    let acts = ["store", "dispense", "count", "label", "return", "transfer", "refill", "compound", "check"];
    for part in 0..passages.div_ceil(200) {
        let section = |n: usize| {
            let at = |list: &[&'static str], n: usize| list.get(n % list.len()).copied().unwrap_or_default();
            let (drug, act, then) = (at(&drugs, n), at(&acts, n / 8), at(&acts, n / 72));
            format!("## Step {n}\n\nBefore you {act} {drug}, {then} it on shelf {n} and note lot {}.\n\n", n * 7)
        };
        let text: String = (part * 200..(part + 1) * 200).map(section).collect();
        let source = Source { name: format!("part-{part}.md"), bytes: format!("# Part {part}\n\n{text}").into_bytes() };
        library.ingest(&id, &source, &BTreeMap::new(), &InProcess::default())?;
    }
    Ok(Arc::new(library))
}

struct Bench {
    plain: Arc<Library>,
    sealed: Arc<Library>,
    gate: Gate,
    tenant: TenantId,
}

impl Bench {
    fn search(library: &Library, number: usize) -> Fallible<usize> {
        let text = format!("how to label insulin on shelf {number}");
        let scope = Scope::new(vec!["procedures".parse()?], vec!["staff".parse()?], Timestamp::now());
        Ok(library.search(&scope, &Query { text, top: 10, mode: Mode::Hybrid })?.passages.len())
    }

    async fn request(&self, variant: usize, number: usize) -> Fallible<usize> {
        let library = Arc::clone(if variant == 0 { &self.plain } else { &self.sealed });
        let search = async || tokio::task::spawn_blocking(move || Self::search(&library, number)).await?;
        let resource = Resource::Collection(self.tenant.clone(), "procedures".parse()?);
        let caller = Caller::local(Role::Agent, Some(self.tenant.clone()), RequestId::from(number as u128));
        match variant {
            0 | 1 => search().await,
            2 => match self.gate.policy.decide(caller.principal(), Action::Search, &resource) {
                Decision::Permit(_permit) => search().await,
                Decision::Deny { reason, .. } => Err(reason.into()),
            },
            _ => {
                let call = Call::new(Action::Search, resource);
                let found = governed(&self.gate, &caller, call, async |_permit| {
                    Ok::<_, Refusal>((search().await, Outcome::done().with_count("passages", 10)))
                });
                found.await?
            }
        }
    }

    /// Eight clients, one round. The latencies of all requests, and how long the round took.
    async fn round(self: &Arc<Self>, variant: usize, requests: usize) -> Fallible<(Vec<Duration>, Duration)> {
        let began = Instant::now();
        let mut clients = tokio::task::JoinSet::new();
        for client in 0..CLIENTS {
            let bench = Arc::clone(self);
            clients.spawn(async move {
                let mut took = Vec::with_capacity(requests);
                for number in 0..requests {
                    let asked = Instant::now();
                    bench.request(variant, client * requests + number).await?;
                    took.push(asked.elapsed());
                }
                Ok::<_, Box<dyn Error + Send + Sync>>(took)
            });
        }
        let mut all = Vec::new();
        while let Some(client) = clients.join_next().await {
            all.extend(client??);
        }
        Ok((all, began.elapsed()))
    }
}

/// What one decision costs, in microseconds: the median of a thousand batches of ten.
fn decision(policy: &Policy, tenant: &TenantId) -> f64 {
    let agent = Principal::local(Role::Agent, Some(tenant.clone()));
    let resource = Resource::Tenant(tenant.clone());
    let mut took: Vec<f64> = (0..1000)
        .map(|_| {
            let began = Instant::now();
            for _ in 0..10 {
                std::hint::black_box(policy.decide(&agent, Action::Ask, &resource));
            }
            began.elapsed().as_secs_f64() * 1e5
        })
        .collect();
    took.sort_by(f64::total_cmp);
    took.get(500).copied().unwrap_or(f64::NAN)
}

/// The embedding model of that name in the tests' registry; counted words where none is named.
fn embed(model: Option<&String>) -> Fallible<Arc<dyn Embed>> {
    let Some(model) = model else { return Ok(Arc::new(Words)) };
    let mut config = Config::default();
    config.models.folder = Some(cloister_models::cache_dir().join("models"));
    config.models.embed.clone_from(model);
    Ok(Arc::new(wiring::embedding(&config, wiring::QUESTION_PATIENCE)?))
}

/// What a sync after a write of three pages takes on the disk of `folder`, in milliseconds: median and 99th percentile of 400.
fn sync(folder: &Path) -> Fallible<(f64, f64)> {
    let mut file = std::fs::File::create(folder.join("sync"))?;
    let mut took = Vec::new();
    for _ in 0..400 {
        file.write_all(&[7; 3 * 4096])?;
        let began = Instant::now();
        file.sync_data()?;
        took.push(began.elapsed().as_secs_f64() * 1e3);
    }
    took.sort_by(f64::total_cmp);
    let at = |place: usize| took.get(place).copied().unwrap_or(f64::NAN);
    Ok((at(200), at(396)))
}

fn plain(path: &Path) -> Connect {
    let path = path.to_owned();
    Arc::new(move || {
        let connection = rusqlite::Connection::open(&path)?;
        connection.busy_timeout(Duration::from_secs(10))?;
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
             PRAGMA temp_store = MEMORY; PRAGMA secure_delete = ON; PRAGMA mmap_size = 0;",
        )?;
        Ok(connection)
    })
}

fn main() -> Fallible<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, usual: usize| arguments.get(at).and_then(|text| text.parse().ok()).unwrap_or(usual);
    let (requests, rounds, passages) = (number(0, 100), number(1, 5), number(2, 2000));
    let within = arguments.get(3).map_or_else(std::env::temp_dir, Into::into);
    let folder = tempfile::tempdir_in(within)?;
    let random: Arc<dyn Random> = Arc::new(Seeded(AtomicU64::new(7)));
    let key = MasterKey::load_or_create(&folder.path().join("master.key"), random.as_ref())?;
    let store = Store::open(&folder.path().join("store"), key, Arc::clone(&random))?;
    let tenant: TenantId = "pharmacy".parse()?;
    let database = store.create_tenant(&tenant)?;
    let audit = Log::open(&store.audit(), Arc::new(Now), Arc::clone(&random))?;
    let embed = embed(arguments.get(4))?;
    let (median, worst) = sync(folder.path())?;
    println!("one sync of this disk: p50 {median:.2} ms, p99 {worst:.2} ms");
    let bench = Arc::new(Bench {
        plain: library(plain(&folder.path().join("plain.db")), &embed, passages, &random)?,
        sealed: library(Arc::new(move || database.connect()), &embed, passages, &random)?,
        gate: Gate { policy: Policy::built_in(), audit },
        tenant,
    });
    println!("one decision: {:.1} us", decision(&bench.gate.policy, &bench.tenant));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut latencies = vec![Vec::new(); VARIANTS.len()];
    let mut times = vec![Duration::ZERO; VARIANTS.len()];
    for round in 0..=rounds {
        for (variant, (all, time)) in latencies.iter_mut().zip(&mut times).enumerate() {
            let (took, spent) = runtime.block_on(bench.round(variant, requests))?;
            // The first round warms up.
            if round > 0 {
                all.extend(took);
                *time += spent;
            }
        }
    }
    println!("{CLIENTS} clients, {passages} passages, {rounds} rounds of {requests} requests each");
    println!("{:26} {:>10} {:>9} {:>9}", "", "requests/s", "p50 ms", "p99 ms");
    for ((name, all), time) in VARIANTS.iter().zip(&mut latencies).zip(&times) {
        all.sort_unstable();
        let at = |share: f64| all.get((all.len() as f64 * share) as usize).map_or(f64::NAN, |t| t.as_secs_f64() * 1e3);
        println!("{name:26} {:>10.0} {:>9.2} {:>9.2}", all.len() as f64 / time.as_secs_f64(), at(0.5), at(0.99));
    }
    Ok(())
}
