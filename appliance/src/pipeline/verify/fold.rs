//! The fold itself: text in, units out, until one fails.

use cloister_guardrails::{
    drug::Lexicon,
    ground::{states_dose, warning},
    redact::Side,
    split::{Span, next_sentence},
    support::{self, Evidence, Limits, Support, Verdict},
};
use cloister_knowledge::Passage;

use super::{Judged, Passed};
use crate::pipeline::{
    citation::{Citation, ClaimVerdict, Withheld},
    guardrail::Guardrail,
    identifiers::Identifiers,
    quarantine::Quarantine,
    retrieve,
    sentence::{Sentence, cite, standing_under},
};

/// Judges a composed draft unit by unit. What it yields depends on the text alone, not on how it was cut into pieces.
pub(super) struct Fold<'a> {
    question: &'a str,
    passages: &'a [Passage],
    quarantine: &'a Quarantine,
    shown: &'a [Sentence],
    /// What each of them stands under, one heading a line.
    contexts: Vec<String>,
    limits: Limits,
    identifiers: &'a Identifiers,
    guardrail: &'a Guardrail,
    text: String,
    from: usize,
    judged: Judged,
    /// Which sentence of `shown` bears each unit.
    borne: Vec<usize>,
}

impl<'a> Fold<'a> {
    pub(super) fn new(
        evidence: &'a retrieve::Evidence,
        shown: &'a [Sentence],
        limits: Limits,
        (identifiers, guardrail): (&'a Identifiers, &'a Guardrail),
    ) -> Self {
        let (passages, quarantine) = (evidence.passages(), evidence.quarantine());
        let above = |s: &Sentence| passages.get(s.passage).map(|passage| standing_under(passage, *s, quarantine));
        let contexts = shown.iter().map(|s| above(s).unwrap_or_default()).collect();
        let (text, judged) = (String::new(), Judged::default());
        let question = evidence.screened().sought();
        Self {
            question,
            passages,
            quarantine,
            shown,
            contexts,
            limits,
            identifiers,
            guardrail,
            text,
            from: 0,
            judged,
            borne: Vec::new(),
        }
    }

    pub(super) const fn is_cut(&self) -> bool {
        self.judged.cut
    }

    /// What came of it. A warning that stands right beside a dose and that the draft left out is added word for word.
    pub(super) fn into_judged(mut self, passed: &mut (dyn FnMut(&Passed) + Send)) -> Judged {
        for unit in self.left_out() {
            passed(&unit);
            self.judged.units.push(unit);
        }
        self.judged
    }

    fn left_out(&self) -> Vec<Passed> {
        let said: Vec<&str> = self.judged.units.iter().map(|unit| unit.text.as_str()).collect();
        let said = said.join(" ");
        let mut found: Vec<(usize, Span)> = Vec::new();
        let borne = self.borne.iter().filter_map(|index| self.shown.get(*index));
        for (sentence, unit) in borne.zip(&self.judged.units) {
            let Some(passage) = self.passages.get(sentence.passage) else { continue };
            if !states_dose(&unit.text, Lexicon::built_in()) {
                continue;
            }
            let kept_out = |span| self.quarantine.touches(sentence.passage, span);
            for span in warning::left_out(&passage.text, sentence.span, &said, &kept_out) {
                if !found.contains(&(sentence.passage, span)) {
                    found.push((sentence.passage, span));
                }
            }
        }
        let cited = |citation: &Citation| self.judged.units.iter().any(|u| u.citation == *citation);
        let quoted = found.into_iter().filter_map(|(passage, span)| Some(cite(self.passages.get(passage)?, span, 0.0)));
        quoted.filter(|c| !cited(c)).map(|c| Passed { warning: true, ..Passed::verbatim("\n", c) }).collect()
    }

    /// Takes more text. Units whose end is certain are judged.
    pub(super) fn push(&mut self, text: &str, passed: &mut (dyn FnMut(&Passed) + Send)) {
        self.text.push_str(text);
        self.judge(false, true, passed);
    }

    /// Takes the end of the text. Unless the model `finished` by itself, a last unit without an end mark is half a
    /// sentence and is left out.
    pub(super) fn end(&mut self, finished: bool, passed: &mut (dyn FnMut(&Passed) + Send)) {
        self.judge(true, finished, passed);
    }

