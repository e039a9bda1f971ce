//! A set of policies: read, validated against the schema, and ready to decide.

use std::{collections::BTreeMap, fmt, str::FromStr as _, sync::Arc};

use aws_lc_rs::digest;
use cedar_policy::{
    Authorizer, Decision as Decided, Effect, PolicyId, PolicySet, ValidationMode, ValidationWarning, Validator,
};
use cloister_terms::Action;
use miette::Diagnostic;

use super::{
    Principal, Resource,
    model::{MODEL, SCHEMA},
};

/// The policies that the program comes with. The file is the one that a site reads beside its own.
const PACKAGED: &str = include_str!("../../../../systemd/policies/cloister.cedar");

/// What the packaged policies' file is called where one of them is named.
const PACKAGED_NAME: &str = "cloister.cedar (packaged)";

/// The longest id that a policy may have: it stands in records and logs.
const LONGEST_ID: usize = 64;

/// A file of policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// What messages call it: the file's path.
    pub name: String,
    /// What it says.
    pub text: String,
}

/// What is wrong in a set of policies: where, what, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {what}; {mend}")]
pub struct Fault {
    /// The file.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub mend: String,
}

/// Why a set of policies cannot be used: everything that is wrong in it, at least one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidRules(pub Vec<Fault>);

impl fmt::Display for InvalidRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&faults.join("\n"))
    }
}

impl std::error::Error for InvalidRules {}

/// A policy as its reader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stated {
    /// Its id.
    pub id: String,
    /// What it is for, in a sentence.
    pub why: String,
    /// Whether it forbids; else it permits.
    pub forbids: bool,
    /// The file that it stands in.
    pub file: String,
    /// The line on which it begins, counted from 1.
    pub line: usize,
}

impl Stated {
    /// Whether it came with the program.
    pub fn is_packaged(&self) -> bool {
        self.file == PACKAGED_NAME
    }
}

/// What a set of policies says to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) allowed: bool,
    /// Those that decided, in order.
    pub(super) policies: Vec<String>,
    /// Whether something could not be evaluated; then nothing is allowed.
    pub(super) failed: bool,
}

impl Verdict {
    const FAILED: Self = Self { allowed: false, policies: Vec::new(), failed: true };
}

/// A set of policies that has passed validation. Never changes.
pub struct Rules {
    version: Arc<str>,
    all: PolicySet,
    /// Those that permit: whether a role includes an action at all is asked of them where something is forbidden.
    permits: PolicySet,
    stated: BTreeMap<String, Stated>,
}

impl Rules {
    /// The policies that the program comes with, and no other.
    ///
    /// # Errors
    /// None that a test has not excluded; a set that cannot be read is never half a set.
    pub fn packaged() -> Result<Self, InvalidRules> {
        Self::with(&[])
    }

    /// The packaged policies and those of `site`, together.
    ///
    /// # Errors
    /// Everything that is wrong, with its place.
    pub fn with(site: &[Source]) -> Result<Self, InvalidRules> {
        let packaged = Source { name: PACKAGED_NAME.to_owned(), text: PACKAGED.to_owned() };
        let sources: Vec<Source> = [packaged].into_iter().chain(site.iter().cloned()).collect();
        Self::of(&sources)
    }

    /// The policies of `sources` and no other.
    pub(super) fn of(sources: &[Source]) -> Result<Self, InvalidRules> {
        let mut faults = Vec::new();
        let (mut all, mut permits, mut stated) = (PolicySet::new(), PolicySet::new(), BTreeMap::new());
        for source in sources {
            for (policy, about) in read(source, &mut faults) {
                if let Some(first) = stated.get(&about.id) {
                    faults.push(twice(&about, first));
                    continue;
                }
                // An id that was free above is free here.
                let both = [Some(&mut all), (!about.forbids).then_some(&mut permits)];
                let added =
                    both.into_iter().flatten().map(|set| set.add(policy.clone()).map_err(|error| error.to_string()));
                if let Some(Err(error)) = added.into_iter().find(Result::is_err) {
                    faults.push(fault(&about, error, "give it another `@id`"));
                    continue;
                }
                stated.insert(about.id.clone(), about);
            }
        }
        validate(&all, &stated, sources, &mut faults);
        if faults.is_empty() {
            Ok(Self { version: version(sources), all, permits, stated })
        } else {
            Err(InvalidRules(faults))
        }
    }

