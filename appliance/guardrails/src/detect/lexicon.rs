//! What is known of a word: whether it is a given name, a surname, a place, an English or medical word, an eponym.
//!
//! The tables of names and places are facts from public-domain sources; the list of common words has a permissive notice.
//! Each says so in its own head. They are read once, on first use.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    sync::LazyLock,
};

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

use super::{numbers::label_words, places::known_words};

mod eponym;

/// What a word may be; a set of bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Senses(u32);

impl Senses {
    /// Nothing is known.
    pub(crate) const NONE: Self = Self(0);
    /// A given name.
    pub(crate) const GIVEN: Self = Self(1);
    /// A frequent given name that is seldom anything else.
    pub(crate) const GIVEN_ONLY: Self = Self(2);
    /// A surname.
    pub(crate) const SURNAME: Self = Self(4);
    /// A frequent surname that is no English word.
    pub(crate) const SURNAME_ONLY: Self = Self(8);
    /// An English or medical word.
    pub(crate) const WORD: Self = Self(16);
    /// One of the more common English words.
    pub(crate) const COMMON: Self = Self(32);
    /// A city, town or county.
    pub(crate) const PLACE: Self = Self(64);
    /// The first word of a place's name of several words.
    pub(crate) const PLACE_BEGINS: Self = Self(128);
    /// A name that medicine has made a term.
    pub(crate) const EPONYM: Self = Self(256);
    /// A county.
    pub(crate) const COUNTY: Self = Self(512);
    /// A word that is no part of a name, even with a capital.
    pub(crate) const NEVER: Self = Self(1 << 10);
    /// A word in the name of an organisation.
    pub(crate) const INSTITUTION: Self = Self(1 << 11);
    /// A word that follows an eponym.
    pub(crate) const HEAD: Self = Self(1 << 12);
    /// A word that makes an eponym of any name before it.
    pub(crate) const CLINICAL: Self = Self(1 << 13);
    /// A title.
    pub(crate) const TITLE: Self = Self(1 << 14);
    /// A relative.
    pub(crate) const KIN: Self = Self(1 << 15);
    /// The first of words that introduce a name.
    pub(crate) const LEAD: Self = Self(1 << 16);
    /// The head of a facility's name.
    pub(crate) const FACILITY: Self = Self(1 << 17);
    /// A word that says what kind of facility it is.
    pub(crate) const GENERIC: Self = Self(1 << 18);
    /// The last word of a street's name.
    pub(crate) const STREET: Self = Self(1 << 19);
    /// A profession or another relation that stands before a name.
    pub(crate) const PROFESSION: Self = Self(1 << 21);
    /// A country or continent, a demonym beside it left out.
    pub(crate) const COUNTRY: Self = Self(1 << 22);
    /// The first word of a facility that is known by a short name.
    pub(crate) const KNOWN: Self = Self(1 << 23);
    /// The first word of a number's label.
    pub(crate) const LABEL: Self = Self(1 << 20);

    /// Whether every bit of `other` is set.
    pub(crate) const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any bit of `other` is set.
    pub(crate) const fn any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Both sets together.
    pub(crate) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the word has no meaning in any table. It may still have a role.
    pub(crate) const fn unknown(self) -> bool {
        self.0 & 0x3FF == 0
    }
}

type Table = HashMap<Box<str>, Senses, BuildHasherDefault<Fold>>;

static LEXICON: LazyLock<Table> = LazyLock::new(read);

/// A fast hash. Nobody outside chooses what is in the table, so it need not withstand chosen keys.
#[derive(Default)]
struct Fold(u64);

impl Hasher for Fold {
    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(8) {
            let word = part.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
            self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        }
    }

    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }
}

/// What is known of `word`, in lower case, without its accents.
pub(crate) fn senses(word: &str) -> Senses {
    LEXICON.get(word).copied().unwrap_or_default()
}

/// Reads the tables now rather than at the first text.
pub(crate) fn warm() {
    LazyLock::force(&LEXICON);
}

/// A word in the form of the tables: lower case, no accents.
pub(crate) fn folded(word: &str) -> String {
    if word.is_ascii() {
        return word.to_ascii_lowercase();
    }
    word.nfd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase).map(latin).collect()
}

/// Letters that no decomposition brings to a plain one.
const fn latin(character: char) -> char {
    match character {
        'ø' => 'o',
        'ł' => 'l',
        'đ' | 'ð' => 'd',
        'ı' => 'i',
        'æ' => 'a',
        'ß' => 's',
        other => other,
    }
}

