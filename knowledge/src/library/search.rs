//! Searching: the question made ready, each collection ranked, the best read.

use std::sync::Arc;
use std::time::Duration;

use cloister_terms::CollectionId;
use rusqlite::Connection;

use super::Library;
use super::embedding::{WhenBusy, embed_checked};
use super::ingest::{described, mend};
use crate::index::Index;
use crate::index::force::Visible;
use crate::index::version::Version;
use crate::query::{Found, Mode, PairMatch, PairRef, Passage, Query, Strength, Word};
use crate::retrieve::words::Terms;
use crate::retrieve::{self, Hit, Question, RankError, Ranking};
use crate::store::StoreError;
use crate::store::collections::{self, CollectionRow};
use crate::store::passages::{self, PairRow, PassageRow};
use crate::{EmbedError, Scope};

/// The most passages that one search returns.
const TOP_MOST: usize = 1000;

/// Questions longer than the model sees are embedded by their beginning; this many halvings find where it ends.
const HALVINGS: usize = 24;

/// How often a search looks again when others commit faster than it reads.
const LOOKS: usize = 32;

/// Curated pairs that a question is compared with in the end.
const PAIRS: usize = 5;

/// Why a search found nothing out.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// There is no such collection.
    #[error("there is no collection `{0}`: see `cloister kb list`")]
    UnknownCollection(CollectionId),
    /// The collection's vectors are of another model than the one that would embed the question.
    #[error("collection `{collection}` is indexed with model {index} and this engine runs {engine}: run `{mend}`")]
    ModelMismatch {
        /// Which collection.
        collection: CollectionId,
        /// Model of the index.
        index: String,
        /// Model of the engine.
        engine: String,
        /// The command that mends it.
        mend: String,
    },
    /// Too much is waiting already.
    #[error("the embedding queue is full: try again in {} s", .retry_after.as_secs_f32().ceil())]
    Busy {
        /// When to try again.
        retry_after: Duration,
    },
    /// The embedding model or the vector index failed.
    #[error("the search engine failed: {0}")]
    Engine(String),
    /// The collection changed faster than it could be read.
    #[error("the collection changes too fast to be read: try again")]
    Unsettled,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<EmbedError> for SearchError {
    fn from(error: EmbedError) -> Self {
        match error {
            EmbedError::Busy { retry_after } => Self::Busy { retry_after },
            EmbedError::Failed(how) => Self::Engine(how),
        }
    }
}

impl From<RankError> for SearchError {
    fn from(error: RankError) -> Self {
        match error {
            RankError::Store(error) => Self::Store(error),
            RankError::Graph(error) => Self::Engine(error.to_string()),
        }
    }
}

/// A collection of the scope, in one view of the database.
struct Opened {
    row: CollectionRow,
    index: Arc<Index>,
}

/// A hit with where it is from.
struct Ranked<'a> {
    opened: &'a Opened,
    idf_sum: f32,
    hit: Hit,
}

impl Library {
    /// The passages in `scope` that answer the question best, each pair at most once.
    ///
    /// # Errors
    /// [`SearchError::ModelMismatch`] names the command that mends it; a search by words alone never meets it.
    pub fn search(&self, scope: &Scope, query: &Query) -> Result<Found, SearchError> {
        let terms = Terms::of(&query.text);
        let vector = match query.mode {
            Mode::Words => Vec::new(),
            Mode::Hybrid | Mode::Meaning => {
                self.check_models(scope)?;
                self.question_vector(&query.text)?
            }
        };
        let top = query.top.min(TOP_MOST);
        let question = Question { terms: &terms, vector: &vector, mode: query.mode, top };
        self.in_one_view(scope, query.mode != Mode::Words, |db, opened| {
            let mut ranked = Vec::new();
            let mut strength = Strength::default();
            let mut words: Vec<Word> =
                terms.words().iter().map(|word| Word { word: word.clone(), rarity: 1.0 }).collect();
            for opened in opened {
                let visible = Visible::new(&opened.index.versions, scope, scope.day(&self.zone));
                let Ranking { hits, searched, vocabulary, idf_sum, rarity } =
                    retrieve::rank(db, opened.row.key, &opened.index, &visible, &question)?;
                strength.searched += searched;
                strength.vocabulary = strength.vocabulary.max(vocabulary);
                words.iter_mut().zip(rarity).for_each(|(word, here)| word.rarity = word.rarity.min(here));
                ranked.extend(hits.into_iter().map(|hit| Ranked { opened, idf_sum, hit }));
            }
            ranked.sort_by(|left, right| right.hit.score.total_cmp(&left.hit.score));
            retrieve::fuse::judge(ranked.iter().map(|ranked| &ranked.hit), &mut strength);
            let passages = ranked
                .iter()
                .filter_map(|ranked| passage(db, ranked).transpose())
                .take(top)
                .collect::<Result<Vec<_>, _>>()?;
            Ok(Found { passages, strength, words })
        })
    }

