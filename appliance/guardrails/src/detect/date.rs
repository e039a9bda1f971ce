//! Dates in every form finer than a year. A year alone is none: 45 CFR 164.514(b)(2)(i)(C) lets it stand.

use super::{
    finding::Finding,
    kind::Kind,
    token::{Shape, Tokens},
};

mod calendar;

use calendar::{day_word, is_day, is_month, is_year, month, ordinal_end};

/// Finds them all.
pub(super) fn scan(tokens: &Tokens<'_>, found: &mut Vec<Finding>) {
    let mut skip = 0;
    for index in 0..tokens.len() {
        if index < skip {
            continue;
        }
        let read = match tokens.at(index).shape {
            Shape::Digits => numeric(tokens, index).or_else(|| day_first(tokens, index)),
            Shape::Mark | Shape::Nothing => None,
            _ => month_first(tokens, index).or_else(|| spelled_day(tokens, index)),
        };
        let Some((last, confidence)) = read else { continue };
        let (first, last) = (weekday_before(tokens, article_before(tokens, index)), time_after(tokens, last));
        let (start, end) = (tokens.at(first).start, tokens.at(last.saturating_sub(1)).end);
        found.push(Finding::new(Kind::Date, start, end, confidence, "date"));
        skip = last;
    }
}

type Read = Option<(usize, f32)>;

/// `03/14/2024`, `14.3.24`, `2024-03-14`, `2024-03-14T09:30`, `20240314`, `08/22`, `03/2024`.
fn numeric(tokens: &Tokens<'_>, index: usize) -> Read {
    let inside = tokens.joined(index)
        && !matches!(
            tokens.lower_before(index, 1),
            "(" | "[" | "\"" | "'" | ":" | "," | "=" | ">" | "|" | "@" | ";" | "~"
        );
    if inside {
        return None;
    }
    let part = |step: usize| tokens.text(index + step);
    let mark = |step: usize| {
        let fits = matches!(tokens.text(index + step), "/" | "-" | ".");
        if fits && tokens.joined(index + step) && tokens.joined(index + step + 1) {
            tokens.text(index + step)
        } else {
            ""
        }
    };
    let (first, one) = (part(0), mark(1));
    if one.is_empty() {
        return compact(tokens, index);
    }
    let two = mark(3);
    let continues =
        tokens.joined(index + 5) && matches!(tokens.text(index + 5), "-" | "/" | ".") && tokens.joined(index + 6);
    if two == one && tokens.at(index + 4).shape == Shape::Digits && !continues {
        let (second, third) = (part(2), part(4));
        let last_letters = tokens.joined(index + 5) && tokens.at(index + 5).word() && tokens.lower(index + 5) != "t";
        let year_first = is_year(first) && is_month(second) && is_day(third);
        let year_last = matches!(third.len(), 2 | 4)
            && (third.len() == 2 || is_year(third))
            && ((is_month(first) && is_day(second)) || (is_day(first) && is_month(second)));
        let version = one == "." && third.len() == 2 && !cued(tokens, index);
        if (year_first || year_last) && !last_letters && !version {
            return Some((index + 5, if one == "/" || third.len() == 4 || year_first { 0.95 } else { 0.7 }));
        }
        if matches!(one, "-" | "/") && is_day(first) && month(tokens.lower(index + 2)).is_some() {
            return Some((index + 5, 0.95));
        }
    }
    let second = part(2);
    let alone = !matches!(tokens.text(index + 3), "/" | "-") || !tokens.joined(index + 3);
    if one == "/" && alone && tokens.at(index + 2).shape == Shape::Digits {
        let written = first.len() == 2 && second.len() == 2 && first.starts_with('0');
        if is_month(first) && second.len() == 4 && is_year(second) {
            return Some((index + 3, 0.85));
        }
        let day_and_month = (is_month(first) && is_day(second)) || (is_day(first) && is_month(second));
        if day_and_month && second.len() <= 2 && (written || cued(tokens, index)) && !out_of(tokens, index) {
            return Some((index + 3, if cued(tokens, index) { 0.75 } else { 0.5 }));
        }
    }
    if one == "-" && alone && is_year(first) && second.len() == 2 && is_month(second) && !is_day_range(first, second) {
        return Some((index + 3, if cued(tokens, index) { 0.7 } else { 0.4 }));
    }
    None
}

/// `2019-20` is a span of years.
fn is_day_range(first: &str, second: &str) -> bool {
    let tail = first.get(2..).and_then(|tail| tail.parse::<u32>().ok());
    matches!((tail, second.parse::<u32>().ok()), (Some(tail), Some(next)) if next == tail + 1)
}

