//! Invented identifiers of patients that stand nowhere else, in the encodings in which they might leak, and the search for
//! them in what a run left behind.

use std::{
    fs,
    path::{Path, PathBuf},
};

use aho_corasick::AhoCorasick;
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};

const SYLLABLES: [&str; 16] = [
    "zor", "vek", "quan", "drel", "mib", "thax", "plo", "wurg", "yen", "skov", "jat", "rip", "umber", "lox", "fen",
    "gwy",
];

/// How an identifier is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// As it is.
    Plain,
    /// Base64, RFC 4648.
    Base64,
    /// Every byte as `%XX`.
    Url,
    /// UTF-16, little endian.
    Utf16,
}

impl Encoding {
    /// Every one there is.
    pub const ALL: [Self; 4] = [Self::Plain, Self::Base64, Self::Url, Self::Utf16];

    /// `text`, written in it.
    pub fn write(self, text: &str) -> Vec<u8> {
        match self {
            Self::Plain => text.as_bytes().to_vec(),
            Self::Base64 => STANDARD_NO_PAD.encode(text).into_bytes(),
            Self::Url => text.bytes().flat_map(|byte| format!("%{byte:02X}").into_bytes()).collect(),
            Self::Utf16 => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        }
    }
}

/// Repeatable numbers (SplitMix64; Steele, Lea and Flood 2014).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % limit
    }

    fn digits(&mut self, count: usize) -> String {
        (0..count).map(|_| char::from(b'0' + u8::try_from(self.below(10)).unwrap_or(0))).collect()
    }

    fn word(&mut self) -> String {
        let mut word = String::new();
        for _ in 0..4 {
            let at = usize::try_from(self.below(SYLLABLES.len() as u64)).unwrap_or(0);
            word.push_str(SYLLABLES.get(at).copied().unwrap_or_default());
        }
        word.get(..1).map(str::to_uppercase).unwrap_or_default() + word.get(1..).unwrap_or_default()
    }
}

/// 72 identifiers: names, record numbers, social security numbers, telephones, mail addresses, streets, plans, devices.
pub fn identifiers() -> Vec<String> {
    let mut numbers = Numbers(0xC105_7E12);
    let mut found = Vec::new();
    for _ in 0..9 {
        let surname = numbers.word();
        found.push(format!("{} {surname}", numbers.word()));
        found.push(format!("MRN {}", numbers.digits(10)));
        found.push(format!("9{}-{}-{}", numbers.digits(2), numbers.digits(2), numbers.digits(4)));
        found.push(format!("({}) {}-{}", numbers.digits(3), numbers.digits(3), numbers.digits(4)));
        found.push(format!("{}@{}.example", numbers.word().to_lowercase(), numbers.word().to_lowercase()));
        found.push(format!("{} {} Street", numbers.digits(4), numbers.word()));
        found.push(format!("HPL{}{}", numbers.digits(9), numbers.word().to_uppercase()));
        found.push(format!("https://{}.example/p/{}", numbers.word().to_lowercase(), numbers.digits(6)));
    }
    found
}

/// What must be found nowhere.
pub struct Canaries {
    needles: AhoCorasick,
    shown: Vec<String>,
}

/// Where something was found.
#[derive(Debug, PartialEq, Eq)]
pub struct Leak {
    /// The file, or what else was searched.
    pub place: String,
    /// The identifier and how it was written.
    pub what: String,
}

impl Canaries {
    /// The search for [`identifiers`]: whole, by their telling words, and by their digits alone, each in every encoding,
    /// whatever the case of its letters.
    ///
    /// # Panics
    /// If the search cannot be built.
    #[expect(clippy::expect_used, reason = "a test without its search has failed")]
    pub fn new() -> Self {
        let (mut patterns, mut shown) = (Vec::new(), Vec::new());
        for identifier in identifiers() {
            for part in parts(&identifier) {
                for (name, bytes) in written(&part) {
                    patterns.push(bytes);
                    shown.push(format!("`{part}` of `{identifier}`, {name}"));
                }
            }
        }
        let needles = AhoCorasick::builder().ascii_case_insensitive(true).build(patterns).expect("a search");
        Self { needles, shown }
    }

