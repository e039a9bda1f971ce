//! Accounts and their API keys.
//!
//! A key reads `clk_ID_SECRET`: the id finds the account, the secret (256 random bits) proves it. Only the SHA-256 of
//! the secret is stored; a fast hash is right here, because nobody can guess 256 random bits.

use std::{
    fmt,
    str::FromStr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aws_lc_rs::{constant_time, digest};
use cloister_terms::{AccessLabel, Clock, CollectionId, Random, Role, TenantId};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension as _};
use zeroize::Zeroizing;

use crate::{
    policy::{Principal, Readable, site_wide},
    store::{Database, StoreError},
};

mod secret;
mod table;

pub use secret::Secret;
use secret::{ID_LENGTH, parse, random_letters};

/// How often at most the time of last use is written, so that using a key does not cost a write each time.
const LAST_USED_STEP: SignedDuration = SignedDuration::from_mins(1);

/// The public part of an API key: which account it is.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccountId(String);

impl AccountId {
    /// Whoever works at the machine itself, through commands.
    pub fn local() -> Self {
        Self("local".to_owned())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A word that is no account's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an account id is {ID_LENGTH} letters and digits, as `cloister account list` shows it")]
pub struct InvalidAccountId;

impl FromStr for AccountId {
    type Err = InvalidAccountId;
    fn from_str(given: &str) -> Result<Self, InvalidAccountId> {
        let well = given.len() == ID_LENGTH && given.bytes().all(|byte| byte.is_ascii_alphanumeric());
        (well || given == "local").then(|| Self(given.to_owned())).ok_or(InvalidAccountId)
    }
}

impl TryFrom<String> for AccountId {
    type Error = InvalidAccountId;
    fn try_from(given: String) -> Result<Self, InvalidAccountId> {
        given.parse()
    }
}

impl From<AccountId> for String {
    fn from(id: AccountId) -> Self {
        id.0
    }
}

/// What an administrator says when an account is made.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// A name for lists and records: 1 to 64 characters without control characters. Never a patient's.
    pub name: String,
    /// What it is to the site.
    pub role: Role,
    /// Its tenant. Needed for every role that reads or changes content.
    pub tenant: Option<TenantId>,
    /// The collections it may read; all of its tenant if none are listed.
    pub collections: Option<Vec<CollectionId>>,
    /// The access labels it holds.
    pub labels: Vec<AccessLabel>,
    /// When its key stops working.
    pub expires: Option<Timestamp>,
}

impl NewAccount {
    /// An account with a name and a role and nothing else.
    pub fn of(name: &str, role: Role) -> Self {
        Self { name: name.to_owned(), role, tenant: None, collections: None, labels: Vec::new(), expires: None }
    }

    /// The same, in a tenant.
    #[must_use]
    pub fn within(mut self, tenant: TenantId) -> Self {
        self.tenant = Some(tenant);
        self
    }
}

/// An account as it is listed. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Who it is and what it may read.
    pub principal: Principal,
    /// When it was made.
    pub issued: Timestamp,
    /// When its key stops working.
    pub expires: Option<Timestamp>,
    /// When its key was revoked.
    pub revoked: Option<Timestamp>,
    /// When its key was last used, to the minute.
    pub last_used: Option<Timestamp>,
}

/// Why an account could not be made or changed.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The name will not do.
    #[error("an account's name has 1 to 64 characters and no control characters")]
    InvalidName,
    /// The role needs a tenant.
    #[error("the role `{0}` works within one tenant: name it")]
    NeedsTenant(Role),
    /// There is no such account.
    #[error("there is no account `{0}`: see `cloister account list`")]
    Unknown(AccountId),
    /// The database failed.
    #[error("the account register failed")]
    Store(#[source] StoreError),
    /// The database holds what this program did not write.
    #[error(
        "the account register holds a row that cannot be read, `{column}` of account `{account}`: restore a backup"
    )]
    Damaged {
        /// The account.
        account: String,
        /// The column.
        column: &'static str,
    },
}

/// Why a key was not accepted. Callers outside are told none of this; records and logs are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It does not have the form of a key.
    Malformed,
    /// No account has this id.
    Unknown,
    /// The account is there and the secret is wrong.
    WrongSecret,
    /// The key has expired.
    Expired,
    /// The key was revoked.
    Revoked,
}

impl Refusal {
    /// A stable word for records.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "key_malformed",
            Self::Unknown => "key_unknown",
            Self::WrongSecret => "key_wrong",
            Self::Expired => "key_expired",
            Self::Revoked => "key_revoked",
        }
    }
}

/// Why a caller could not be told.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticateError {
    /// The key is not accepted.
    #[error("the API key is not accepted")]
    Refused(Refusal),
    /// The register could not be asked, so nobody is let in.
    #[error("the API key could not be checked")]
    Failed(#[source] AccountError),
}

/// The register of accounts. Cheap to clone.
#[derive(Clone)]
pub struct Accounts(Arc<Inner>);

