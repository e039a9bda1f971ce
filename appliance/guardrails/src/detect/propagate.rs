//! What was found once is found everywhere: the surname alone, the given name alone, the initials, a slip of the pen.

use std::collections::{HashMap, HashSet};

use super::{
    finding::Finding,
    kind::Kind,
    lexicon::{self, Senses},
    names::term,
    token::{Shape, Tokens},
};
use crate::drug::is_built_like_one;

/// Least confidence of a name from which others are concluded.
const SURE: f32 = 0.6;

/// Most parts of names that are compared with unknown words for a slip: the comparison is by pairs.
const MOST_COMPARED: usize = 200;

/// Adds what follows from the names in `found`.
pub(super) fn scan(tokens: &Tokens<'_>, found: &mut Vec<Finding>) {
    let parts = Parts::of(tokens, found);
    if parts.words.is_empty() && parts.initials.is_empty() {
        return;
    }
    let covered = Covered::of(found);
    let mut more = Vec::new();
    for index in 0..tokens.len() {
        let token = tokens.at(index);
        if !token.word() || covered.holds(token.start) {
            continue;
        }
        let name = parts.names(tokens, index);
        if name && !term::eponymous(tokens, index, index + 1) {
            let initial = super::names::after_initial(tokens, index + 1);
            let end = tokens.before(initial, 1).end.max(token.end);
            more.push(Finding::new(Kind::Name, token.start, end, 0.6, "propagated"));
        } else if let Some(last) = parts.initialled(tokens, index) {
            more.push(Finding::new(Kind::Name, token.start, tokens.at(last - 1).end, 0.55, "propagated-initials"));
        }
    }
    found.extend(more);
}

/// The parts of names that a text holds.
#[derive(Default)]
struct Parts {
    /// Each part, and whether it is a word with another meaning as well.
    words: HashMap<String, bool>,
    long: Vec<String>,
    initials: HashSet<String>,
}

impl Parts {
    fn of(tokens: &Tokens<'_>, found: &[Finding]) -> Self {
        let mut parts = Self::default();
        for finding in found.iter().filter(|f| f.kind == Kind::Name && f.confidence >= SURE) {
            let mut letters = String::new();
            let mut index = tokens.from(finding.start);
            while tokens.at(index).start < finding.end {
                let token = tokens.at(index);
                let title = tokens.at(index).is(Senses::TITLE) || tokens.at(index).is(Senses::NEVER);
                if token.word() && !title {
                    letters.extend(tokens.text(index).chars().next());
                    parts.add(tokens, index);
                }
                index += 1;
            }
            if letters.chars().count() >= 2 && letters.chars().all(char::is_uppercase) {
                parts.initials.insert(letters);
            }
        }
        parts
    }

    fn add(&mut self, tokens: &Tokens<'_>, index: usize) {
        let token = tokens.at(index);
        let short = token.end - token.start < 3;
        if short || token.shape == Shape::Letter {
            return;
        }
        let word = lexicon::folded(tokens.text(index));
        let other = token.senses.any(Senses::WORD.with(Senses::EPONYM).with(Senses::PLACE));
        if token.end - token.start >= 5 && self.long.len() < MOST_COMPARED && !self.words.contains_key(&word) {
            self.long.push(word.clone());
        }
        self.words.insert(word, other);
    }

    /// Whether the token is a part of a name that was found, or one slip away from it.
    fn names(&self, tokens: &Tokens<'_>, index: usize) -> bool {
        let token = tokens.at(index);
        if matches!(token.shape, Shape::Letter | Shape::Mark | Shape::Digits) || tokens.at(index).is(Senses::NEVER) {
            return false;
        }
        let word = if tokens.lower(index).is_ascii() {
            std::borrow::Cow::Borrowed(tokens.lower(index))
        } else {
            lexicon::folded(tokens.text(index)).into()
        };
        if let Some(other) = self.words.get(word.as_ref()) {
            return !*other || token.capital() && !tokens.begins(index);
        }
        let slip = token.capital()
            && token.end - token.start >= 5
            && !token.senses.any(
                Senses::WORD
                    .with(Senses::PLACE)
                    .with(Senses::EPONYM)
                    .with(Senses::GIVEN_ONLY)
                    .with(Senses::SURNAME_ONLY),
            )
            && !is_built_like_one(&word);
        slip && self.long.iter().any(|part| one_slip(part, &word))
    }

