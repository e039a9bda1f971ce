//! Runs of characters that stand for others: base64, hexadecimal digits, `%41`, `\u0041`, `&#65;`.

/// Put in the place of what was masked.
const MARK: &str = "[ENCODED]";

/// Characters from which on a run may be an encoding. A shorter one holds eight letters at most.
const LEAST: usize = 12;

/// Escapes in one word from which on it is an encoding, and not a sign or two.
const LEAST_ESCAPES: usize = 3;

/// `text` with [`MARK`] in place of words that are escaped and of runs that read as base64 or hexadecimal digits.
pub(super) fn masked(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    for piece in text.split_inclusive(char::is_whitespace) {
        let word = piece.trim_end();
        if escapes(word) >= LEAST_ESCAPES {
            kept.push_str(MARK);
        } else {
            runs(word, &mut kept);
        }
        kept.push_str(piece.get(word.len()..).unwrap_or_default());
    }
    kept
}

/// A word, its encoded runs masked.
fn runs(word: &str, kept: &mut String) {
    let of_run = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '-' | '_');
    let mut rest = word;
    while !rest.is_empty() {
        let end = rest.find(|c| !of_run(c)).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        kept.push_str(if is_encoded(run) { MARK } else { run });
        let next = after.find(of_run).unwrap_or(after.len());
        let (between, following) = after.split_at(next);
        kept.push_str(between);
        rest = following;
    }
}

/// Hexadecimal digits are no word of any language, and base64 changes between capitals, small letters and digits within
/// its words: of 20,000 names, numbers and addresses each turned at least once in four characters more than a word would,
/// where words joined by hyphens and slashes (`metoprolol/hydrochlorothiazide`) and names of models stay below one in
/// twelve.
fn is_encoded(run: &str) -> bool {
    if run.len() < LEAST {
        return false;
    }
    let digits = run.bytes().filter(u8::is_ascii_digit).count();
    if run.bytes().all(|byte| byte.is_ascii_hexdigit()) && digits > 0 && digits < run.len() {
        return true;
    }
    let (upper, lower) = (run.bytes().any(|b| b.is_ascii_uppercase()), run.bytes().any(|b| b.is_ascii_lowercase()));
    let words = run.split(|c: char| !c.is_ascii_alphanumeric());
    upper && lower && words.map(odd_turns).sum::<usize>() * 8 >= run.len()
}

/// Changes between capitals, small letters and digits, but for the one that a word has after its first letter.
fn odd_turns(word: &str) -> usize {
    let turns = word.as_bytes().windows(2).filter(|pair| matches!(pair, [a, b] if class(*a) != class(*b))).count();
    turns.saturating_sub(1)
}

const fn class(byte: u8) -> u8 {
    match byte {
        b'a'..=b'z' => 0,
        b'A'..=b'Z' => 1,
        _ => 2,
    }
}

/// How many characters of a word are written by their numbers.
fn escapes(word: &str) -> usize {
    let hex = |text: Option<&str>, digits: usize| {
        text.and_then(|text| text.get(..digits)).is_some_and(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    let percent = word.match_indices('%').filter(|(at, _)| hex(word.get(at + 1..), 2)).count();
    let unicode = word.match_indices("\\u").filter(|(at, _)| hex(word.get(at + 2..), 4)).count();
    let byte = word.match_indices("\\x").filter(|(at, _)| hex(word.get(at + 2..), 2)).count();
    percent + unicode + byte + word.matches("&#").count()
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};

    use super::*;

    #[test]
    fn an_identifier_in_an_encoding_is_masked_whole() {
        for text in ["Ana Cruz, MRN 4471902", "zorvekquan@drelmib.example", "402-19-8877 402-19-8878"] {
            let percent: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
            let unicode: String = text.bytes().map(|byte| format!("\\u{:04x}", u32::from(byte))).collect();
            let entities: String = text.bytes().map(|byte| format!("&#{byte};")).collect();
            for form in [STANDARD.encode(text), hex::encode(text), percent, unicode, entities] {
                let masked = masked(&format!("May {form} refill?"));
                assert_eq!(masked, "May [ENCODED] refill?", "{text}: {form}");
            }
        }
    }

    #[test]
    fn words_of_a_pharmacy_are_none() {
        for text in [
            "metoprolol/hydrochlorothiazide 25-mg-tablets, keep at 2-8 °C (36-46 °F)",
            "https://pharmacy.example/procedures/cold-chain.pdf#page=3",
            "the COVID-19-vaccination record, 100% of it, and AT&T",
            "Larkfield-Regional-Hospital-Outpatient-Pharmacy 0123456789012345 smollm2-135m-instruct HbA1c",
            "a\u{a0}b\n\n  c\t",
            "",
        ] {
            assert_eq!(masked(text), text);
        }
    }
}
