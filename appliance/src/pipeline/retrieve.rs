//! Second stage: what the site's documents hold about the question, within what the caller may read, orders to a model and
//! identifiers of patients kept out.

use cloister_guardrails::same_question::{Gate, Known, Limits, beside, gate};
use cloister_knowledge::{Embed, EmbedError, Found, Mode, PairMatch, Passage, Query, Scope};
use cloister_terms::{CollectionId, DocumentId};

use super::{Ports, citation::Lane, cross, knowledge::blocking, quarantine::Quarantine, screen::Screened, stop::Stop};

/// How many of the best passages decide whether there is evidence at all.
pub(super) const DECIDING: usize = 3;

/// Weight of the share of words beside the cosine in [`Evidence::weight`]. Measured together with the threshold; from
/// 0.15 to 0.5 the result is the same.
const WORDS: f32 = 0.25;

/// What was found. Untrusted text, all of it.
pub struct Evidence {
    screened: Screened,
    searched: Vec<CollectionId>,
    pairs: Vec<PairMatch>,
    /// See [`Evidence::likeliest`].
    likeliest: Option<Likeliest>,
    found: Found,
    quarantine: Quarantine,
}

impl Evidence {
    /// The question it is about.
    pub const fn screened(&self) -> &Screened {
        &self.screened
    }

    /// The collections that were searched.
    pub fn searched(&self) -> &[CollectionId] {
        &self.searched
    }

    /// Curated pairs like the question, the likest first.
    pub fn pairs(&self) -> &[PairMatch] {
        &self.pairs
    }

    /// The pair that is likeliest to ask the same in other words, for
    /// [`gate_by_reading`](cloister_guardrails::same_question::gate_by_reading), and its place among the pairs; no other takes its place if it is kept
    /// out there. None where a wording lets one in by itself, where reading is not asked for, and where it cannot be told: no pair, or it was
    /// quarantined, a question or pair that is not read to its end, or a model that is busy or reads no questions together.
    pub(super) fn likeliest(&self) -> Option<(usize, Known<'_>)> {
        let likeliest = self.likeliest.as_ref()?;
        let at = self.pairs.iter().position(|pair| likeliest.is(pair))?;
        let pair = self.pairs.get(at)?;
        let (next, read) = (likeliest.next, likeliest.read);
        Some((at, Known { question: &pair.matched, similarity: pair.similarity, next, read }))
    }

    /// Whether the wording of a curated question lets its answer in.
    pub(super) fn is_settled(&self, limits: Limits) -> bool {
        is_settled(self.screened.sought(), &self.pairs, limits)
    }

    /// Passages, the best first.
    pub fn passages(&self) -> &[Passage] {
        &self.found.passages
    }

    /// Places of the passages that give orders to a model, or name a patient.
    pub(super) const fn quarantine(&self) -> &Quarantine {
        &self.quarantine
    }

    /// How much evidence there is: cosine plus a quarter of the share of words, the best of the first passages.
    pub fn weight(&self) -> f32 {
        let weigh = |passage: &Passage| WORDS.mul_add(passage.coverage, passage.cosine);
        self.found.passages.iter().take(DECIDING).map(weigh).fold(0.0, f32::max)
    }

    /// How rare a word of the question is in what was searched, 0 to 1. One that no search knows of counts as half rare.
    pub(super) fn rarity(&self, word: &str) -> f32 {
        let known = self.found.words.iter().find(|known| known.word == word);
        known.map_or(0.5, |known| known.rarity)
    }

    /// The best cosine and the best share of words, for the answer's scores.
    pub fn best(&self) -> (f32, f32) {
        let best = |of: fn(&Passage) -> f32| self.found.passages.iter().take(DECIDING).map(of).fold(0.0, f32::max);
        (best(|passage| passage.cosine), best(|passage| passage.coverage))
    }
}

