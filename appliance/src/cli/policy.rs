//! `cloister policy`: who may do what, checked, tried on cases, and explained. None of it touches the store.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use clap::{Args, Subcommand};
use cloister_governance::policy::{
    Decision, Emergency, FolderError, Policy, Principal, Readable, Resource, Rules, Stated,
};
use cloister_terms::{AccessLabel, Action, CollectionId, EmergencyId, Role, TenantId};
use serde::Deserialize;

use super::{site, table, words};

/// What a check that found something returns.
const UNHEALTHY: u8 = 3;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    site: site::Arguments,
    /// The folder of the site's own policies, instead of the configured one
    #[arg(long, global = true, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Say whether the policies are valid, and what is wrong where; list them
    ///
    /// Exit code 3 if something is wrong. The set on trial, `policy.shadow`, is checked too.
    Check,
    /// Try the policies on cases: who does what to what, and whether it must be permitted
    ///
    /// Exit code 3 if a case is decided otherwise than it says.
    Test {
        /// A TOML file of [[case]] sections, as in systemd/policies/cases.toml
        cases: PathBuf,
    },
    /// Say whether somebody may do something, and which policies decide
    Explain(Asked),
}

/// A question, on the command line and in a file of cases.
#[derive(Debug, Args)]
struct Asked {
    /// agent, reviewer, knowledge_manager, compliance, operator, administrator or service
    #[arg(long)]
    role: Role,
    /// The account's tenant; an account of the whole site if none is named
    #[arg(long)]
    tenant: Option<TenantId>,
    /// A collection that the account lists; all of the tenant's if none is named
    #[arg(long = "collection")]
    collections: Vec<CollectionId>,
    /// An access label that the account holds
    #[arg(long = "label")]
    labels: Vec<AccessLabel>,
    /// What is done, `ask` for example
    #[arg(long, value_parser = words::action)]
    action: Action,
    /// A program asks, with a key; else it is a person
    #[arg(long)]
    program: bool,
    /// The person has emergency access open
    #[arg(long, conflicts_with = "program")]
    emergency: bool,
    /// An action that the key which is shown is limited to; no limit if none is named
    #[arg(long = "key-action", value_name = "ACTION", value_parser = words::action)]
    key_actions: Vec<Action>,
    /// To what: appliance, tenant:T, collection:T/C, document:T/C/ID, capture:T/ID, audit or audit:T
    #[arg(long)]
    on: Resource,
}

/// A file of cases.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    case: Vec<Case>,
}

