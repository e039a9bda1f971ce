//! What a question asks for: a time, a place, a reason, a way. "When can I refill?" and "How can I refill?" share every
//! meaningful word and have different answers.

/// What a question asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Reason,
    Place,
    Person,
    /// Whom one turns to.
    Contact,
    /// Who is allowed to do a thing, or has to.
    Entitled,
    /// When: a moment, or how long until then.
    Time,
    /// On which days, again and again.
    Days,
    /// How long, how soon, how many days.
    Duration,
    Frequency,
    Amount,
    Manner,
    /// Yes or no.
    Whether,
    /// What, which: whatever its noun says.
    Thing,
}

/// The kind of a question in lower-case words, by its first question word; `None` where it has none.
pub(crate) fn kind(words: &[String]) -> Option<Kind> {
    let word = |at: usize| words.get(at).map_or("", String::as_str);
    let asks = |at: usize| {
        Some(match word(at) {
            "why" => Kind::Reason,
            "where" => Kind::Place,
            "who" | "whom" | "whose" => match (word(at + 1), word(at + 2), word(at + 3)) {
                ("may" | "must", other, _) if at == 0 && other != "be" && !ONE.contains(&other) => Kind::Entitled,
                ("is" | "are", "allowed" | "authorised" | "authorized" | "entitled" | "permitted", _) if at == 0 => {
                    Kind::Entitled
                }
                (_, one, verb) if ONE.contains(&one) && TURN_TO.contains(&verb) => Kind::Contact,
                _ => Kind::Person,
            },
            "when" => Kind::Time,
            "what" | "which" | "what's" => match word(at + 1) {
                "days" if word(at + 2) != "supply" => Kind::Days,
                "time" | "times" | "day" | "date" | "hours" => Kind::Time,
                _ => Kind::Thing,
            },
            "how" => match (word(at + 1), word(at + 2)) {
                ("early" | "late", _) => Kind::Time,
                ("long" | "soon" | "fast" | "quickly", _) => Kind::Duration,
                ("many" | "much", "days" | "weeks" | "months" | "hours" | "minutes" | "years" | "time") => {
                    Kind::Duration
                }
                ("often", _) | ("many" | "much", "times") => Kind::Frequency,
                ("many" | "much", _) => Kind::Amount,
                ("come", _) => Kind::Reason,
                _ => Kind::Manner,
            },
            _ => return None,
        })
    };
    let first = (0..words.len()).find_map(asks);
    first.or_else(|| WHETHER.contains(&word(0)).then_some(Kind::Whether))
}

/// Who asks, or for whom: "Who may I call?" asks whom to turn to, "Who may call?" who is allowed to.
const ONE: &[&str] = &["i", "one", "they", "we", "you"];

/// What one does to whom one turns to.
const TURN_TO: &[&str] = &[
    "ask", "call", "contact", "inform", "message", "notify", "page", "phone", "reach", "ring", "speak", "tell", "write",
];

/// Verbs that a question for yes or no begins with.
const WHETHER: &[&str] = &[
    "am", "are", "can", "can't", "could", "did", "do", "does", "don't", "had", "has", "have", "is", "isn't", "may",
    "must", "should", "was", "were", "will", "would",
];

/// Whether the answer to a question of one kind cannot be the answer to one of the other. "What is the copay?" may ask
/// how much, and who asks how to do a thing is answered whether it can be done; nothing else is so lenient.
pub(super) fn differ(asked: Option<Kind>, known: Option<Kind>) -> bool {
    let (Some(asked), Some(known)) = (asked, known) else { return false };
    let either = |kind: Kind| asked == kind || known == kind;
    let timed = |kind: Kind| matches!(kind, Kind::Time | Kind::Days | Kind::Duration);
    let person = |kind: Kind| matches!(kind, Kind::Person | Kind::Contact | Kind::Entitled);
    let lenient = either(Kind::Thing) && !either(Kind::Reason)
        || either(Kind::Manner) && either(Kind::Whether)
        || either(Kind::Time) && timed(asked) && timed(known)
        || either(Kind::Person) && person(asked) && person(known);
    asked != known && !lenient
}

/// Whether that holds in whatever wording: the days on which something is done never say how long it takes, and whom one turns to is not who is
/// allowed to.
pub(super) fn differ_in_any_wording(asked: Option<Kind>, known: Option<Kind>) -> bool {
    let apart = [(Kind::Days, Kind::Duration), (Kind::Contact, Kind::Entitled)];
    apart
        .into_iter()
        .any(|(one, other)| asked == Some(one) && known == Some(other) || asked == Some(other) && known == Some(one))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words;

    fn of(question: &str) -> Option<Kind> {
        kind(&words::lower(question).map(|(_, word)| word).collect::<Vec<_>>())
    }

    #[test]
    fn a_question_word_says_what_is_asked_for() {
        for (question, expected) in [
            ("When can I refill?", Kind::Time),
            ("How many days before the end can I refill?", Kind::Duration),
            ("How long must I wait?", Kind::Duration),
            ("On which days are you open?", Kind::Days),
            ("What days supply is covered?", Kind::Thing),
            ("How can I refill?", Kind::Manner),
            ("Why must I wait?", Kind::Reason),
            ("Where is the pharmacy?", Kind::Place),
            ("Who signs for it?", Kind::Person),
            ("Who do I call at night?", Kind::Contact),
            ("Whom may we ask?", Kind::Contact),
            ("Who may open the safe?", Kind::Entitled),
            ("Who is allowed in?", Kind::Entitled),
            ("Who must be told?", Kind::Person),
            ("Who can I send?", Kind::Person),
            ("With someone who may have taken too much, who do I call?", Kind::Person),
            ("How much is it?", Kind::Amount),
            ("How often may I take it?", Kind::Frequency),
            ("Can I refill online?", Kind::Whether),
            ("What does it cost?", Kind::Thing),
            ("What time do you close?", Kind::Time),
        ] {
            assert_eq!(of(question), Some(expected), "{question}");
        }
        assert_eq!(of("refill online"), None);
    }

    #[test]
    fn kinds_that_one_answer_can_serve_do_not_differ() {
        for (a, b) in [
            ("Can I refill online?", "How do I refill online?"),
            ("What is the copay?", "How much is the copay?"),
            ("When can I refill?", "How early can I refill?"),
            ("When do you close?", "At what time do you close?"),
            ("When does my parcel come?", "How long does my parcel take?"),
            ("refill early", "Why can I not refill early?"),
            ("Who may collect my medicine?", "Who can collect my medicine?"),
            ("Who do I call about a parcel?", "Who answers questions about a parcel?"),
        ] {
            assert!(!differ(of(a), of(b)), "{a} / {b}");
        }
        for (a, b) in [
            ("When can I request a refill?", "How do I request a refill?"),
            ("Why must I stay after a vaccine?", "How long must I stay after a vaccine?"),
            ("Why is there a copay?", "What is the copay?"),
            ("On which days do you ship?", "How long does it take to ship?"),
            ("Who may lock the safe?", "Who do I call when the safe is locked?"),
            ("Where can I get a flu shot?", "When can I get a flu shot?"),
        ] {
            assert!(differ(of(a), of(b)) && differ(of(b), of(a)), "{a} / {b}");
        }
    }
}