    /// A set that permits nothing.
    pub(super) fn none() -> Self {
        let (all, permits) = (PolicySet::new(), PolicySet::new());
        Self { version: Arc::from("none"), all, permits, stated: BTreeMap::new() }
    }

    /// The SHA-256 over the schema and every policy, in hexadecimal digits. Two sites with the same one decide alike.
    pub fn version(&self) -> &str {
        &self.version
    }

    pub(super) const fn shared_version(&self) -> &Arc<str> {
        &self.version
    }

    /// The policies, by id.
    pub fn stated(&self) -> impl Iterator<Item = &Stated> {
        self.stated.values()
    }

    /// The policy of that id.
    pub fn find(&self, id: &str) -> Option<&Stated> {
        self.stated.get(id)
    }

    /// What the set says. Anything that cannot be evaluated is a no.
    pub(super) fn ask(&self, principal: &Principal, action: Action, resource: &Resource) -> Verdict {
        ask(&self.all, principal, action, resource, true)
    }

    /// Whether any policy permits it, were there none that forbid, and on whatever kind of thing.
    pub(super) fn permits(&self, principal: &Principal, action: Action, resource: &Resource) -> bool {
        ask(&self.permits, principal, action, resource, false).allowed
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules").field("version", &self.version).field("policies", &self.stated.len()).finish()
    }
}

fn ask(set: &PolicySet, principal: &Principal, action: Action, resource: &Resource, strict: bool) -> Verdict {
    let Some(model) = MODEL.as_ref() else { return Verdict::FAILED };
    let question = match model.question(principal, action, resource, strict) {
        Ok(question) => question,
        Err(error) => {
            // Ids and the schema's words, never a record's text.
            tracing::warn!(%action, error = %error, "a question that policy cannot be asked was denied");
            return Verdict::FAILED;
        }
    };
    let response = Authorizer::new().is_authorized(&question.request, set, &question.entities);
    let diagnostics = response.diagnostics();
    let mut failed = false;
    for error in diagnostics.errors() {
        failed = true;
        tracing::error!(%action, error = %error, "a policy could not be evaluated, so everything it was asked for is denied");
    }
    let mut policies: Vec<String> = diagnostics.reason().map(ToString::to_string).collect();
    policies.sort_unstable();
    Verdict { allowed: response.decision() == Decided::Allow && !failed, policies, failed }
}

/// The policies of a file under their own ids, with what is to be said of each.
fn read(source: &Source, faults: &mut Vec<Fault>) -> Vec<(cedar_policy::Policy, Stated)> {
    let at = |line, what: String, mend: &str| Fault { file: source.name.clone(), line, what, mend: mend.to_owned() };
    let set = match PolicySet::from_str(&source.text) {
        Ok(set) => set,
        Err(errors) => {
            faults.extend(errors.iter().map(|error| {
                let mend = error.help().map_or_else(|| "mend the policy here".to_owned(), |help| help.to_string());
                at(line_of(&source.text, place(error)), error.to_string(), &mend)
            }));
            return Vec::new();
        }
    };
    for template in set.templates() {
        let line = beginning(&source.text, &template.to_string());
        faults.push(at(line, "this is a template".to_owned(), "write a policy for each case"));
    }
    let mut found = Vec::new();
    for policy in set.policies() {
        let line = beginning(&source.text, &policy.to_string());
        let named = policy.annotation("id").filter(|id| is_id(id));
        let why = policy.annotation("why").map(str::trim).filter(|why| !why.is_empty());
        let (Some(id), Some(why)) = (named, why) else {
            let (what, mend) = if named.is_none() {
                ("the policy has no id that records can name it by", ID_MEND)
            } else {
                ("the policy does not say what it is for", "write above it `@why(\"...\")`, a sentence for its readers")
            };
            faults.push(at(line, what.to_owned(), mend));
            continue;
        };
        let about = Stated {
            id: id.to_owned(),
            why: why.to_owned(),
            forbids: policy.effect() == Effect::Forbid,
            file: source.name.clone(),
            line,
        };
        found.push((policy.new_id(PolicyId::new(id)), about));
    }
    found.sort_by_key(|(_, about)| about.line);
    found
}

