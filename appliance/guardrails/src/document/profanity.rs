//! The managed list of profanity: English swear words and slurs, written for this purpose.
//!
//! Left out is what a patient or a clinician must be free to say: parts and functions of the body ("shitting blood", "my bollocks are swollen"),
//! diagnoses, names (Dick, Dyke, Kike), words with a clinical sense (a finger prick, tablets "retard", growth-retarded), dishes (faggots) and mild oaths
//! ("damn", "crap", "hell"), which people in pain use.

use std::{collections::BTreeSet, sync::LazyLock};

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

use crate::detect::look_alike;

/// Words, each with the endings that are tried after it.
const STEMS: &[(&str, &[&str])] = &[
    ("fuck", &["", "s", "ed", "er", "ers", "ing", "in", "face", "wit", "wits", "up", "off"]),
    ("motherfuck", &["er", "ers", "ing"]),
    ("clusterfuck", &["", "s"]),
    ("shit", &["", "ty", "head", "heads", "face", "hole", "show", "bag"]),
    ("bullshit", &["", "ting", "ter"]),
    ("horseshit", &[""]),
    ("dipshit", &["", "s"]),
    ("bitch", &["", "es", "y", "ing"]),
    ("bastard", &["", "s"]),
    ("asshole", &["", "s"]),
    ("arsehole", &["", "s"]),
    ("dumbass", &["", "es"]),
    ("jackass", &["", "es"]),
    ("smartass", &["", "es"]),
    ("cunt", &["", "s", "y"]),
    ("twat", &["", "s"]),
    ("wank", &["", "er", "ers", "ing"]),
    ("tosser", &["", "s"]),
    ("bellend", &["", "s"]),
    ("dickhead", &["", "s"]),
    ("cocksuck", &["er", "ers", "ing"]),
    ("douchebag", &["", "s"]),
    ("slut", &["", "s", "ty"]),
    ("whore", &["", "s"]),
    ("skank", &["", "s", "y"]),
    ("goddamn", &["", "ed", "it"]),
    ("nigg", &["er", "ers", "a", "as"]),
    ("faggot", &[""]),
    ("wetback", &["", "s"]),
    ("raghead", &["", "s"]),
    ("towelhead", &["", "s"]),
    ("beaner", &["", "s"]),
    ("tranny", &[""]),
    ("trannies", &[""]),
    ("libtard", &["", "s"]),
];

/// Phrases of words that are harmless by themselves, and the word that makes them harmless when it follows: "I piss off and on".
const PHRASES: &[(&str, &str)] = &[("piss off", "and"), ("kiss my ass", ""), ("up your ass", "")];

/// A form of a word, letter by letter, and the word.
struct Form {
    word: &'static str,
    letters: Vec<char>,
}

static FORMS: LazyLock<Vec<Form>> = LazyLock::new(|| {
    let forms = STEMS.iter().flat_map(|(word, endings)| {
        endings.iter().map(|ending| Form { word, letters: word.chars().chain(ending.chars()).collect() })
    });
    forms.collect()
});

/// The words and phrases of the list that stand in `text`, each once and in its plain form.
///
/// A word is known though it is written otherwise than letter by letter: "sh1t", "f*ck", "a$$hole", "fuuuck", "bàstard".
pub(super) fn found(text: &str) -> Vec<&'static str> {
    let plain: String = text.nfkd().filter(|c| !is_combining_mark(*c)).map(|c| look_alike(c).unwrap_or(c)).collect();
    let plain = plain.to_lowercase();
    let written: Vec<&str> = plain.split(|c: char| !is_written(c)).filter(|word| !word.is_empty()).collect();
    let bare: Vec<&str> = plain.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let seen: BTreeSet<&str> = written.into_iter().chain(bare.iter().copied()).collect();
    let mut found: Vec<&'static str> = Vec::new();
    for word in seen {
        let spelled = FORMS.iter().filter(|form| is_spelled(word, &form.letters)).map(|form| form.word);
        for word in spelled {
            if !found.contains(&word) {
                found.push(word);
            }
        }
    }
    let phrased = |(phrase, harmless): &&(&'static str, &str)| {
        let count = phrase.split(' ').count();
        (0..bare.len()).any(|at| {
            let stands = bare.iter().skip(at).take(count).copied().eq(phrase.split(' '));
            stands && (harmless.is_empty() || bare.get(at + count) != Some(harmless))
        })
    };
    found.extend(PHRASES.iter().filter(phrased).map(|(phrase, _)| *phrase));
    found
}

