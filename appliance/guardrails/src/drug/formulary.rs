//! A site's own list of names.

/// Why a formulary cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("formulary, line {line}: {why}; write `generic name` or `brand = generic name [+ generic name]`")]
pub struct FormularyError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: &'static str,
}

/// What a line adds.
pub(super) enum Entry {
    Generic(String),
    /// A brand, and what it stands for in the form of the tables.
    Brand(String, String),
}

/// Longest name that is taken for one, in characters: a line of prose is a mistake.
const LONGEST: usize = 80;

pub(super) fn read(text: &str) -> Result<Vec<Entry>, FormularyError> {
    let mut entries = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let refuse = |why| Err(FormularyError { line: index + 1, why });
        let is_name = |name: &str| name.chars().any(char::is_alphabetic) && name.chars().count() <= LONGEST;
        match line.split_once('=') {
            None if is_name(line) => entries.push(Entry::Generic(line.to_owned())),
            None => return refuse("no name, or one longer than 80 characters"),
            Some((brand, _)) if !is_name(brand) => return refuse("no brand before `=`"),
            Some((_, stands_for)) if !stands_for.split('+').all(is_name) => return refuse("no generic name after `=`"),
            Some((brand, stands_for)) => {
                entries.push(Entry::Brand(brand.trim().to_owned(), stands_for.trim().to_owned()));
            }
        }
    }
    Ok(entries)
}