const ID_MEND: &str =
    "write above it `@id(\"...\")`: up to 64 lower-case letters, digits and `-`, beginning with a letter";

/// Ids stand in records and logs, and so are plain words.
fn is_id(id: &str) -> bool {
    (1..=LONGEST_ID).contains(&id.len())
        && id.starts_with(|first: char| first.is_ascii_lowercase())
        && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

fn fault(about: &Stated, what: String, mend: &str) -> Fault {
    Fault { file: about.file.clone(), line: about.line, what, mend: mend.to_owned() }
}

fn twice(about: &Stated, first: &Stated) -> Fault {
    let what = format!("there is a policy `{}` already, at {}:{}", about.id, first.file, first.line);
    fault(about, what, "give this one another `@id`")
}

/// Strict: types must agree, and a policy that can never apply is a mistake too.
fn validate(all: &PolicySet, stated: &BTreeMap<String, Stated>, sources: &[Source], faults: &mut Vec<Fault>) {
    let Some(model) = MODEL.as_ref() else {
        let what = "the schema cannot be read".to_owned();
        faults.push(Fault { file: PACKAGED_NAME.to_owned(), line: 1, what, mend: "tell the vendor".to_owned() });
        return;
    };
    let result = Validator::new(model.schema.clone()).validate(all, ValidationMode::Strict);
    let mut put = |id: &PolicyId, said: &dyn Diagnostic, mend: &str| {
        let Some(about) = stated.get(AsRef::<str>::as_ref(id)) else { return };
        let text = sources.iter().find(|source| source.name == about.file).map_or("", |source| source.text.as_str());
        let line = said
            .labels()
            .and_then(|mut labels| labels.next())
            .map_or(about.line, |label| line_of(text, label.offset()));
        let mend = said.help().map_or_else(|| mend.to_owned(), |help| help.to_string());
        // The policy's id is the file's word for it; the message begins with Cedar's own.
        faults.push(Fault { file: about.file.clone(), line, what: said.to_string(), mend });
    };
    for error in result.validation_errors() {
        put(error.policy_id(), error, "see the schema, systemd/policies/cloister.cedarschema, for what there is");
    }
    for warning in result.validation_warnings() {
        let mend = match warning {
            ValidationWarning::ImpossiblePolicy(_) => {
                "it can never apply: see the schema for what each action applies to"
            }
            _ => "write it in plain letters",
        };
        put(warning.policy_id(), warning, mend);
    }
}

/// The byte in its text that an error points to.
fn place(error: &dyn Diagnostic) -> usize {
    error.labels().and_then(|mut labels| labels.next()).map_or(0, |label| label.offset())
}

/// The line on which a policy begins, by its own text.
fn beginning(text: &str, policy: &str) -> usize {
    text.find(policy).map_or(1, |offset| line_of(text, offset))
}

/// The line of the byte at `offset`, counted from 1.
fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

fn version(sources: &[Source]) -> Arc<str> {
    let mut hash = digest::Context::new(&digest::SHA256);
    for text in [SCHEMA].into_iter().chain(sources.iter().map(|source| source.text.as_str())) {
        // The length first, so that no two lists of texts run together to the same bytes.
        hash.update(&(text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    }
    Arc::from(hex::encode(hash.finish()))
}
