//! Numbers that say what they are: `MRN 5583920`, `member ID is HPX-77-409`, `chart #2280`, `4417 (policy no.)`.
//!
//! A label outranks everything that the number's own form says: a social security number whose area was never given out
//! is one all the same when the text calls it so.

use super::{
    super::{
        finding::Finding,
        kind::Kind,
        lexicon::Senses,
        token::{Shape, Tokens},
    },
    checksum,
    run::{self, Chunk},
    zip,
};

mod words;

use words::{LABELS, Want};

/// The first words of all labels.
pub(super) fn first_words() -> impl Iterator<Item = &'static str> {
    LABELS.iter().filter_map(|(words, ..)| words.first().copied())
}

/// Looks for labels and takes the numbers that they name.
pub(super) fn scan(tokens: &Tokens<'_>, found: &mut Vec<Finding>) {
    for index in 0..tokens.len() {
        if !tokens.at(index).word() {
            continue;
        }
        let Some((length, kind, want)) = label(tokens, index) else { continue };
        if let Some(finding) = after(tokens, index, length, kind, want).or_else(|| before(tokens, index, kind)) {
            // `medical record number` is a label by its first word and by its second.
            if found.last().is_none_or(|last| last.start != finding.start) {
                found.push(finding);
            }
        }
    }
}

/// The label at `index`: how many tokens it takes, and what it names.
fn label(tokens: &Tokens<'_>, index: usize) -> Option<(usize, Kind, Want)> {
    let word = tokens.lower(index);
    let glued =
        tokens.text(index).ends_with("N") && tokens.joined(index + 1) && tokens.at(index + 1).shape == Shape::Digits;
    if !tokens.at(index).is(Senses::LABEL) && !glued {
        return None;
    }
    let from = LABELS.partition_point(|(words, ..)| words.first().is_some_and(|first| *first < word));
    let same = LABELS.get(from..)?.iter().take_while(|(words, ..)| words.first() == Some(&word));
    let fits = |words: &[&str]| words.iter().enumerate().all(|(step, word)| tokens.lower(index + step) == *word);
    let known = same.filter(|(words, ..)| fits(words)).max_by_key(|(words, ..)| words.len());
    if let Some((words, kind, want)) = known {
        return Some((words.len(), *kind, *want));
    }
    // A label that an export has run together with the word before it and the number after: `chartMRN04857211`.
    let ends = |end: &str| word.ends_with(end);
    let kind = if ends("mrn") {
        Kind::Mrn
    } else if ends("ssn") {
        Kind::Ssn
    } else {
        return None;
    };
    glued.then_some((1, kind, Want::Digit))
}

/// Words between a label and its number.
fn connects(word: &str) -> bool {
    matches!(
        word,
        ":" | "#"
            | "("
            | "-"
            | "="
            | "\""
            | "'"
            | "."
            | ","
            | "is"
            | "was"
            | "are"
            | "on"
            | "file"
            | "as"
            | "of"
            | "reads"
            | "listed"
            | "the"
            | "card"
            | "ending"
            | "in"
            | "under"
            | "with"
            | "recorded"
            | "provided"
            | "it"
            | "to"
            | "at"
            | "her"
            | "his"
            | "my"
            | "their"
            | "your"
            | "best"
            | "current"
            | "new"
            | "s"
            | "plate"
            | "tag"
            | "template"
            | "scan"
            | "hash"
            | "file's"
            | "policy"
            | "membership"
            | "plan"
            | "security"
            | "following"
            | "carries"
            | "still"
            | "patient's"
            | "record"
            | "him"
            | "me"
            | "us"
            | "them"
            | "subject"
            | "participant"
            | "beginning"
            | "/"
            | "["
            | "show"
            | "shows"
            | "needs"
            | "says"
    )
}

fn qualifies(word: &str) -> bool {
    matches!(
        word,
        "number"
            | "numbers"
            | "no"
            | "nos"
            | "num"
            | "nr"
            | "nbr"
            | "id"
            | "ids"
            | "identifier"
            | "identification"
            | "code"
            | "#"
            | "sn"
    )
}

