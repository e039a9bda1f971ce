//! Readings of a text: as it stands in a common form, and what it becomes when the usual disguises are taken off.

use unicode_normalization::UnicodeNormalization;

/// One reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct View {
    /// Lower case, one space or line end where there was white space.
    pub(super) text: String,
    /// Whether a disguise was taken off that honest text does not wear.
    pub(super) decoded: bool,
}

/// All readings of `text`, the plain one first. A reading that is like one before it is left out.
pub(super) fn views(text: &str) -> Vec<View> {
    let plain = plain(text);
    let mut views = vec![View { text: plain.clone(), decoded: false }];
    if plain.contains('\n') {
        // An order may be broken over lines, and a mark of a template begins one: the text is read both ways.
        views.push(View { text: plain.replace('\n', " "), decoded: false });
    }
    let mut add = |text: String| {
        if !text.is_empty() && views.iter().all(|view| view.text != text) {
            views.push(View { text, decoded: true });
        }
    };
    add(unspaced(&plain));
    add(unleeted(&plain));
    encoded(text).into_iter().for_each(|hidden| add(self::plain(&hidden)));
    for turned in [rotated(&plain), plain.chars().rev().collect()] {
        if reads_better(&turned, &plain) {
            add(turned);
        }
    }
    views
}

/// Compatible forms made one (NFKC), unseen characters gone, look-alike letters Latin, lower case, single spaces.
fn plain(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let latin = mostly_latin(text);
    for character in text.nfkc() {
        if crate::screen::is_invisible(character) {
            continue;
        }
        let character = if latin { look_alike(character) } else { character };
        kept.extend(character.to_lowercase());
    }
    let mut joined = String::with_capacity(kept.len());
    for line in kept.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.is_empty() {
            continue;
        }
        if !joined.is_empty() {
            joined.push('\n');
        }
        joined.push_str(&words.join(" "));
    }
    joined
}

/// Whether Cyrillic or Greek letters stand among Latin ones as a disguise, not as their own script.
fn mostly_latin(text: &str) -> bool {
    let latin = text.chars().filter(char::is_ascii_alphabetic).count();
    let other = text.chars().filter(|c| c.is_alphabetic() && !c.is_ascii()).count();
    latin > other
}

/// The Latin letter that a letter of another script is taken for.
const fn look_alike(character: char) -> char {
    match character {
        'а' | 'α' | 'ɑ' => 'a',
        'е' | 'ё' | 'є' | 'ε' => 'e',
        'о' | 'ο' | 'σ' | 'օ' => 'o',
        'р' | 'ρ' => 'p',
        'с' | 'ϲ' => 'c',
        'х' | 'χ' => 'x',
        'у' | 'γ' | 'ү' => 'y',
        'і' | 'ι' | 'ı' => 'i',
        'ј' => 'j',
        'ѕ' => 's',
        'һ' => 'h',
        'ԁ' => 'd',
        'ԛ' => 'q',
        'ԝ' | 'ω' => 'w',
        'к' | 'κ' => 'k',
        'м' => 'm',
        'н' => 'h',
        'т' | 'τ' => 't',
        'в' | 'β' => 'b',
        'ν' => 'v',
        'А' => 'A',
        'В' => 'B',
        'Е' => 'E',
        'І' => 'I',
        'К' => 'K',
        'М' => 'M',
        'Н' => 'H',
        'О' => 'O',
        'Р' => 'P',
        'С' => 'C',
        'Т' => 'T',
        'Х' => 'X',
        'Ѕ' => 'S',
        other => other,
    }
}

/// `i g n o r e   a l l` and `i-g-n-o-r-e`: runs of single letters joined to words. Words are told apart by a wider gap
/// where there is one, and otherwise not at all: the rules that matter read them either way.
fn unspaced(plain: &str) -> String {
    let pieces: Vec<&str> = plain.split([' ', '-', '.', '_', '*', '|', '/', '\n']).collect();
    let singles = |pieces: &[&str]| pieces.iter().filter(|piece| piece.chars().count() == 1).count();
    if singles(&pieces) < LEAST_SPACED {
        return String::new();
    }
    let mut text = String::new();
    let mut run = String::new();
    let end = |run: &mut String, text: &mut String| {
        if run.chars().count() >= LEAST_RUN {
            text.push_str(&parted(run));
            text.push(' ');
        } else {
            run.chars().for_each(|letter| text.extend([letter, ' ']));
        }
        run.clear();
    };
    for piece in pieces {
        if piece.chars().count() == 1 && piece.chars().all(char::is_alphabetic) {
            run.push_str(piece);
        } else {
            end(&mut run, &mut text);
            text.push_str(piece);
            text.push(' ');
        }
    }
    end(&mut run, &mut text);
    text.trim().to_owned()
}

