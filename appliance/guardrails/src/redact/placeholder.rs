//! The placeholders of one session.

use std::collections::HashMap;

use cloister_terms::{Phi, Random};

use crate::detect::Kind;

/// One placeholder and what it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placeholder {
    /// What it stands for, by kind.
    pub kind: Kind,
    /// The session's count within the kind, from 1.
    pub number: u32,
    /// 128 random bits that name it outside the session: the key under which a vault keeps it.
    pub token: [u8; 16],
    /// The identifier.
    pub original: Phi<String>,
}

impl Placeholder {
    /// As it is written: `[NAME-1]`.
    pub fn written(&self) -> String {
        format!("[{}-{}]", self.kind.short(), self.number)
    }
}

/// Which identifier has which placeholder in one session. It holds patient text: it is as secret as the session.
#[derive(Debug, Clone, Default)]
pub struct Placeholders {
    all: Vec<Placeholder>,
    known: HashMap<(Kind, Secret), usize>,
}

/// The text by which an identifier is known again. It does not print.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[phi]")
    }
}

impl Placeholders {
    /// The placeholders of a session that is taken up again.
    pub fn from_entries(entries: Vec<Placeholder>) -> Self {
        let known = entries
            .iter()
            .enumerate()
            .map(|(index, entry)| ((entry.kind, Secret(entry.original.expose().clone())), index));
        Self { known: known.collect(), all: entries }
    }

    /// All of them, in the order in which they were made: what a vault seals.
    pub fn entries(&self) -> &[Placeholder] {
        &self.all
    }

    /// The placeholder for `original`, a new one if the session has none. The same text, letter for letter, has the same
    /// one, so that what is restored is what stood there.
    pub fn placeholder(&mut self, kind: Kind, original: &str, random: &dyn Random) -> String {
        let key = (kind, Secret(original.to_owned()));
        if let Some(entry) = self.known.get(&key).and_then(|index| self.all.get(*index)) {
            return entry.written();
        }
        let same = |entry: &&Placeholder| entry.kind.short() == kind.short();
        let number = self.all.iter().filter(same).map(|entry| entry.number).max().unwrap_or(0).saturating_add(1);
        let mut token = [0; 16];
        random.fill(&mut token);
        let entry = Placeholder { kind, number, token, original: Phi::new(original.to_owned()) };
        let written = entry.written();
        self.known.insert(key, self.all.len());
        self.all.push(entry);
        written
    }

    /// The text with the session's placeholders turned back. Others stay. Whoever calls this has the permission for it
    /// and has recorded it.
    pub fn restore(&self, text: &str) -> Phi<String> {
        self.restore_telling(text, |_| {})
    }

    /// The same, telling the kind of each that is turned back.
    pub fn restore_telling(&self, text: &str, mut tell: impl FnMut(Kind)) -> Phi<String> {
        let written: HashMap<String, &Placeholder> = self.all.iter().map(|entry| (entry.written(), entry)).collect();
        Phi::new(replaced(text, |mark, _| match written.get(mark) {
            Some(entry) => {
                tell(entry.kind);
                entry.original.expose().clone()
            }
            None => mark.to_owned(),
        }))
    }
}

/// Bytes of a placeholder at most: the longest name of a kind, and ten digits.
const LONGEST: usize = 64;

/// The text without its placeholders: what is left to search for, where nobody's number is the same as another's.
pub fn without_placeholders(text: &str) -> String {
    replaced(text, |_, _| String::new())
}

/// The text with its placeholders, whoever made them, numbered anew among `placeholders`: what stood for one thing still does, and what is
/// found besides has numbers of its own.
pub fn renumbered(text: &str, placeholders: &mut Placeholders, random: &dyn Random) -> String {
    replaced(text, |mark, kind| placeholders.placeholder(kind, mark, random))
}

/// What the placeholders of a text are called, each as often as it stands there: `NAME`, `MRN`.
pub fn placeholders_in(text: &str) -> Vec<&'static str> {
    let mut found = Vec::new();
    replaced(text, |_, kind| {
        found.push(kind.short());
        String::new()
    });
    found
}

/// The text with something else for each placeholder: `[NAME-1]`, and the first of the kinds whose placeholders are called so.
fn replaced(text: &str, mut with: impl FnMut(&str, Kind) -> String) -> String {
    let (mut replaced, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(open) = rest.find('[') {
        let (before, from) = rest.split_at(open);
        replaced.push_str(before);
        // No placeholder is longer: what stands open in a long text is not searched to its end.
        let near = from.get(..from.floor_char_boundary(LONGEST)).unwrap_or_default();
        let mark = near.find(']').and_then(|close| from.get(..=close));
        let taken = match mark.and_then(|mark| Some((mark, kind_of(mark)?))) {
            Some((mark, kind)) => {
                replaced.push_str(&with(mark, kind));
                mark.len()
            }
            None => {
                replaced.push('[');
                1
            }
        };
        rest = from.get(taken..).unwrap_or_default();
    }
    replaced.push_str(rest);
    replaced
}

/// The kind that a placeholder names, brackets and all.
fn kind_of(mark: &str) -> Option<Kind> {
    let (kind, number) = mark.strip_prefix('[')?.strip_suffix(']')?.split_once('-')?;
    let counts = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    Kind::ALL.iter().copied().find(|known| known.short() == kind && counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;

    impl Random for Fixed {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(7);
        }
    }

    #[test]
    fn placeholders_of_another_count_are_counted_anew_and_what_follows_after_them() {
        let mut placeholders = Placeholders::default();
        let text = "[NAME-17] for [NAME-4], MRN [MRN-9]; [NAME-17] again, [1] [x";
        let anew = renumbered(text, &mut placeholders, &Fixed);
        assert_eq!(anew, "[NAME-1] for [NAME-2], MRN [MRN-1]; [NAME-1] again, [1] [x");
        assert_eq!(placeholders.placeholder(Kind::Name, "Ana", &Fixed), "[NAME-3]");
    }

    #[test]
    fn placeholders_go_and_other_brackets_stay() {
        assert_eq!(without_placeholders("May [NAME-1] (MRN [MRN-12]) call?"), "May  (MRN ) call?");
        let text = "May [NAME-1] ([MRN-12], [CAT-1], [NAME-2) call [NAME-1]?";
        assert_eq!(placeholders_in(text), ["NAME", "MRN", "NAME"]);
        for text in ["see [1]", "[NAME]", "[NAME-]", "[CAT-1]", "a [", "[NAME-1x]"] {
            assert_eq!(without_placeholders(text), text);
        }
    }
}
