//! The site's own patterns: regular expressions, bounded in size, that run in time linear in the text.

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

use super::{finding::Finding, kind::Kind};

/// Longest expression, in bytes.
const LONGEST: usize = 500;
/// Most memory that one compiled expression may take, in bytes.
const LARGEST: usize = 1 << 20;
/// Most patterns a site may have.
const MOST: usize = 100;

/// One pattern as a site writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pattern {
    /// What the site calls it.
    pub name: String,
    /// The regular expression, in the syntax of the `regex` crate: no look-around, no back-references. If it has a group
    /// called `id`, that group is the identifier, otherwise the whole match is.
    pub pattern: String,
    /// What it finds; `SITE_PATTERN` if nothing is said.
    #[serde(default = "site")]
    pub kind: Kind,
}

const fn site() -> Kind {
    Kind::Pattern
}

/// Why patterns cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// An expression is not well formed, too long, or would take too much memory.
    #[error("the pattern `{name}` cannot be used: {reason}")]
    Expression {
        /// The site's name for it.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It would find every text.
    #[error("the pattern `{name}` matches the empty text: ask for at least one character")]
    Empty {
        /// The site's name for it.
        name: String,
    },
    /// Too many.
    #[error("there are {count} patterns, more than the {MOST} allowed: join some with `|`")]
    Many {
        /// How many were given.
        count: usize,
    },
}

/// Patterns, ready to be searched for.
#[derive(Debug, Clone, Default)]
pub struct Patterns(Vec<(Regex, Kind)>);

impl Patterns {
    /// Compiles `patterns`.
    ///
    /// # Errors
    /// [`PatternError`] for the first that cannot be used.
    pub fn of(patterns: &[Pattern]) -> Result<Self, PatternError> {
        if patterns.len() > MOST {
            return Err(PatternError::Many { count: patterns.len() });
        }
        let compiled = patterns.iter().map(|pattern| {
            let unfit = |reason: String| PatternError::Expression { name: pattern.name.clone(), reason };
            if pattern.pattern.len() > LONGEST {
                return Err(unfit(format!("it is longer than {LONGEST} bytes")));
            }
            let expression = RegexBuilder::new(&pattern.pattern).size_limit(LARGEST).dfa_size_limit(LARGEST).build();
            let expression = expression.map_err(|error| unfit(error.to_string()))?;
            if expression.is_match("") {
                return Err(PatternError::Empty { name: pattern.name.clone() });
            }
            Ok((expression, pattern.kind))
        });
        Ok(Self(compiled.collect::<Result<_, _>>()?))
    }

    /// Finds what they match in a text in reading form.
    pub(crate) fn scan(&self, text: &str, found: &mut Vec<Finding>) {
        for (expression, kind) in &self.0 {
            for captures in expression.captures_iter(text) {
                if let Some(hit) = captures.name("id").or_else(|| captures.get(0)) {
                    found.push(Finding::new(*kind, hit.start(), hit.end(), 0.97, "pattern"));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(expression: &str) -> Pattern {
        Pattern { name: "bed".to_owned(), pattern: expression.to_owned(), kind: Kind::Pattern }
    }

    #[test]
    fn the_group_called_id_is_what_is_found() {
        let patterns = Patterns::of(&[pattern(r"bed (?P<id>[A-Z]\d+)")]).unwrap();
        let mut found = Vec::new();
        patterns.scan("in bed Q7 now", &mut found);
        assert_eq!((found[0].start, found[0].end), (7, 9));
    }

    #[test]
    fn patterns_that_cannot_be_used_are_refused_by_name() {
        for expression in ["(", ".*", r"(\w{1000}){1000}", &"a".repeat(501)] {
            let error = Patterns::of(&[pattern(expression)]).unwrap_err();
            assert!(error.to_string().contains("`bed`"), "{error}");
        }
    }
}
