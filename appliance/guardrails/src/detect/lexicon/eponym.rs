//! Names that medicine has made terms: diseases, signs, scores, tests, devices, organisms and procedures called after a
//! person or a place. Drawn up from the capitalised words of the titles of ICD-10-CM and from clinical usage.

/// All of them, in lower case.
pub(super) fn all() -> impl Iterator<Item = &'static str> {
    super::listed(include_str!("../tables/eponyms.txt"))
}