/// The number after the label.
fn after(tokens: &Tokens<'_>, index: usize, length: usize, kind: Kind, want: Want) -> Option<Finding> {
    let mut at = index + length;
    let (mut qualified, mut marked) = (false, false);
    for _ in 0..9 {
        let word = tokens.lower(at);
        if tokens.at(at).lines > 1 || word.is_empty() {
            return None;
        }
        if qualifies(word)
            && !(word == "no" && want == Want::Qualifier && tokens.lower(at + 1) != "." && !numeric(tokens, at + 1))
        {
            qualified = true;
        } else if connects(word) && !code_here(tokens, at) {
            marked |= matches!(word, ":" | "=" | "is" | "was");
            if word == "." && !qualified && tokens.begins(at + 1) && at > index + length {
                return None;
            }
        } else {
            break;
        }
        at += 1;
    }
    let chunk = run::chunk(tokens, at)?;
    let text = tokens.text.get(chunk.start..chunk.end)?;
    let single_letter_word = chunk.last == chunk.first + 1 && chunk.digits == 0;
    let fits = match want {
        Want::Token => {
            chunk.digits > 0 || (marked && !single_letter_word) || (marked && tokens.at(at).senses.unknown())
        }
        Want::Digit => chunk.digits > 0,
        Want::Code => chunk.digits > 0 && (qualified || strong(&chunk)),
        Want::Qualifier => chunk.digits > 0 && qualified,
    };
    let named_phone = matches!(kind, Kind::Phone | Kind::Fax);
    let fits = fits || named_phone && tokens.mark(at, "(");
    if !fits {
        return None;
    }
    if chunk.digits > 0 && is_quantity(tokens, &chunk, kind) || kind == Kind::Zip && !zip::too_fine(text) {
        return None;
    }
    if named_phone {
        let run = run::read(tokens, bracket_before(tokens, at), 6)?;
        let whole = (7..=15).contains(&run.digits.len());
        let start = tokens.at(run.first).start;
        return whole.then(|| Finding::new(kind, start, tokens.at(run.last - 1).end, 0.95, "label"));
    }
    let mut end = chunk.end;
    // Numbers are written in groups: `402 19 8877`, `1EG4 TE5 MK73`.
    let mut next = chunk.last;
    while kind != Kind::Zip
        && chunk.digits > 0
        && tokens.at(next).lines == 0
        && grouped(tokens, next)
        && next < chunk.last + 6
    {
        let more = run::chunk(tokens, next)?;
        (end, next) = (more.end, more.last);
    }
    let checked = match kind {
        Kind::Npi => checksum::npi(text),
        Kind::Dea => checksum::dea(text),
        Kind::Vin => checksum::vin(text),
        Kind::Imei => checksum::luhn(text),
        _ => false,
    };
    Some(Finding::new(kind, chunk.start, end, if checked { 0.99 } else { 0.95 }, "label"))
}

/// The number before its label: `5583920 (MRN)`, `HPX-77-409 is my member ID`.
fn before(tokens: &Tokens<'_>, index: usize, kind: Kind) -> Option<Finding> {
    let last = match (tokens.lower_before(index, 2), tokens.lower_before(index, 1)) {
        (_, "(" | "[") => index.checked_sub(2)?,
        ("is" | "as", "my" | "his" | "her" | "the" | "our" | "your" | "their") => index.checked_sub(3)?,
        _ => return None,
    };
    let mut first = last;
    while first > 0 && tokens.joined(first) {
        first -= 1;
    }
    let chunk = run::chunk(tokens, first)?;
    let text = tokens.text.get(chunk.start..chunk.end)?;
    (chunk.digits >= 4 && chunk.last == last + 1 && !text.contains('/'))
        .then(|| Finding::new(kind, chunk.start, chunk.end, 0.9, "label-after"))
}

fn numeric(tokens: &Tokens<'_>, at: usize) -> bool {
    run::chunk(tokens, at).is_some_and(|chunk| chunk.digits > 0)
}

/// Whether a code begins with what could be a connecting word: `S-9876`, `IN12345`.
fn code_here(tokens: &Tokens<'_>, at: usize) -> bool {
    tokens.at(at).word() && run::chunk(tokens, at).is_some_and(|chunk| chunk.digits > 0)
}

