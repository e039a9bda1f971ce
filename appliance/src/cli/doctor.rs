//! `cloister doctor`: is this machine and this site as they must be? Every check has a code, what it found, and what
//! mends it.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::ExitCode,
};

use clap::Args;
use cloister_governance::{keys::MasterKey, store::Store};
use cloister_models::Registry;
use serde_json::json;

use super::{site, table};
use crate::{config::Config, cpu, edge::authority, wiring};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    site: site::Arguments,
    /// JSON instead of a table
    #[arg(long)]
    json: bool,
}

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ok,
    Warning,
    Problem,
}

impl State {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "PROBLEM",
        }
    }
}

struct Finding {
    code: &'static str,
    state: State,
    found: String,
    mend: &'static str,
}

impl Finding {
    /// `found` is the good case, or the problem with what mends it.
    fn of(code: &'static str, found: Result<String, String>, mend: &'static str) -> Self {
        match found {
            Ok(found) => Self { code, state: State::Ok, found, mend: "" },
            Err(found) => Self { code, state: State::Problem, found, mend },
        }
    }

    fn as_warning(mut self) -> Self {
        if self.state == State::Problem {
            self.state = State::Warning;
        }
        self
    }
}

/// Memory and disk under which a site with the default models does not do well.
const LEAST_MEMORY: u64 = 4 << 30;
const LEAST_DISK: u64 = 5 << 30;
/// Days that a certificate should still last.
const CERTIFICATE_DAYS: i64 = 14;

#[expect(clippy::print_stdout, reason = "what a command was asked for goes to standard output")]
pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let mut findings = machine();
    match arguments.site.load() {
        Ok(loaded) => {
            findings.push(Finding::of("configuration", Ok("valid".to_owned()), ""));
            findings.extend(of_site(&loaded.config));
        }
        Err(error) => findings.push(Finding::of("configuration", Err(error.to_string()), "mend what is marked")),
    }
    let healthy = findings.iter().all(|finding| finding.state != State::Problem);
    if arguments.json {
        let checks: Vec<_> = findings
            .iter()
            .map(|f| json!({ "code": f.code, "state": f.state.word(), "found": f.found, "mend": f.mend }))
            .collect();
        println!("{}", json!({ "healthy": healthy, "checks": checks }));
    } else {
        let mut shown = table::plain(["check", "state", "found", "what to do"]);
        for finding in findings {
            shown.add_row([finding.code, finding.state.word(), &finding.found, finding.mend]);
        }
        println!("{shown}");
    }
    Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::from(3) })
}

fn machine() -> Vec<Finding> {
    let processor = cpu::check().map(|()| "has what this build needs".to_owned()).map_err(|e| e.to_string());
    let system = sysinfo::System::new_with_specifics(
        sysinfo::RefreshKind::nothing().with_memory(sysinfo::MemoryRefreshKind::everything()),
    );
    let memory = system.total_memory();
    let swap = system.total_swap();
    let gib = |bytes: u64| format!("{} GiB", bytes >> 30);
    let routes = fs::read_to_string("/proc/net/route").unwrap_or_default();
    let way_out = routes.lines().skip(1).any(|line| line.split_whitespace().nth(1) == Some("00000000"));
    vec![
        Finding::of("processor", processor, "run on a newer machine"),
        Finding::of(
            "memory",
            if memory >= LEAST_MEMORY { Ok(gib(memory)) } else { Err(gib(memory)) },
            "give the machine at least 4 GiB",
        )
        .as_warning(),
        Finding::of(
            "swap",
            if swap == 0 { Ok("none".to_owned()) } else { Err(format!("{} of swap", gib(swap))) },
            "patient text could reach the disk: run under the systemd unit (MemorySwapMax=0), or switch swap off",
        )
        .as_warning(),
        Finding::of(
            "egress",
            if way_out { Err("this network namespace has a default route".to_owned()) } else { Ok("no way out".to_owned()) },
            "run the server under the systemd unit: its namespace has no route",
        )
        .as_warning(),
    ]
}

fn of_site(config: &Config) -> Vec<Finding> {
    let mut findings = vec![folder(&config.data.folder), disk(&config.data.folder)];
    match MasterKey::load(&config.master_key()) {
        Ok(key) => {
            findings.push(Finding::of("master-key", Ok(config.master_key().display().to_string()), ""));
            let tenants = Store::open(&config.store_folder(), key).and_then(|store| {
                store.fleet().check()?;
                let tenants = store.tenants()?;
                tenants.iter().try_for_each(|tenant| store.tenant(tenant)?.check())?;
                Ok(format!("{} tenants", tenants.len()))
            });
            findings.push(Finding::of("store", tenants.map_err(|e| e.to_string()), "restore it, or bring the key it was made with"));
        }
        Err(error) => findings.push(Finding::of("master-key", Err(error.to_string()), "restore the key file; without it the data cannot be read")),
    }
    findings.push(certificate(config));
    findings.extend(models(config));
    findings
}

fn folder(path: &Path) -> Finding {
    let found = match fs::metadata(path) {
        Ok(about) if about.permissions().mode() & 0o077 == 0 => Ok(path.display().to_string()),
        Ok(about) => Err(format!("{} has mode {:o}", path.display(), about.permissions().mode() & 0o777)),
        Err(error) => Err(format!("{}: {error}", path.display())),
    };
    Finding::of("data-folder", found, "make it, owned by this user, with mode 0700")
}

fn disk(path: &Path) -> Finding {
    let disks = sysinfo::Disks::new_with_refreshed_list();
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let holds = disks.iter().filter(|disk| path.starts_with(disk.mount_point()));
    let free = holds.max_by_key(|disk| disk.mount_point().as_os_str().len()).map(sysinfo::Disk::available_space);
    let found = match free {
        Some(free) if free >= LEAST_DISK => Ok(format!("{} GiB free", free >> 30)),
        Some(free) => Err(format!("{} MiB free", free >> 20)),
        None => Ok("cannot be told here".to_owned()),
    };
    Finding::of("disk", found, "free some: at least 5 GiB")
}

fn certificate(config: &Config) -> Finding {
    let own = config.tls.certificate.clone();
    let path = own.clone().unwrap_or_else(|| config.tls_folder().join("server.pem"));
    let now = wiring::clock().now();
    let found = match authority::ends(&path) {
        Some(ends) if ends.duration_since(now).as_hours() / 24 >= CERTIFICATE_DAYS => Ok(format!("until {ends}")),
        Some(ends) => Err(format!("until {ends}")),
        None if own.is_none() => Ok("made at the first start".to_owned()),
        None => Err(format!("{} cannot be read", path.display())),
    };
    Finding::of("certificate", found, "install a new one and send SIGHUP; the local authority renews its own at the next start")
}

fn models(config: &Config) -> Vec<Finding> {
    let registry = match Registry::open(config.models_folder()) {
        Ok(registry) => registry,
        Err(error) => return vec![Finding::of("models", Err(error.to_string()), "check the folder")],
    };
    let wanted = [&config.models.embed, &config.models.generate].into_iter().filter(|name| !name.is_empty());
    wanted
        .map(|name| {
            let verified = registry.verify(name).map(|model| format!("{name} {:.12}", model.identity().sha256));
            let found = verified.map_err(|error| format!("{name}: {error}"));
            Finding::of("model", found, "fetch or import it again: cloister model fetch|import")
        })
        .collect()
}
