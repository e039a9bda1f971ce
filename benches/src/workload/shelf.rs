//! Documents: search in collections of many passages, and ingest.
//!
//! Search is measured without its embedding, which `embed-short` shows: vectors are made of words, in no time, so that a hundred thousand
//! passages are there within a minute. Ingest parses, cuts, embeds with the real model and stores. Databases are encrypted, as a site's are.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cloister_knowledge::parse::{InProcess, Source};
use cloister_knowledge::{CollectionSpec, Embed, EmbedError, EmbedIdentity, Library, Mode, Query, Scope, evaluate};
use cloister_models::{EmbedPool, Truncate};
use cloister_terms::{Clock, CollectionId, Random};
use jiff::Timestamp;
use tempfile::TempDir;

use super::{Figure, Workload};
use crate::Failure;
use crate::statistics::{Dice, quantile};
use crate::text;

/// Sections of a document, each a passage.
const SECTIONS: usize = 200;
/// Searches of a round.
const SEARCHES: usize = 100;
/// Documents that a round ingests, and their sections.
const INGESTED: (usize, usize) = (4, 40);

struct Now;

impl Clock for Now {
    #[expect(clippy::disallowed_methods, reason = "a bench is the outermost program: nobody passes it the time")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// Repeatable bytes.
struct Seeded(AtomicU64);

impl Random for Seeded {
    fn fill(&self, bytes: &mut [u8]) {
        for part in bytes.chunks_mut(8) {
            let number = Dice::new(self.0.fetch_add(1, Ordering::Relaxed)).number();
            for (to, from) in part.iter_mut().zip(number.to_le_bytes()) {
                *to = from;
            }
        }
    }
}

/// Words as places in a vector.
struct Words;

/// Numbers of such a vector: as many as the default model's.
const PLACES: usize = 384;

impl Embed for Words {
    fn identity(&self) -> EmbedIdentity {
        EmbedIdentity { name: "words".to_owned(), sha256: "22".repeat(32), dimensions: PLACES, max_tokens: 256 }
    }

    fn count_tokens(&self, text: &str) -> usize {
        text.split_whitespace().count()
    }

    fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbedError> {
        Ok(texts.iter().map(|text| vector(text)).collect())
    }
}

fn vector(text: &str) -> Vec<f32> {
    let mut vector = vec![0.01f32; PLACES];
    for word in text.split_whitespace() {
        let mut dice =
            Dice::new(word.bytes().fold(7u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte))));
        // A word is a few places, so that passages are near and far and not only equal or not.
        for _ in 0..4 {
            if let Some(value) = vector.get_mut(dice.below(PLACES)) {
                *value += dice.unit() as f32 + 0.5;
            }
        }
    }
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector.iter_mut().for_each(|x| *x /= length);
    vector
}

/// The embedding pool as `knowledge` wants it.
struct Pool(EmbedPool);

impl Embed for Pool {
    fn identity(&self) -> EmbedIdentity {
        let identity = self.0.identity();
        EmbedIdentity {
            name: identity.name.clone(),
            sha256: identity.sha256.clone(),
            dimensions: self.0.dimensions(),
            max_tokens: self.0.max_tokens(),
        }
    }

    fn count_tokens(&self, text: &str) -> usize {
        self.0.count_tokens(text)
    }

    fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let deadline = Instant::now() + Duration::from_secs(3600);
        let done = self.0.embed_blocking(texts, Truncate::End, deadline);
        done.map(|done| done.vectors).map_err(|error| EmbedError::Failed(error.to_string()))
    }
}

/// A library with an empty collection.
fn library(folder: &Path, embed: Arc<dyn Embed>) -> Result<(Library, CollectionId), Failure> {
    let random: Arc<dyn Random> = Arc::new(Seeded(AtomicU64::new(7)));
    let connect = evaluate::throw_away(folder, random.as_ref());
    let library = Library::open(connect, embed, Arc::new(Now), random)?;
    let id: CollectionId = "procedures".parse()?;
    library.create(CollectionSpec { id: id.clone(), title: "Procedures".to_owned() })?;
    Ok((library, id))
}

/// Ingests a document; how many passages it became.
fn ingest_one(library: &Library, id: &CollectionId, name: usize, text: String) -> Result<usize, Failure> {
    let source = Source { name: format!("part-{name}.md"), bytes: text.into_bytes() };
    let done = library.ingest(id, &source, &BTreeMap::new(), &InProcess::default())?;
    Ok(done.chunks)
}

/// Searches by words and meaning among so many passages.
///
/// # Errors
/// Where the collection cannot be filled.
pub fn search(passages: usize) -> Result<Workload, Failure> {
    let folder = TempDir::new()?;
    let (library, id) = library(folder.path(), Arc::new(Words))?;
    let (mut dice, mut count, mut part) = (Dice::new(1), 0, 0);
    while count < passages {
        count += ingest_one(&library, &id, part, text::document(&mut dice, SECTIONS))?;
        part += 1;
    }
    let name = if passages.is_multiple_of(1000) {
        format!("search-{}k", passages / 1000)
    } else {
        format!("search-{passages}")
    };
    Ok(Workload::new(name, move |round| {
        // The folder goes with the workload.
        let _kept = &folder;
        let mut dice = Dice::new(round as u64);
        let mut took = Vec::new();
        for _ in 0..SEARCHES {
            let query = Query { text: text::sentence(&mut dice), top: 10, mode: Mode::Hybrid };
            let scope = Scope::new(vec![id.clone()], vec!["staff".parse()?], Now.now());
            let begun = Instant::now();
            let found = library.search(&scope, &query)?;
            took.push(begun.elapsed().as_secs_f64() * 1e3);
            if found.passages.is_empty() {
                return Err("a search found nothing: it measures no search".into());
            }
        }
        Ok(vec![
            Figure::milliseconds("one search, median", quantile(&took, 0.5)),
            Figure::milliseconds("one search, 99 of 100", quantile(&took, 0.99)),
        ])
    }))
}

/// Ingests a few documents into a new collection.
#[must_use]
pub fn ingest(pool: EmbedPool) -> Workload {
    Workload::new("ingest", move |round| {
        let folder = TempDir::new()?;
        let (library, id) = library(folder.path(), Arc::new(Pool(pool.clone())))?;
        let mut dice = Dice::new(round as u64);
        let documents: Vec<String> = (0..INGESTED.0).map(|_| text::document(&mut dice, INGESTED.1)).collect();
        let begun = Instant::now();
        let mut passages = 0;
        for (name, text) in documents.into_iter().enumerate() {
            passages += ingest_one(&library, &id, name, text)?;
        }
        let speed = passages as f64 / begun.elapsed().as_secs_f64();
        Ok(vec![Figure::speed("parsed, embedded, stored", "passages/s", speed)])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_is_measured_among_as_many_passages_as_asked() {
        let mut workload = search(300).unwrap();
        assert_eq!(workload.name, "search-300");
        let figures = (workload.round)(0).unwrap();
        assert_eq!(figures.len(), 2);
        assert!(figures.iter().all(|figure| figure.value > 0.0 && figure.unit == "ms"), "{figures:?}");
    }

    #[test]
    fn vectors_of_words_have_length_one_and_differ() {
        let (a, b) = (vector("store insulin"), vector("label warfarin"));
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        assert!((dot(&a, &a) - 1.0).abs() < 1e-5 && dot(&a, &b) < 0.9);
    }
}
