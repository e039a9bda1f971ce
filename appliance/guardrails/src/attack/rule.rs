//! The rules: what each looks for in a reading of a text (lower case, single spaces), and how much it weighs.

mod table;

use std::sync::OnceLock;

use regex::Regex;

use super::{Where, language};
use table::RULES;

/// One sign of an attack.
#[derive(Debug, Clone, Copy)]
struct Rule {
    /// Family and sign.
    name: &'static str,
    /// How much it weighs in what a user writes, and in a document.
    user: f32,
    document: f32,
    pattern: &'static str,
    /// Whether clinical words near the match take most of its weight.
    clinical: bool,
    /// What a match in a document must have about it, or it loses most of its weight.
    needs: Needs,
}

/// Whom a sign in a document must be addressed to. What a user writes is addressed to the model in any case; a document
/// speaks to people and about things, and its "kidneys no longer filter" and "viruses may play a part" order nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    /// The pattern names its addressee itself, or nothing but an attack reads so.
    Nothing,
    /// A model, or an order to speak or to behave, stands near it.
    Addressee,
    /// The same, or the match is an order itself: it begins a clause.
    Order,
}

const fn rule(name: &'static str, user: f32, document: f32, pattern: &'static str) -> Rule {
    Rule { name, user, document, pattern, clinical: false, needs: Needs::Nothing }
}

const fn yielding(name: &'static str, user: f32, document: f32, pattern: &'static str) -> Rule {
    Rule { clinical: true, ..rule(name, user, document, pattern) }
}

impl Rule {
    const fn to_a_model(self) -> Self {
        Self { needs: Needs::Addressee, ..self }
    }

    const fn as_an_order(self) -> Self {
        Self { needs: Needs::Order, ..self }
    }
}

/// Words that say whose instructions are meant: the clinic's and not the model's.
const CLINICAL: &str = r"\b(label|bottle|box|bag|blister|package( insert)?|prescription|prescriber|script|rx|doctor|dr|physician|nurse|clinic|pharmac\w+|provider|surgeon|dentist|discharge|dos(e|es|ing|age)|tablets?|pills?|inhaler|syringes?|freezer|fridge|refrigerator|generator|robot|cabinet|printer|pump|scanner|insulin|taper|titration|fax(es)?|labs?|results?|alerts?|alarm|warning (light|box)|refills?|order set|appointment|pick-?up|delivery|shipment|diet|fasting|allerg\w+|vitamins?|\w+ acid|surgery|early refills?|faxed|photo id|interaction|voicemail|letter|chart|note|note from|sig|dispens\w+|transfer|patient|medication|medicine|drug|therapy|insurance|copay|counsel\w*|callback|invoice|vaccine|isolation|standing orders?|verbal orders?|duplicate)\b";

/// Words that say it is the model that is spoken to after all.
const MODEL: &str = r"\b(prompt|ai|chatbot|gpt|language model|llm|assistant|jailbreak|your (rules|instructions|programming|guidelines|guardrails|safeguards|restrictions|training|developers?)|you (are|were) (now|told|given|trained|programmed)|system (message|prompt)|(previous|above|prior|earlier|new) instructions( and|\W*$|[.:;!,\n])|instructions and (tell|say|print|reveal|show|output|answer|write|list|respond))\b";

/// Words near a sign in a document that say whom it is addressed to: a model by its names and by what only a model has, or
/// whoever is told to speak or to behave in some way.
const ADDRESSEE: &str = r#"(\b(ai|a\.i\.|chat ?bots?|bots?|chat ?gpt|gpt\S*|llms?|dan|language models?|prompts?|jailbr\w+|persona|role-?play\w*|(in|out of|your|this) character|content polic(y|ies)|the user|user asks|openai)\b|\b(an?|the|this|that|dear|hey|to|our|your|virtual|helpful|uncensored|unfiltered|unrestricted|jailbroken|amoral) (assistant|model|entity)\b|\b(system|hidden|previous|prior|earlier|above|initial|original|secret) (instructions?|messages?|prompts?|rules|orders|directives)\b|\byour (own |new |safety |system |previous |original |internal )?(rules|instructions|programming|guidelines|guardrails|safeguards|developers?|content filters?)\b|\byour (answers?|responses?|repl(y|ies)|outputs?) (must|should|will|shall|has|have|is|are|in|with|without)\b|\byou (will|must|shall|should|can|may|are to|have to|are going to|are|now)( now| always| never| only| also| not)* (act|answer|behave|comply|forget|generate|ignore|impersonate|obey|output|pretend|print|refuse|reply|respond|reveal|say|simulate|speak)\b|(^|[.!?:;\n"“(*] ?)(please |now,? |instead,? |from now on,? |always |never |just |do not |don't |then |and )*(act|answer|behave|disregard|forget|ignore|imagine|impersonate|obey|output|pretend|print|repeat|reply|respond|reveal|say|simulate|speak)\b)"#;