/// Letters, digits, and the marks that are put in the place of a letter.
fn is_written(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '@' | '$' | '!' | '+' | '*')
}

/// Whether a word spells a form, as it is or without the marks at its end. One of which half and more are digits is a number of something, and one with
/// more stars than letters hides any word of that length, but for the four letters that everyone hides so.
fn is_spelled(word: &str, form: &[char]) -> bool {
    let count = |what: fn(char) -> bool| word.chars().filter(|c| what(*c)).count();
    let (letters, digits, stars) = (count(char::is_alphabetic), count(|c| c.is_ascii_digit()), count(|c| c == '*'));
    (digits == 0 || letters > digits)
        && (letters >= stars || form.len() == 4)
        && (spells(word, form) || spells(word.trim_end_matches(|c: char| !c.is_alphanumeric()), form))
}

/// Whether what is written spells `form`: each letter once or more, or the sign that is put in its place. A star stands for any one letter but the first.
fn spells(written: &str, form: &[char]) -> bool {
    let mut letters = form.iter().copied().peekable();
    let mut last = None;
    for (at, sign) in written.chars().enumerate() {
        match letters.peek() {
            Some(letter) if stands_for(sign, *letter) || at > 0 && sign == '*' => last = letters.next(),
            _ if last.is_some_and(|letter| stands_for(sign, letter)) => {}
            _ => return false,
        }
    }
    letters.next().is_none() && last.is_some()
}

const fn stands_for(sign: char, letter: char) -> bool {
    sign as u32 == letter as u32
        || matches!(
            (sign, letter),
            ('@' | '4', 'a')
                | ('3', 'e')
                | ('1' | '!', 'i')
                | ('0', 'o')
                | ('$' | '5', 's')
                | ('7' | '+', 't')
                | ('v', 'u')
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profanity_is_found_in_its_forms_and_disguises() {
        for (text, word) in [
            ("This is bullshit!", "bullshit"),
            ("what the FUCK", "fuck"),
            ("f*cking useless", "fuck"),
            ("f***", "fuck"),
            ("you sh1t-head", "shit"),
            ("shiiiit", "shit"),
            ("a$$holes, all of you", "asshole"),
            ("fuuuuck", "fuck"),
            ("fuck\u{2014}where is it", "fuck"),
            ("(fuck)you", "fuck"),
            ("fuck&you", "fuck"),
            ("f\u{fc}ck", "fuck"),
            ("sh\u{456}t", "shit"),
            ("b4stard", "bastard"),
            ("oh Piss off!", "piss off"),
            ("**bullshit** it is", "bullshit"),
            ("fuck+you and !fuck", "fuck"),
            ("\u{201c}Bastard\u{201d}, he said", "bastard"),
        ] {
            assert_eq!(found(text), [word], "{text}");
        }
    }

    #[test]
    fn what_patients_and_clinicians_must_be_free_to_say_is_not() {
        for text in [
            "I piss blood since Monday and it hurts like hell",
            "I piss off and on all night, and I have been shitting blood",
            "my bollocks are swollen; can I eat faggots on warfarin?",
            "Kike Fern\u{e1}ndez, ward SH17, lot 5H1T, room 4A55",
            "Dick Cheney asked for a finger prick test; damn, that pen is crap",
            "Adalat Retard 20 mg, growth-retarded, breast lump, anal fissure, penis, vaginal cream",
            "Scunthorpe, shitake-free diet, cockroach, assess, class, pass, grass, therapist, analgesic",
            "the fag end of the shift, a bitter pill, shiitake",
            "Is 5 * 3 ok? ** note ** * * *, b******",
            "The whorled pattern, niggling pain",
        ] {
            assert_eq!(found(text), Vec::<&str>::new(), "{text}");
        }
    }
}
