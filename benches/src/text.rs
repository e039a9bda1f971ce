//! Text of a pharmacy's kind, made up word by word, so that a bench needs no corpus. The same seed gives the same text.

use crate::statistics::Dice;

const DRUGS: [&str; 12] = [
    "insulin",
    "warfarin",
    "heparin",
    "metformin",
    "naloxone",
    "amoxicillin",
    "digoxin",
    "lithium",
    "tacrolimus",
    "prednisone",
    "levothyroxine",
    "apixaban",
];
const ACTS: [&str; 10] =
    ["store", "dispense", "count", "label", "return", "transfer", "refill", "compound", "check", "document"];
const PLACES: [&str; 8] = [
    "the refrigerator",
    "the locked cabinet",
    "the counter",
    "the returns shelf",
    "the compounding room",
    "the mail order queue",
    "the ward's cart",
    "the controlled substances log",
];
const PEOPLE: [&str; 6] =
    ["the pharmacist", "the technician", "the nurse", "the agent", "the supervisor", "the prescriber"];

fn pick<'a>(list: &[&'a str], dice: &mut Dice) -> &'a str {
    list.get(dice.below(list.len())).copied().unwrap_or_default()
}

/// A sentence of about twenty tokens.
#[must_use]
pub fn sentence(dice: &mut Dice) -> String {
    let (drug, act, place) = (pick(&DRUGS, dice), pick(&ACTS, dice), pick(&PLACES, dice));
    let (who, then, number) = (pick(&PEOPLE, dice), pick(&ACTS, dice), 2 + dice.below(90));
    match dice.below(4) {
        0 => format!("Before {who} may {act} {drug}, take it from {place} and {then} it within {number} minutes."),
        1 => format!("If {drug} is missing from {place}, {who} must {act} the rest and call extension {number}."),
        2 => format!(
            "{drug} that was kept in {place} for more than {number} days is not to be used; {act} it and {then} the lot."
        ),
        _ => format!("Every {number} days {who} has to {act} all {drug} in {place} and to {then} what is found."),
    }
}

/// Sentences until `enough` says so of the text so far; at most ten thousand.
pub fn until(dice: &mut Dice, mut enough: impl FnMut(&str) -> bool) -> String {
    let mut text = String::new();
    for _ in 0..10_000 {
        if enough(&text) {
            break;
        }
        text.push_str(&sentence(dice));
        text.push(' ');
    }
    text
}

/// A document of so many sections in Markdown.
#[must_use]
pub fn document(dice: &mut Dice, sections: usize) -> String {
    let mut text = format!("# Procedure {}\n\n", dice.below(100_000));
    for section in 1..=sections {
        text.push_str(&format!("## Step {section}: {} {}\n\n", pick(&ACTS, dice), pick(&DRUGS, dice)));
        for _ in 0..4 {
            text.push_str(&sentence(dice));
            text.push(' ');
        }
        text.push_str("\n\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_text_and_another_another() {
        let text = |seed| document(&mut Dice::new(seed), 3);
        assert_eq!(text(1), text(1));
        assert_ne!(text(1), text(2));
        assert_eq!(text(1).matches("\n## Step").count(), 3);
    }

    #[test]
    fn text_grows_until_it_is_enough() {
        let text = until(&mut Dice::new(1), |text| text.len() >= 1000);
        assert!((1000..1200).contains(&text.len()), "{}", text.len());
    }
}
