//! The evidence: sentences of a context with what they stand under; and what a sentence limits that a claim may drop.

use super::{
    compare::{groups, limits_dose},
    reading::Reading,
};
use crate::{
    drug::Lexicon,
    fact::FactKind,
    split::{self, Span},
};

/// A sentence that may bear a claim.
pub(super) struct Sentence {
    pub(super) span: Span,
    pub(super) reading: Reading,
    /// Headings above it, and the drug that was named last before it if it names none.
    pub(super) context: Reading,
    /// Whether it is two sentences read as one.
    pub(super) pair: bool,
}

/// The sentences of `context`, and each two neighbours as one: a claim may draw on both.
pub(super) fn sentences(context: &str, lexicon: &Lexicon) -> Vec<Sentence> {
    let mut single: Vec<Sentence> = Vec::new();
    let (mut headings, mut last_drug) = (String::new(), String::new());
    for span in split::sentences(context) {
        let text = span.of(context);
        if is_heading(text) {
            headings = text.to_owned();
            last_drug.clear();
        }
        let reading = Reading::of(text, lexicon);
        let drugs: Vec<&str> = reading.of_kind(FactKind::Drug).filter_map(|f| text.get(f.start..f.end)).collect();
        let around = if drugs.is_empty() { format!("{headings} {last_drug}") } else { headings.clone() };
        if !drugs.is_empty() {
            last_drug = drugs.join(", ");
        }
        single.push(Sentence { span, context: Reading::of(&around, lexicon), reading, pair: false });
    }
    let pairs: Vec<Sentence> = single
        .windows(2)
        .filter_map(|pair| {
            let [first, second] = pair else { return None };
            let span = Span { start: first.span.start, end: second.span.end };
            let text = span.of(context);
            (text.len() <= LONGEST_PAIR).then(|| Sentence {
                span,
                reading: Reading::of(text, lexicon),
                context: first.context.clone(),
                pair: true,
            })
        })
        .collect();
    single.extend(pairs);
    single
}

/// Two sentences longer than this, in bytes, are not read as one: they hold too much to bear one claim.
const LONGEST_PAIR: usize = 600;

fn is_heading(text: &str) -> bool {
    text.starts_with('#') || text.len() <= 80 && !text.contains('|') && !text.ends_with(['.', '!', '?', ';', ','])
}

/// What the sentence limits and the claim leaves out, where it gives a dose.
pub(super) fn dropped(claim: &Reading, sentence: &Reading) -> Vec<FactKind> {
    let mut kinds = Vec::new();
    let releases = |reading: &Reading| reading.of_kind(FactKind::Release).count();
    let named = |reading: &Reading| reading.of_kind(FactKind::Drug).count();
    if named(claim) > 0 && releases(claim) == 0 && releases(sentence) > 0 && named(sentence) <= named(claim) {
        kinds.push(FactKind::Release);
    }
    let needed = |reading: &Reading| reading.of_kind(FactKind::Frequency).any(|fact| fact.value == "as needed");
    if claim.has_dose() && needed(sentence) && !needed(claim) {
        kinds.push(FactKind::Frequency);
    }
    if claim.has_dose() && groups(&claim.text).is_empty() {
        let held = groups(&sentence.text);
        // Of a sentence that doses two groups, each dose is one group's.
        if held.iter().any(|group| limits_dose(group)) {
            kinds.push(FactKind::Population);
        }
    }
    kinds
}
