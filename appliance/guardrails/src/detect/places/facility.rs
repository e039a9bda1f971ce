//! Hospitals, clinics, pharmacies and other organisations by their names.

use super::super::{
    finding::Finding,
    kind::Kind,
    lexicon::Senses,
    names::term,
    token::{Shape, Tokens},
};
use crate::drug::is_built_like_one;

/// Finds them all.
pub(super) fn scan(tokens: &Tokens<'_>, found: &mut Vec<Finding>) {
    let mut index = 0;
    while index < tokens.len() {
        let read = headed(tokens, index).or_else(|| known(tokens, index)).or_else(|| attended(tokens, index));
        match read {
            Some((first, last, confidence)) if last > index => {
                found.push(Finding::new(
                    Kind::Facility,
                    tokens.at(first).start,
                    end(tokens, last),
                    confidence,
                    "facility",
                ));
                index = last;
            }
            _ => index += 1,
        }
    }
}

type Read = Option<(usize, usize, f32)>;

/// The last byte of the token before `last`, its possessive included: `St. Brannoc's`.
fn end(tokens: &Tokens<'_>, last: usize) -> usize {
    let token = tokens.before(last, 1);
    let possessive = token.possessive && tokens.text.get(token.end..).is_some_and(|rest| rest.starts_with("'s"));
    token.end + if possessive { 2 } else { 0 }
}

/// A proper name and the word for what it is: `Harrow Glen Medical Center`, `Dallas clinic`, `Children's Hospital of Harrow`.
fn headed(tokens: &Tokens<'_>, index: usize) -> Read {
    let head = tokens.at(index);
    let small = head.shape == Shape::Lower
        && matches!(tokens.lower(index), "clinic" | "hospital" | "office" | "pharmacy" | "hospice");
    if !tokens.at(index).is(Senses::FACILITY)
        || !(head.capital() || small)
        || head.shape == Shape::Capitals && tokens.shouts(index)
    {
        return None;
    }
    let mut first = index;
    let mut proper = 0;
    let mut skipped_small = false;
    while first > 0 && index - first < 7 && tokens.at(first).lines <= 1 {
        let before = tokens.before(first, 1);
        let word = tokens.lower_before(first, 1);
        if tokens.at(first).lines == 1 && !before.capital() {
            break;
        }
        let name = before.capital()
            && !matches!(
                word,
                "the"
                    | "our"
                    | "my"
                    | "your"
                    | "this"
                    | "at"
                    | "in"
                    | "from"
                    | "to"
                    | "dr"
                    | "is"
                    | "are"
                    | "what"
                    | "which"
                    | "how"
                    | "can"
                    | "does"
                    | "do"
                    | "and"
                    | "or"
                    | "of"
                    | "for"
                    | "with"
                    | "if"
                    | "when"
                    | "a"
                    | "an"
            );
        if name {
            let weak = tokens.begins(first - 1) && before.is(Senses::GENERIC);
            proper += usize::from(
                !before.is(Senses::GENERIC) && !weak
                    || matches!(word, "general" | "children" | "memorial" | "women" | "community")
                        && index - first == 0
                        && head.capital(),
            );
            first -= 1;
        } else if before.shape == Shape::Mark && joins(tokens, first - 1) && index > 0 {
            first -= 1;
        } else if small
            && !skipped_small
            && first == index
            && matches!(word, "downtown" | "main" | "city" | "area" | "community" | "uptown")
        {
            skipped_small = true;
            first -= 1;
        } else if matches!(word, "of" | "and" | "for" | "de" | "&")
            && tokens.before(first, 2).capital()
            && tokens.at(first).capital()
            && first > 1
            && !tokens.before(first, 2).is(Senses::GENERIC)
        {
            first -= 1;
        } else {
            break;
        }
    }
    while first < index
        && (tokens.at(first).shape == Shape::Mark || matches!(tokens.lower(first), "of" | "and" | "for"))
    {
        first += 1;
    }
    let title_office = tokens.before(first, if tokens.lower_before(first, 1) == "." { 2 } else { 1 }).is(Senses::TITLE);
    let last = rest(tokens, index + 1, small);
    let of_named = tokens.lower(index + 1) == "of" && last > index + 2;
    let known_small = !small
        || (first..index).any(|at| {
            tokens.at(at).senses.any(Senses::PLACE.with(Senses::SURNAME).with(Senses::PLACE_BEGINS))
                || tokens.at(at).senses.unknown()
        });
    if title_office
        || !(proper > 0 && first < index && known_small
            || of_named && first <= index && head.capital() && tokens.lower(index) != "center")
        || !tokens.at(index).is(Senses::FACILITY) && proper == 0
    {
        return None;
    }
    if tokens.begins(first)
        && index == first + 1
        && tokens.at(first).senses.has(Senses::COMMON)
        && !tokens.at(first).senses.any(Senses::PLACE.with(Senses::SURNAME))
    {
        return None;
    }
    if term::eponymous(tokens, first, index) && tokens.lower(index) != "institute" {
        return None;
    }
    Some((first, last, if small { 0.6 } else { 0.85 }))
}

