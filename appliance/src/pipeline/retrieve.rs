//! Second stage: what the site's documents hold about the question, within what the caller may read, orders to a model and
//! identifiers of patients kept out.

use cloister_guardrails::same_question::{Gate, Limits, gate, is_learned_beside, least_found};
use cloister_knowledge::{Embed, Found, Mode, PairMatch, Passage, Query, Scope};
use cloister_terms::CollectionId;

use super::{Ports, citation::Lane, knowledge::blocking, quarantine::Quarantine, screen::Screened, stop::Stop};

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
    /// See [`Evidence::likest`].
    likest: Option<Likest>,
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

    /// How the likest pair stands out, for [`gate_by_likeness`](cloister_guardrails::same_question::gate_by_likeness); none where its wording
    /// lets it in by itself, where likeness is not asked for, and where it cannot be told: no pair, or it was kept out, a busy embedding
    /// model, or one whose tokens nobody understands.
    pub(super) const fn likest(&self) -> Option<Likest> {
        self.likest
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
    let (searched, pairs, likest, found, quarantine) = blocking(move || {
        let present = readable.among(knowledge.collections()?);
        let searched = narrow(present, wanted)?;
        let scope = Scope::new(searched.clone(), labels, as_of);
        let mut pairs = knowledge.match_pairs(&scope, &question)?;
        let mut found = knowledge.search(&scope, &Query { text: question.clone(), top, mode: Mode::Hybrid })?;
        // What is kept out stands beside the others all the same: without it, another would stand out for no merit of its own.
        let likest = compared.and_then(|embed| likest(embed.as_ref(), &question, &pairs, same.into()));
        let first = pairs.first().map(|pair| pair.id.clone());
        let quarantine = Quarantine::of(&mut found, &mut pairs, strength, &identifiers);
        let likest = likest.filter(|_| pairs.first().map(|pair| pair.id.clone()) == first);
        Ok((searched, pairs, likest, found, quarantine))
    })
    .await?;
    Ok(Evidence { screened, searched, pairs, likest, found, quarantine })
}

/// How the likest pair stands out among the others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Likest {
    /// Cosine of the question and the next pair's; -1 where there is none.
    pub(super) next: f32,
    /// What the token that finds least in the other question finds there.
    pub(super) least: f32,
}

/// See [`Evidence::likest`]. What cannot be told leaves the gate shut.
fn likest(embed: &dyn Embed, asked: &str, pairs: &[PairMatch], limits: Limits) -> Option<Likest> {
    let (identity, first) = (embed.identity(), pairs.first()?);
    // A question that the model does not see whole is compared by its beginning.
    let whole = embed.count_tokens(asked) <= identity.max_tokens;
    if !whole || !is_learned_beside(&identity.sha256) {
        return None;
    }
    // Settled: a pass of the model would tell nothing more.
    if gate(asked, &first.matched, first.similarity, limits) == Gate::Same {
        return None;
    }
    let vectors = embed.embed_tokens(&[asked.to_owned(), first.matched.clone()]).ok()?;
    let [asked, known] = vectors.as_slice() else { return None };
    let next = pairs.get(1).map_or(-1.0, |next| next.similarity);
    Some(Likest { next, least: least_found(asked, known, identity.dimensions) })
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
