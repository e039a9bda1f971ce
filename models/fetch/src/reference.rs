//! What a person types for a repository.

use std::fmt;
use std::str::FromStr;

/// OWNER/REPOSITORY, with a revision or without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) repository: String,
    pub(crate) revision: Option<String>,
}

impl FromStr for Reference {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (repository, revision) = match text.split_once('@') {
            Some((repository, revision)) => (repository, Some(revision)),
            None => (text, None),
        };
        let word = |part: &str| {
            let fine = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            !part.is_empty() && part.len() <= 96 && part.chars().all(fine) && !part.starts_with('.')
        };
        let named = repository.split_once('/').is_some_and(|(owner, name)| word(owner) && word(name));
        if !named || !revision.is_none_or(|revision| revision.split('/').all(word)) {
            return Err("give OWNER/REPOSITORY or OWNER/REPOSITORY@REVISION".to_owned());
        }
        Ok(Self { repository: repository.to_owned(), revision: revision.map(str::to_owned) })
    }
}

impl Reference {
    /// The repository's name as a name in the registry.
    pub(crate) fn name(&self) -> String {
        self.repository.rsplit('/').next().unwrap_or_default().to_ascii_lowercase()
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repository)?;
        self.revision.as_ref().map_or(Ok(()), |revision| write!(f, "@{revision}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_an_owner_a_name_and_perhaps_a_revision() {
        let plain: Reference = "Someone/Tiny-Model".parse().unwrap();
        assert_eq!((plain.name().as_str(), plain.revision.as_deref()), ("tiny-model", None));
        let pinned: Reference = "a/b@refs/pr/1".parse().unwrap();
        assert_eq!(pinned.revision.as_deref(), Some("refs/pr/1"));
        assert_eq!(pinned.to_string(), "a/b@refs/pr/1");
    }

    #[test]
    fn what_leads_elsewhere_is_refused() {
        for text in ["", "a", "a/b/c", "../x", "a/..", "a/b@", "a/b@../x", "http://x/y", "a b/c", "a/b@x@y"] {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
    }
}
