//! Full stops that end no sentence: of titles, of dotted abbreviations, of initials, of units.
//!
//! Which it is depends on the word before the stop and on the word or mark after it, and never on more than that: a
//! boundary must be certain as soon as both are there.
//!
//! # Why
//! - **Rather joined than cut.** Of two sentences taken for one, nothing is lost. Of one that is cut in two, the second
//!   half is missing where the first is quoted: "open from 8:00 a.m.".
//! - **`a.m.` and initials may end a sentence, titles may not.** So what begins with a capital after the former is looked
//!   at: a weekday or a time zone goes on, "Call" begins anew.

use super::Stop;

/// Words that a full stop follows without ending the sentence.
const ABBREVIATIONS: &[&str] = &[
    "approx", "apt", "ave", "blvd", "capt", "cf", "col", "dept", "dr", "drs", "e.g", "eg", "ext", "fig", "figs", "gen",
    "i.e", "ie", "incl", "lt", "mr", "mrs", "ms", "mt", "mx", "pp", "prof", "rd", "resp", "rev", "sgt", "sr", "st",
    "tel", "viz", "vs",
];

/// Words that a full stop follows without ending the sentence if a digit comes next.
const BEFORE_DIGITS: &[&str] = &[
    "apr", "aug", "ca", "cap", "caps", "ch", "dec", "feb", "jan", "jul", "jun", "mar", "max", "no", "nos", "nov",
    "oct", "p", "para", "pt", "sec", "sect", "sep", "sept", "tab", "tabs", "vol",
];

/// Units that are written with a full stop. After a number they go on with a digit or with how it is given.
const UNITS: &[&str] = &[
    "cc", "cm", "dl", "ft", "g", "gm", "gtt", "h", "hr", "hrs", "in", "kg", "l", "lb", "lbs", "mcg", "meq", "mg",
    "min", "mins", "ml", "mm", "oz", "sec", "tbsp", "tsp", "wk", "wks", "yr", "yrs",
];

/// How a dose is given, as orders shorten it.
const GIVEN: &[&str] =
    &["bid", "im", "iv", "po", "pr", "prn", "qam", "qd", "qhs", "qid", "qod", "qpm", "sc", "sl", "sq", "subq", "tid"];

/// Words that may follow `a.m.` inside a sentence though they begin with a capital.
const INSIDE: &[&str] = &[
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
    "mondays",
    "tuesdays",
    "wednesdays",
    "thursdays",
    "fridays",
    "saturdays",
    "sundays",
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
    "eastern",
    "central",
    "mountain",
    "pacific",
    "alaska",
    "hawaii",
    "standard",
    "daylight",
    "greenwich",
];

/// Time zones as they are shortened.
const ZONES: &[&str] = &[
    "et", "est", "edt", "ct", "cst", "cdt", "mt", "mst", "mdt", "pt", "pst", "pdt", "akst", "akdt", "hst", "gmt",
    "utc", "bst", "cet", "cest",
];

/// Words with which a sentence begins and which are no one's name.
const STARTERS: &[&str] = &[
    "a", "add", "after", "all", "also", "always", "an", "and", "any", "as", "ask", "at", "avoid", "because", "before",
    "but", "by", "call", "check", "contact", "do", "don", "each", "every", "first", "for", "from", "give", "go", "he",
    "her", "his", "how", "however", "i", "if", "in", "it", "its", "keep", "many", "most", "never", "no", "not", "on",
    "once", "or", "our", "please", "see", "she", "since", "so", "some", "stop", "store", "take", "tell", "that", "the",
    "their", "then", "there", "these", "they", "this", "those", "to", "under", "until", "use", "wait", "we", "what",
    "when", "where", "which", "while", "who", "why", "with", "you", "your",
];