    /// The curated pairs in `scope` whose question, or another wording of it, is most like the one asked: at most
    /// five, the likest first. Likeness is no sameness: in the questions of one topic a near miss (another drug,
    /// another dose, a negation) often has the higher cosine, so a caller serves no answer on `similarity` alone.
    ///
    /// # Errors
    /// As [`Library::search`].
    pub fn match_pairs(&self, scope: &Scope, question: &str) -> Result<Vec<PairMatch>, SearchError> {
        self.check_models(scope)?;
        let vector = self.question_vector(question)?;
        self.in_one_view(scope, true, |db, opened| {
            let mut best = Vec::new();
            for opened in opened {
                let visible = Visible::new(&opened.index.versions, scope, scope.day(&self.zone));
                let pairs = retrieve::pairs::nearest(&opened.index, &visible, &vector, PAIRS)
                    .map_err(|error| SearchError::Engine(error.to_string()))?;
                best.extend(pairs.into_iter().map(|pair| (opened, pair)));
            }
            best.sort_by(|(_, left), (_, right)| right.cosine.total_cmp(&left.cosine));
            best.truncate(PAIRS);
            let read = |(opened, near): &(&Opened, retrieve::pairs::Near)| pair_match(db, opened, near).transpose();
            best.iter().filter_map(read).collect()
        })
    }

    /// Refuses before the question is embedded, not after.
    fn check_models(&self, scope: &Scope) -> Result<(), SearchError> {
        self.store.read(|db| {
            for id in scope.collections() {
                self.checked_generation(db, id, true)?;
            }
            Ok(())
        })
    }

    fn checked_generation(
        &self,
        db: &Connection,
        id: &CollectionId,
        vectors_matter: bool,
    ) -> Result<(CollectionRow, collections::Generation), SearchError> {
        let row = collections::find(db, id)?.ok_or_else(|| SearchError::UnknownCollection(id.clone()))?;
        let generation = collections::active(db, row.key)?;
        let identity = self.embed.identity();
        if vectors_matter && !generation.is_of(&identity) {
            return Err(SearchError::ModelMismatch {
                collection: id.clone(),
                index: described(&generation.model, &generation.sha256),
                engine: described(&identity.name, &identity.sha256),
                mend: mend(id),
            });
        }
        Ok((row, generation))
    }

    /// Runs `work` on the collections of the scope as they are at one moment, indexes and database alike.
    fn in_one_view<T>(
        &self,
        scope: &Scope,
        vectors_matter: bool,
        work: impl Fn(&Connection, &[Opened]) -> Result<T, SearchError>,
    ) -> Result<T, SearchError> {
        for _ in 0..LOOKS {
            let done = self.store.read(|db| {
                let mut opened = Vec::with_capacity(scope.collections().len());
                for id in scope.collections() {
                    let (row, generation) = self.checked_generation(db, id, vectors_matter)?;
                    match self.index(db, &row, generation)? {
                        Some(index) => opened.push(Opened { row, index }),
                        None => return Ok(None),
                    }
                }
                work(db, &opened).map(Some)
            })?;
            if let Some(done) = done {
                return Ok(done);
            }
        }
        Err(SearchError::Unsettled)
    }

