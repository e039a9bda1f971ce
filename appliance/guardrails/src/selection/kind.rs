//! Whether a sentence holds the kind of thing that a question asks for.

use crate::{
    fact::{FactKind, facts},
    same_question::kind::Kind,
    words,
};

/// Whether `sentence` holds what a question of `kind` asks for; `None` where the kind has no sign that can be looked for.
pub(super) fn holds(kind: Option<Kind>, sentence: &str) -> Option<bool> {
    let found = || facts(sentence);
    let says = |signs: &[&str]| words::lower(sentence).any(|(_, word)| signs.contains(&word.as_str()));
    let measures = |dimension: &str| found().iter().any(|fact| fact.dimension() == dimension);
    let holds_any = |kinds: &[FactKind]| found().iter().any(|fact| kinds.contains(&fact.kind));
    Some(match kind? {
        Kind::Time | Kind::Days | Kind::Duration => {
            holds_any(&[FactKind::Time, FactKind::Date]) || measures("time") || says(TIMES)
        }
        Kind::Frequency => measures("times") || measures("time") || says(FREQUENCIES),
        Kind::Amount => holds_any(&[FactKind::Measure, FactKind::Number]) || says(AMOUNTS),
        Kind::Reason => says(REASONS),
        Kind::Place => says(PLACES),
        Kind::Person | Kind::Contact | Kind::Entitled => says(PERSONS),
        Kind::Manner | Kind::Whether | Kind::Thing => return None,
    })
}

const TIMES: &[&str] = &[
    "after",
    "afternoon",
    "always",
    "before",
    "by",
    "closed",
    "daily",
    "day",
    "days",
    "evening",
    "friday",
    "holiday",
    "holidays",
    "hour",
    "hours",
    "immediately",
    "midnight",
    "minute",
    "minutes",
    "monday",
    "month",
    "months",
    "morning",
    "night",
    "noon",
    "once",
    "saturday",
    "sunday",
    "thursday",
    "today",
    "tomorrow",
    "tuesday",
    "until",
    "wednesday",
    "week",
    "weekday",
    "weekdays",
    "weekend",
    "weekends",
    "weeks",
    "when",
    "within",
    "year",
    "years",
];
const FREQUENCIES: &[&str] = &[
    "annually",
    "daily",
    "each",
    "every",
    "hourly",
    "monthly",
    "once",
    "per",
    "quarterly",
    "twice",
    "weekly",
    "yearly",
];
const AMOUNTS: &[&str] =
    &["charge", "cost", "costs", "covered", "fee", "free", "half", "most", "no", "none", "one", "price"];
const REASONS: &[&str] =
    &["as", "avoid", "because", "due", "ensure", "keeps", "prevent", "protect", "reason", "since", "so", "therefore"];
const PLACES: &[&str] = &[
    "address", "at", "building", "counter", "desk", "entrance", "floor", "from", "hall", "in", "lobby", "near", "next",
    "office", "on", "online", "portal", "room", "shelf", "street", "suite", "to", "wing",
];
const PERSONS: &[&str] = &[
    "agent",
    "agents",
    "anyone",
    "caregiver",
    "carer",
    "clinician",
    "coordinator",
    "doctor",
    "everyone",
    "lead",
    "manager",
    "nurse",
    "nurses",
    "officer",
    "parent",
    "patient",
    "patients",
    "person",
    "pharmacist",
    "pharmacists",
    "physician",
    "prescriber",
    "provider",
    "staff",
    "supervisor",
    "team",
    "technician",
    "technicians",
    "who",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_signs() {
        for (kind, with, without) in [
            (Kind::Time, "Ready in 2 hours.", "It is ready."),
            (Kind::Amount, "It is $5.", "It is cheap."),
            (Kind::Frequency, "Twice a week.", "It is repeated."),
            (Kind::Reason, "Because it spoils.", "It spoils."),
            (Kind::Person, "A pharmacist signs.", "It is signed."),
        ] {
            assert_eq!((holds(Some(kind), with), holds(Some(kind), without)), (Some(true), Some(false)), "{kind:?}");
        }
        assert_eq!(holds(Some(Kind::Manner), "Call us."), None);
        assert_eq!(holds(None, "Call us."), None);
    }
}