/// One case.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// What it stands for, in a sentence.
    says: String,
    /// As for `explain`.
    role: Role,
    tenant: Option<TenantId>,
    collections: Option<Vec<CollectionId>>,
    #[serde(default)]
    labels: Vec<AccessLabel>,
    /// Whether a program asks, with a key.
    #[serde(default)]
    program: bool,
    /// Whether the person has emergency access open.
    #[serde(default)]
    emergency: bool,
    /// The actions that the key is limited to; no limit if there is none.
    key_actions: Option<BTreeSet<Action>>,
    action: Action,
    on: String,
    /// What must come out.
    expect: Expected,
    /// The policies that must decide, where it matters.
    by: Option<BTreeSet<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Expected {
    Permit,
    Deny,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let config = arguments.site.load()?.config.policy;
    let folder = arguments.folder.clone().or(config.folder);
    let rules = match Rules::load(folder.as_deref()) {
        Ok(rules) => rules,
        Err(error) => return complain(error),
    };
    match arguments.verb {
        Verb::Check => {
            if let (Some(shadow), None) = (&config.shadow, &arguments.folder)
                && let Err(error) = Rules::load(Some(shadow))
            {
                return complain(error);
            }
            check(&rules);
            Ok(ExitCode::SUCCESS)
        }
        Verb::Test { cases } => test(&Policy::of(rules), &cases),
        Verb::Explain(asked) => {
            explain(&Policy::of(rules), &asked);
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Everything that is wrong, one line each. A folder that cannot be read is the caller's mistake.
#[expect(clippy::print_stderr, reason = "what is wrong goes where errors go, and systemctl shows it")]
fn complain(error: FolderError) -> anyhow::Result<ExitCode> {
    match error {
        FolderError::Invalid(invalid) => {
            for fault in &invalid.0 {
                eprintln!("{fault}");
            }
            Ok(ExitCode::from(UNHEALTHY))
        }
        unreadable @ FolderError::Unreadable { .. } => Err(unreadable.into()),
    }
}

fn check(rules: &Rules) {
    let mut table = table::plain(["policy", "effect", "from", "why"]);
    for policy in rules.stated() {
        let effect = if policy.forbids { "forbid" } else { "permit" };
        table.add_row([&*policy.id, effect, &*format!("{}:{}", policy.file, policy.line), &*policy.why]);
    }
    say(&table.to_string());
    say(&format!("valid; version {}", rules.version()));
}

fn principal(
    role: Role,
    tenant: Option<TenantId>,
    listed: Option<Vec<CollectionId>>,
    labels: Vec<AccessLabel>,
) -> Principal {
    Principal {
        collections: listed.map_or(Readable::All, |these| Readable::These(these.into_iter().collect())),
        labels: labels.into_iter().collect(),
        ..Principal::local(role, tenant)
    }
}

/// The same under the circumstances of a request.
fn under(who: Principal, program: bool, emergency: bool, actions: Option<BTreeSet<Action>>) -> Principal {
    let open = || Emergency { id: EmergencyId::from(0), labels: BTreeSet::new() };
    Principal { person: !program, emergency: emergency.then(open), actions, ..who }
}

fn explain(policy: &Policy, asked: &Asked) {
    let listed = (!asked.collections.is_empty()).then(|| asked.collections.clone());
    let limit = (!asked.key_actions.is_empty()).then(|| asked.key_actions.iter().copied().collect());
    let who = principal(asked.role, asked.tenant.clone(), listed, asked.labels.clone());
    let who = under(who, asked.program, asked.emergency, limit);
    let decision = policy.decide(&who, asked.action, &asked.on);
    match &decision {
        Decision::Permit(_) => say("permitted"),
        Decision::Deny { reason, .. } => say(&format!("denied: {reason}")),
    }
    let rules = policy.rules();
    let deciding: Vec<&Stated> = decision.basis().policies().iter().filter_map(|id| rules.find(id)).collect();
    for stated in &deciding {
        let verb = if stated.forbids { "forbidden" } else { "permitted" };
        say(&format!("  {verb} by {} ({}:{}): {}", stated.id, stated.file, stated.line, stated.why));
    }
    if deciding.is_empty() {
        say("  no policy permits it");
    }
}

fn test(policy: &Policy, file: &Path) -> anyhow::Result<ExitCode> {
    let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    let cases: Cases = toml::from_str(&text).with_context(|| format!("{} cannot be read as cases", file.display()))?;
    let count = cases.case.len();
    let mut failed = 0;
    for case in cases.case {
        let on: Resource = case.on.parse().with_context(|| format!("the case \"{}\"", case.says))?;
        let who = principal(case.role, case.tenant, case.collections, case.labels);
        let who = under(who, case.program, case.emergency, case.key_actions);
        let decision = policy.decide(&who, case.action, &on);
        let got = if matches!(decision, Decision::Permit(_)) { Expected::Permit } else { Expected::Deny };
        let by: BTreeSet<String> = decision.basis().policies().iter().cloned().collect();
        if got != case.expect || case.by.as_ref().is_some_and(|wanted| *wanted != by) {
            failed += 1;
            let by = if by.is_empty() { "no policy".to_owned() } else { by.into_iter().collect::<Vec<_>>().join(", ") };
            let got = if got == Expected::Permit { "permitted" } else { "denied" };
            say(&format!("not so: {} ({got} by {by})", case.says));
        }
    }
    say(&format!("{} of {count} cases are as they say", count - failed));
    anyhow::ensure!(count > 0, "{} has no [[case]]", file.display());
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(UNHEALTHY) })
}

#[expect(clippy::print_stdout, reason = "what a command was asked for goes to standard output")]
fn say(text: &str) {
    println!("{text}");
}