/// Marks inside a name: `St.`, `Barnes-Jewish`, `Scott & White`.
fn joins(tokens: &Tokens<'_>, mark: usize) -> bool {
    match tokens.text(mark) {
        "." => matches!(tokens.lower_before(mark, 1), "st" | "mt" | "ft"),
        "-" => tokens.joined(mark) && tokens.joined(mark + 1) && tokens.before(mark, 1).capital(),
        "&" => tokens.before(mark, 1).capital(),
        _ => false,
    }
}

/// Further heads after the first, then `of` or `at` and a name: `Medical Center`, `Hospital of Philadelphia`.
fn rest(tokens: &Tokens<'_>, from: usize, small: bool) -> usize {
    let mut last = from;
    while !small
        && tokens.at(last).capital()
        && tokens.at(last).lines == 0
        && tokens.at(last).apart
        && last < from + 5
        && (tokens.at(last).is(Senses::FACILITY)
            || tokens.at(last).is(Senses::GENERIC)
            || tokens.at(last).senses.any(Senses::PLACE.with(Senses::PLACE_BEGINS))
                && tokens.at(last).shape == Shape::Title)
        && !tokens.at(last).is(Senses::NEVER)
    {
        last += 1;
    }
    let of = matches!(tokens.lower(last), "of" | "at" | "for" | "-")
        || tokens.lower(last) == "in" && tokens.at(last + 1).is(Senses::PLACE);
    let the = last + 1 + usize::from(tokens.lower(last + 1) == "the");
    if !small
        && of
        && tokens.at(the).capital()
        && tokens.at(the).shape != Shape::Capitals
        && tokens.at(the).lines == 0
        && !tokens.at(the).is(Senses::NEVER)
        && !tokens.at(the).is(Senses::EPONYM)
    {
        last = the + 1;
        while tokens.at(last).shape == Shape::Title
            && tokens.at(last).lines == 0
            && tokens.at(last).apart
            && last < the + 3
            && !tokens.at(last).is(Senses::NEVER)
        {
            last += 1;
        }
    }
    last
}

