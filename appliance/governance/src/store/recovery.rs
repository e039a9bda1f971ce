//! Recovery bundles, and tenants destroyed with their keys.

use std::{fs, io, path::Path};

use cloister_terms::TenantId;

use super::{BEFORE_KEYRING, Store, StoreError};
use crate::keys::{Bundle, Custody};

/// A recovery bundle on its way out. The keyring knows of it, and does not count it before it is
/// [written](Issuing::written): what of it a crash leaves behind is then known as something to shred.
#[derive(Debug)]
#[must_use = "a bundle counts once it is written"]
pub struct Issuing<'a> {
    store: &'a Store,
    bundle: Bundle,
}

impl Issuing<'_> {
    /// The file and the shares that are to be written.
    pub const fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// Counts the bundle. Its files must be on the disk.
    ///
    /// # Errors
    /// When the keyring cannot be changed.
    pub fn written(self) -> Result<Bundle, StoreError> {
        self.store.change(|keyring| {
            keyring.bundle_written(&self.bundle.label.bundle);
            Ok(())
        })?;
        Ok(self.bundle)
    }

    /// Forgets the bundle. Nothing of it may be left on a disk.
    ///
    /// # Errors
    /// When the keyring cannot be changed.
    pub fn withdraw(self) -> Result<(), StoreError> {
        self.store.bundle_shredded(&self.bundle.label.bundle).map(drop)
    }
}

impl Store {
    /// A new recovery bundle of every data key, but for those of the tenant `without`, in `shares` shares of which
    /// `threshold` open it.
    ///
    /// # Errors
    /// When the numbers make no sense, or the keyring cannot be changed.
    pub fn issue_bundle(
        &self,
        (threshold, shares): (u8, u8),
        without: Option<&TenantId>,
    ) -> Result<Issuing<'_>, StoreError> {
        let random = self.0.random.as_ref();
        let bundle = self.change(|keyring| keyring.issue((threshold, shares), without, random))?;
        Ok(Issuing { store: self, bundle })
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
    /// `before` is done when nothing but it stands in the way any more: the bundle that takes the place of those is written
    /// there, and if that fails nothing is destroyed.
    ///
    /// A master key in a file is replaced as well, so that no copy of an earlier keyring is of use. One that is a
    /// credential is left to whoever keeps it. The copy that an upgrade set aside goes too.
    ///
    /// # Errors
    /// When there is no such tenant, the store is in use, a file cannot be written or removed, or `before` failed.
    pub fn destroy_tenant<E: From<StoreError>>(
        &self,
        tenant: &TenantId,
        before: impl FnOnce() -> Result<(), E>,
    ) -> Result<(), E> {
        self.forget(tenant);
        self.alone(|| {
            let keys = self.keys()?.keys;
            if !keys.iter().any(|key| key.name.of_tenant() == Some(tenant)) {
                return Err(StoreError::UnknownTenant(tenant.clone()).into());
            }
            before()?;
            self.change(|keyring| Ok(keyring.destroy(tenant)))?;
            if matches!(self.0.master.custody(), Custody::File(_)) {
                self.rotate_master()?;
            }
            clear(&self.0.folder, tenant)?;
            self.change(|keyring| {
                keyring.cleared(tenant);
                Ok(())
            })?;
            Ok(())
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