/// Searches the collections that the permit lets the caller read.
pub(super) async fn retrieve(ports: &Ports, screened: Screened) -> Result<Evidence, Stop> {
    let knowledge = ports.knowledge.clone();
    let readable = screened.permit().collections().clone();
    let labels = screened.permit().labels().iter().cloned().collect();
    let wanted = screened.collections().map(<[CollectionId]>::to_vec);
    let question = screened.sought().to_owned();
    let (as_of, top) = (ports.clock.now(), ports.settings.passages);
    let (strength, identifiers) = (ports.settings.attack.document, ports.identifiers.clone());
    let same = ports.settings.same_question;
    let compared = (same.likely < 1.0 && ports.settings.lanes.contains(&Lane::Verified)).then(|| ports.embed.clone());
    let (searched, pairs, likeliest, found, quarantine) = blocking(move || {
        let present = readable.among(knowledge.collections()?);
        let searched = narrow(present, wanted)?;
        let scope = Scope::new(searched.clone(), labels, as_of);
        let mut pairs = knowledge.match_pairs(&scope, &question)?;
        let mut found = knowledge.search(&scope, &Query { text: question.clone(), top, mode: Mode::Hybrid })?;
        // What is kept out stands beside the others all the same: without it, another would stand out for no merit of its own.
        let likeliest = match compared {
            Some(embed) => likeliest(embed.as_ref(), &question, &pairs, same.into())?,
            None => None,
        };
        let quarantine = Quarantine::of(&mut found, &mut pairs, strength, &identifiers);
        Ok((searched, pairs, likeliest, found, quarantine))
    })
    .await?;
    Ok(Evidence { screened, searched, pairs, likeliest, found, quarantine })
}

/// Pairs that are read together with the question. In `models/training/selection` the right one is the likest by vectors for 0.81 of those that ask
/// the same, and among the first three for 0.93.
const READ_TOGETHER: usize = 3;

/// Tokens that a model adds to two texts that it reads together.
const ADDED: usize = 3;

/// See [`Evidence::likeliest`].
struct Likeliest {
    collection: CollectionId,
    document: DocumentId,
    id: String,
    matched: String,
    /// Cosine of the question and the likest other pair's; -1 where there is none.
    next: f32,
    /// What reading both questions together tells.
    read: f32,
}

impl Likeliest {
    /// Whether it is that pair. Names of pairs are their file's, and two files may use the same.
    fn is(&self, pair: &PairMatch) -> bool {
        let place = (&pair.passage.collection, pair.passage.document, &pair.id, &pair.matched);
        place == (&self.collection, self.document, &self.id, &self.matched)
    }
}

fn is_settled(asked: &str, pairs: &[PairMatch], limits: Limits) -> bool {
    pairs.iter().any(|pair| gate(asked, &pair.matched, pair.similarity, limits) == Gate::Same)
}

/// See [`Evidence::likeliest`]. A busy model leaves the gate shut.
///
/// # Errors
/// Where the model fails: what it cannot tell is not to be guessed.
fn likeliest(embed: &dyn Embed, asked: &str, pairs: &[PairMatch], limits: Limits) -> Result<Option<Likeliest>, Stop> {
    // Settled: reading would tell nothing more. Of a question that is not read whole, its beginning would be judged.
    if pairs.is_empty() || !embed.reads_pairs() || !cross::reads_whole(embed, asked) || is_settled(asked, pairs, limits)
    {
        return Ok(None);
    }
    let first = pairs.get(..READ_TOGETHER).unwrap_or(pairs);
    let read = match cross::together(embed, asked, first.iter().map(|pair| pair.matched.clone()).collect()) {
        Ok(read) => read,
        Err(EmbedError::Busy { .. }) => return Ok(None),
        Err(fault @ EmbedError::Failed(_)) => return Err(Stop::internal("reading curated questions", fault)),
    };
    let near: Vec<(&str, f32)> = pairs.iter().map(|pair| (pair.matched.as_str(), pair.similarity)).collect();
    let known = beside(&near, &read.iter().map(|read| read.same).collect::<Vec<f32>>());
    let likeliest = first.iter().zip(&known).rev().max_by(|(_, a), (_, b)| a.likely().total_cmp(&b.likely()));
    // One of which the end is not read may ask for something else there.
    let most = embed.identity().max_tokens.saturating_sub(embed.count_tokens(asked) + ADDED);
    let whole = likeliest.filter(|(pair, _)| embed.count_tokens(&pair.matched) <= most);
    Ok(whole.map(|(pair, known)| Likeliest {
        collection: pair.passage.collection.clone(),
        document: pair.passage.document,
        id: pair.id.clone(),
        matched: pair.matched.clone(),
        next: known.next,
        read: known.read,
    }))
}

/// Of the collections that may be read, those that are wanted. One that may not be read is as good as absent.
pub(super) fn narrow(
    readable: Vec<CollectionId>,
    wanted: Option<Vec<CollectionId>>,
) -> Result<Vec<CollectionId>, Stop> {
    let Some(wanted) = wanted else { return Ok(readable) };
    match wanted.iter().find(|collection| !readable.contains(collection)) {
        Some(absent) => Err(Stop::not_found(format!("collection `{absent}`"))),
        None => Ok(wanted),
    }
}