    /// How many forms are searched for.
    pub fn forms(&self) -> usize {
        self.shown.len()
    }

    /// What of them stands in `bytes`.
    pub fn search(&self, place: &str, bytes: &[u8]) -> Vec<Leak> {
        let found = self.needles.find_iter(bytes).filter_map(|hit| self.shown.get(hit.pattern().as_usize()));
        found.map(|what| Leak { place: place.to_owned(), what: what.clone() }).collect()
    }

    /// What of them stands in the raw bytes of the files of `folder`, or in their names. Returns how many bytes were
    /// searched, too.
    ///
    /// # Panics
    /// If the folder cannot be read. A file that is gone meanwhile is passed over.
    #[expect(clippy::expect_used, reason = "a test that cannot search has failed")]
    pub fn search_folder(&self, folder: &Path) -> (u64, Vec<Leak>) {
        let (mut bytes, mut leaks, mut folders) = (0, Vec::new(), vec![folder.to_owned()]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).expect("a folder to search") {
                let path: PathBuf = entry.expect("an entry of a folder").path();
                let shown = path.display().to_string();
                leaks.extend(self.search("a file's name", shown.as_bytes()));
                if path.is_symlink() {
                    continue;
                }
                if path.is_dir() {
                    folders.push(path);
                } else if let Ok(text) = fs::read(&path) {
                    bytes += text.len() as u64;
                    leaks.extend(self.search(&shown, &text));
                }
            }
        }
        (bytes, leaks)
    }
}

impl Default for Canaries {
    fn default() -> Self {
        Self::new()
    }
}

/// The identifier, the words in it that stand nowhere else, and its digits without what parts them.
fn parts(identifier: &str) -> Vec<String> {
    let mut parts = vec![identifier.to_owned()];
    let words = identifier.split(|c: char| !c.is_alphanumeric());
    parts.extend(words.filter(|word| word.len() >= 9 && *word != identifier).map(str::to_owned));
    let digits: String = identifier.chars().filter(char::is_ascii_digit).collect();
    if digits.len() >= 9 {
        parts.push(digits);
    }
    parts.sort();
    parts.dedup();
    parts
}

/// Each form in which a part might stand. Base64 depends on where in its text the part begins: the characters at its ends
/// that depend on what is beside it are left away.
fn written(part: &str) -> Vec<(&'static str, Vec<u8>)> {
    let mut forms = vec![
        ("plain", part.as_bytes().to_vec()),
        ("URL-encoded", Encoding::Url.write(part)),
        ("URL-encoded where it must be", must(part)),
        ("UTF-16 LE", Encoding::Utf16.write(part)),
        ("UTF-16 BE", part.encode_utf16().flat_map(u16::to_be_bytes).collect()),
        ("UTF-16, without its first byte", Encoding::Utf16.write(part).split_off(1)),
    ];
    for before in 0..3 {
        let text = [b"   ".get(..before).unwrap_or_default(), part.as_bytes()].concat();
        let encoded = STANDARD_NO_PAD.encode(&text);
        let skip = [0, 2, 3].get(before).copied().unwrap_or(0);
        let end = text.len() * 8 / 6;
        if let Some(core) = encoded.get(skip..end).filter(|core| core.len() >= 10) {
            forms.push(("base64", core.as_bytes().to_vec()));
        }
    }
    forms
}

/// Letters and digits as they are, everything else as `%XX`.
fn must(text: &str) -> Vec<u8> {
    let one = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => vec![byte],
        _ => format!("%{byte:02X}").into_bytes(),
    };
    text.bytes().flat_map(one).collect()
}