/// Scores and pressures: `5/10 pain`, `4/5 strength`.
fn out_of(tokens: &Tokens<'_>, index: usize) -> bool {
    matches!(tokens.lower(index + 3), "pain" | "strength" | "mmhg" | "points" | "score" | "systolic" | "murmur")
        || matches!(
            tokens.lower_before(index, 1),
            "bp" | "pain" | "score" | "strength" | "pressure" | "ratio" | "rated" | "scale"
        )
}

/// Whether words that lead in a date stand before.
fn cued(tokens: &Tokens<'_>, index: usize) -> bool {
    (1..=3).any(|back| {
        matches!(
            tokens.lower_before(index, back),
            "on" | "since"
                | "dob"
                | "date"
                | "dated"
                | "seen"
                | "born"
                | "birth"
                | "from"
                | "until"
                | "till"
                | "through"
                | "by"
                | "admitted"
                | "discharged"
                | "visit"
                | "appointment"
                | "before"
                | "after"
                | "d.o.b"
                | "birthday"
                | "birthdate"
                | "due"
                | "expires"
                | "effective"
                | "dos"
        )
    })
}

/// Eight digits that are a date, where the words say so or the century fits.
fn compact(tokens: &Tokens<'_>, index: usize) -> Read {
    let text = tokens.text(index);
    if text.len() != 8 || tokens.joined(index + 1) && tokens.lower(index + 1) != "t" && tokens.at(index + 1).word() {
        return None;
    }
    let part = |range: std::ops::Range<usize>| text.get(range).unwrap_or_default();
    let year_first = is_year(part(0..4)) && is_month(part(4..6)) && is_day(part(6..8));
    let year_last = is_month(part(0..2)) && is_day(part(2..4)) && is_year(part(4..8));
    let cued = cued(tokens, index);
    ((year_first || year_last) && cued).then_some((index + 1, 0.85))
}

/// `March 14, 2024`, `Mar 14`, `March 14th '24`, `March 2024`, `March of 2024`, `July the fourth`, `in March`.
fn month_first(tokens: &Tokens<'_>, index: usize) -> Read {
    let token = tokens.at(index);
    let lower = tokens.lower(index);
    month(lower)?;
    let ambiguous =
        matches!(lower, "may" | "march" | "mar" | "sun" | "jan" | "dec" | "sept") || token.shape == Shape::Lower;
    let mut at = index + 1;
    at += usize::from(tokens.mark(at, "."));
    at += usize::from(tokens.mark(at, ","));
    at += usize::from(tokens.lower(at) == "the");
    if token.shape == Shape::Lower && matches!(lower, "may" | "march" | "mar") && tokens.at(at).shape != Shape::Digits {
        return None;
    }
    let mut day = None;
    if tokens.at(at).shape == Shape::Digits && is_day(tokens.text(at)) && tokens.at(at).lines == 0 {
        let suffix = ordinal_end(tokens, at + 1);
        let unit = super::date::calendar::unit(tokens.lower(at + 1 + suffix));
        day = (!unit).then_some(at + 1 + suffix);
    } else if let Some(after) = day_word(tokens, at) {
        day = Some(after);
    }
    if let Some(mut last) = day {
        // a range: `March 14-16`, `March 14 to 16`
        if matches!(tokens.lower(last), "-" | "to" | "through" | "and" | "&")
            && is_day(tokens.text(last + 1))
            && tokens.at(last + 1).shape == Shape::Digits
        {
            let end = last + 2 + ordinal_end(tokens, last + 2);
            if !calendar::unit(tokens.lower(end)) {
                last = end;
            }
        }
        return Some((year_after(tokens, last), 0.95));
    }
    let at = index + 1 + usize::from(tokens.mark(index + 1, "."));
    let of = at + usize::from(matches!(tokens.lower(at), "of" | ","));
    if tokens.at(of).shape == Shape::Digits && is_year(tokens.text(of)) {
        return Some((of + 1, 0.85));
    }
    if tokens.mark(of, "'") && tokens.text(of + 1).len() == 2 && tokens.at(of + 1).shape == Shape::Digits {
        return Some((of + 2, 0.8));
    }
    let alone = matches!(
        tokens.lower_before(index, 1),
        "in" | "since" | "until" | "late" | "early" | "mid" | "last" | "this" | "next" | "of" | "during" | "by"
    ) && (!ambiguous || matches!(tokens.lower_before(index, 1), "in" | "since" | "late" | "early" | "mid"))
        && token.capital()
        && !matches!(lower, "mar" | "sun" | "jan" | "dec" | "sep" | "may" if lower != "may" || tokens.lower(index + 1) == "be");
    alone.then_some((index + 1, 0.5))
}

