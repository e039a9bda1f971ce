//! Facts that must be exact: numbers with their units, times of day, dates, telephone numbers; and names of which a number is part.

mod bound;
pub(crate) mod number;
#[cfg(test)]
mod tests;
pub(crate) mod token;
mod unit;

use token::{Token, tokens};
use unit::unit_after;

pub use bound::Bound;

/// One exact fact of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// What kind of fact.
    pub kind: FactKind,
    /// Its value in a common form: `500 mg`, `17:30`, `5550100`, `2026-03-05`; `covid-19`. Facts are the same when kind and value are.
    pub value: String,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// Whether a number is a least or a most. Two facts with other bounds are other facts, but that is for
    /// [`ground`](crate::ground) to say: [`Fact::stands_in`] goes by the value.
    pub bound: Option<Bound>,
}

/// Kinds of fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FactKind {
    /// A number with a unit: dose, duration, money, percentage.
    Measure,
    /// A number without a unit that is known here.
    Number,
    /// A time of day.
    Time,
    /// A date, with or without its year.
    Date,
    /// A telephone number.
    Phone,
    /// A name that a number is part of; its place is the number's.
    Name,
    /// A drug's name. This and all kinds below are found by [`ground`](crate::ground), not by [`facts`].
    Drug,
    /// The salt of a drug.
    Salt,
    /// How a medicine sets its contents free: extended, delayed, at once.
    Release,
    /// The way into the body.
    Route,
    /// How often.
    Frequency,
    /// Days of the week.
    Weekday,
    /// Whom it is about: children, the pregnant, people with weak kidneys.
    Population,
    /// Whether a number is a least or a most.
    Bound,
    /// Whether it is said or denied, or which of two opposites.
    Polarity,
    /// An exception or condition: "unless", "only if".
    Condition,
    /// Which of two facts belongs to which of two things, or who does what to whom.
    Role,
}

impl FactKind {
    /// The word in reports and records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Measure => "measure",
            Self::Number => "number",
            Self::Time => "time",
            Self::Date => "date",
            Self::Phone => "phone",
            Self::Name => "name",
            Self::Drug => "drug",
            Self::Salt => "salt",
            Self::Release => "release",
            Self::Route => "route",
            Self::Frequency => "frequency",
            Self::Weekday => "weekday",
            Self::Population => "population",
            Self::Bound => "bound",
            Self::Polarity => "polarity",
            Self::Condition => "condition",
            Self::Role => "role",
        }
    }
}

impl Fact {
    /// Whether `self`, found in a claim, stands in a text with the facts `held`. A bare number is content with the
    /// same number under any unit; a measure wants the same amount, in whatever unit (`0.5 g` is `500 mg`); a date without
    /// a year is content with any year.
    pub fn stands_in(&self, held: &[Self]) -> bool {
        held.iter().any(|other| match (self.kind, other.kind) {
            (FactKind::Number, FactKind::Measure) => other.value.split(' ').next() == Some(self.value.as_str()),
            (FactKind::Date, FactKind::Date) => {
                self.value == other.value || other.value.strip_suffix(self.value.trim_start_matches('-')).is_some()
            }
            (FactKind::Measure, FactKind::Measure) => {
                self.value == other.value || unit::same(&self.value, &other.value)
            }
            (kind, held) => kind == held && self.value == other.value,
        })
    }

    /// Of a name the part before its number: `covid` of `COVID-19`.
    pub(crate) fn name(&self) -> Option<&str> {
        self.value.rsplit_once('-').map(|(name, _)| name).filter(|_| self.kind == FactKind::Name)
    }

    /// How much it is, in the base unit of its dimension; `None` where the value begins with no number.
    pub(crate) fn amount(&self) -> Option<f64> {
        let plain = || self.value.split(' ').next().and_then(|number| number.parse().ok());
        unit::base(&self.value).map(|(amount, _)| amount).or_else(plain)
    }

    /// What the fact tells about: two facts of one kind and one dimension answer the same question, "how much" or "how
    /// long". For [`FactKind::Measure`] one of `dose`, `time`, `weight`, `money`, `temperature`, `times`, `share` and
    /// `measure`; for other kinds empty.
    pub fn dimension(&self) -> &'static str {
        if self.kind == FactKind::Measure { unit::dimension(&self.value) } else { "" }
    }
}

