//! From a question to ranked passages of one collection, within a scope.
//!
//! # Why
//! - What a scope may not see is taken out before anything is ranked: it is neither returned nor does it take the
//!   place of something that may be seen.
//! - Scores keep their absolute size. Ranks, or a list stretched to its own best hit, lend full strength to a word
//!   that matched by accident; that is how plain reciprocal rank fusion loses to meaning alone on consumer questions.

pub(crate) mod fuse;
pub(crate) mod pairs;
pub(crate) mod words;

use std::collections::HashMap;

use rusqlite::Connection;

use crate::index::Index;
use crate::index::force::Visible;
use crate::index::segment::Segment;
use crate::index::vectors::GraphError;
use crate::query::Mode;
use crate::store::StoreError;
use words::{Terms, WordHits};

/// Passages that each side may put forward. 50 are already within 0.004 nDCG@10 of all of them.
const CANDIDATES: usize = 200;

/// A passage that a side put forward.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Hit {
    pub(crate) segment: usize,
    /// Where it stands in the segment.
    pub(crate) chunk: usize,
    pub(crate) score: f32,
    pub(crate) cosine: f32,
    pub(crate) bm25: f32,
    pub(crate) coverage: f32,
}

/// A question made ready for one collection.
pub(crate) struct Question<'a> {
    pub(crate) terms: &'a Terms,
    /// Its vector; empty where the search is by words alone.
    pub(crate) vector: &'a [f32],
    pub(crate) mode: Mode,
    pub(crate) top: usize,
}

/// What one collection has for a question.
pub(crate) struct Ranking {
    /// Best first, each pair once.
    pub(crate) hits: Vec<Hit>,
    /// How many passages were in scope.
    pub(crate) searched: usize,
    /// The share of the question's words, by rarity, that occur in the collection.
    pub(crate) vocabulary: f32,
    /// The sum of the question's idf: what `words` of a passage is measured against.
    pub(crate) idf_sum: f32,
    /// How rare each of the question's words is in the collection, 0 to 1.
    pub(crate) rarity: Vec<f32>,
}

/// Why a collection could not be searched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RankError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Graph(#[from] GraphError),
}

/// Ranks what of `index` may be seen.
pub(crate) fn rank(
    connection: &Connection,
    collection: i64,
    index: &Index,
    visible: &Visible<'_>,
    question: &Question<'_>,
) -> Result<Ranking, RankError> {
    let shown: Vec<Vec<bool>> = index.segments.iter().map(|segment| shown(segment, visible)).collect();
    let shows = |at: Place| shown.get(at.0).and_then(|segment| segment.get(at.1)).copied().unwrap_or(false);
    let most = CANDIDATES.max(question.top.saturating_mul(2));

    let direction = fuse::direction(question, index);
    let mut places = match direction.as_deref() {
        Some(direction) => nearest(index, &shown, direction, most)?,
        None => Vec::new(),
    };
    let by_words = match question.mode {
        Mode::Meaning => HashMap::new(),
        Mode::Hybrid | Mode::Words => words::matches(connection, collection, question.terms, &|chunk| {
            place(index, chunk).filter(|at| shows(*at))
        })?,
    };
    places.extend(best_by_words(&by_words, most));
    places.sort_unstable();
    places.dedup();

    let WordHits { coverage, vocabulary, idf_sum, rarity } =
        words::coverage(connection, collection, question.terms, index.live_chunks(), &|chunk| {
            place(index, chunk).filter(|at| places.binary_search(at).is_ok())
        })?;
    let mut hits: Vec<Hit> = places
        .iter()
        .map(|at| {
            let bm25 = by_words.get(at).copied().unwrap_or(0.0);
            let coverage = coverage.get(at).copied().unwrap_or(0.0);
            let meaning = meaning(index, *at, question.vector, direction.as_deref());
            let score = fuse::score(question.mode, meaning.centred, bm25, coverage);
            Hit { segment: at.0, chunk: at.1, score, cosine: meaning.cosine, bm25, coverage }
        })
        .collect();
    hits.sort_by(|left, right| {
        right.score.total_cmp(&left.score).then_with(|| (left.segment, left.chunk).cmp(&(right.segment, right.chunk)))
    });
    once_per_pair(index, &mut hits);
    let searched = shown.iter().flatten().filter(|shown| **shown).count();
    Ok(Ranking { hits, searched, vocabulary, idf_sum, rarity })
}

