//! The identifier part of a guardrail document.
//!
//! ```toml
//! version = 1                      # of this format
//! default = "ANONYMIZE"            # for kinds that are not named
//! least_confidence = 0.4
//!
//! [[entities]]
//! type = "US_SOCIAL_SECURITY_NUMBER"
//! action = "BLOCK"
//! output_action = "ANONYMIZE"
//!
//! [[regexes]]
//! name = "bed"
//! pattern = 'bed (?P<id>[A-Z]\d+)'
//! ```

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::detect::{Kind, Pattern};

/// The version of the format that this program reads.
const VERSION: u32 = 1;

/// What to do with an identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Action {
    /// Refuse the text.
    Block,
    /// Put a placeholder for it.
    Anonymize,
    /// Let it stand, and say that it was found.
    None,
}

/// Which way a text goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// From the caller.
    Input,
    /// From a document, to the prompt or into a quotation.
    Evidence,
    /// To the caller.
    Output,
}

/// The action for one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntityRule {
    /// The kind.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// On every side that has none of its own below.
    pub action: Action,
    /// On input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_action: Option<Action>,
    /// On evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence_action: Option<Action>,
    /// On output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_action: Option<Action>,
}

/// What is done with identifiers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The version of the format: 1.
    pub version: u32,
    /// The action for kinds without a rule.
    #[serde(default = "anonymize")]
    pub default: Action,
    /// Findings less sure than this are passed over. 0.4 lets all pass that the detector reports by default.
    #[serde(default = "least")]
    pub least_confidence: f32,
    /// The actions by kind.
    #[serde(default)]
    pub entities: Vec<EntityRule>,
    /// The site's own patterns. The action is that of the pattern's kind.
    #[serde(default)]
    pub regexes: Vec<Pattern>,
}

const fn anonymize() -> Action {
    Action::Anonymize
}

const fn least() -> f32 {
    0.4
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            version: VERSION,
            default: anonymize(),
            least_confidence: least(),
            entities: Vec::new(),
            regexes: Vec::new(),
        }
    }
}

/// Why a policy cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PolicyError {
    /// It is not well formed, or holds a key, a kind or an action that is not known.
    #[error("the policy cannot be read: {0}")]
    Form(String),
    /// It is written for another version of the program.
    #[error("the policy has version {0}, and this program reads version {VERSION}")]
    Version(u32),
    /// A kind has two rules.
    #[error("`{0}` has two rules: keep one")]
    Twice(Kind),
    /// The confidence is no share.
    #[error("`least_confidence` is {0}: it must lie between 0 and 1")]
    Confidence(f32),
}

impl Policy {
    /// Reads a policy.
    ///
    /// # Errors
    /// [`PolicyError`] with the first thing that is wrong with it.
    pub fn read(text: &str) -> Result<Self, PolicyError> {
        let policy: Self = toml::from_str(text).map_err(|error| PolicyError::Form(error.to_string()))?;
        policy.check()?;
        Ok(policy)
    }

    /// What is wrong with a policy that is well formed, if anything.
    pub(crate) fn check(&self) -> Result<(), PolicyError> {
        if self.version != VERSION {
            return Err(PolicyError::Version(self.version));
        }
        if !(0.0..=1.0).contains(&self.least_confidence) {
            return Err(PolicyError::Confidence(self.least_confidence));
        }
        let mut seen = BTreeSet::new();
        match self.entities.iter().find(|rule| !seen.insert(rule.kind)) {
            Some(rule) => Err(PolicyError::Twice(rule.kind)),
            None => Ok(()),
        }
    }

    /// Whether a kind has a rule of its own.
    pub fn names(&self, kind: Kind) -> bool {
        self.entities.iter().any(|rule| rule.kind == kind)
    }

    /// What to do with a finding of this kind on this side.
    pub fn action(&self, kind: Kind, side: Side) -> Action {
        let Some(rule) = self.entities.iter().find(|rule| rule.kind == kind) else { return self.default };
        let own = match side {
            Side::Input => rule.input_action,
            Side::Evidence => rule.evidence_action,
            Side::Output => rule.output_action,
        };
        own.unwrap_or(rule.action)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_kind_or_action_is_refused() {
        for faulty in [
            "version = 1\nactoin = \"NONE\"",
            "version = 1\n[[entities]]\ntype = \"CAT\"\naction = \"NONE\"",
            "version = 1\n[[entities]]\ntype = \"NAME\"\naction = \"IGNORE\"",
            "default = \"NONE\"",
        ] {
            assert!(matches!(Policy::read(faulty), Err(PolicyError::Form(_))), "{faulty}");
        }
        assert_eq!(Policy::read("version = 2"), Err(PolicyError::Version(2)));
        assert!(matches!(Policy::read("version = 1\nleast_confidence = 1.5"), Err(PolicyError::Confidence(_))));
    }

    #[test]
    fn a_kind_with_two_rules_is_refused() {
        let rule = "[[entities]]\ntype = \"NAME\"\naction = \"NONE\"\n";
        assert_eq!(Policy::read(&format!("version = 1\n{rule}{rule}")), Err(PolicyError::Twice(Kind::Name)));
    }

    #[test]
    fn a_policy_is_written_and_read_back() {
        let policy =
            Policy::read("version = 1\n[[entities]]\ntype = \"DATE\"\naction = \"NONE\"\noutput_action = \"BLOCK\"")
                .unwrap();
        assert_eq!(policy.action(Kind::Date, Side::Output), Action::Block);
        assert_eq!(policy.action(Kind::Date, Side::Input), Action::None);
        assert_eq!(Policy::read(&toml::to_string(&policy).unwrap()).unwrap(), policy);
    }
}