/// The facts of `text`, in order.
pub fn facts(text: &str) -> Vec<Fact> {
    let tokens = tokens(text);
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(rest) = tokens.get(at..).filter(|rest| !rest.is_empty()) {
        let name = || tokens.get(..at).and_then(|before| named(before, rest));
        let read =
            name().or_else(|| phone(rest)).or_else(|| date(rest)).or_else(|| time(rest)).or_else(|| measure(rest));
        let Some((kind, value, used)) = read else {
            at += 1;
            continue;
        };
        let span = rest.get(..used).and_then(|used| Some((used.first()?.start, used.last()?.end)));
        if let Some((start, end)) = span {
            let counts = matches!(kind, FactKind::Measure | FactKind::Number | FactKind::Time);
            let of_people = value.ends_with(" year") || value.ends_with(" kg") || value.ends_with(" lb");
            let bound = if counts { bound::read(&tokens, at, at + used, of_people) } else { None };
            found.push(Fact { kind, value, start, end, bound });
        }
        at += used.max(1);
    }
    share_units(text, &mut found);
    found
}

/// A number that is part of one of these names, and of no other: any other word before a number may be what is counted, measured or told apart by it.
fn named(before: &[Token<'_>], rest: &[Token<'_>]) -> Read {
    let number = rest.first()?.digits()?;
    let (last, others) = before.split_last()?;
    let name = if matches!(last.text, "-" | "\u{2011}") { others.last()?.lower() } else { last.lower() };
    let known = matches!((name.as_str(), number), ("covid", "19") | ("cov", "1" | "2") | ("omega", "3" | "6"));
    known.then(|| (FactKind::Name, format!("{name}-{number}"), 1))
}

/// "Between 65 and 75 mg": the first number has the second one's unit.
fn share_units(text: &str, facts: &mut [Fact]) {
    for at in 1..facts.len() {
        let (before, after) = facts.split_at_mut(at);
        let (Some(low), Some(high)) = (before.last_mut(), after.first()) else { return };
        let between = text.get(..low.start).is_some_and(|t| t.trim_end().to_lowercase().ends_with("between"))
            && text.get(low.end..high.start).is_some_and(|joint| joint.trim() == "and");
        let unit = high.value.split_once(' ').filter(|_| high.kind == FactKind::Measure).map(|(_, unit)| unit);
        if let Some(unit) = unit.filter(|_| between && low.kind == FactKind::Number) {
            low.value = format!("{} {unit}", low.value);
            low.kind = FactKind::Measure;
        }
    }
}

type Read = Option<(FactKind, String, usize)>;

