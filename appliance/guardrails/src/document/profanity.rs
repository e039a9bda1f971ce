//! The managed list of profanity: English swear words and slurs, written for this purpose.
//!
//! Left out is what a patient or a clinician must be free to say: parts and functions of the body, diagnoses, names
//! (Dick, Dyke), words with a clinical sense (a finger prick, tablets "retard", growth-retarded, to piss blood) and mild oaths ("damn",
//! "crap", "hell"), which people in pain use.

/// The words, each with the endings that are tried after it. Sorted by nothing but kind.
const STEMS: &[(&str, &[&str])] = &[
    ("fuck", &["", "s", "ed", "er", "ers", "ing", "in", "face", "wit", "wits", "up", "off"]),
    ("motherfuck", &["er", "ers", "ing"]),
    ("clusterfuck", &["", "s"]),
    ("shit", &["", "s", "ty", "ting", "head", "heads", "face", "hole", "show", "bag"]),
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
    ("wank", &["er", "ers", "ing"]),
    ("tosser", &["", "s"]),
    ("bollocks", &[""]),
    ("bellend", &["", "s"]),
    ("dickhead", &["", "s"]),
    ("cocksuck", &["er", "ers", "ing"]),
    ("douchebag", &["", "s"]),
    ("slut", &["", "s", "ty"]),
    ("whore", &["", "s"]),
    ("skank", &["", "s", "y"]),
    ("goddamn", &["", "ed", "it"]),
    ("nigg", &["er", "ers", "a", "as"]),
    ("fag", &["got", "gots"]),
    ("kike", &["", "s"]),
    ("wetback", &["", "s"]),
    ("raghead", &["", "s"]),
    ("towelhead", &["", "s"]),
    ("beaner", &["", "s"]),
    ("tranny", &[""]),
    ("trannies", &[""]),
    ("libtard", &["", "s"]),
];

/// Phrases of several words.
const PHRASES: &[&[&str]] = &[
    &["piss", "off"],
    &["son", "of", "a", "bitch"],
    &["sons", "of", "bitches"],
    &["kiss", "my", "ass"],
    &["up", "your", "ass"],
    &["eat", "shit"],
];

/// The stems and phrases of the list that stand in `text`, each once: the stem of a word, the first word of a phrase.
///
/// A word is known though it is written otherwise than letter by letter: "sh1t", "f*ck", "a$$hole", "fuuuck".
pub(super) fn found(text: &str) -> Vec<&'static str> {
    let written: Vec<String> = text.split_whitespace().map(trimmed).filter(|word| !word.is_empty()).collect();
    let mut found: Vec<&'static str> = Vec::new();
    for (stem, endings) in STEMS {
        let forms = || endings.iter().map(|ending| format!("{stem}{ending}"));
        if written.iter().flat_map(|word| parts(word)).any(|word| forms().any(|form| spells(word, &form))) {
            found.push(stem);
        }
    }
    let phrased = |phrase: &&&[&str]| {
        written.windows(phrase.len()).any(|words| words.iter().zip(phrase.iter()).all(|(word, part)| spells(word, part)))
    };
    found.extend(PHRASES.iter().filter(phrased).filter_map(|phrase| phrase.first()));
    found
}

/// A word in lower case without the marks around it. A mark that may stand for a letter stays within.
fn trimmed(word: &str) -> String {
    word.to_lowercase().trim_matches(|c: char| !c.is_alphanumeric() && c != '$' && c != '@').to_owned()
}

/// A word and what hyphens, slashes and full stops part in it.
fn parts(word: &str) -> impl Iterator<Item = &str> {
    let within = word.split(['-', '/', '.', ',', '_', '’', '\'']).filter(move |part| *part != word);
    std::iter::once(word).chain(within)
}

/// Whether what is written spells `form`: each letter once or more, or the sign that is put in its place. A star stands for any
/// one letter but the first.
fn spells(written: &str, form: &str) -> bool {
    let mut letters = form.chars().peekable();
    let mut last = None;
    for (at, sign) in written.chars().enumerate() {
        match letters.peek() {
            Some(letter) if stands_for(sign, *letter) || at > 0 && sign == '*' => last = letters.next(),
            _ if last.is_some_and(|letter| stands_for(sign, letter)) && sign.is_alphabetic() => {}
            _ => return false,
        }
    }
    letters.next().is_none() && last.is_some()
}

const fn stands_for(sign: char, letter: char) -> bool {
    sign as u32 == letter as u32
        || matches!(
            (sign, letter),
            ('@', 'a') | ('$', 's') | ('1' | '!', 'i') | ('0', 'o') | ('3', 'e') | ('v', 'u') | ('5', 's') | ('7' | '+', 't')
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profanity_is_found_in_its_forms_and_disguises() {
        for (text, stem) in [
            ("This is bullshit!", "bullshit"),
            ("what the FUCK", "fuck"),
            ("f*cking useless", "fuck"),
            ("you sh1t-head", "shit"),
            ("a$$holes, all of you", "asshole"),
            ("fuuuuck", "fuck"),
            ("oh piss off.", "piss"),
            ("\u{201c}Bastard\u{201d}, he said", "bastard"),
        ] {
            assert!(found(text).contains(&stem), "{text}: {:?}", found(text));
        }
    }

    #[test]
    fn what_patients_and_clinicians_must_be_free_to_say_is_not() {
        for text in [
            "I piss blood since Monday and it hurts like hell",
            "Dick Cheney asked for a finger prick test; damn, that pen is crap",
            "Adalat Retard 20 mg, breast lump, anal fissure, penis, vaginal cream",
            "Scunthorpe, Shitake-free diet, cockroach, assess, class, pass, grass, therapist, analgesic",
            "the fag end of the shift, a bitter pill, shiitake",
            "Is 5 * 3 ok? ** note ** * * *",
            "The whorled pattern, niggling pain",
        ] {
            assert_eq!(found(text), Vec::<&str>::new(), "{text}");
        }
    }
}
