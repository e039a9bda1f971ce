//! Words and numbers of the calendar.

use super::super::token::Tokens;

/// The month that a word names, in lower case.
pub(super) fn month(word: &str) -> Option<u32> {
    Some(match word {
        "january" | "jan" | "janurary" => 1,
        "february" | "feb" | "febuary" => 2,
        "march" | "mar" => 3,
        "april" | "apr" => 4,
        "may" => 5,
        "june" | "jun" => 6,
        "july" | "jul" => 7,
        "august" | "aug" => 8,
        "september" | "sept" | "sep" => 9,
        "october" | "oct" => 10,
        "november" | "nov" => 11,
        "december" | "dec" => 12,
        _ => return None,
    })
}

/// Whether a word is a day of the week.
pub(super) fn weekday(word: &str) -> bool {
    matches!(
        word,
        "monday"
            | "tuesday"
            | "wednesday"
            | "thursday"
            | "friday"
            | "saturday"
            | "sunday"
            | "mon"
            | "tue"
            | "tues"
            | "wed"
            | "thu"
            | "thur"
            | "thurs"
            | "fri"
            | "sat"
    )
}

/// Whether digits are a day of the month.
pub(super) fn is_day(text: &str) -> bool {
    text.len() <= 2 && text.parse().is_ok_and(|day: u32| (1..=31).contains(&day))
}

/// Whether digits are a month.
pub(super) fn is_month(text: &str) -> bool {
    text.len() <= 2 && text.parse().is_ok_and(|month: u32| (1..=12).contains(&month))
}

/// Whether digits are a year of this or the last two centuries.
pub(super) fn is_year(text: &str) -> bool {
    text.len() == 4 && text.parse().is_ok_and(|year: u32| (1800..=2100).contains(&year))
}

/// One if an ordinal's ending follows without a gap: `14th`.
pub(super) fn ordinal_end(tokens: &Tokens<'_>, at: usize) -> usize {
    usize::from(tokens.joined(at) && matches!(tokens.lower(at), "st" | "nd" | "rd" | "th"))
}

/// The token after a day written as a word: `third`, `twenty-second`.
pub(super) fn day_word(tokens: &Tokens<'_>, at: usize) -> Option<usize> {
    const ONES: [&str; 9] = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth"];
    const REST: [&str; 12] = [
        "tenth",
        "eleventh",
        "twelfth",
        "thirteenth",
        "fourteenth",
        "fifteenth",
        "sixteenth",
        "seventeenth",
        "eighteenth",
        "nineteenth",
        "twentieth",
        "thirtieth",
    ];
    let word = tokens.lower(at);
    if ONES.contains(&word) || REST.contains(&word) {
        return Some(at + 1);
    }
    let tens = matches!(word, "twenty" | "thirty");
    let one = at + 1 + usize::from(tokens.mark(at + 1, "-"));
    (tens && ONES.contains(&tokens.lower(one))).then_some(one + 1)
}

/// Whether a word after a number makes it an amount.
pub(super) fn unit(word: &str) -> bool {
    matches!(
        word,
        "mg" | "mcg"
            | "ml"
            | "g"
            | "kg"
            | "units"
            | "%"
            | "tablets"
            | "tablet"
            | "capsules"
            | "times"
            | "days"
            | "weeks"
            | "months"
            | "years"
            | "hours"
            | "patients"
            | "percent"
            | "doses"
            | "puffs"
            | "pills"
    )
}
