//! The site's own certificate authority, and the server's certificate from it, for sites that bring none.
//!
//! **What it is not:** it touches no trust store. A browser or client is given `ca.pem` by whoever runs it.
//!
//! # Why
//! - The authority lives ten years and signs one certificate of a year at a time, so that clients are set up once.
//! - A certificate is made anew when it has under 30 days to live or the names change, and never otherwise.
//! - ECDSA on P-256 with SHA-256: what every TLS 1.3 client takes.

use std::{
    fs,
    io::Write,
    net::IpAddr,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use cloister_terms::Clock;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

const DAY: u64 = 24 * 60 * 60;
const AUTHORITY_DAYS: u64 = 3650;
const CERTIFICATE_DAYS: u64 = 365;
const RENEW_DAYS: u64 = 30;

/// The files of the authority and of the certificate, PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The authority's certificate: what clients are told to trust.
    pub authority: PathBuf,
    /// The server's certificate with the authority's behind it.
    pub certificate: PathBuf,
    /// The server's key, mode 0600.
    pub key: PathBuf,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A file could not be read or written.
    #[error("{path} cannot be {doing}: check that the folder is there and belongs to this user")]
    Io {
        /// The file.
        path: PathBuf,
        /// `read` or `written`.
        doing: &'static str,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// What is in the folder is no certificate or key.
    #[error("{path} is damaged: move it away, and a new one is made (clients must then be given the new ca.pem)")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: rcgen::Error,
    },
    /// A name cannot stand in a certificate.
    #[error("a certificate cannot be made for these names: check `tls.names`")]
    Names(#[source] rcgen::Error),
}

/// Sees to it that `folder` holds an authority and a certificate for `names`, valid for at least 30 days.
///
/// # Errors
/// [`AuthorityError`].
pub fn ensure(folder: &Path, names: &[String], clock: &dyn Clock) -> Result<Files, AuthorityError> {
    let files = Files {
        authority: folder.join("ca.pem"),
        certificate: folder.join("server.pem"),
        key: folder.join("server.key"),
    };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io(folder, "written"))?;
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(clock.now().as_second()).unwrap_or(0));
    let (issuer, authority) = authority(folder, &files.authority, now)?;
    let wanted = format!("{}\n", names.join("\n"));
    let about = folder.join("server.names");
    if fs::read_to_string(&about).is_ok_and(|made_for| made_for == wanted) && lasts(&files, now)? {
        return Ok(files);
    }
    let key = KeyPair::generate().map_err(AuthorityError::Names)?;
    let mut params = CertificateParams::new(names.to_vec()).map_err(AuthorityError::Names)?;
    params.distinguished_name = called("Cloister");
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.not_before = (now - Duration::from_secs(DAY)).into();
    params.not_after = (now + Duration::from_secs(CERTIFICATE_DAYS * DAY)).into();
    let certificate = params.signed_by(&key, &issuer).map_err(AuthorityError::Names)?;
    // The names last: without them the next start makes the three anew.
    write(&files.key, &key.serialize_pem())?;
    write(&files.certificate, &format!("{}{authority}", certificate.pem()))?;
    write(&about, &wanted)?;
    Ok(files)
}

