//! Fields of a header or a form: `Patient: Ng, Ana   DOB: 3/14/84`, one to a line or several.

use super::{
    super::{finding::Finding, kind::Kind},
    meaning, plausible,
};

/// Finds the fields of every line.
pub(super) fn scan(text: &str, found: &mut Vec<Finding>) {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        if line.contains(':') {
            fields(line.trim_end_matches(['\n', '\r']), start, found);
        }
        start += line.len();
    }
}

fn fields(line: &str, offset: usize, found: &mut Vec<Finding>) {
    let colons: Vec<usize> = line.match_indices(':').map(|(at, _)| at).collect();
    for (index, colon) in colons.iter().enumerate() {
        let Some((kind, lone)) = label_before(line, *colon) else { continue };
        let after = line.get(colon + 1..).unwrap_or_default();
        let begin = colon + 1 + (after.len() - after.trim_start().len());
        let rest = line.get(begin..).unwrap_or_default();
        let next_colon = colons.get(index + 1).and_then(|next| next.checked_sub(begin));
        let value = value(rest, kind, next_colon);
        let header = lone || kind != Kind::Name;
        if !value.is_empty()
            && plausible(kind, value)
            && (header || value.starts_with(char::is_uppercase))
            && looks(kind, value)
        {
            found.push(Finding::new(kind, offset + begin, offset + begin + value.len(), 0.88, "field"));
        }
    }
}

/// What the words before a colon say, and whether they stand at the beginning of the line or after a gap.
fn label_before(line: &str, colon: usize) -> Option<(Kind, bool)> {
    let before = line.get(..colon)?.trim_end();
    let words: Vec<(usize, &str)> = before
        .split(|c: char| c.is_whitespace() || matches!(c, '*' | '_' | '#' | '|' | ',' | ';' | '(' | '.'))
        .filter(|word| !word.is_empty())
        .map(|word| (word.as_ptr() as usize - before.as_ptr() as usize, word))
        .collect();
    (1..=4.min(words.len())).rev().find_map(|count| {
        let part = words.get(words.len() - count..)?;
        let name: Vec<String> = part.iter().map(|(_, word)| word.to_lowercase()).collect();
        let kind = meaning(&name.join(" "))?;
        let start = part.first()?.0;
        let lead = before.get(..start)?;
        let lone = lead.trim_matches([' ', '\t', '*', '_', '#', '-', '|']).is_empty()
            || lead.ends_with("  ")
            || lead.ends_with('\t')
            || lead.ends_with(['|', ',', ';', '.', ' ']) && part.first()?.1.starts_with(char::is_uppercase);
        Some((kind, lone))
    })
}

/// The value at the beginning of `rest`: up to two blanks, a tab, a bar, a semicolon, or the label of the next field.
fn value(rest: &str, kind: Kind, next_colon: Option<usize>) -> &str {
    let mut end = rest.find("  ").into_iter().chain(rest.find(['\t', '|', ';'])).min().unwrap_or(rest.len());
    if let Some(colon) = next_colon.filter(|colon| *colon < end) {
        let before = rest.get(..colon).unwrap_or_default();
        let label = (1..=3).rev().find_map(|count| {
            let mut starts = before.char_indices().rev().filter(|(_, c)| *c == ' ').map(|(at, _)| at);
            let from = starts.nth(count - 1)?;
            meaning(&before.get(from..)?.trim().to_lowercase()).map(|_| from)
        });
        end = label.unwrap_or_else(|| before.rfind(' ').unwrap_or(end.min(colon)));
    }
    let value = rest.get(..end).unwrap_or_default();
    let value = match kind {
        Kind::Name => {
            let stop = value.find(['(', '/', '[']).unwrap_or(value.len());
            let sentence = value.find(". ").filter(|at| {
                value.get(..*at).is_some_and(|before| before.rsplit(' ').next().is_some_and(|word| word.len() > 3))
            });
            value.get(..stop.min(sentence.unwrap_or(stop))).unwrap_or(value)
        }
        Kind::Address | Kind::Location | Kind::Facility => {
            value.find(". ").and_then(|at| value.get(..at)).filter(|v| v.len() > 12).unwrap_or(value)
        }
        Kind::Phone | Kind::Fax => {
            let stop =
                value.find(|c: char| c.is_alphabetic() && c != 'x' && c != 'e' && c != 't').unwrap_or(value.len());
            value.get(..stop).unwrap_or(value)
        }
        Kind::Date => return "", // the forms of dates find it, and leave what else stands there
        _ => value.split([' ', ',']).next().unwrap_or(value),
    };
    value.trim_end_matches([' ', '.', ',', ')', '*', '"', '-'])
}

/// Names in a field have a capital, or the whole line has none.
fn looks(kind: Kind, value: &str) -> bool {
    match kind {
        Kind::Name => {
            let words: Vec<&str> = value.split([' ', ',']).filter(|word| !word.is_empty()).collect();
            let capitals = words.iter().filter(|word| word.starts_with(char::is_uppercase)).count();
            capitals * 2 > words.len()
                || words.len() <= 3
                    && words.iter().all(|word| {
                        word.chars().all(char::is_lowercase)
                            && super::super::lexicon::senses(word)
                                .any(super::super::lexicon::Senses::GIVEN.with(super::super::lexicon::Senses::SURNAME))
                    })
        }
        Kind::Facility | Kind::Location => value.starts_with(char::is_uppercase),
        Kind::Address => value.bytes().any(|b| b.is_ascii_digit()) || value.starts_with(char::is_uppercase),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(Kind, &str)> {
        crate::detect::testing::found_by_structure(text, scan)
    }

    #[test]
    fn fields_of_a_header_are_found_one_to_a_line_or_several() {
        let text = "Patient: Ng, Ana   MRN: 0044-A\nPCP: Qarvo Tzill\nCity: Harrow Glen\nSex: F";
        assert_eq!(
            read(text),
            [
                (Kind::Name, "Ng, Ana"),
                (Kind::Mrn, "0044-A"),
                (Kind::Name, "Qarvo Tzill"),
                (Kind::Location, "Harrow Glen")
            ]
        );
        assert_eq!(read("Name: Ana Ng Phone: 402-555-0142"), [(Kind::Name, "Ana Ng"), (Kind::Phone, "402-555-0142")]);
    }

    #[test]
    fn a_sentence_with_a_colon_is_no_field() {
        assert!(read("Instructions for the patient: take two tablets daily").is_empty());
        assert!(read("Plan: start metformin 500 mg").is_empty());
        assert!(read("Mother: deceased").is_empty());
    }
}
