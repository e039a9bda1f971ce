//! The local certificate authority: a certificate for this machine without asking anyone.
//!
//! ```text
//! tls/authority.pem   0600   the authority's certificate and key
//! tls/ca.pem          0644   its certificate alone: what browsers and clients are told to trust
//! tls/server.pem      0600   the server's certificate and key, issued anew when it runs out or the names change
//! ```
//!
//! Each private file holds certificate and key together, so that one rename replaces both or neither.
//!
//! # Why
//! - **ECDSA on P-256**: every client of a hospital knows it, and it is within FIPS 186-5.
//! - **The authority lasts ten years, a server certificate 397 days** (the longest that browsers take from public
//!   authorities, so that none balks): what people trusted by hand should not have to be trusted again.
//! - **The authority may sign no further authority**, and its key never leaves the machine.

use std::{
    collections::BTreeSet,
    fs::File,
    io::Write as _,
    net::IpAddr,
    path::{Path, PathBuf},
};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256,
};
use rustix::fs::{Mode, OFlags};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use x509_parser::{extensions::GeneralName, prelude::X509Certificate};
use zeroize::Zeroizing;

const DAY: SignedDuration = SignedDuration::from_hours(24);
const AUTHORITY_DAYS: i32 = 3650;
const SERVER_DAYS: i32 = 397;
/// Days before the end at which a certificate is replaced.
const RENEW_DAYS: i32 = 30;

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A file could not be read or written.
    #[error("{path} cannot be {doing}")]
    Io {
        /// The file.
        path: PathBuf,
        /// `read` or `written`.
        doing: &'static str,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A certificate could not be made.
    #[error("a certificate cannot be made: check `tls.names`")]
    Make(#[source] rcgen::Error),
}

/// The certificate to serve with, and the one to trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// The authority's certificate: give this one to clients.
    pub authority: PathBuf,
    /// The server's certificate and key, in one file.
    pub server: PathBuf,
    /// Whether the server's certificate is new.
    pub renewed: bool,
}

/// Makes sure that `folder` holds an authority and a server certificate for exactly `names` that lasts for a while.
pub fn ensure(folder: &Path, names: &BTreeSet<String>, now: Timestamp) -> Result<Issued, AuthorityError> {
    let [authority, public, server] = ["authority.pem", "ca.pem", "server.pem"].map(|name| folder.join(name));
    create_folder(folder)?;
    let held = match read(&authority)? {
        Some(text) if Held::parse(&text).is_some_and(|held| held.lasts(now)) => text,
        _ => {
            let text = make_authority(now).map_err(AuthorityError::Make)?;
            write(&authority, &text, 0o600)?;
            text
        }
    };
    let certificate = certificate_of(&held);
    if read(&public)?.is_none_or(|text| text.as_str() != certificate) {
        write(&public, certificate, 0o644)?;
    }
    let good = read(&server)?.is_some_and(|text| {
        Held::parse(&text).is_some_and(|held_server| {
            held_server.lasts(now) && held_server.names() == *names && held_server.is_signed_by(certificate)
        })
    });
    if !good {
        let text = make_server(&held, names, now).map_err(AuthorityError::Make)?;
        write(&server, &text, 0o600)?;
    }
    Ok(Issued { authority: public, server, renewed: !good })
}

/// When the first certificate in a PEM file ends; none if there is none that can be read.
pub fn ends(pem: &Path) -> Option<Timestamp> {
    let der = CertificateDer::from_pem_file(pem).ok()?;
    let (_, certificate) = x509_parser::parse_x509_certificate(&der).ok()?;
    Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()
}

/// A certificate with its key, as a private file holds them.
struct Held {
    der: CertificateDer<'static>,
    key: KeyPair,
}

impl Held {
    fn parse(text: &str) -> Option<Self> {
        let held = Self { der: CertificateDer::from_pem_slice(text.as_bytes()).ok()?, key: key_of(text).ok()? };
        // A key that belongs to another certificate is as good as none.
        let belongs = held.x509()?.public_key().subject_public_key.data.as_ref() == held.key.public_key_raw();
        belongs.then_some(held)
    }

