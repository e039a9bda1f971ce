//! The data folder, the master key, the certificate.

use std::{
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use cloister_governance::{
    accounts::{Accounts, Unreviewed},
    audit::Log,
    keys::{Custody, KeyError},
    policy::Policy,
};
use jiff::Timestamp;

use super::Finding;
use crate::{
    config::Config,
    edge::{authority, tls},
    wiring,
};

/// Days before a certificate's end at which it is worth a warning.
const WARN_DAYS: i64 = 21;

pub(super) fn data_folder(folder: &Path) -> Finding {
    let shown = folder.display();
    let metadata = match std::fs::metadata(folder) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Finding::note("data_folder", format!("{shown} is not there yet: `cloister init` makes it"));
        }
        Err(error) => {
            return Finding::bad(
                "data_folder",
                format!("{shown} cannot be read: {error}"),
                "run as the service's user",
            );
        }
    };
    let (mode, owner, me) = (metadata.mode() & 0o7777, metadata.uid(), rustix::process::geteuid().as_raw());
    if !metadata.is_dir() {
        Finding::bad("data_folder", format!("{shown} is no folder"), "set `data.folder` to a folder")
    } else if owner != me {
        let found = format!("{shown} belongs to user {owner}, and this is user {me}");
        Finding::bad("data_folder", found, format!("run as the service's user, or `chown -R {me} {shown}`"))
    } else if mode & 0o077 != 0 {
        let found = format!("{shown} has mode {mode:04o}: others may enter");
        Finding::bad("data_folder", found, format!("chmod 0700 {shown}"))
    } else {
        Finding::good("data_folder", format!("{shown} is ours alone"))
    }
}

pub(super) fn master_key(config: &Config) -> Finding {
    let path = config.master_key();
    let shown = path.display();
    let error = match wiring::master_key(config) {
        Ok(key) => {
            return match key.custody() {
                Custody::Credential(_) => Finding::good("master_key", format!("{} is a credential", key.id())),
                Custody::File(_) => Finding::warning(
                    "master_key",
                    format!("{} lies in the file {shown}, which is ours alone: fit for trying", key.id()),
                    "seal it as a systemd credential: see systemd/README.md",
                ),
            };
        }
        Err(error) => error,
    };
    let mend = match &error {
        KeyError::Missing { .. } => {
            return Finding::note("master_key", format!("{shown} is not there yet: `cloister init` makes it"));
        }
        KeyError::TooOpen { .. } => format!("chmod 0600 {shown}"),
        KeyError::OtherOwner { .. } => "run as the service's user, or `chown` the key".to_owned(),
        KeyError::Malformed { .. } => "restore the key from your recovery copy".to_owned(),
        KeyError::Io { .. } => "check who may read the file, and that it is no link".to_owned(),
    };
    Finding::bad("master_key", error.to_string(), mend)
}

/// Every database opens with the key, and nothing in them waits for somebody. A store that is not there is left so.
pub(super) fn store(config: &Config) -> Vec<Finding> {
    if !config.store_folder().join("fleet.db").exists() {
        return vec![Finding::note("store", "there is none yet: `cloister init` makes it")];
    }
    if wiring::master_key(config).is_err() {
        let found = "cannot be opened without the master key";
        return vec![Finding::bad("store", found, "bring the key that it was made with")];
    }
    match databases(config) {
        Ok((count, unreviewed)) => {
            vec![
                Finding::good("store", format!("opens, with the databases of {count} tenants")),
                emergencies(unreviewed),
            ]
        }
        Err(error) => {
            vec![Finding::bad("store", error.to_string(), "restore it, or bring the key that it was made with")]
        }
    }
}

/// Emergency access is signed off by somebody else.
pub(super) fn emergencies(unreviewed: Unreviewed) -> Finding {
    match unreviewed {
        Unreviewed { waiting, oldest: Some(oldest) } => Finding::warning(
            "break_glass",
            format!("{waiting} emergency accesses wait to be signed off, the oldest since {oldest:.0}"),
            "sign them off: see `cloister break-glass list`",
        ),
        Unreviewed { .. } => Finding::good("break_glass", "no emergency access waits to be signed off"),
    }
}

/// Opens every database. That uses their keys, which is recorded.
fn databases(config: &Config) -> anyhow::Result<(usize, Unreviewed)> {
    let store = wiring::store(config)?;
    let log = Log::open(&store.audit(), wiring::clock(), wiring::random())?;
    store.record_key_uses(&log, Policy::built_in().rules().version())?;
    let tenants = store.tenants()?;
    tenants.iter().try_for_each(|tenant| store.tenant(tenant)?.check())?;
    let accounts = Accounts::open(&store.fleet(), wiring::clock(), wiring::random())?;
    Ok((tenants.len(), accounts.unreviewed_emergencies()?))
}

pub(super) fn certificate(config: &Config, now: Timestamp) -> Finding {
    let local = config.tls_folder().join("server.pem");
    let (chain, key): (PathBuf, PathBuf) = match (&config.tls.certificate, &config.tls.key) {
        (Some(chain), Some(key)) => (chain.clone(), key.clone()),
        _ if !local.exists() => {
            return Finding::note("certificate", "there is none yet: the first start makes one with its own authority");
        }
        _ => (local.clone(), local),
    };
    let own = config.tls.certificate.is_some();
    let renew = if own {
        "put a new certificate in place, then `systemctl reload cloister`"
    } else {
        "start the server: it renews its own certificate"
    };
    if let Err(error) = tls::Certificate::load(&chain, &key) {
        return Finding::bad("certificate", error.to_string(), renew);
    }
    let Some(ends) = authority::ends(&chain) else {
        return Finding::warning("certificate", format!("when {} ends cannot be told", chain.display()), renew);
    };
    let days = (ends.as_second() - now.as_second()).div_euclid(24 * 60 * 60);
    let found = format!("{} ends on {} ({days} days)", chain.display(), ends.strftime("%Y-%m-%d"));
    match days {
        ..0 => Finding::bad("certificate", found, renew),
        0..WARN_DAYS => Finding::warning("certificate", found, renew),
        _ => Finding::good("certificate", found),
    }
}
