//! Accounts, and what shows that someone holds one: an API key, or a person's password with a second factor.
//!
//! An API key reads `clk_ID_SECRET`: the id finds the key, the secret (256 random bits) proves it. Only the SHA-256 of
//! the secret is stored; a fast hash is right here, because nobody can guess 256 random bits. A password can be guessed:
//! it is stored under Argon2id, tried five times in a quarter of an hour at most, and does not suffice by itself. A
//! person who is signed in holds a token of 256 random bits, kept as its SHA-256 like a key's secret.
//!
//! Whoever is refused does the same work and gets the same answer, whatever was wrong.

use std::{
    fmt,
    str::FromStr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aws_lc_rs::digest;
use cloister_terms::{AccessLabel, Clock, CollectionId, Random, Role, TenantId};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _};
use zeroize::Zeroizing;

use crate::{
    policy::{Principal, Readable, site_wide},
    store::{Database, StoreError},
};

mod access_key;
mod api_key;
mod attempt;
mod password;
mod person;
mod second_factor;
mod secret;
mod sign_in;
mod table;

pub use access_key::AccessKey;
pub use person::{Claimed, OneTimeSecret};
pub use second_factor::{Enrolment, RecoveryCodes};
pub use secret::Secret;
use secret::{ID_LENGTH, parse, random_letters};
pub use sign_in::{Admitted, Credentials, Rules, SignIn, SignInError, Token};

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
    /// No account has this id or sign-in name.
    #[error("no account has this id or name: see `cloister account list`")]
    UnknownName,
    /// There is no such access key.
    #[error("there is no access key with this id")]
    UnknownAccessKey,
    /// The account has no API key that works.
    #[error("the account `{0}` has no API key that works: issue an account with one")]
    NoKey(AccountId),
    /// The account's holder does not sign in with a password.
    #[error("the account `{0}` has no password: make a person's account with `cloister account create`")]
    NotAPerson(AccountId),
    /// Persons do not hold this role.
    #[error("the role `{0}` is for programs, which call with an API key: use `cloister account issue`")]
    ProgramsRole(Role),
    /// The name will not do to sign in with.
    #[error("a person signs in with 2 to 64 lower-case letters, digits, `.`, `-`, `_` or `@`, such as `a.lopez`")]
    InvalidSignInName,
    /// Someone signs in with this name already. Accounts are not shared.
    #[error("somebody signs in with this name already: every person has an account of their own")]
    NameTaken,
    /// The password could not be hashed: a machine without memory.
    #[error("a password could not be hashed: {0}")]
    Hash(&'static str),
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

/// Why nobody was let in. Callers outside are told none of this; records and logs are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It does not have the form of a key.
    Malformed,
    /// No account has this id.
    Unknown,
    /// The account is there and the secret is wrong.
    WrongSecret,
    /// The access key is there and its secret did not make this signature.
    WrongSignature,
    /// The key has expired.
    Expired,
    /// The key was revoked.
    Revoked,
    /// The account is disabled.
    Disabled,
    /// Nobody signs in with this name.
    UnknownName,
    /// The password is wrong.
    WrongPassword,
    /// The one-time secret was not used in time.
    OneTimeSecretExpired,
    /// No second factor, or a wrong one.
    WrongCode,
    /// A code that was used before.
    ReplayedCode,
    /// Too many wrong tries.
    Locked,
    /// Nobody is signed in with this token.
    NotSignedIn,
    /// The person was signed out, by themselves or by an administrator.
    SignedOut,
    /// Nothing was done for as long as the site allows.
    Idle,
    /// Signed in for as long as the site allows.
    TooLong,
    /// The clock stands before the last use: how long it has been cannot be told.
    ClockWentBack,
}

impl Refusal {
    /// A stable word for records.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "key_malformed",
            Self::Unknown => "key_unknown",
            Self::WrongSecret => "key_wrong",
            Self::WrongSignature => "signature_wrong",
            Self::Expired => "key_expired",
            Self::Revoked => "key_revoked",
            Self::Disabled => "account_disabled",
            Self::UnknownName => "name_unknown",
            Self::WrongPassword => "password_wrong",
            Self::OneTimeSecretExpired => "one_time_secret_expired",
            Self::WrongCode => "code_wrong",
            Self::ReplayedCode => "code_replayed",
            Self::Locked => "locked",
            Self::NotSignedIn => "not_signed_in",
            Self::SignedOut => "signed_out",
            Self::Idle => "idle",
            Self::TooLong => "signed_in_too_long",
            Self::ClockWentBack => "clock_went_back",
        }
    }
}

/// Why a caller could not be told.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticateError {
    /// What was shown is not accepted.
    #[error("not accepted")]
    Refused(Refusal),
    /// The register could not be asked, so nobody is let in.
    #[error("who is calling could not be checked")]
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
    /// When each sign-in was last used, more exactly than the database knows.
    used: sign_in::Used,
    /// What a password is compared with where there is none.
    decoy: password::Stored,
}

impl Accounts {
    /// Opens the register in the fleet's database.
    pub fn open(database: &Database, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Result<Self, AccountError> {
        let mut connection = database.open().map_err(AccountError::Store)?;
        table::migrate(&mut connection, database)?;
        let (database, connection) = (database.clone(), Mutex::new(connection));
        let decoy = password::Stored::decoy(random.as_ref());
        let used = sign_in::Used::default();
        Ok(Self(Arc::new(Inner { database, connection, clock, random, used, decoy })))
    }

    /// Makes an account with an API key. The secret is returned here once and stored nowhere.
    pub fn issue(&self, new: NewAccount) -> Result<(AccountId, Secret), AccountError> {
        let expires = new.expires;
        let account = self.prepare(new)?;
        let (id, now) = (account.account.clone(), self.0.clock.now());
        let secret = Secret::random(&id, self.0.random.as_ref());
        let mut connection = self.connection();
        let insert = |connection: &mut Connection| {
            let change = connection.transaction()?;
            table::insert(&change, &account, now)?;
            api_key::insert(&change, &id, &id, &hash_of(&secret), now, expires)?;
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
            role: new.role,
            tenant: new.tenant,
            collections: new.collections.map_or(Readable::All, |these| Readable::These(these.into_iter().collect())),
            labels: new.labels.into_iter().collect(),
        })
    }

    /// Every account, oldest first.
    pub fn list(&self) -> Result<Vec<Account>, AccountError> {
        let rows = table::all(&self.connection()).map_err(|error| self.failed(error))?;
        rows.into_iter().map(table::Row::account).collect()
    }

    /// The account that has this id or sign-in name.
    pub fn named(&self, text: &str) -> Result<AccountId, AccountError> {
        let found = table::named(&self.connection(), text).map_err(|error| self.failed(error))?;
        found.ok_or(AccountError::UnknownName)?.parse().map_err(|_| AccountError::UnknownName)
    }

    /// Lets nobody in under the account, whatever they show, until it is enabled again. Who is signed in is signed out.
    /// An account that is not in this register, of somebody whom another vouches for, is barred all the same.
    pub fn disable(&self, account: &AccountId) -> Result<(), AccountError> {
        let now = self.0.clock.now();
        self.sign_out_everywhere(account)?;
        let connection = self.connection();
        if !table::disable(&connection, account, Some(now)).map_err(|error| self.failed(error))? {
            table::bar(&connection, account, now).map_err(|error| self.failed(error))?;
        }
        Ok(())
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
