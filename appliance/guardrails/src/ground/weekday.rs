//! Days of the week and the parts of the day, as hours of opening and doses name them.

use crate::{
    fact::{Fact, FactKind},
    words,
};

const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// The days that `text` names, in order; "Monday to Friday" and "weekdays" are five.
pub(super) fn weekdays(text: &str) -> Vec<Fact> {
    let words: Vec<(usize, String)> = words::lower(text).collect();
    let mut found = Vec::new();
    let mut open: Option<usize> = None; // the first day of a range whose last is still to come
    for (index, (start, word)) in words.iter().enumerate() {
        let end = start + word.len();
        let mut add = |day: usize| {
            let value = DAYS.get(day % 7).copied().unwrap_or_default().to_owned();
            found.push(Fact { kind: FactKind::Weekday, value, start: *start, end, bound: None });
        };
        match word.as_str() {
            "weekday" | "weekdays" => (0..5).for_each(&mut add),
            "weekend" | "weekends" => (5..7).for_each(&mut add),
            _ => {
                let Some(day) = day(word) else { continue };
                if let Some(first) = open.take() {
                    let last = if day < first { day + 7 } else { day };
                    (first + 1..last).for_each(&mut add);
                }
                add(day);
                let next = words.get(index + 1);
                let gap = next.and_then(|(next, _)| text.get(end..*next)).unwrap_or_default().trim();
                let ranges = matches!(gap, "-" | "\u{2013}" | "\u{2014}")
                    || next.is_some_and(|(_, word)| matches!(word.as_str(), "to" | "through" | "thru"));
                open = ranges.then_some(day);
            }
        }
    }
    found
}

fn day(word: &str) -> Option<usize> {
    let short = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let word = word.strip_suffix("'s").unwrap_or(word);
    let plural = word.strip_suffix('s').unwrap_or(word);
    DAYS.iter().position(|day| *day == word || *day == plural).or_else(|| {
        let known = matches!(word, "tues" | "thur" | "thurs").then_some(word.get(..3)?).unwrap_or(word);
        short.iter().position(|day| *day == known).filter(|_| !matches!(word, "sat" | "sun" | "wed"))
    })
}

/// The parts of the day that `text` names, as facts of time: "in the morning", "at bedtime".
pub(super) fn moments(text: &str) -> Vec<Fact> {
    words::lower(text)
        .filter_map(|(start, word)| {
            let value = match word.as_str() {
                "morning" | "mornings" | "qam" | "breakfast" => "morning",
                "afternoon" => "afternoon",
                "evening" | "evenings" | "supper" | "dinner" | "qpm" => "evening",
                "night" | "nightly" | "bedtime" | "qhs" => "night",
                _ => return None,
            };
            let end = start + word.len();
            Some(Fact { kind: FactKind::Time, value: value.to_owned(), start, end, bound: None })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_days_is_each_of_them() {
        let days = |text| weekdays(text).into_iter().map(|fact| fact.value).collect::<Vec<_>>();
        assert_eq!(days("Monday to Friday"), ["monday", "tuesday", "wednesday", "thursday", "friday"]);
        assert_eq!(days("Sat"), Vec::<String>::new());
        assert_eq!(days("Fri\u{2013}Mon").len(), 4);
        assert_eq!(days("Saturdays and Sunday"), ["saturday", "sunday"]);
        assert_eq!(days("weekends"), ["saturday", "sunday"]);
    }
}