/// Segment, and passage within it.
pub(crate) type Place = (usize, usize);

/// Which passages of a segment may be seen.
pub(crate) fn shown(segment: &Segment, visible: &Visible<'_>) -> Vec<bool> {
    let mut known = (i64::MIN, None);
    segment
        .chunks
        .iter()
        .map(|chunk| {
            if known.0 != chunk.version {
                known = (chunk.version, visible.version(chunk.version));
            }
            known.1.is_some_and(|version| visible.shows(version, chunk.pair))
        })
        .collect()
}

fn place(index: &Index, chunk: i64) -> Option<Place> {
    index.segments.iter().enumerate().find_map(|(at, segment)| Some((at, segment.position(chunk)?)))
}

/// The passages nearest to `direction`, each by its best vector.
fn nearest(index: &Index, shown: &[Vec<bool>], direction: &[f32], most: usize) -> Result<Vec<Place>, GraphError> {
    let mut best: Vec<(f32, Place)> = Vec::new();
    for (at, (segment, shown)) in index.segments.iter().zip(shown).enumerate() {
        let shows = |row: usize| shown.get(segment.chunk_of_row(row)).copied().unwrap_or(false);
        let mut of_chunk: HashMap<usize, f32> = HashMap::new();
        for (row, product) in segment.vectors.nearest(direction, most, &shows)? {
            let held = of_chunk.entry(segment.chunk_of_row(row)).or_insert(product);
            *held = held.max(product);
        }
        best.extend(of_chunk.into_iter().map(|(chunk, product)| (product, (at, chunk))));
    }
    Ok(top(best, most))
}

fn best_by_words(matches: &HashMap<Place, f32>, most: usize) -> Vec<Place> {
    top(matches.iter().map(|(place, bm25)| (*bm25, *place)).collect(), most)
}

/// The `most` best, in no order. Ties go to the passage that was stored first.
fn top(mut scored: Vec<(f32, Place)>, most: usize) -> Vec<Place> {
    let better = |left: &(f32, Place), right: &(f32, Place)| right.0.total_cmp(&left.0).then(left.1.cmp(&right.1));
    if scored.len() > most && most > 0 {
        scored.select_nth_unstable_by(most - 1, better);
    }
    scored.truncate(most);
    scored.into_iter().map(|(_, place)| place).collect()
}

struct Meaning {
    centred: f32,
    cosine: f32,
}

/// The best of a passage's vectors: a hit through its question or its answer counts once.
fn meaning(index: &Index, at: Place, vector: &[f32], direction: Option<&[f32]>) -> Meaning {
    let none = Meaning { centred: 0.0, cosine: 0.0 };
    let (Some(segment), Some(direction)) = (index.segments.get(at.0), direction) else { return none };
    let best = |direction: &[f32]| {
        let products = segment.rows_of_chunk(at.1).filter_map(|row| segment.vectors.product(row, direction));
        products.max_by(f32::total_cmp)
    };
    match (best(direction), best(vector)) {
        (Some(centred), Some(cosine)) => Meaning { centred, cosine },
        _ => none,
    }
}

/// Keeps the best passage of each pair.
fn once_per_pair(index: &Index, hits: &mut Vec<Hit>) {
    let mut seen = std::collections::HashSet::new();
    hits.retain(|hit| {
        let pair = index.segments.get(hit.segment).and_then(|segment| segment.chunks.get(hit.chunk)?.pair);
        pair.is_none_or(|pair| seen.insert(pair))
    });
}