    /// The question's vector. What the model cannot see of a long question is cut off.
    fn question_vector(&self, text: &str) -> Result<Vec<f32>, SearchError> {
        let most = self.embed.identity().max_tokens;
        let mut fits = text;
        if self.embed.count_tokens(text) > most {
            let (mut low, mut high) = (0_usize, text.len());
            for _ in 0..HALVINGS {
                let middle = text.floor_char_boundary(low.midpoint(high));
                let stretch = text.get(..middle).unwrap_or_default();
                if self.embed.count_tokens(stretch) <= most {
                    low = middle;
                    fits = stretch;
                } else {
                    high = middle;
                }
            }
            if self.embed.count_tokens(fits) > most {
                fits = "";
            }
        }
        let vectors = embed_checked(self.embed.as_ref(), &[fits.to_owned()], WhenBusy::Refuse)?;
        vectors.into_iter().next().ok_or_else(|| SearchError::Engine("it returned no vector".into()))
    }
}

/// Reads what a hit stands for; `None` where it is gone.
fn passage(db: &Connection, ranked: &Ranked<'_>) -> Result<Option<Passage>, StoreError> {
    let Ranked { opened, idf_sum, hit } = ranked;
    let chunk = opened.index.segments.get(hit.segment).and_then(|segment| segment.chunks.get(hit.chunk));
    let Some((chunk, version)) = chunk.and_then(|chunk| Some((chunk, opened.index.versions.get(&chunk.version)?)))
    else {
        return Ok(None);
    };
    let Some(PassageRow { page, path, chars, body, pair }) = passages::read(db, chunk.key)? else { return Ok(None) };
    let blank = blank(&opened.row.id, version);
    Ok(Some(Passage {
        headings: path,
        page,
        start: chars.0,
        end: chars.1,
        text: body,
        pair: pair.map(|(id, question)| PairRef { id, question }),
        score: hit.score,
        cosine: hit.cosine,
        words: retrieve::fuse::share_of_highest(hit.bm25, *idf_sum),
        coverage: hit.coverage,
        ..blank
    }))
}

/// A passage of a version, without place or scores.
fn blank(collection: &CollectionId, version: &Version) -> Passage {
    Passage {
        collection: collection.clone(),
        document: version.id,
        name: version.name.clone(),
        title: version.title.clone().unwrap_or_else(|| version.name.clone()),
        version: version.version.clone(),
        effective: version.effective,
        headings: Vec::new(),
        page: None,
        start: 0,
        end: 0,
        text: String::new(),
        pair: None,
        score: 0.0,
        cosine: 0.0,
        words: 0.0,
        coverage: 0.0,
    }
}

fn pair_match(
    db: &Connection,
    opened: &Opened,
    near: &retrieve::pairs::Near,
) -> Result<Option<PairMatch>, SearchError> {
    let Some(version) = opened.index.versions.get(&near.version) else { return Ok(None) };
    let Some(row) = passages::read_pair(db, near.pair)? else { return Ok(None) };
    let PairRow { id, question, also, answer, chars, topic } = row;
    let matched = match near.wording.checked_sub(1) {
        Some(other) => also.into_iter().nth(other).unwrap_or_else(|| question.clone()),
        None => question.clone(),
    };
    let rule = version.pairs.get(&near.pair);
    let passage = Passage {
        effective: rule.and_then(|rule| rule.effective).or(version.effective),
        headings: topic.into_iter().collect(),
        start: chars.0,
        end: chars.1,
        text: answer.clone(),
        pair: Some(PairRef { id: id.clone(), question: question.clone() }),
        score: near.cosine,
        cosine: near.cosine,
        ..blank(&opened.row.id, version)
    };
    Ok(Some(PairMatch { id, matched, question, answer, similarity: near.cosine, passage }))
}