fn read() -> Table {
    let mut lexicon = Table::with_capacity_and_hasher(200_000, BuildHasherDefault::default());
    let mut add = |word: &str, senses: Senses| match lexicon.get_mut(word) {
        Some(known) => *known = known.with(senses),
        None => {
            lexicon.insert(word.into(), senses);
        }
    };
    let marked = |mark: &str, plain: Senses, more: Senses, wanted: &str| {
        if mark == wanted { plain.with(more) } else { plain }
    };
    front_coded(include_str!("tables/given.txt"), |word, mark| {
        add(word, marked(mark, Senses::GIVEN, Senses::GIVEN_ONLY, "+"));
    });
    front_coded(include_str!("tables/surnames.txt"), |word, mark| {
        add(word, marked(mark, Senses::SURNAME, Senses::SURNAME_ONLY, "+"));
    });
    front_coded(include_str!("tables/words.txt"), |word, mark| {
        add(word, marked(mark, Senses::WORD, Senses::COMMON, "+"));
    });
    let mut place = |word: &str, senses: Senses| {
        add(word, senses);
        if let Some((first, _)) = word.split_once(' ') {
            add(first, Senses::PLACE_BEGINS);
        }
    };
    front_coded(include_str!("tables/places.txt"), |word, mark| {
        place(word, if mark == "*" { Senses::COUNTY } else { Senses::PLACE });
    });
    listed(include_str!("tables/cities.txt")).for_each(|word| place(word, Senses::PLACE));
    eponym::all().for_each(|word| add(word, Senses::EPONYM));
    label_words().for_each(|word| add(word, Senses::LABEL));
    known_words().for_each(|word| add(word, Senses::KNOWN));
    roles(&mut add);
    lexicon
}

/// Reads what words do beside others.
fn roles(add: &mut impl FnMut(&str, Senses)) {
    for line in include_str!("tables/roles.txt").lines().filter(|line| !line.starts_with('#')) {
        let Some((role, words)) = line.split_once(':') else { continue };
        let sense = match role {
            "never" => Senses::NEVER,
            "institution" => Senses::INSTITUTION,
            "head" => Senses::HEAD,
            "clinical" => Senses::CLINICAL,
            "title" => Senses::TITLE,
            "kin" => Senses::KIN,
            "country" => Senses::COUNTRY,
            "profession" => Senses::PROFESSION,
            "lead" => Senses::LEAD,
            "facility" => Senses::FACILITY,
            "generic" => Senses::GENERIC,
            "street" => Senses::STREET,
            _ => Senses::NONE,
        };
        listed(words).for_each(|word| add(word, sense));
    }
}

/// The words of a table of plain lists, a line of any number of them, parted by commas; `#` begins a remark.
fn listed(table: &str) -> impl Iterator<Item = &str> {
    table
        .lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(|line| line.split(','))
        .map(str::trim)
        .filter(|w| !w.is_empty())
}

/// Reads a table in which each line says how many bytes it shares with the line before, in base 36, then the rest, then
/// perhaps a mark, `+` or `*`.
fn front_coded(table: &str, mut each: impl FnMut(&str, &str)) {
    let mut word = String::new();
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let mut letters = line.chars();
        let Some(shared) = letters.next().and_then(|digit| digit.to_digit(36)) else { continue };
        word.truncate(shared as usize);
        let rest = letters.as_str();
        let plain = rest.trim_end_matches(['+', '*']);
        word.push_str(plain);
        each(&word, rest.get(plain.len()..).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_know_what_a_word_is() {
        assert!(senses("jennifer").has(Senses::GIVEN_ONLY));
        assert!(senses("rodriguez").has(Senses::SURNAME_ONLY));
        assert!(senses("brown").has(Senses::SURNAME.with(Senses::COMMON)));
        assert!(senses("nephritis").has(Senses::WORD));
        assert!(senses("milwaukee").has(Senses::PLACE));
        assert!(senses("new").has(Senses::PLACE_BEGINS));
        assert!(senses("gleason").has(Senses::EPONYM));
        assert!(senses("zzyzxqq").unknown());
    }

    #[test]
    fn every_role_in_the_table_is_known() {
        let mut words = 0;
        roles(&mut |word, sense| {
            assert_ne!(sense, Senses::NONE, "{word}");
            words += 1;
        });
        assert!(words > 800);
    }

    #[test]
    fn accents_are_folded() {
        assert_eq!(folded("Muñoz"), "munoz");
        assert_eq!(folded("Łukasz"), "lukasz");
    }

    #[test]
    fn a_front_coded_table_is_read_whole() {
        let mut words = Vec::new();
        front_coded("# head\n0smith+\n5son\n2okes*\n", |word, mark| words.push(format!("{word}{mark}")));
        assert_eq!(words, ["smith+", "smithson", "smokes*"]);
    }
}
