//! What is kept of a caller for work that goes on when they are gone, and what they still are when it does.

use std::collections::BTreeSet;

use cloister_terms::{AccessLabel, Action, CollectionId, Role, TenantId};
use jiff::Timestamp;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::{AccountId, Accounts, AuthenticateError, Refusal, table};
use crate::policy::{Principal, Readable};

/// Who handed work in, as they stood then. It proves nothing: [`Accounts::acting`] says what they still may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    account: AccountId,
    name: String,
    role: Role,
    tenant: Option<TenantId>,
    /// None for all of the tenant.
    collections: Option<BTreeSet<CollectionId>>,
    labels: BTreeSet<AccessLabel>,
    /// What the key that was shown is limited to.
    actions: Option<BTreeSet<Action>>,
}

impl Standing {
    /// The account that it is of.
    pub const fn account(&self) -> &AccountId {
        &self.account
    }
}

impl From<&Principal> for Standing {
    /// Emergency access is not kept: it is a person's, and for as long as they are there.
    fn from(principal: &Principal) -> Self {
        let collections = match &principal.collections {
            Readable::All => None,
            Readable::These(these) => Some(these.clone()),
        };
        Self {
            account: principal.account.clone(),
            name: principal.name.clone(),
            role: principal.role,
            tenant: principal.tenant.clone(),
            collections,
            labels: principal.labels.clone(),
            actions: principal.actions.clone(),
        }
    }
}

impl Accounts {
    /// Who `standing` is of, as they are now: what the register says of an account today holds, and what their key was limited
    /// to then. Whom another vouched for then, by a token or a certificate, stays so unless they are disabled here. Nobody counts as
    /// being there themselves.
    ///
    /// # Errors
    /// When the account was disabled, or each of its keys was revoked or has expired; or the register fails.
    pub fn acting(&self, standing: &Standing) -> Result<Principal, AuthenticateError> {
        let now = self.0.clock.now();
        let found = {
            let connection = self.connection();
            let failed = |error| AuthenticateError::Failed(self.failed(error));
            let row = table::find(&connection, &standing.account).map_err(failed)?;
            row.map(|row| Ok((row, works(&connection, &standing.account, now).map_err(failed)?))).transpose()?
        };
        let Some((row, works)) = found else {
            return self.vouched(standing.principal());
        };
        let account = row.account().map_err(AuthenticateError::Failed)?;
        if account.disabled.is_some() {
            return Err(AuthenticateError::Refused(Refusal::Disabled));
        }
        if !works {
            return Err(AuthenticateError::Refused(Refusal::Revoked));
        }
        Ok(Principal { actions: standing.actions.clone(), person: false, ..account.principal })
    }
}

impl Standing {
    fn principal(&self) -> Principal {
        Principal {
            account: self.account.clone(),
            name: self.name.clone(),
            collections: self.collections.clone().map_or(Readable::All, Readable::These),
            labels: self.labels.clone(),
            actions: self.actions.clone(),
            person: false,
            ..Principal::local(self.role, self.tenant.clone())
        }
    }
}

/// Whether the account has a key of either kind that works, or none at all because a person signs in for it.
fn works(connection: &Connection, account: &AccountId, now: Timestamp) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare_cached(
        "SELECT expires, revoked FROM api_keys WHERE account = ?1
         UNION ALL SELECT expires, revoked FROM access_keys WHERE account = ?1",
    )?;
    let keys = statement.query_map([account.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let keys = keys.collect::<rusqlite::Result<Vec<(Option<String>, Option<String>)>>>()?;
    // A time that cannot be read is over.
    let lasts = |expires: &Option<String>| {
        expires.as_ref().is_none_or(|text| text.parse::<Timestamp>().is_ok_and(|expires| expires > now))
    };
    Ok(keys.is_empty() || keys.iter().any(|(expires, revoked)| revoked.is_none() && lasts(expires)))
}
