//! TLS 1.3 only, HTTP/1.1 only, with a certificate that can be changed while running.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};

/// Why a certificate cannot be used. Holds no part of a key.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read as PEM.
    #[error("{path} cannot be read as a PEM {what}: {reason}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// `certificate` or `key`.
        what: &'static str,
        /// Why, without quoting the file.
        reason: String,
    },
    /// Certificate and key do not belong together, or cannot be used.
    #[error("the certificate {certificate} and the key {key} cannot be used together")]
    Unusable {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// The cause.
        #[source]
        source: rustls::Error,
    },
    /// TLS 1.3 cannot be set up.
    #[error("TLS 1.3 cannot be set up")]
    Setup(#[source] rustls::Error),
}

/// The certificate in use. [`Certificate::reload`] changes it for connections that come after.
#[derive(Debug)]
pub struct Certificate {
    chain: PathBuf,
    key: PathBuf,
    current: RwLock<Arc<CertifiedKey>>,
}

impl Certificate {
    /// Reads a chain and its key from PEM files. Both may be the same file.
    pub fn load(chain: &Path, key: &Path) -> Result<Arc<Self>, TlsError> {
        let current = read(chain, key)?;
        Ok(Arc::new(Self { chain: chain.to_owned(), key: key.to_owned(), current: RwLock::new(Arc::new(current)) }))
    }

    /// The file of the chain.
    pub fn chain(&self) -> &Path {
        &self.chain
    }

    /// Reads the files again. If they cannot be used, the certificate in use stays.
    pub fn reload(&self) -> Result<(), TlsError> {
        let fresh = Arc::new(read(&self.chain, &self.key)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

fn read(chain: &Path, key: &Path) -> Result<CertifiedKey, TlsError> {
    let unreadable = |path: &Path, what, error: rustls_pki_types::pem::Error| {
        let reason = match error {
            rustls_pki_types::pem::Error::Io(error) => error.to_string(),
            _ => "no such section in it".to_owned(),
        };
        TlsError::Unreadable { path: path.to_owned(), what, reason }
    };
    let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(chain)
        .and_then(Iterator::collect)
        .map_err(|error| unreadable(chain, "certificate", error))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable(key, "key", error))?;
    CertifiedKey::from_der(certificates, private, &provider()).map_err(|source| TlsError::Unusable {
        certificate: chain.to_owned(),
        key: key.to_owned(),
        source,
    })
}

/// The one cryptography provider, named rather than taken from process-wide state.
fn provider() -> CryptoProvider {
    aws_lc_rs::default_provider()
}

/// A server's side of TLS 1.3 with `certificate`; HTTP/1.1 is the one protocol offered, and early data is off.
pub fn server_config(certificate: Arc<Certificate>) -> Result<Arc<ServerConfig>, TlsError> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(TlsError::Setup)?
        .with_no_client_auth()
        .with_cert_resolver(certificate);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}
