//! Accounts, and what shows that someone holds one: an API key, or a person's password with a second factor.
//!
//! An API key reads `clk_ID_SECRET`: the id finds the key, the secret (256 random bits) proves it. Only the SHA-256 of
//! the secret is stored; a fast hash is right here, because nobody can guess 256 random bits. A password can be guessed:
//! it is stored under Argon2id, tried five times in a quarter of an hour at most (from one address: `attempt` says how
//! that locks nobody else out), and does not suffice by itself. A person who is signed in holds a token of 256 random
//! bits, kept as its SHA-256 like a key's secret.
//!
//! A key may be limited to named actions: it then does those of them that its account's role includes, and nothing else.
//!
//! Whoever is refused does the same work and gets the same answer, whatever was wrong.

use std::{
    collections::BTreeSet,
    fmt,
    str::FromStr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aws_lc_rs::digest;
use cloister_terms::{AccessLabel, Action, Clock, CollectionId, Random, Role, TenantId};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior};
use zeroize::Zeroizing;

use crate::{
    policy::{Principal, Readable, site_wide},
    store::Database,
};

mod access_key;
mod api_key;
mod attempt;
mod emergency;
mod password;
mod person;
mod refusal;
mod second_factor;
mod secret;
mod sign_in;
mod signed_in;
mod standing;
mod table;

pub use access_key::{AccessKey, ListedAccessKey};
pub use emergency::{
    EmergencyAccess, EmergencyError, EmergencyRequest, EmergencyWords, LONGEST_EMERGENCY, Review, Unreviewed,
};
pub use person::{Claimed, OneTimeSecret, sign_in_name};
pub use refusal::{AccountError, AuthenticateError, Refusal};
pub use second_factor::{Enrolment, RecoveryCodes};
pub use secret::Secret;
use secret::{ID_LENGTH, parse, random_letters};
pub use sign_in::{Admitted, Credentials, SignInError};
pub use signed_in::{Rules, SignIn, Token};
pub use standing::Standing;

const LOCAL: &str = "local";
const UNKNOWN: &str = "unknown";

/// Which account it is. An account's first API key carries the same id.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccountId(String);

impl AccountId {
    /// Whoever works at the machine itself, through commands.
    pub fn local() -> Self {
        Self(LOCAL.to_owned())
    }

    /// Whoever tried to get in under no account that there is.
    pub fn unknown() -> Self {
        Self(UNKNOWN.to_owned())
    }