/// Single letters in a text from which on it may be spaced out, and letters in a run from which on it is.
const LEAST_SPACED: usize = 8;
const LEAST_RUN: usize = 5;

/// A run of letters without its spaces, parted again before and after the words that attacks are made of.
fn parted(run: &str) -> String {
    const WORDS: [&str; 18] = [
        "instructions",
        "previous",
        "ignore",
        "disregard",
        "forget",
        "system",
        "prompt",
        "reveal",
        "rules",
        "above",
        "prior",
        "your",
        "all",
        "the",
        "you",
        "are",
        "now",
        "show",
    ];
    let mut text = run.to_owned();
    for word in WORDS {
        text = text.replace(word, &format!(" {word} "));
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Digits and marks inside words read as the letters that they stand for: `1gn0r3 pr3v10us`.
fn unleeted(plain: &str) -> String {
    let mut changed = false;
    let words: Vec<String> = plain
        .split(' ')
        .map(|word| {
            let letters = word.chars().filter(char::is_ascii_alphabetic).count();
            let leet =
                word.chars().filter(|c| matches!(c, '0' | '1' | '3' | '4' | '5' | '7' | '@' | '$' | '!')).count();
            if letters < 2 || leet == 0 || leet > letters {
                return word.to_owned();
            }
            changed = true;
            let read = |c| match c {
                '0' => 'o',
                '1' | '!' => 'i',
                '3' => 'e',
                '4' | '@' => 'a',
                '5' | '$' => 's',
                '7' => 't',
                other => other,
            };
            let last = word.trim_end_matches('!').len();
            word.char_indices().map(|(at, c)| if at >= last { c } else { read(c) }).collect()
        })
        .collect();
    if changed { words.join(" ") } else { String::new() }
}

/// Texts that stand in `text` as base64 or as hex, if they decode to something that can be read.
fn encoded(text: &str) -> Vec<String> {
    let token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '-' | '_');
    let base64 = text.split(|c: char| !token(c)).filter(|token| token.len() >= 16).filter_map(from_base64);
    let lines: String =
        text.split_whitespace().map(|word| word.trim_start_matches("0x").trim_start_matches("\\x")).collect();
    let hex = std::iter::once(lines.as_str())
        .chain(text.split_whitespace())
        .flat_map(|piece| piece.split(|c: char| !c.is_ascii_hexdigit()))
        .filter(|token| token.len() >= 16)
        .filter_map(from_hex);
    base64.chain(hex).take(MOST_HIDDEN).collect()
}

/// Encoded pieces of one text that are read.
const MOST_HIDDEN: usize = 32;

fn from_base64(token: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(token.len());
    let (mut held, mut bits) = (0_u32, 0_u32);
    for byte in token.trim_end_matches('=').bytes() {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        held = (held << 6) | u32::from(six);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from((held >> bits) & 0xFF).ok()?);
        }
    }
    readable(bytes)
}

fn from_hex(token: &str) -> Option<String> {
    let digits: Vec<u32> = token.chars().filter_map(|c| c.to_digit(16)).collect();
    let bytes = digits.chunks_exact(2).filter_map(|pair| match pair {
        [high, low] => u8::try_from(high * 16 + low).ok(),
        _ => None,
    });
    readable(bytes.collect())
}

/// Bytes as text, if nearly all of it is letters and spaces: random letters decode to marks and controls.
fn readable(bytes: Vec<u8>) -> Option<String> {
    let text = String::from_utf8(bytes).ok()?;
    let all = text.chars().count();
    let kept = text
        .chars()
        .filter(|c| c.is_alphabetic() || matches!(c, ' ' | '.' | ',' | '\'' | '\n' | '!' | '?' | ':'))
        .count();
    (all >= 10 && kept * 10 >= all * 9).then_some(text)
}

/// The alphabet turned by thirteen.
fn rotated(plain: &str) -> String {
    plain
        .chars()
        .map(|c| match c {
            'a'..='m' => char::from(u8::try_from(c).unwrap_or(b'?') + 13),
            'n'..='z' => char::from(u8::try_from(c).unwrap_or(b'?') - 13),
            other => other,
        })
        .collect()
}

/// Words of English so common that whichever reading of a text has more of them is the right one.
const COMMON: &[&str] = &[
    "a", "all", "an", "and", "any", "are", "as", "be", "for", "from", "have", "i", "in", "is", "it", "me", "my", "not",
    "now", "of", "on", "or", "show", "tell", "that", "the", "this", "to", "what", "will", "with", "without", "you",
    "your",
];

fn reads_better(other: &str, plain: &str) -> bool {
    let count = |text: &str| text.split(|c: char| !c.is_alphabetic()).filter(|word| COMMON.contains(word)).count();
    count(other) > count(plain)
}
