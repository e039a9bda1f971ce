//! The database of a tenant's captures and of its vault: under a key of its own, made when the first of either is.

use std::sync::PoisonError;

use cloister_terms::TenantId;

use super::{Database, Store, StoreError, captures_key, path_of, tenant_key, uses::KeyUse, watched, watermark};

impl Store {
    /// The database of a tenant's captures, made if there is none. Its key is unwrapped the first time, which is recorded
    /// before anything is read or written. Blocks.
    ///
    /// # Errors
    /// When there is no such tenant, or key or database cannot be made or opened. A database that was made and is gone is
    /// not made again.
    pub fn captures(&self, tenant: &TenantId) -> Result<Database, StoreError> {
        match self.kept_captures(tenant)? {
            Some(database) => Ok(database),
            None => self.make_captures(tenant),
        }
    }

    /// The same; none if nothing was ever kept there.
    ///
    /// # Errors
    /// When the database is there and cannot be opened, was put back to an earlier state, or was made and is gone.
    pub fn kept_captures(&self, tenant: &TenantId) -> Result<Option<Database>, StoreError> {
        let mut opened = self.0.captures.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(database) = opened.get(tenant) {
            return Ok(Some(database.clone()));
        }
        let name = captures_key(tenant);
        let path = path_of(&self.0.folder, &name);
        let kept = self.0.ring.read(&self.0.master, |keyring| match keyring.made(&name) {
            Some(true) => keyring.unwrap(&name).map(Some).map_err(StoreError::from),
            _ => Ok(None),
        })?;
        let Some((key, version)) = kept.ok_or_else(|| self.no_keyring())? else { return Ok(None) };
        if path.metadata().map_or(0, |metadata| metadata.len()) == 0 {
            return Err(StoreError::Gone { path });
        }
        self.used(KeyUse { name: name.clone(), version })?;
        let database = Database::new(path, key);
        watched(&self.0.watermarks, &self.0.audit, &name, &database)?;
        opened.insert(tenant.clone(), database.clone());
        Ok(Some(database))
    }

    fn make_captures(&self, tenant: &TenantId) -> Result<Database, StoreError> {
        let name = captures_key(tenant);
        if !path_of(&self.0.folder, &tenant_key(tenant)).exists() {
            return Err(StoreError::UnknownTenant(tenant.clone()));
        }
        let random = self.0.random.as_ref();
        let (key, version) = self.change(|keyring| {
            // A tenant that is being destroyed gets no new key.
            match keyring.made(&tenant_key(tenant)) {
                Some(_) => keyring.add(&name, random)?,
                None => return Err(crate::keys::KeyringError::NoKey(name.clone())),
            }
            keyring.unwrap(&name)
        })?;
        self.used(KeyUse { name: name.clone(), version })?;
        let database = Database::new(path_of(&self.0.folder, &name), key);
        watermark::forget(&self.0.audit, &name)?;
        database.create()?;
        database.check()?;
        self.0.watermarks.watch(&name, &database);
        self.change(|keyring| keyring.mark_made(&name))?;
        let mut opened = self.0.captures.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(opened.entry(tenant.clone()).or_insert(database).clone())
    }
}