    /// The account of someone whom this register does not hold and another vouches for: from a digest over who they are.
    pub fn of_digest(digest: &[u8]) -> Self {
        Self(secret::letters_of(digest).take(ID_LENGTH).collect())
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
        (well || [LOCAL, UNKNOWN].contains(&given)).then(|| Self(given.to_owned())).ok_or(InvalidAccountId)
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
    /// The actions that its key is limited to, of those that the role includes; all of them where none is listed.
    pub actions: Option<BTreeSet<Action>>,
}

impl NewAccount {
    /// An account with a name and a role and nothing else.
    pub fn of(name: &str, role: Role) -> Self {
        Self {
            name: name.to_owned(),
            role,
            tenant: None,
            collections: None,
            labels: Vec::new(),
            expires: None,
            actions: None,
        }
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
    /// When its newest key stops working.
    pub expires: Option<Timestamp>,
    /// When its newest key was revoked.
    pub revoked: Option<Timestamp>,
    /// When its key was last used, to the minute.
    pub last_used: Option<Timestamp>,
    /// Since when nobody is let in under it.
    pub disabled: Option<Timestamp>,
    /// The name that its holder signs in with; none for a program's account.
    pub sign_in: Option<String>,
    /// The access keys that sign for it, oldest first, those that no longer work too.
    pub access_keys: Vec<ListedAccessKey>,
}

/// The register of accounts. Cheap to clone.
#[derive(Clone)]
pub struct Accounts(Arc<Inner>);

struct Inner {
    database: Database,
    connection: Mutex<Connection>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    /// When each sign-in was last used, more exactly than the database knows.
    used: signed_in::Used,
    /// What a password is compared with where there is none.
    decoy: password::Stored,
}

impl Accounts {
    /// Opens the register in the fleet's database.
    pub fn open(database: &Database, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Result<Self, AccountError> {
        let mut connection = database.open().map_err(AccountError::Store)?;
        table::migrate(&mut connection, database)?;
        database.follow().map_err(AccountError::Store)?;
        let (database, connection) = (database.clone(), Mutex::new(connection));
        let decoy = password::Stored::decoy(random.as_ref());
        let used = signed_in::Used::default();
        Ok(Self(Arc::new(Inner { database, connection, clock, random, used, decoy })))
    }

    /// Makes an account with an API key. The secret is returned here once and stored nowhere.
    pub fn issue(&self, new: NewAccount) -> Result<(AccountId, Secret), AccountError> {
        let (expires, actions) = (new.expires, new.actions.clone());
        let account = self.prepare(new)?;
        let (id, now) = (account.account.clone(), self.0.clock.now());
        let secret = Secret::random(&id, self.0.random.as_ref());
        let mut connection = self.connection();
        let insert = |connection: &mut Connection| {
            let change = connection.transaction()?;
            table::insert(&change, &account, now)?;
            let actions = actions.as_ref().map(table::json).transpose()?;
            api_key::insert(&change, &id, &id, &hash_of(&secret), now, expires, actions.as_deref())?;
            change.commit()
        };
        insert(&mut connection).map_err(|error| self.failed(error))?;
        Ok((id, secret))
    }

    /// The account that `new` describes, under a new id.
    fn prepare(&self, new: NewAccount) -> Result<Principal, AccountError> {
        let length = new.name.chars().count();
        if !(1..=64).contains(&length) || new.name.chars().any(char::is_control) {
            return Err(AccountError::InvalidName);
        }
        if new.tenant.is_none() && !site_wide(new.role) {
            return Err(AccountError::NeedsTenant(new.role));
        }
        Ok(Principal {
            account: AccountId(random_letters(self.0.random.as_ref(), ID_LENGTH).to_string()),
            name: new.name,
            collections: new.collections.map_or(Readable::All, |these| Readable::These(these.into_iter().collect())),
            labels: new.labels.into_iter().collect(),
            ..Principal::local(new.role, new.tenant)
        })
    }

    /// Every account, oldest first.
    pub fn list(&self) -> Result<Vec<Account>, AccountError> {
        let rows = table::all(&self.connection()).map_err(|error| self.failed(error))?;
        rows.into_iter().map(table::Row::account).collect()
    }

    /// The account that has this id or sign-in name. A name is found however it is typed, as at a sign-in.
    pub fn named(&self, text: &str) -> Result<AccountId, AccountError> {
        let name = person::stored_name(text);
        let found = table::named(&self.connection(), text, &name).map_err(|error| self.failed(error))?;
        found.ok_or(AccountError::UnknownName)?.parse().map_err(|_| AccountError::UnknownName)
    }

    /// Lets nobody in under the account, whatever they show, until it is enabled again. Who is signed in is signed out.
    pub fn disable(&self, account: &AccountId) -> Result<(), AccountError> {
        let now = self.0.clock.now();
        let mut connection = self.connection();
        let mut disable = || {
            let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let known = table::disable(&change, account, Some(now))?;
            signed_in::end_all(&change, account)?;
            emergency::end(&change, account, now)?;
            change.commit()?;
            Ok(known)
        };
        if disable().map_err(|error| self.failed(error))? {
            Ok(())
        } else {
            Err(AccountError::Unknown(account.clone()))
        }
    }

    /// The same for somebody who is not in this register and whom another vouches for, by the id that the audit log shows.
    pub fn bar(&self, account: &AccountId) -> Result<(), AccountError> {
        let (now, connection) = (self.0.clock.now(), self.connection());
        let barred = table::bar(&connection, account, now).and_then(|()| emergency::end(&connection, account, now));
        barred.map(drop).map_err(|error| self.failed(error))
    }

    /// Lets people in under a disabled account again.
    pub fn enable(&self, account: &AccountId) -> Result<(), AccountError> {
        let connection = self.connection();
        let found = table::disable(&connection, account, None).map_err(|error| self.failed(error))?;
        let barred = table::unbar(&connection, account).map_err(|error| self.failed(error))?;
        if found || barred { Ok(()) } else { Err(AccountError::Unknown(account.clone())) }
    }

    /// Somebody whom another vouches for, unless their account was disabled here.
    pub fn vouched(&self, principal: Principal) -> Result<Principal, AuthenticateError> {
        let barred = table::is_barred(&self.connection(), &principal.account);
        match barred.map_err(|error| AuthenticateError::Failed(self.failed(error)))? {
            true => Err(AuthenticateError::Refused(Refusal::Disabled)),
            false => Ok(principal),
        }
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

/// What is stored of an API key.
fn hash_of(secret: &Secret) -> Zeroizing<Vec<u8>> {
    hash(parse(secret.expose()).map_or("", |(_, proof)| proof))
}

fn hash(proof: &str) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(digest::digest(&digest::SHA256, proof.as_bytes()).as_ref().to_vec())
}

#[cfg(test)]
mod tests;