/// The names and addresses under which this machine is reached: `localhost`, its own name, its addresses, and `more`.
pub fn names(host: Option<String>, addresses: impl IntoIterator<Item = IpAddr>, more: &[String]) -> Vec<String> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let addresses = addresses.into_iter().filter(|ip| !ip.is_unspecified()).map(|ip| ip.to_string());
    for name in host.into_iter().chain(addresses).chain(more.iter().cloned()) {
        if !name.is_empty() && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn authority(folder: &Path, path: &Path, now: SystemTime) -> Result<(Issuer<'static, KeyPair>, String), AuthorityError> {
    let key_path = folder.join("ca.key");
    if path.exists() && key_path.exists() {
        let damaged = |path: &Path| {
            let path = path.to_owned();
            move |source| AuthorityError::Damaged { path, source }
        };
        let pem = fs::read_to_string(path).map_err(io(path, "read"))?;
        let key = fs::read_to_string(&key_path).map_err(io(&key_path, "read"))?;
        let key = KeyPair::from_pem(&key).map_err(damaged(&key_path))?;
        let issuer = Issuer::from_ca_cert_pem(&pem, key).map_err(damaged(path))?;
        return Ok((issuer, pem));
    }
    let key = KeyPair::generate().map_err(AuthorityError::Names)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = called("Cloister certificate authority of this site");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = (now - Duration::from_secs(DAY)).into();
    params.not_after = (now + Duration::from_secs(AUTHORITY_DAYS * DAY)).into();
    let pem = params.self_signed(&key).map_err(AuthorityError::Names)?.pem();
    write(&key_path, &key.serialize_pem())?;
    write(path, &pem)?;
    Ok((Issuer::new(params, key), pem))
}

/// Whether certificate and key are there and the certificate has more than 30 days left. It was made together with the
/// file that names what it is for, so that file's age tells.
fn lasts(files: &Files, now: SystemTime) -> Result<bool, AuthorityError> {
    if !files.certificate.exists() || !files.key.exists() {
        return Ok(false);
    }
    let made = fs::metadata(&files.certificate).and_then(|file| file.modified()).map_err(io(&files.certificate, "read"))?;
    let age = now.duration_since(made).unwrap_or_default();
    Ok(age < Duration::from_secs((CERTIFICATE_DAYS - RENEW_DAYS) * DAY))
}

fn called(name: &str) -> DistinguishedName {
    let mut called = DistinguishedName::new();
    called.push(DnType::CommonName, name);
    called
}

/// Writes `text` so that it is there whole or not at all, readable by this user alone.
fn write(path: &Path, text: &str) -> Result<(), AuthorityError> {
    let fresh = path.with_extension("new");
    let written = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&fresh)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&fresh, path));
    written.map_err(io(path, "written"))
}

fn io(path: &Path, doing: &'static str) -> impl FnOnce(std::io::Error) -> AuthorityError + use<> {
    let path = path.to_owned();
    move |source| AuthorityError::Io { path, doing, source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use cloister_terms::FixedClock;
    use jiff::{SignedDuration, Timestamp};

    use super::*;

    fn clock() -> FixedClock {
        // The age of a file is what the file system says, so this clock starts there.
        let probe = tempfile::NamedTempFile::new().unwrap();
        let made = fs::metadata(probe.path()).unwrap().modified().unwrap();
        FixedClock::at(Timestamp::try_from(made).unwrap())
    }

    #[test]
    fn a_certificate_is_kept_until_it_nears_its_end_or_the_names_change() {
        let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
        let make = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|&n| n.to_owned()).collect();
            let files = ensure(folder.path(), &names, &clock).unwrap();
            (fs::read_to_string(&files.authority).unwrap(), fs::read_to_string(&files.certificate).unwrap())
        };
        let first = make(&["localhost", "127.0.0.1"]);
        assert_eq!(make(&["localhost", "127.0.0.1"]), first);
        let renamed = make(&["localhost", "box.hospital.example"]);
        assert_ne!(renamed.1, first.1);
        clock.advance(SignedDuration::from_hours(340 * 24));
        let renewed = make(&["localhost", "box.hospital.example"]);
        assert_ne!(renewed.1, renamed.1);
        assert_eq!(renewed.0, first.0, "the authority stays");
    }

    #[test]
    fn keys_are_readable_by_their_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let files = ensure(folder.path(), &["localhost".to_owned()], &clock()).unwrap();
        for path in [files.key, folder.path().join("ca.key")] {
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_damaged_authority_is_named_and_not_replaced_in_silence() {
        let folder = tempfile::tempdir().unwrap();
        let files = ensure(folder.path(), &["localhost".to_owned()], &clock()).unwrap();
        fs::write(&files.authority, "not a certificate").unwrap();
        let error = ensure(folder.path(), &["localhost".to_owned()], &clock()).unwrap_err();
        assert!(error.to_string().contains("ca.pem"), "{error}");
    }
}
