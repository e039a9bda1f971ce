//! Why an account could not be made, changed or told.

use cloister_terms::Role;

use super::AccountId;
use crate::store::StoreError;

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