/// Where a clause begins: at the beginning, after a mark, or after what leads in to an order.
const CLAUSE: &str = r#"(^|[.!?:;\n"“”(>] ?|(^|\n)[-*•>] ?|\b(please|now|then|just|instead|must|always|never|you (will|should|shall)) )$"#;

/// What is left of a rule's weight where the clinic is meant, or nobody is.
const YIELDED: f32 = 0.25;

/// How far around a match, in bytes, the clinic's and the model's words are looked for.
const AROUND: usize = 70;

/// How far around it an addressee is: a sentence or two.
const ADDRESSED: usize = 160;

struct Compiled {
    rules: Vec<(&'static Rule, Regex)>,
    clinical: Option<Regex>,
    model: Option<Regex>,
    addressee: Option<Regex>,
    clause: Option<Regex>,
}

fn compiled() -> &'static Compiled {
    static COMPILED: OnceLock<Compiled> = OnceLock::new();
    COMPILED.get_or_init(|| Compiled {
        // A pattern that does not compile would be a rule that never matches; a test compiles each.
        rules: RULES.iter().filter_map(|rule| Some((rule, Regex::new(rule.pattern).ok()?))).collect(),
        clinical: Regex::new(CLINICAL).ok(),
        model: Regex::new(MODEL).ok(),
        addressee: Regex::new(ADDRESSEE).ok(),
        clause: Regex::new(CLAUSE).ok(),
    })
}

/// The signs in one reading of a text, each with its weight. A rule that matches twice counts once, where it weighs most.
pub(super) fn matches(text: &str, place: Where) -> Vec<(&'static str, f32)> {
    let compiled = compiled();
    let mut found: Vec<(&'static str, f32)> = Vec::new();
    for (rule, pattern) in &compiled.rules {
        let full = match place {
            Where::User => rule.user,
            Where::Document => rule.document,
        };
        let weights = pattern.find_iter(text).take(MOST_MATCHES).map(|hit| {
            let (start, end) = (hit.start(), hit.end());
            let nobody = place == Where::Document && !compiled.is_addressed(rule.needs, text, start, end);
            let yields = nobody || rule.clinical && compiled.means_the_clinic(text, start, end);
            if yields { YIELDED * full } else { full }
        });
        if let Some(weight) = weights.max_by(f32::total_cmp) {
            found.push((rule.name, weight));
        }
    }
    if language::PHRASES.iter().any(|phrase| text.contains(phrase)) {
        found.push(("override.language", 0.85));
    }
    found
}

/// Matches of one rule that are weighed.
const MOST_MATCHES: usize = 20;

impl Compiled {
    fn means_the_clinic(&self, text: &str, start: usize, end: usize) -> bool {
        let around = around(text, start, end, AROUND);
        let says = |words: &Option<Regex>| words.as_ref().is_some_and(|words| words.is_match(around));
        says(&self.clinical) && !says(&self.model)
    }

    fn is_addressed(&self, needs: Needs, text: &str, start: usize, end: usize) -> bool {
        let named = || self.addressee.as_ref().is_none_or(|words| words.is_match(around(text, start, end, ADDRESSED)));
        let ordered = || {
            let before = text.get(..start).unwrap_or_default();
            let before = around(before, start, start, AROUND);
            self.clause.as_ref().is_none_or(|clause| clause.is_match(before))
        };
        match needs {
            Needs::Nothing => true,
            Needs::Addressee => named(),
            Needs::Order => ordered() || named(),
        }
    }
}

/// The text from `most` bytes before `start` to as many after `end`, cut at characters, in front at a word.
fn around(text: &str, start: usize, end: usize, most: usize) -> &str {
    let (mut from, mut to) = (start.saturating_sub(most), (end + most).min(text.len()));
    while !text.is_char_boundary(from) {
        from -= 1;
    }
    if from > 0 {
        from += text.get(from..start).and_then(|before| before.find(char::is_whitespace)).unwrap_or(0);
    }
    while !text.is_char_boundary(to) {
        to += 1;
    }
    text.get(from..to).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles() {
        for rule in RULES {
            Regex::new(rule.pattern).unwrap_or_else(|error| panic!("{}: {error}", rule.name));
        }
        for pattern in [CLINICAL, MODEL, ADDRESSEE, CLAUSE] {
            assert!(Regex::new(pattern).is_ok(), "{pattern}");
        }
    }
}