    fn judge(&mut self, ended: bool, finished: bool, passed: &mut (dyn FnMut(&Passed) + Send)) {
        while !self.judged.cut {
            let Some(span) = next_sentence(&self.text, self.from, ended) else { return };
            let gap = self.text.get(self.from..span.start).unwrap_or_default();
            let separator = match self.judged.units.is_empty() {
                true => "",
                false if gap.contains('\n') => "\n",
                false => " ",
            };
            self.from = span.end;
            let last = ended && self.text.get(span.end..).is_none_or(|rest| rest.trim().is_empty());
            let unit = without_marks(without_lead(span.of(&self.text)));
            if unit.is_empty() {
                continue;
            }
            if last && !finished && !unit.ends_with(['.', '!', '?', '"', ')', '”']) {
                self.judged.cut = true;
                return;
            }
            if self.judged.units.iter().any(|before| before.text == unit) {
                self.judged.cut = true; // a model that repeats itself has nothing more to say
                return;
            }
            self.unit(separator, unit, passed);
        }
    }

    fn unit(&mut self, separator: &'static str, unit: String, passed: &mut (dyn FnMut(&Passed) + Send)) {
        let evidence: Vec<Evidence<'_>> = self
            .shown
            .iter()
            .zip(&self.contexts)
            .filter_map(|(s, context)| {
                self.passages.get(s.passage).map(|p| Evidence { text: s.span.of(&p.text), context })
            })
            .collect();
        let said = self.judged.units.iter().map(|unit| unit.text.as_str());
        let before: Vec<&str> = std::iter::once(self.question).chain(said).collect();
        let found = support::check_after(&before, &unit, &evidence, self.limits);
        let place = found.evidence.and_then(|index| Some((index, self.cite(index)?)));
        match (found.verdict, place) {
            // What it cites is shown beside it.
            (Verdict::Supported, Some((_, citation)))
                if self.guardrail.withholds(&unit) || citation.words().any(|words| self.guardrail.withholds(words)) =>
            {
                (self.judged.cut, self.judged.denied) = (true, true);
            }
            // Nothing bears a patient's name in an answer, though every word of it may stand in the evidence.
            (Verdict::Supported, Some(_)) if !self.identifiers.kept_out(&unit, Side::Output).is_empty() => {
                self.judged.cut = true;
            }
            (Verdict::Supported, Some((index, citation))) => {
                let unit = Passed { separator, text: unit, citation, score: found.coverage, warning: false };
                passed(&unit);
                self.judged.units.push(unit);
                self.borne.push(index);
            }
            (_, place) => {
                self.judged.withheld = Some(withheld(&found, place.map(|(_, citation)| citation)));
                self.judged.cut = true;
            }
        }
    }

    fn cite(&self, shown: usize) -> Option<Citation> {
        let sentence = self.shown.get(shown)?;
        Some(cite(self.passages.get(sentence.passage)?, sentence.span, sentence.score))
    }
}

fn withheld(found: &Support, evidence: Option<Citation>) -> Withheld {
    let verdict = match found.verdict {
        Verdict::Contradicted => ClaimVerdict::Contradicted,
        Verdict::NotSure => ClaimVerdict::NotSure,
        Verdict::Supported | Verdict::Unsupported => ClaimVerdict::Unsupported,
    };
    let mut facts: Vec<&'static str> = found.missing.iter().map(|kind| kind.as_str()).collect();
    facts.sort_unstable();
    facts.dedup();
    Withheld { verdict, score: found.coverage, facts, evidence }
}

/// A unit without the words with which a model announces that it answers. They claim nothing.
fn without_lead(unit: &str) -> &str {
    let lead = unit.find(':').and_then(|at| unit.split_at_checked(at + 1));
    match lead.map(|(lead, rest)| (lead.to_lowercase(), rest)) {
        Some((lead, rest)) if LEADS.contains(&lead.as_str()) => rest.trim_start(),
        _ => unit,
    }
}

/// The announcements that small instruction-tuned models begin with.
const LEADS: [&str; 5] = ["answer:", "the answer is:", "the text is:", "the text says:", "the sentences are:"];

/// A unit without the source marks that a model wrote into it (`[1]`, `[2, 3]`): citations are the server's.
fn without_marks(unit: &str) -> String {
    let mut kept = String::with_capacity(unit.len());
    let mut rest = unit;
    while let Some(open) = rest.find('[') {
        let (before, from) = rest.split_at(open);
        let mark = from.find(']').and_then(|close| from.get(1..close).map(|inside| (inside, close + 1)));
        let is_mark = |inside: &str| {
            !inside.is_empty() && inside.chars().all(|c| c.is_ascii_digit() || matches!(c, ',' | ' ' | '-'))
        };
        match mark.filter(|(inside, _)| is_mark(inside)) {
            Some((_, length)) => {
                kept.push_str(before.trim_end());
                rest = from.get(length..).unwrap_or_default();
            }
            None => {
                kept.push_str(before);
                kept.push('[');
                rest = from.get(1..).unwrap_or_default();
            }
        }
    }
    kept.push_str(rest);
    kept.trim().to_owned()
}