/// `14 March 2024`, `14th of March`, `14-Mar-2024` without marks.
fn day_first(tokens: &Tokens<'_>, index: usize) -> Read {
    if !is_day(tokens.text(index)) || (tokens.joined(index) && tokens.before(index, 1).word()) {
        return None;
    }
    let mut at = index + 1 + ordinal_end(tokens, index + 1);
    if tokens.mark(at, "-") || tokens.mark(at, "/") {
        at += 1;
    }
    at += usize::from(tokens.lower(at) == "day");
    at += usize::from(tokens.lower(at) == "of");
    month(tokens.lower(at))?;
    let real = tokens.at(at).capital() || !matches!(tokens.lower(at), "may" | "march" | "mar" | "sun");
    if !real {
        return None;
    }
    let last = at
        + 1
        + usize::from(tokens.mark(at + 1, ".") && tokens.joined(at + 1) && tokens.at(at + 2).shape == Shape::Digits);
    let last = last + usize::from(tokens.mark(last, "-") || tokens.mark(last, "/"));
    let year = year_after(tokens, last);
    Some((if year > last { year } else { at + 1 }, 0.95))
}

/// `the third of July`, `fourth of March 2024`.
fn spelled_day(tokens: &Tokens<'_>, index: usize) -> Read {
    let the = usize::from(tokens.lower(index) == "the");
    let after = day_word(tokens, index + the)?;
    let of = after + usize::from(tokens.lower(after) == "of");
    month(tokens.lower(of))?;
    if !tokens.at(of).capital() || of == after && the == 0 {
        return None;
    }
    Some((year_after(tokens, of + 1), 0.9))
}

/// The token after a year that follows at `at`: `, 2024`, `of 2024`, `'24`.
fn year_after(tokens: &Tokens<'_>, at: usize) -> usize {
    let step = usize::from(matches!(tokens.lower(at), "," | "of" | "in" | "-"));
    let year = tokens.at(at + step);
    if year.shape == Shape::Digits && year.lines == 0 && is_year(tokens.text(at + step)) {
        return at + step + 1;
    }
    let step = usize::from(tokens.mark(at, ","));
    let short = tokens.mark(at + step, "'")
        && tokens.at(at + step + 1).shape == Shape::Digits
        && tokens.text(at + step + 1).len() == 2;
    if short { at + step + 2 } else { at }
}

/// Takes in the article before a day: `the 14th of March`.
fn article_before(tokens: &Tokens<'_>, index: usize) -> usize {
    let ordinal = tokens.at(index).shape == Shape::Digits && ordinal_end(tokens, index + 1) > 0;
    if ordinal && tokens.lower_before(index, 1) == "the" { index - 1 } else { index }
}

/// Takes in the day of the week before a date: `Tuesday, March 5`.
fn weekday_before(tokens: &Tokens<'_>, index: usize) -> usize {
    let comma = usize::from(tokens.lower_before(index, 1) == ",");
    match index.checked_sub(1 + comma) {
        Some(before) if calendar::weekday(tokens.lower(before)) => before,
        _ => index,
    }
}

/// Takes in the time of day that an export joins to the date: `T09:30:00Z`.
fn time_after(tokens: &Tokens<'_>, last: usize) -> usize {
    if tokens.lower(last) != "t" || !tokens.joined(last) || tokens.at(last + 1).shape != Shape::Digits {
        return last;
    }
    let mut at = last + 1;
    while tokens.joined(at)
        && (tokens.at(at).shape == Shape::Digits || matches!(tokens.lower(at), ":" | "." | "z" | "+" | "-"))
    {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<&str> {
        crate::detect::testing::found(text, scan).into_iter().map(|(_, words)| words).collect()
    }

    #[test]
    fn every_form_finer_than_a_year_is_found() {
        for date in [
            "03/14/2024",
            "3/4/24",
            "14.03.2024",
            "2024-03-14",
            "2024-03-14T09:30:00Z",
            "14-Mar-2024",
            "14 March 2024",
            "14th of March",
            "March 14, 2024",
            "Mar. 14 2024",
            "March 14th, '24",
            "March 2024",
            "March of 2024",
            "the third of July",
            "Tuesday, March 5",
            "July the fourth",
            "03/2024",
            "March 14-16, 2024",
            "14/03/2024",
        ] {
            assert_eq!(read(&format!("seen on {date} for cough")), [date], "{date}");
        }
        assert_eq!(read("DOB 19840314."), ["19840314"]);
        assert_eq!(read("seen on 3/14"), ["3/14"]);
    }

    #[test]
    fn years_scores_and_amounts_are_no_dates() {
        for text in [
            "diagnosed in 2021",
            "a 6-month history",
            "BP 120/80",
            "pain 5/10",
            "1/2 tablet",
            "may 2 tablets be taken",
            "version 1.2.3",
            "2019-2020",
            "patients may have",
            "summer of 2022",
            "march on",
            "sepsis in 1 of 3",
        ] {
            assert!(read(text).is_empty(), "{text}: {:?}", read(text));
        }
    }
}
