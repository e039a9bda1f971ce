//! What the tests of this crate share: an embedding model that hashes words, and a library in a temporary folder.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use cloister_terms::{CollectionId, FixedClock, Random};
use rusqlite::Connection;

use crate::parse::{InProcess, Source};
use crate::{
    CollectionSpec, Connect, Embed, EmbedError, EmbedIdentity, Found, IngestError, Ingested, Library, Mode, Query,
    Scope,
};

/// Numbers per vector.
const DIMENSIONS: usize = 128;

/// Each word adds or takes one at a place that its letters choose: texts that share words are near each other.
pub(crate) struct HashedWords {
    pub(crate) sha256: String,
    /// Texts embedded so far.
    pub(crate) embedded: AtomicUsize,
}

impl HashedWords {
    pub(crate) fn new(sha256: &str) -> Arc<Self> {
        Arc::new(Self { sha256: sha256.to_owned(), embedded: AtomicUsize::new(0) })
    }
}

impl Embed for HashedWords {
    fn identity(&self) -> EmbedIdentity {
        let name = "hashed-words".to_owned();
        EmbedIdentity { name, sha256: self.sha256.clone(), dimensions: DIMENSIONS, max_tokens: 256 }
    }

    fn count_tokens(&self, text: &str) -> usize {
        text.split_whitespace().count() + 2
    }

    fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbedError> {
        self.embedded.fetch_add(texts.len(), Ordering::Relaxed);
        Ok(texts.iter().map(|text| hashed(text)).collect())
    }
}

fn hashed(text: &str) -> Vec<f32> {
    let mut vector = vec![0.0_f32; DIMENSIONS];
    vector[0] = 0.1;
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        let hash = word
            .to_lowercase()
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        // The last letters reach the low bits only: stir before taking some.
        let hash = (hash ^ (hash >> 29)).wrapping_mul(0x94d0_49bb_1331_11eb);
        vector[(hash >> 40) as usize % DIMENSIONS] += if hash >> 63 == 0 { 1.0 } else { -1.0 };
    }
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector.iter_mut().for_each(|x| *x /= length);
    vector
}

/// Counts up: ids that differ and can be told.
#[derive(Default)]
pub(crate) struct Counting(AtomicU64);

impl Random for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        let count = self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        bytes.iter_mut().rev().zip(count.iter().rev().chain(std::iter::repeat(&0))).for_each(|(to, from)| *to = *from);
    }
}

/// A library in a temporary folder, with collection `procedures`, on 1 March 2026.
pub(crate) struct Desk {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) embed: Arc<HashedWords>,
    pub(crate) random: Arc<Counting>,
    pub(crate) library: Library,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (embed, random) = (HashedWords::new("aa11"), Arc::new(Counting::default()));
        let library = open(&folder, embed.clone(), random.clone());
        library.create(CollectionSpec { id: procedures(), title: "Procedures".into() }).unwrap();
        Self { folder, embed, random, library }
    }

    /// Another program on the same database.
    pub(crate) fn another(&self) -> Library {
        open(&self.folder, self.embed.clone(), self.random.clone())
    }

    /// Another program on the same database, with another model.
    pub(crate) fn with_model(&self, sha256: &str) -> Library {
        open(&self.folder, HashedWords::new(sha256), self.random.clone())
    }

    pub(crate) fn connection(&self) -> Connection {
        connect(&self.folder)().unwrap()
    }

    pub(crate) fn ingest(&self, name: &str, text: &str) -> Ingested {
        self.try_ingest(name, text, &[]).unwrap()
    }

    pub(crate) fn try_ingest(
        &self,
        name: &str,
        text: &str,
        overrides: &[(&str, &str)],
    ) -> Result<Ingested, IngestError> {
        let overrides: BTreeMap<String, String> =
            overrides.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        self.library.ingest(&procedures(), &source(name, text), &overrides, &InProcess::default())
    }

    pub(crate) fn find(&self, text: &str) -> Found {
        self.library.search(&staff(), &query(text)).unwrap()
    }

    /// Names of the documents found by words alone.
    pub(crate) fn names(&self, scope: &Scope, text: &str) -> Vec<String> {
        names(&self.library, scope, text)
    }

    /// Everything agrees.
    pub(crate) fn assert_sound(&self) {
        let verification = self.library.verify(&procedures()).unwrap();
        assert_eq!(verification.problems, [], "{verification:?}");
    }
}

pub(crate) fn names(library: &Library, scope: &Scope, text: &str) -> Vec<String> {
    let found = library.search(scope, &Query { text: text.into(), top: 50, mode: Mode::Words }).unwrap();
    found.passages.into_iter().map(|passage| passage.name).collect()
}

pub(crate) fn procedures() -> CollectionId {
    "procedures".parse().unwrap()
}

/// What staff may see on 1 March 2026.
pub(crate) fn staff() -> Scope {
    on("2026-03-01", &["staff"])
}

pub(crate) fn on(day: &str, labels: &[&str]) -> Scope {
    let labels = labels.iter().map(|label| label.parse().unwrap()).collect();
    Scope::new(vec![procedures()], labels, format!("{day}T12:00:00Z").parse().unwrap())
}

pub(crate) fn query(text: &str) -> Query {
    Query { text: text.into(), top: 10, mode: Mode::Hybrid }
}

pub(crate) fn source(name: &str, text: &str) -> Source {
    Source { name: name.into(), bytes: text.as_bytes().to_vec() }
}

fn open(folder: &tempfile::TempDir, embed: Arc<HashedWords>, random: Arc<Counting>) -> Library {
    let clock = Arc::new(FixedClock::at("2026-03-01T12:00:00Z".parse().unwrap()));
    Library::open(connect(folder), embed, clock, random).unwrap()
}

fn connect(folder: &tempfile::TempDir) -> Connect {
    let path = folder.path().join("tenant.db");
    Arc::new(move || {
        let connection = Connection::open(&path)?;
        connection.pragma_update(None, "key", "x'2dd29ca851e7b56e4697b0e1f08507293d761a05ce4d1b628663f411a8086d99'")?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        Ok(connection)
    })
}