/// Health systems and hospitals that are known by a short name. Facts, drawn up by hand.
const KNOWN: &[&[&str]] = &[
    &["barnes", "-", "jewish"],
    &["baylor", "scott", "&", "white"],
    &["baylor"],
    &["beth", "israel"],
    &["bidmc"],
    &["brigham", "&", "women"],
    &["brigham", "and", "women"],
    &["brigham"],
    &["cedar", "sinai"],
    &["cedars", "-", "sinai"],
    &["cedars", "sinai"],
    &["chop"],
    &["city", "of", "hope"],
    &["cleveland", "clinic"],
    &["dana", "-", "farber"],
    &["duke", "health"],
    &["emory"],
    &["geisinger"],
    &["intermountain"],
    &["john", "hopkins"],
    &["johns", "hopkins"],
    &["kaiser", "permanente"],
    &["kaiser"],
    &["mass", "general"],
    &["massachusetts", "general"],
    &["mayo", "clinic"],
    &["mayo"],
    &["md", "anderson"],
    &["memorial", "sloan"],
    &["mgh"],
    &["montefiore"],
    &["mount", "sinai"],
    &["mt", ".", "sinai"],
    &["mt", "sinai"],
    &["mskcc"],
    &["new", "york", "presbyterian"],
    &["northwell"],
    &["northwestern", "memorial"],
    &["ny", "presbyterian"],
    &["nyu", "langone"],
    &["nyu"],
    &["ochsner"],
    &["ohsu"],
    &["penn", "medicine"],
    &["scripps"],
    &["sloan", "kettering"],
    &["stanford"],
    &["sutter", "health"],
    &["ucla"],
    &["ucsd"],
    &["ucsf"],
    &["upmc"],
    &["utsw"],
    &["vanderbilt"],
    &["vumc"],
    &["weill", "cornell"],
    &["yale", "new", "haven"],
    &["bwh"],
    &["nih", "clinical"],
    &["banner", "health"],
    &["ascension"],
    &["tufts", "medical"],
    &["unc", "health"],
    &["houston", "methodist"],
];

/// The first words of facilities that are known by a short name.
pub(super) fn known_words() -> impl Iterator<Item = &'static str> {
    KNOWN.iter().filter_map(|words| words.first().copied())
}

/// A facility known by a short name, where it stands with a capital and is not part of a term.
fn known(tokens: &Tokens<'_>, index: usize) -> Read {
    if !tokens.at(index).capital() || !tokens.at(index).is(Senses::KNOWN) {
        return None;
    }
    let fits = |words: &&&[&str]| words.iter().enumerate().all(|(step, word)| tokens.lower(index + step) == *word);
    let words = KNOWN.iter().filter(fits).max_by_key(|words| words.len())?;
    let mut last = index + words.len();
    if tokens.lower(index) == "john" && tokens.at(index).possessive {
        last = index + 2;
    }
    let next = tokens.lower(last);
    let term = tokens.at(last).is(Senses::HEAD)
        || tokens.at(last + 1).is(Senses::HEAD) && tokens.at(last).word()
        || matches!(next, "stand" | "guidelines" | "protocol" | "guideline");
    let one = words.len() == 1
        && tokens.at(index).shape == Shape::Title
        && matches!(
            tokens.lower(index),
            "mayo" | "kaiser" | "stanford" | "baylor" | "brigham" | "vanderbilt" | "emory" | "scripps" | "ascension"
        );
    let placed =
        matches!(tokens.lower_before(index, 1), "at" | "@" | "from" | "to" | "in" | "by" | "of" | "with" | "(");
    let last = rest(tokens, last, false);
    (!term && (!one || placed)).then_some((index, last, 0.85))
}