struct Inner {
    database: Database,
    connection: Mutex<Connection>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl Accounts {
    /// Opens the register in the fleet's database.
    pub fn open(database: &Database, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Result<Self, AccountError> {
        let mut connection = database.open().map_err(AccountError::Store)?;
        table::migrate(&mut connection, database)?;
        Ok(Self(Arc::new(Inner { database: database.clone(), connection: Mutex::new(connection), clock, random })))
    }

    /// Makes an account. The secret is returned here once and stored nowhere.
    pub fn issue(&self, new: NewAccount) -> Result<(AccountId, Secret), AccountError> {
        let length = new.name.chars().count();
        if !(1..=64).contains(&length) || new.name.chars().any(char::is_control) {
            return Err(AccountError::InvalidName);
        }
        if new.tenant.is_none() && !site_wide(new.role) {
            return Err(AccountError::NeedsTenant(new.role));
        }
        let id = AccountId(random_letters(self.0.random.as_ref(), ID_LENGTH).to_string());
        let secret = Secret::random(&id, self.0.random.as_ref());
        let account = Account {
            principal: Principal {
                account: id.clone(),
                name: new.name,
                role: new.role,
                tenant: new.tenant,
                collections: new
                    .collections
                    .map_or(Readable::All, |these| Readable::These(these.into_iter().collect())),
                labels: new.labels.into_iter().collect(),
            },
            issued: self.0.clock.now(),
            expires: new.expires,
            revoked: None,
            last_used: None,
        };
        let hash = hash(parse(secret.expose()).map_or("", |(_, proof)| proof));
        table::insert(&self.connection(), &account, &hash).map_err(|error| self.failed(error))?;
        Ok((id, secret))
    }

    /// Says who holds `secret`. Reads the database, so call it where blocking is allowed.
    ///
    /// Takes the same path whether the account is unknown, the secret wrong, or the key revoked or expired.
    pub fn authenticate(&self, secret: &str) -> Result<Principal, AuthenticateError> {
        let now = self.0.clock.now();
        // A key without the right form is looked up and compared like any other, under an id that nobody has.
        let (id, proof) = parse(secret).unwrap_or(("", ""));
        let given = hash(proof);
        let connection = self.connection();
        let found = table::find(&connection, id).map_err(|error| AuthenticateError::Failed(self.failed(error)))?;
        let (account, stored) = match found {
            Some(row) => {
                let (row, stored) = row;
                (Some(row.account().map_err(AuthenticateError::Failed)?), stored)
            }
            None => (None, vec![0; digest::SHA256_OUTPUT_LEN]),
        };
        let proven = constant_time::verify_slices_are_equal(&given, &stored).is_ok();
        let refused = |refusal| Err(AuthenticateError::Refused(refusal));
        let account = match account {
            None if id.is_empty() => return refused(Refusal::Malformed),
            None => return refused(Refusal::Unknown),
            Some(_) if !proven => return refused(Refusal::WrongSecret),
            Some(account) if account.revoked.is_some() => return refused(Refusal::Revoked),
            Some(account) if account.expires.is_some_and(|expires| expires <= now) => return refused(Refusal::Expired),
            Some(account) => account,
        };
        if account.last_used.is_none_or(|last| now.duration_since(last) >= LAST_USED_STEP) {
            // When a key was last used is a convenience: failing to note it must not lock the site out.
            if let Err(error) = table::touch(&connection, id, now) {
                tracing::warn!(account = id, %error, "the time of last use was not recorded");
            }
        }
        Ok(account.principal)
    }

    /// Every account, oldest first.
    pub fn list(&self) -> Result<Vec<Account>, AccountError> {
        let rows = table::all(&self.connection()).map_err(|error| self.failed(error))?;
        rows.into_iter().map(table::Row::account).collect()
    }

    /// Stops a key from working, at once and for good.
    pub fn revoke(&self, account: &AccountId) -> Result<(), AccountError> {
        let now = self.0.clock.now();
        let found = table::revoke(&self.connection(), account, now).map_err(|error| self.failed(error))?;
        if found { Ok(()) } else { Err(AccountError::Unknown(account.clone())) }
    }

    /// Whether the register can be read.
    pub fn check(&self) -> Result<(), AccountError> {
        let one = self.connection().query_row("SELECT 1 FROM accounts LIMIT 1", [], |_| Ok(())).optional();
        one.map(drop).map_err(|error| self.failed(error))
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // A panic while holding the lock cannot leave a half-done change: each change is one statement.
        self.0.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, error: rusqlite::Error) -> AccountError {
        AccountError::Store(self.0.database.error(error))
    }
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounts").field("database", &self.0.database).finish_non_exhaustive()
    }
}

fn hash(proof: &str) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(digest::digest(&digest::SHA256, proof.as_bytes()).as_ref().to_vec())
}

#[cfg(test)]
mod tests;