    /// The token after initials of a name that was found: `QT` or `Q.T.`
    fn initialled(&self, tokens: &Tokens<'_>, index: usize) -> Option<usize> {
        let token = tokens.at(index);
        if token.shape == Shape::Capitals {
            let set_off = matches!(tokens.lower_before(index, 1), "-" | "/" | "(" | "~")
                || tokens.at(index + 1).lines > 0 && tokens.begins(index);
            return (set_off && self.initials.contains(tokens.text(index))).then_some(index + 1);
        }
        let dotted = token.shape == Shape::Letter
            && tokens.mark(index + 1, ".")
            && tokens.at(index + 2).shape == Shape::Letter
            && !tokens.before(index, 1).capital();
        if !dotted {
            return None;
        }
        let pair = format!("{}{}", tokens.text(index), tokens.text(index + 2));
        self.initials.contains(&pair).then_some(index + 3)
    }
}

/// Whether two words differ by one letter more, less or other, or by two neighbours exchanged.
fn one_slip(one: &str, two: &str) -> bool {
    let (one, two): (Vec<char>, Vec<char>) = (one.chars().collect(), two.chars().collect());
    let same_head = one.iter().zip(&two).take_while(|(a, b)| a == b).count();
    let rest = |word: &[char], from: usize| word.get(from..).map(<[char]>::to_vec).unwrap_or_default();
    if same_head == 0 || one.len().abs_diff(two.len()) > 1 {
        return false;
    }
    match one.len().cmp(&two.len()) {
        std::cmp::Ordering::Less => rest(&one, same_head) == rest(&two, same_head + 1),
        std::cmp::Ordering::Greater => rest(&one, same_head + 1) == rest(&two, same_head),
        std::cmp::Ordering::Equal => {
            let swapped = one.get(same_head) == two.get(same_head + 1)
                && one.get(same_head + 1) == two.get(same_head)
                && rest(&one, same_head + 2) == rest(&two, same_head + 2);
            rest(&one, same_head + 1) == rest(&two, same_head + 1) || swapped
        }
    }
}

/// The places that findings cover.
struct Covered(Vec<(usize, usize)>);

impl Covered {
    fn of(found: &[Finding]) -> Self {
        let mut places: Vec<(usize, usize)> = found.iter().map(|f| (f.start, f.end)).collect();
        places.sort_unstable();
        Self(places)
    }

    /// Whether a finding covers byte `at`. Findings are short: the few before it are looked at.
    fn holds(&self, at: usize) -> bool {
        let after = self.0.partition_point(|(start, _)| *start <= at);
        self.0.iter().take(after).rev().take(8).any(|(_, end)| *end > at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slip_is_one_letter() {
        assert!(one_slip("castellano", "castelano"));
        assert!(one_slip("castellano", "castellnao"));
        assert!(one_slip("castellano", "castellamo"));
        assert!(!one_slip("castellano", "castelan"));
        assert!(!one_slip("castellano", "gastellano"), "the first letter is seldom wrong");
    }

    #[test]
    fn a_name_found_once_is_found_everywhere() {
        let text = "Seen: Dr. Qarvo Tzillander. Tzillander's advice stands; Tzilander agreed. (QT)";
        let tokens = Tokens::of(text);
        let mut found = vec![Finding::new(Kind::Name, 6, 26, 0.95, "title")];
        scan(&tokens, &mut found);
        let read: Vec<&str> = found[1..].iter().map(|f| &text[f.start..f.end]).collect();
        assert_eq!(read, ["Tzillander", "Tzilander", "QT"]);
    }
}
