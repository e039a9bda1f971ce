//! `[client_certificates]`: programs that show a certificate of the site's own authority.

use std::path::PathBuf;

use cloister_terms::AccessLabel;
use serde::{Deserialize, Serialize};

/// `[client_certificates]`: programs that show a certificate of the site's own authority. Without this section none is
/// asked for.
///
/// The certificate's subject says what its holder is: `CN` the name, `OU` the role, `O` the tenant where the role needs
/// one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientCertificates {
    /// The authority that signs them, PEM. It signs clients of this site and nothing else. Read at the start.
    pub authority: PathBuf,
    /// The access labels that every holder has. Default: none.
    #[serde(default)]
    pub labels: Vec<AccessLabel>,
}
