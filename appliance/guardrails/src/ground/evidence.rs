//! The evidence: sentences of a context with what they stand under; and what a sentence limits that a claim may drop.

use super::{heading::Headings, reading::Reading};
use crate::{
    drug::{Lexicon, Release},
    fact::{Fact, FactKind},
    split::{self, Span},
};

/// A sentence that may bear a claim.
pub(super) struct Sentence {
    pub(super) span: Span,
    pub(super) reading: Reading,
    /// Headings above it, and the drug that was named last before it if it names none.
    pub(super) context: Reading,
    /// Whether it is itself a heading.
    pub(super) heading: bool,
    /// Whether it is two sentences read as one.
    pub(super) pair: bool,
}

/// The sentences of `context`, and each two neighbours as one: a claim may draw on both.
pub(super) fn sentences(context: &str, lexicon: &Lexicon) -> Vec<Sentence> {
    let mut single: Vec<Sentence> = Vec::new();
    let (mut headings, mut last_drug) = (Headings::default(), String::new());
    for span in split::sentences(context) {
        let text = span.of(context);
        let heading = headings.take(text);
        // A heading ends those of its rank: it does not stand under them.
        let above = if heading { headings.above_last() } else { headings.lines() };
        if heading {
            last_drug.clear();
        }
        let reading = Reading::of(text, lexicon);
        let drugs: Vec<&str> = reading.of_kind(FactKind::Drug).filter_map(|f| text.get(f.start..f.end)).collect();
        let around = if drugs.is_empty() { format!("{last_drug}\n{above}") } else { above };
        if !drugs.is_empty() {
            last_drug = drugs.join(", ");
        }
        single.push(Sentence { span, context: Reading::of(&around, lexicon), reading, heading, pair: false });
    }
    let pairs: Vec<Sentence> = single
        .windows(2)
        .filter_map(|pair| {
            // A heading belongs to what follows it, and ends what stands before.
            let [first, second] = pair else { return None };
            if second.heading {
                return None;
            }
            let span = Span { start: first.span.start, end: second.span.end };
            let text = span.of(context);
            (text.len() <= LONGEST_PAIR).then(|| Sentence {
                span,
                reading: Reading::of(text, lexicon),
                context: first.context.clone(),
                heading: false,
                pair: true,
            })
        })
        .collect();
    single.extend(pairs);
    single
}

/// Two sentences longer than this, in bytes, are not read as one: they hold too much to bear one claim.
const LONGEST_PAIR: usize = 600;

/// What the sentence limits and the claim leaves out, where it gives a dose.
pub(super) fn dropped(claim: &Reading, sentence: &Reading) -> Vec<FactKind> {
    let mut kinds = Vec::new();
    let product = |fact: &&Fact| fact.value != Release::PLAIN;
    let releases = |reading: &Reading| reading.of_kind(FactKind::Release).filter(product).count();
    let named = |reading: &Reading| reading.of_kind(FactKind::Drug).count();
    if named(claim) > 0 && releases(claim) == 0 && releases(sentence) > 0 && named(sentence) <= named(claim) {
        kinds.push(FactKind::Release);
    }
    let needed = |reading: &Reading| reading.of_kind(FactKind::Frequency).any(|fact| fact.value == "as needed");
    if claim.has_dose() && needed(sentence) && !needed(claim) {
        kinds.push(FactKind::Frequency);
    }
    kinds
}