/// Words after which a single capital is somebody's initial. After others it is a letter: "vitamin C", "hepatitis B".
const NAMING: &[&str] = &[
    "ask",
    "asked",
    "asks",
    "by",
    "call",
    "called",
    "calls",
    "contact",
    "doctor",
    "from",
    "manager",
    "named",
    "nurse",
    "patient",
    "pharmacist",
    "physician",
    "prescriber",
    "saw",
    "see",
    "technician",
    "tell",
    "told",
    "with",
];

/// What the full stop after `word` is, which stands after `earlier` and before the word or mark `next`.
pub(super) fn stands_before(earlier: &str, word: &str, next: &str, new_line: bool) -> Stop {
    let inside = goes_on(earlier, word, next, new_line);
    if inside { Stop::Abbreviation } else { Stop::Sentence }
}

fn goes_on(earlier: &str, word: &str, next: &str, new_line: bool) -> bool {
    let (lower, after) = (word.to_lowercase(), next.to_lowercase());
    let digit = next.starts_with(|c: char| c.is_ascii_digit());
    let mark = next.starts_with(|c: char| !c.is_alphanumeric() && !matches!(c, '•' | '·' | '▪' | '◦' | '‣'));
    if ABBREVIATIONS.contains(&lower.as_str()) || lower == "al" && earlier.trim_end().ends_with("et") {
        return true;
    }
    // A number in the next line may well begin another statement; after "No." or "max." it does not.
    if BEFORE_DIGITS.contains(&lower.as_str()) && digit {
        return true;
    }
    let unit = lower.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let counted = unit.len() < lower.len() || earlier.trim_end().ends_with(|c: char| c.is_ascii_digit() || c == '-');
    if UNITS.contains(&unit) && counted {
        return (digit || mark) && !new_line || GIVEN.contains(&after.as_str());
    }
    if is_dotted(word) {
        let name = word.chars().all(|c| c == '.' || c.is_uppercase());
        let title = name && next.starts_with(char::is_uppercase) && !STARTERS.contains(&after.as_str());
        let goes_on = [INSIDE, ZONES, GIVEN].iter().any(|words| words.contains(&after.as_str()));
        return goes_on || title || (digit || mark) && !new_line;
    }
    is_initial(earlier, word) && next.starts_with(char::is_uppercase) && !STARTERS.contains(&after.as_str())
}

/// `a.m`, `q.i.d`, `U.S`, `Ph.D`: parts of one or two letters.
fn is_dotted(word: &str) -> bool {
    let word = word.trim_start_matches(|c: char| c.is_ascii_digit()); // "8a.m."
    let short = |part: &str| matches!(part.chars().count(), 1 | 2) && part.chars().all(char::is_alphabetic);
    word.contains('.') && word.split('.').all(short)
}

/// A single capital after a name, after another initial, at the beginning, or after a word that somebody follows.
fn is_initial(earlier: &str, word: &str) -> bool {
    let single = word.chars().count() == 1 && word.chars().all(char::is_uppercase) && word != "I";
    let named = earlier.split_whitespace().next_back().is_none_or(|before| {
        before.starts_with(char::is_uppercase) || NAMING.contains(&before.to_lowercase().as_str())
    });
    single && named
}

/// Words with which neither a sentence nor a heading ends.
const OPEN: &[&str] = &["a", "an", "and", "nor", "or", "than", "the", "until"];

/// Whether a line breaks off: it ends with a word or a dash that something must follow.
pub(super) fn leaves_open(line: &str) -> bool {
    let mut words = line.split_whitespace().rev();
    let (last, before) = (words.next().unwrap_or_default().to_lowercase(), words.next().unwrap_or_default());
    match last.as_str() {
        // "8:00 a.m. to", "Monday to"; but a heading may be "Whom to talk to".
        "to" | "through" | "-" | "–" | "—" => {
            let plain = before.to_lowercase();
            let plain = plain.trim_end_matches(['.', ',']);
            before.ends_with(|c: char| c.is_ascii_digit())
                || matches!(plain, "am" | "pm" | "a.m" | "p.m" | "noon" | "midnight")
                || INSIDE.contains(&plain)
        }
        word => OPEN.contains(&word) && !before.is_empty(),
    }
}
