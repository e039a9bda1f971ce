//! `cloister backup restore`: a site on an empty machine.

use std::{
    fs,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, bail};
use clap::Args;
use cloister_governance::{
    audit::Outcome,
    keys::{KeyError, MasterKey},
    store::{Recovery, Restored},
};
use cloister_terms::Action;
use zeroize::Zeroizing;

use super::{
    super::{
        site::{self, Desk},
        tenant,
    },
    advise, say,
    site_files::{self, Aside, CONFIGURATION},
};
use crate::wiring;

/// Where, in the data folder, files lie that could not be put in their places.
const ASIDE: &str = "restored";

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The backup
    file: PathBuf,
    /// The recovery bundle
    #[arg(long, value_name = "FILE")]
    bundle: PathBuf,
    /// A file with a share of the bundle's key; as many as the bundle needs
    #[arg(long = "share", value_name = "FILE", required = true)]
    shares: Vec<PathBuf>,
}

pub(super) fn run(site: &site::Arguments, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let recovery = opened(arguments)?;
    configuration(site, &recovery)?;
    let loaded = site.load()?;
    let config = loaded.config.clone();
    if config.store_folder().exists() {
        bail!("{} holds a store already: restore onto an empty machine", config.data.folder.display());
    }
    let made = || format!("making {}", config.data.folder.display());
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&config.data.folder).with_context(made)?;
    let random = wiring::random();
    let master = match wiring::master_key(&config) {
        Err(KeyError::Missing { path }) => MasterKey::load_or_create(&path, random.as_ref())?,
        found => found?,
    };
    let mut aside = Vec::new();
    let restored = recovery.restore(&config.store_folder(), (&master, random.as_ref()), |files| {
        aside = site_files::put_back(files, &loaded, &config.data.folder.join(ASIDE))?;
        anyhow::Ok(())
    })?;
    let files = restored.files + restored.site_files.iter().count();
    say(&format!("{files} files as of {} are back in {}", restored.label.at, config.data.folder.display()));
    tell(&restored, &aside);
    let desk = Desk::of(config).context("the databases are back, but nothing can be done with them yet")?;
    record(&desk, &restored, &aside)?;
    for tenant in restored.tenants_left_out() {
        if desk.config.tenants.contains_key(&tenant) {
            advise(&format!("the configuration names the tenant {tenant}: the next start makes it anew, and empty"));
        }
    }
    let whole = restored.unreadable.is_empty() && aside.is_empty();
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::from(3) })
}

fn opened(arguments: &Arguments) -> anyhow::Result<Recovery> {
    let read = |path: &Path| fs::read_to_string(path).with_context(|| format!("reading {}", path.display()));
    let bundle = read(&arguments.bundle)?;
    let shares = arguments.shares.iter().map(|path| read(path).map(Zeroizing::new)).collect::<Result<Vec<_>, _>>()?;
    Ok(Recovery::open(&arguments.file, &bundle, &shares)?)
}

/// Where a configuration file is named and not there, the backup's is put there, and holds.
fn configuration(site: &site::Arguments, recovery: &Recovery) -> anyhow::Result<()> {
    let Some(named) = site.config.as_deref().filter(|named| !named.exists()) else { return Ok(()) };
    let files = recovery.site_files()?;
    let Some(text) = files.get(CONFIGURATION) else {
        bail!("{} is not there, and the backup holds no configuration: write one", named.display());
    };
    site_files::write(named, CONFIGURATION, text).with_context(|| format!("writing {}", named.display()))?;
    advise(&format!("{} is the configuration of the backup", named.display()));
    Ok(())
}

/// What is not back, and what to do about it.
fn tell(restored: &Restored, aside: &[Aside]) {
    for (part, why) in &restored.unreadable {
        advise(&format!("{part} was left out: {why}"));
    }
    for tenant in restored.tenants_left_out() {
        advise(&format!(
            "nobody of the tenant {tenant} may sign in now, as after its destruction. If it was not destroyed, keep the \
             backup, and restore it onto an empty machine with a bundle that opens it"
        ));
    }
    for file in aside {
        advise(&file.to_string());
    }
    advise(
        "shred the site's other recovery bundles that are still out there, or keep a list of them: `cloister key status` \
         knows this one alone",
    );
}

fn record(desk: &Desk, restored: &Restored, aside: &[Aside]) -> anyhow::Result<()> {
    let count = |items: usize| u64::try_from(items).unwrap_or(u64::MAX);
    desk.govern_site(Action::ManageBackups, || {
        for tenant in restored.tenants_left_out() {
            tenant::bar(desk, &tenant)?;
        }
        let outcome = Outcome::done().with_code("restored").with_count("files", count(restored.files));
        let outcome = outcome.with_count("unreadable", count(restored.unreadable.len()));
        Ok(((), outcome.with_count("aside", count(aside.len()))))
    })
}
