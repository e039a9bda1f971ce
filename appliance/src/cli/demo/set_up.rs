//! Making the demo's site: configuration, key, accounts, collections. Each step leaves alone what is there.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use anyhow::Context;
use cloister_governance::{accounts::NewAccount, audit::Outcome};
use cloister_knowledge::{CollectionSpec, Content, Progress, Submission};
use cloister_terms::{Action, CollectionId, Role, TenantId};
use rust_embed::RustEmbed;

use super::say;
use crate::{
    cli::{
        init, progress,
        site::{Desk, write_secret},
    },
    config::Config,
};

/// The sample pharmacy's documents, written for the demo.
#[derive(RustEmbed)]
#[folder = "sample"]
struct Sample;

/// The tenant, and the name of its assistant.
const TENANT: &str = "pharmacy";
const ACCOUNTS: [Role; 4] = [Role::Agent, Role::Service, Role::KnowledgeManager, Role::Operator];

/// Where things are.
pub(super) struct Site {
    folder: PathBuf,
    /// The configuration file.
    pub(super) config: PathBuf,
    /// The certificate of the site's own authority.
    pub(super) authority: PathBuf,
}

impl Site {
    /// The file with the key of the demo account of that role.
    pub(super) fn key(&self, role: &str) -> PathBuf {
        self.folder.join("accounts").join(format!("{role}.key"))
    }
}

/// A file of the sample.
pub(super) fn sample(name: &str) -> anyhow::Result<Vec<u8>> {
    Ok(Sample::get(name).with_context(|| format!("the sample lacks {name}"))?.data.into_owned())
}

/// Sees to it that `folder` holds the demo's site.
pub(super) fn site(folder: &Path, models: &Path) -> anyhow::Result<Site> {
    let made = || format!("making the demo's folder {}", folder.display());
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(made)?;
    let folder = folder.canonicalize().with_context(made)?;
    let site =
        Site { config: folder.join("cloister.toml"), authority: folder.join("tls/ca.pem"), folder: folder.clone() };
    if !site.config.exists() {
        fs::write(&site.config, configuration(&folder, models)).context("writing the demo's configuration")?;
    }
    let config = Config::load(Some(&site.config), &[])?.config;
    say("the demo keeps its master key in a file beside the data: fit for trying, not for patients' data");
    let tenant: TenantId = TENANT.parse()?;
    let desk = init::make(config)?;
    accounts(&desk, &site, &tenant)?;
    collections(&desk, &tenant)?;
    Ok(site)
}

fn configuration(folder: &Path, models: &Path) -> String {
    let quoted = |path: &Path| toml::Value::String(path.display().to_string());
    format!(
        "# The demo's site. Every key with its default and its origin: cloister config show --config THIS_FILE\n\
         [data]\nfolder = {}\n\n[models]\nfolder = {}\n\n\
         # The composed lane is on for the demo; a site switches it on for a model that has passed its own evaluation.\n\
         [answer]\ncomposed = true\n\n\
         [tenants.{TENANT}]\ntitle = \"Larkfield Regional Hospital Outpatient Pharmacy\"\nassistant = \"{TENANT}\"\n",
        quoted(folder),
        quoted(models),
    )
}

fn accounts(desk: &Desk, site: &Site, tenant: &TenantId) -> anyhow::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(site.folder.join("accounts"))?;
    for role in ACCOUNTS {
        let path = site.key(role.as_str());
        if path.exists() {
            continue;
        }
        let mut new = NewAccount::of(&format!("demo {role}"), role).within(tenant.clone());
        new.labels = vec!["all".parse()?, "staff".parse()?];
        desk.govern_site(Action::ManageAccounts, || {
            let (_, secret) = desk.accounts()?.issue(new)?;
            write_secret(&path, secret.expose()).with_context(|| format!("writing {}", path.display()))?;
            Ok(((), Outcome::done().with_code("issued")))
        })?;
    }
    Ok(())
}

/// Curated pairs in one collection, procedures in the other. What is in already is recognised by its hash.
fn collections(desk: &Desk, tenant: &TenantId) -> anyhow::Result<()> {
    let answers: CollectionId = "answers".parse()?;
    let procedures: CollectionId = "procedures".parse()?;
    let (pairs, files): (Vec<_>, Vec<_>) = submissions()?.into_iter().partition(|file| file.name == "pairs.jsonl");
    for (id, title, files) in [(answers, "Curated answers", pairs), (procedures, "Procedures", files)] {
        desk.govern(Action::ManageDocuments, tenant, Some(&id), || {
            let library = desk.library(tenant)?;
            if !library.collections()?.iter().any(|collection| collection.id == id) {
                library.create(CollectionSpec { id: id.clone(), title: title.to_owned() })?;
            }
            let bar = progress::count(files.len() as u64);
            bar.set_message(format!("reading {title}"));
            let report = library.ingest_many(&id, files, &desk.parser()?, &mut |step| {
                if let Progress::File { done, .. } = step {
                    bar.set_position(done as u64);
                }
            })?;
            bar.finish_and_clear();
            if let Some((name, error)) = report.failed().next() {
                anyhow::bail!("the sample's {name} was refused: {error}");
            }
            Ok(((), Outcome::done().with_count("documents", report.files.len() as u64)))
        })?;
    }
    Ok(())
}

fn submissions() -> anyhow::Result<Vec<Submission>> {
    let about: toml::Table = String::from_utf8(sample("metadata.toml")?)?.parse()?;
    let empty = toml::Table::new();
    let about = about.get("files").and_then(toml::Value::as_table).unwrap_or(&empty);
    let mut submissions = Vec::new();
    for name in Sample::iter().filter(|name| name.starts_with("procedures/") || *name == "pairs.jsonl") {
        let described = about.get(name.as_ref()).and_then(toml::Value::as_table).unwrap_or(&empty);
        let overrides: BTreeMap<String, String> =
            described.iter().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect();
        let short = name.trim_start_matches("procedures/").to_owned();
        submissions.push(Submission { content: Content::Bytes(sample(&name)?), name: short, overrides });
    }
    Ok(submissions)
}
