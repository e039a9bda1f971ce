//! Recovery bundles, and tenants destroyed with their keys.

use std::{fs, io, path::Path};

use cloister_terms::TenantId;

use super::{BEFORE_KEYRING, Store, StoreError};
use crate::keys::{Bundle, Custody};

impl Store {
    /// A new recovery bundle of every data key, in `shares` shares of which `threshold` open it.
    ///
    /// # Errors
    /// When the numbers make no sense, or the keyring cannot be changed.
    pub fn export_bundle(&self, threshold: u8, shares: u8) -> Result<Bundle, StoreError> {
        let random = self.0.random.as_ref();
        self.change(|keyring| keyring.issue((threshold, shares), random))
    }

    /// Notes that a recovery bundle was shredded. Whether it was known.
    ///
    /// # Errors
    /// When the keyring cannot be changed.
    pub fn bundle_shredded(&self, bundle: &str) -> Result<bool, StoreError> {
        self.change(|keyring| Ok(keyring.shredded(bundle)))
    }

    /// Destroys a tenant: first its keys, then its files. Nobody else may have the store open, and nothing brings it back
    /// but a recovery bundle that holds its keys and is not yet shredded.
    ///
    /// A master key in a file is replaced as well, so that no copy of an earlier keyring is of use. One that is a
    /// credential is left to whoever keeps it. The copy that an upgrade set aside goes too.
    ///
    /// # Errors
    /// When there is no such tenant, the store is in use, or a file cannot be written or removed.
    pub fn destroy_tenant(&self, tenant: &TenantId) -> Result<(), StoreError> {
        self.0.tenants.lock().unwrap_or_else(std::sync::PoisonError::into_inner).remove(tenant);
        self.alone(|| {
            if !self.change(|keyring| Ok(keyring.destroy(tenant)))? {
                return Err(StoreError::UnknownTenant(tenant.clone()));
            }
            if matches!(self.0.master.custody(), Custody::File(_)) {
                self.rotate_master()?;
            }
            clear(&self.0.folder, tenant)?;
            self.change(|keyring| {
                keyring.cleared(tenant);
                Ok(())
            })
        })
    }
}

/// Removes the files of a tenant whose keys are gone, and the copy of an older form in which they would open.
pub(super) fn clear(folder: &Path, tenant: &TenantId) -> Result<(), StoreError> {
    for path in [folder.join("tenants").join(tenant.as_str()), folder.with_file_name(BEFORE_KEYRING)] {
        let removed = match fs::remove_dir_all(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.and_then(|()| crate::keys::sync_folder_of(&path)),
        };
        removed.map_err(|source| StoreError::Io { path, doing: "removed", source })?;
    }
    Ok(())
}