    fn x509(&self) -> Option<X509Certificate<'_>> {
        x509_parser::parse_x509_certificate(&self.der).ok().map(|(_, certificate)| certificate)
    }

    fn lasts(&self, now: Timestamp) -> bool {
        self.x509().is_some_and(|certificate| {
            let validity = certificate.validity();
            let soon = now.as_second() + i64::from(RENEW_DAYS) * DAY.as_secs();
            validity.not_before.timestamp() <= now.as_second() && soon < validity.not_after.timestamp()
        })
    }

    fn names(&self) -> BTreeSet<String> {
        let Some(certificate) = self.x509() else { return BTreeSet::new() };
        let Ok(Some(extension)) = certificate.subject_alternative_name() else { return BTreeSet::new() };
        let name = |name: &GeneralName<'_>| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            GeneralName::IPAddress(bytes) => match bytes.len() {
                4 => <[u8; 4]>::try_from(*bytes).ok().map(|bytes| IpAddr::from(bytes).to_string()),
                16 => <[u8; 16]>::try_from(*bytes).ok().map(|bytes| IpAddr::from(bytes).to_string()),
                _ => None,
            },
            _ => None,
        };
        extension.value.general_names.iter().filter_map(name).collect()
    }

    fn is_signed_by(&self, authority: &str) -> bool {
        let Ok(der) = CertificateDer::from_pem_slice(authority.as_bytes()) else { return false };
        let Ok((_, authority)) = x509_parser::parse_x509_certificate(&der) else { return false };
        self.x509().is_some_and(|certificate| certificate.verify_signature(Some(authority.public_key())).is_ok())
    }
}

fn make_authority(now: Timestamp) -> Result<Zeroizing<String>, rcgen::Error> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name.push(DnType::CommonName, "Cloister local authority");
    lasting(&mut params, now, AUTHORITY_DAYS);
    let certificate = params.self_signed(&key)?;
    Ok(Zeroizing::new(format!("{}{}", certificate.pem(), Zeroizing::new(key.serialize_pem()).as_str())))
}

fn make_server(authority: &str, names: &BTreeSet<String>, now: Timestamp) -> Result<Zeroizing<String>, rcgen::Error> {
    let authority_key = key_of(authority)?;
    let issuer = Issuer::from_ca_cert_pem(certificate_of(authority), authority_key)?;
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::new(names.iter().cloned().collect::<Vec<_>>())?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    params.distinguished_name.push(DnType::CommonName, "Cloister");
    lasting(&mut params, now, SERVER_DAYS);
    let certificate = params.signed_by(&key, &issuer)?;
    Ok(Zeroizing::new(format!("{}{}", certificate.pem(), Zeroizing::new(key.serialize_pem()).as_str())))
}

/// From the day before `now`, because clocks differ, for `days`.
fn lasting(params: &mut CertificateParams, now: Timestamp, days: i32) {
    let day = |offset: i32| {
        let at = now.saturating_add(DAY.saturating_mul(offset)).unwrap_or(now).to_zoned(TimeZone::UTC).date();
        // Month and day of a date are within 1..=12 and 1..=31.
        rcgen::date_time_ymd(at.year().into(), at.month().unsigned_abs(), at.day().unsigned_abs())
    };
    params.not_before = day(-1);
    params.not_after = day(days - 1);
}

/// The certificate's part of a private file; it stands first.
fn certificate_of(text: &str) -> &str {
    const END: &str = "-----END CERTIFICATE-----\n";
    text.find(END).and_then(|at| text.get(..at + END.len())).unwrap_or("")
}

/// The key's part of a private file, wherever it stands: `KeyPair::from_pem` would look at the first part alone.
fn key_of(text: &str) -> Result<KeyPair, rcgen::Error> {
    let key = PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| rcgen::Error::CouldNotParseKeyPair)?;
    KeyPair::try_from(&key)
}

fn create_folder(folder: &Path) -> Result<(), AuthorityError> {
    use std::os::unix::fs::DirBuilderExt as _;
    let created = std::fs::DirBuilder::new().recursive(true).mode(0o755).create(folder);
    created.map_err(|source| AuthorityError::Io { path: folder.to_owned(), doing: "written", source })
}

fn read(path: &Path) -> Result<Option<Zeroizing<String>>, AuthorityError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(Zeroizing::new(text))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        // A file that is no text is no certificate: it is replaced.
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => Ok(None),
        Err(source) => Err(AuthorityError::Io { path: path.to_owned(), doing: "read", source }),
    }
}

/// Puts the file in place whole or not at all.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), AuthorityError> {
    let failed = |source| AuthorityError::Io { path: path.to_owned(), doing: "written", source };
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(format!(".{}.new", std::process::id()));
    let fresh = PathBuf::from(fresh);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let written = rustix::fs::open(&fresh, flags, Mode::from_raw_mode(mode)).map_err(std::io::Error::from);
    written
        .and_then(|fd| {
            let mut file = File::from(fd);
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })
        .and_then(|()| std::fs::rename(&fresh, path))
        .and_then(|()| path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all()))
        .map_err(failed)
}

#[cfg(test)]
mod tests;