/// Groups of digits as telephone numbers are written: 3-3-4 with or without 1 before, or 3-4 with a hyphen.
fn phone(tokens: &[Token<'_>]) -> Read {
    let (mut groups, mut used, mut hyphens): (Vec<&str>, usize, usize) = (Vec::new(), 0, 0);
    for (index, token) in tokens.iter().enumerate() {
        match token.digits() {
            Some(digits) if used == index && groups.len() < 4 => {
                groups.push(digits);
                used = index + 1;
                if phone_shape(&groups).is_some_and(|whole| whole) {
                    break;
                }
            }
            None if matches!(token.text, "-" | "." | "(" | ")" | "+" | "/" | "\u{2011}" | "\u{2013}") => {
                hyphens += usize::from(token.text == "-" || token.text == "\u{2011}");
                used = index + 1;
            }
            _ => break,
        }
        phone_shape(&groups)?;
    }
    let local = groups.len() == 2;
    let whole = phone_shape(&groups).is_some_and(|whole| whole) && (!local || hyphens > 0);
    let number = groups.concat();
    let number = if number.len() == 11 { number.strip_prefix('1').unwrap_or(&number).to_owned() } else { number };
    whole.then_some((FactKind::Phone, number, used))
}

/// `Some(true)` for a whole telephone number, `Some(false)` for the beginning of one, `None` for neither.
fn phone_shape(groups: &[&str]) -> Option<bool> {
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    let toll = groups.first() == Some(&"1");
    match lengths.as_slice() {
        [3, 4] | [3, 3, 4] | [10] => Some(true),
        [1, 3, 3, 4] | [1, 10] if toll => Some(true),
        [11] if groups.concat().starts_with('1') => Some(true),
        [] | [3] | [3, 3] => Some(false),
        [1] | [1, 3] | [1, 3, 3] if toll => Some(false),
        _ => None,
    }
}

fn date(tokens: &[Token<'_>]) -> Read {
    let number = |index: usize| tokens.get(index).and_then(Token::digits);
    let mark = |index: usize, marks: &[&str]| tokens.get(index).is_some_and(|token| marks.contains(&token.text));
    let value = |text: &str, highest: u32| text.parse::<u32>().ok().filter(|n| (1..=highest).contains(n));
    let year = |index: usize| number(index).filter(|text| text.len() == 4);
    if let (Some(y), true, Some(m), true, Some(d)) = (year(0), mark(1, &["-"]), number(2), mark(3, &["-"]), number(4)) {
        return written(Some(y), value(m, 12)?, value(d, 31)?, 5);
    }
    if let (Some(m), true, Some(d), true, Some(y)) = (number(0), mark(1, &["/"]), number(2), mark(3, &["/"]), number(4))
    {
        let y = if y.len() == 2 { format!("20{y}") } else { y.to_owned() };
        return written(Some(&y), value(m, 12)?, value(d, 31)?, 5);
    }
    if let Some(month) = tokens.first().and_then(|token| month(token.text)) {
        let stop = usize::from(mark(1, &["."]));
        let day = number(1 + stop).and_then(|text| value(text, 31))?;
        let comma = usize::from(mark(2 + stop, &[","]));
        return match year(2 + stop + comma) {
            Some(y) => written(Some(y), month, day, 3 + stop + comma),
            None => written(None, month, day, 2 + stop),
        };
    }
    let day = number(0).and_then(|text| value(text, 31))?;
    let month = tokens.get(1).and_then(|token| month(token.text))?;
    match year(2) {
        Some(y) => written(Some(y), month, day, 3),
        None => written(None, month, day, 2),
    }
}

fn written(year: Option<&str>, month: u32, day: u32, used: usize) -> Read {
    Some((FactKind::Date, format!("{}-{month:02}-{day:02}", year.unwrap_or_default()), used))
}

fn month(word: &str) -> Option<u32> {
    const MONTHS: [&str; 12] = [
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
    ];
    let word = word.to_lowercase();
    let full =
        |name: &&str| **name == word || (word.len() >= 3 && word != "mar" && name.get(..word.len()) == Some(&word));
    let capital_matters = MONTHS.iter().position(full).or((word == "mar").then_some(2))?;
    u32::try_from(capital_matters + 1).ok()
}

fn time(tokens: &[Token<'_>]) -> Read {
    let first = tokens.first()?;
    let clock = |hours: u32, minutes: u32| format!("{hours:02}:{minutes:02}");
    match first.lower().as_str() {
        "noon" => return Some((FactKind::Time, clock(12, 0), 1)),
        "midnight" => return Some((FactKind::Time, clock(0, 0), 1)),
        _ => {}
    }
    let hours: u32 = first.digits()?.parse().ok().filter(|h| *h < 25)?;
    let colon = tokens.get(1).is_some_and(|token| token.text == ":" && token.start == first.end);
    let minutes = tokens.get(2).and_then(Token::digits).filter(|text| colon && text.len() == 2);
    let (minutes, used) = match minutes.and_then(|text| text.parse::<u32>().ok()).filter(|m| *m < 60) {
        Some(minutes) => (minutes, 3),
        None => (0, 1),
    };
    let (half, marks) = half_of_day(tokens.get(used..).unwrap_or_default());
    match half {
        Some(afternoon) if (1..=12).contains(&hours) => {
            Some((FactKind::Time, clock(hours % 12 + if afternoon { 12 } else { 0 }, minutes), used + marks))
        }
        _ if used == 3 => Some((FactKind::Time, clock(hours, minutes), used)),
        _ => None,
    }
}

/// `am`, `a.m.`, `pm`, `p.m.`: whether it is the afternoon, and how many tokens say so.
fn half_of_day(tokens: &[Token<'_>]) -> (Option<bool>, usize) {
    let text = |index: usize| tokens.get(index).map(Token::lower).unwrap_or_default();
    match text(0).as_str() {
        "am" => (Some(false), 1),
        "pm" => (Some(true), 1),
        letter @ ("a" | "p") if text(1) == "." && text(2) == "m" => {
            (Some(letter == "p"), if text(3) == "." { 4 } else { 3 })
        }
        _ => (None, 0),
    }
}

fn measure(tokens: &[Token<'_>]) -> Read {
    let first = tokens.first()?;
    if first.text == "$" {
        let amount = number::number(tokens.get(1..)?)?;
        return Some((FactKind::Measure, format!("{} $", amount.value), 1 + amount.used));
    }
    match first.lower().as_str() {
        "once" if frequency(tokens.get(1)) => return Some((FactKind::Measure, "1 time".to_owned(), 1)),
        "twice" => return Some((FactKind::Measure, "2 time".to_owned(), 1)),
        _ => {}
    }
    let number = number::number(tokens)?;
    match unit_after(tokens, number.used) {
        Some((unit, used)) => Some((FactKind::Measure, format!("{} {unit}", number.value), used)),
        None if number.in_words && number.value == "1" => None, // "one" is mostly a pronoun
        None => Some((FactKind::Number, number.value, number.used)),
    }
}

/// Whether `once` counts, as in "once daily"; in "once signed in" it does not.
fn frequency(next: Option<&Token<'_>>) -> bool {
    next.is_some_and(|token| {
        matches!(token.lower().as_str(), "a" | "per" | "every" | "each" | "daily" | "weekly" | "monthly")
    })
}