const fn strong(chunk: &Chunk) -> bool {
    chunk.digits >= 6 || (chunk.letters > 0 && chunk.digits >= 3)
}

fn bracket_before(tokens: &Tokens<'_>, at: usize) -> usize {
    match at.checked_sub(1) {
        Some(before) if tokens.mark(before, "(") || tokens.mark(before, "+") => before,
        _ => at,
    }
}

/// Whether another group of the same number stands at `at`.
fn grouped(tokens: &Tokens<'_>, at: usize) -> bool {
    let token = tokens.at(at);
    let Some(chunk) = run::chunk(tokens, at) else { return false };
    let capitals = (chunk.first..chunk.last)
        .all(|index| matches!(tokens.at(index).shape, Shape::Capitals | Shape::Letter | Shape::Digits | Shape::Mark));
    let date = tokens.text.get(chunk.start..chunk.end).is_some_and(|text| text.contains('/'));
    token.apart && chunk.digits >= 2 && capitals && !date && chunk.end - chunk.start <= 6
}

/// Whether the number is an amount of something, a year or a date rather than a code.
fn is_quantity(tokens: &Tokens<'_>, chunk: &Chunk, kind: Kind) -> bool {
    let unit = tokens.lower(chunk.last);
    let measured = chunk.letters == 0
        && matches!(
            unit,
            "mg" | "mcg"
                | "ml"
                | "g"
                | "kg"
                | "units"
                | "%"
                | "days"
                | "day"
                | "weeks"
                | "week"
                | "months"
                | "month"
                | "years"
                | "year"
                | "hours"
                | "minutes"
                | "times"
                | "tablets"
                | "refills"
                | "dollars"
                | "percent"
                | "lbs"
                | "miles"
        );
    let money = tokens.text.get(..chunk.start).is_some_and(|before| before.ends_with('$'));
    let text = tokens.text.get(chunk.start..chunk.end).unwrap_or_default();
    let slashes = text.contains('/') && chunk.letters == 0 && !matches!(kind, Kind::Phone | Kind::Fax);
    let year = chunk.letters == 0
        && chunk.digits == 4
        && (text.starts_with("19") || text.starts_with("20"))
        && !matches!(kind, Kind::Mrn | Kind::Ssn);
    measured || money || slashes || year
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(Kind, &str)> {
        let tokens = Tokens::of(text);
        let mut found = Vec::new();
        scan(&tokens, &mut found);
        found.iter().map(|f| (f.kind, &text[f.start..f.end])).collect()
    }

    #[test]
    fn the_labels_can_be_searched_by_their_first_word() {
        assert!(LABELS.is_sorted_by_key(|(words, ..)| words[0]));
    }

    #[test]
    fn a_label_names_the_number_after_it() {
        assert_eq!(read("MRN: 4471902"), [(Kind::Mrn, "4471902")]);
        assert_eq!(read("her medical record number is QH-22871"), [(Kind::Mrn, "QH-22871")]);
        assert_eq!(read("insurance policy no. TL-5512-09"), [(Kind::HealthPlan, "TL-5512-09")]);
        assert_eq!(read("SSN 000 12 3456 was given"), [(Kind::Ssn, "000 12 3456")]);
        assert_eq!(read("exportMRN00391"), [(Kind::Mrn, "00391")]);
        assert_eq!(read("7730112 (MRN)"), [(Kind::Mrn, "7730112")]);
        assert_eq!(read("Fax: (402) 555-0142."), [(Kind::Fax, "(402) 555-0142")]);
        assert_eq!(read("username: qhill_92"), [(Kind::Username, "qhill_92")]);
    }

    #[test]
    fn a_word_that_only_looks_like_a_label_names_nothing() {
        assert!(read("the plan is to give 40 mg daily").is_empty());
        assert!(read("patient has no fever at 37.2").is_empty());
        assert!(read("group of 12 patients in order to study 40 cases").is_empty());
        assert!(read("insurance covered 80% in 2021").is_empty());
    }
}