/// A capitalised name where someone was seen, treated or admitted: `seen at Cedar Crest`, `transferred to MGH`.
fn attended(tokens: &Tokens<'_>, index: usize) -> Read {
    let token = tokens.at(index);
    let preposition = if tokens.lower_before(index, 1) == "@" { "at" } else { tokens.lower_before(index, 1) };
    let saint = matches!(tokens.text(index), "St" | "Mt" | "Ft")
        && tokens.at(index + 1 + usize::from(tokens.mark(index + 1, "."))).capital();
    let country = token.senses.has(Senses::COUNTRY) || super::is_state(tokens, index);
    if !matches!(preposition, "at" | "to" | "from" | "in" | "with")
        || !token.capital()
        || token.lines > 1
        || country
        || token.shape == Shape::Capitals && tokens.shouts(index)
    {
        return None;
    }
    let attended = (2..=5).any(|back| {
        matches!(
            tokens.lower_before(index, back),
            "seen"
                | "treated"
                | "admitted"
                | "evaluated"
                | "diagnosed"
                | "hospitalized"
                | "hospitalised"
                | "visit"
                | "visited"
                | "visits"
                | "checkup"
                | "up"
                | "appointment"
                | "consult"
                | "consultation"
                | "consulted"
                | "discharged"
                | "referred"
                | "transferred"
                | "located"
                | "examined"
                | "underwent"
                | "surgery"
                | "care"
                | "followed"
                | "presented"
                | "assessed"
                | "observed"
                | "enrolled"
                | "tested"
                | "procedure"
                | "therapy"
                | "monitored"
                | "patient"
                | "physician"
                | "doctor"
                | "works"
                | "employed"
                | "screened"
                | "reviewed"
                | "managed"
                | "received"
                | "operated"
                | "scheduled"
                | "attended"
                | "attends"
                | "records"
                | "chart"
        )
    });
    if tokens.at(index).is(Senses::NEVER) && !saint
        || !(attended || preposition == "at")
        || tokens.at(index).is(Senses::TITLE) && !saint
    {
        return None;
    }
    let capitals = token.shape == Shape::Capitals;
    if capitals
        && (token.end - token.start < 3
            || !(preposition == "at" || attended && preposition != "with")
            || department(tokens.text(index)))
    {
        return None;
    }
    if preposition == "with" || preposition == "in" && !capitals || preposition == "to" && !attended {
        return None;
    }
    let mut last = index + 1;
    while last < index + 6 {
        let next = tokens.at(last);
        let capital = next.capital()
            && next.lines == 0
            && (next.apart || tokens.lower_before(last, 1) == "-")
            && !tokens.at(last).is(Senses::NEVER);
        let mark = joins(tokens, last) && tokens.at(last + 1).capital();
        let connects = matches!(tokens.lower(last), "of" | "and" | "&")
            && tokens.at(last + 1).capital()
            && tokens.at(last + 1).lines == 0
            && last > index
            && tokens.lower(last) != "and";
        if !(capital || mark || connects) {
            break;
        }
        last += 1;
    }
    let named = (index..last).any(|at| {
        let part = tokens.at(at);
        part.capital()
            && !tokens.at(at).is(Senses::GENERIC)
            && !tokens.at(at).is(Senses::HEAD)
            && !is_built_like_one(tokens.lower(at))
    });
    let single_word = last == index + 1
        && !capitals
        && token.senses.has(Senses::WORD)
        && !token.senses.any(Senses::SURNAME.with(Senses::PLACE));
    (named && !single_word && !term::eponymous(tokens, index, last)).then_some((
        index,
        last,
        if attended { 0.75 } else { 0.6 },
    ))
}

/// Departments, therapies and states of care written in capitals.
fn department(text: &str) -> bool {
    matches!(
        text,
        "ICU"
            | "NICU"
            | "PICU"
            | "MICU"
            | "SICU"
            | "CCU"
            | "PACU"
            | "EMS"
            | "ENT"
            | "OBGYN"
            | "SNF"
            | "LTAC"
            | "ASC"
            | "PCP"
            | "HOME"
            | "COVID"
            | "CPAP"
            | "HIV"
            | "GERD"
            | "USA"
            | "LTCF"
            | "DNR"
            | "NPO"
            | "PRN"
            | "BID"
            | "TID"
            | "QID"
            | "QHS"
            | "NIH"
            | "CDC"
            | "FDA"
            | "WHO"
            | "AHA"
            | "NHS"
            | "CVS"
            | "CMS"
            | "NICE"
            | "STEMI"
            | "NSTEMI"
            | "MRI"
            | "ECG"
            | "EKG"
            | "PET"
            | "SCAN"
            | "DVT"
            | "CHF"
            | "COPD"
            | "AFIB"
            | "DKA"
            | "OPD"
            | "ACUTE"
            | "CABG"
            | "TAVR"
    )
}
