//! Signing in, being signed in, signing out.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, PoisonError},
};

use cloister_terms::Random;
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};
use zeroize::Zeroizing;

use super::{
    AccountError, AccountId, Accounts, AuthenticateError, Enrolment, RecoveryCodes, Refusal, attempt, hash,
    password::{self, Stored},
    person::{self, Person},
    second_factor::{self, Code, SECRET_BYTES},
    secret::random_letters,
    table,
};
use crate::policy::Principal;

/// Letters of a token: 62^43 is just above 2^256.
const TOKEN_LETTERS: usize = 43;
/// How often at most the time of last use is written. In between it is in memory; after a restart a person may be
/// signed out this much too early, never too late.
const WRITE_STEP: SignedDuration = SignedDuration::from_secs(30);
/// How far a clock may be put back without ending what was begun by it.
const CLOCK_SLACK: SignedDuration = SignedDuration::from_secs(60);
/// How long a sign-in that has ended is kept, for `signed out` to be told from `never signed in` in the log.
const KEPT: SignedDuration = SignedDuration::from_hours(24 * 7);

/// Sign-ins remembered before those that were not used for a minute are forgotten, so that memory stays bounded.
const REMEMBERED: usize = 10_000;
const REMEMBERED_FOR: i64 = 60_000;

/// What the site asks of those who sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// How long nothing may be done before one is signed out.
    pub idle: SignedDuration,
    /// How long one stays signed in at most.
    pub longest: SignedDuration,
    /// Whether everyone needs a second factor. Who has one needs it either way.
    pub second_factor: bool,
}

/// What somebody shows to be let in. Every field is as it was typed.
#[derive(Clone, Default)]
pub struct Credentials {
    /// The name.
    pub name: String,
    /// The password, or the one-time secret.
    pub password: Zeroizing<String>,
    /// The password to have from now on: needed with a one-time secret, possible at any sign-in.
    pub new_password: Option<Zeroizing<String>>,
    /// The second factor: a code by the clock, or a recovery code.
    pub code: Option<Zeroizing<String>>,
}

/// A right name and password, and what follows.
#[derive(Debug)]
pub enum Admitted {
    /// Signed in.
    In {
        /// Who it is.
        principal: Principal,
        /// What they show from now on.
        token: Token,
        /// New recovery codes, where a second factor was just confirmed.
        recovery: Option<RecoveryCodes>,
    },
    /// Not yet signed in: the second factor is to be set up, and shown at the next try.
    Enrol {
        /// Who it is.
        principal: Principal,
        /// What goes into their authenticator app.
        enrolment: Enrolment,
    },
}

/// Why nobody was signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// What was shown is not accepted. Callers outside are not told which part.
    #[error("not accepted")]
    Refused(Refusal),
    /// All of it is right, and a new password is needed, or a better one.
    #[error("{0}")]
    NewPassword(&'static str),
    /// The register failed, so nobody is let in.
    #[error("a sign-in could not be checked")]
    Failed(#[from] AccountError),
}

/// What a person who is signed in shows with each request. Zeroed when dropped; prints as `[secret]`.
pub struct Token(Zeroizing<String>);

impl Token {
    /// The token itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// A person who is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignIn {
    /// Who it is.
    pub principal: Principal,
    /// When they will be signed out if they do nothing.
    pub idle_at: Timestamp,
    /// When they will be signed out whatever they do.
    pub ends_at: Timestamp,
}

/// When each sign-in was last used, by the hash of its token.
#[derive(Default)]
pub(super) struct Used(Mutex<HashMap<Vec<u8>, i64>>);

impl Accounts {
    /// Checks what somebody shows and signs them in. Takes as long as hashing a password does; call it where blocking is
    /// allowed, and not many at once.
    ///
    /// Does the same work for a name that nobody has, a locked or disabled account, a wrong password and a wrong code.
    pub fn sign_in(&self, shown: &Credentials, rules: &Rules) -> Result<Admitted, SignInError> {
        let now = self.0.clock.now();
        let failed = |error| AccountError::Store(self.0.database.error(error));
        let (person, free) = {
            let mut connection = self.connection();
            let person = person::find(&connection, &person::sign_in_name(&shown.name)).map_err(failed)?;
            let account = person.as_ref().map_or_else(AccountId::unknown, Person::id);
            let free = attempt::take(&mut connection, &account, now).map_err(failed)?;
            (person, free)
        };
        let stored = person.as_ref().map_or(&self.0.decoy, |person| &person.password);
        let right = stored.matches(&shown.password)?;
        // Without a second factor of one's own a code is read against a secret that nobody has.
        let decoy = [0; SECRET_BYTES];
        let secret = person.as_ref().and_then(|person| person.totp.as_deref()).map_or(&decoy[..], Vec::as_slice);
        let seconds = u64::try_from(now.as_second()).unwrap_or(0);
        let code = shown.code.as_ref().map_or(Code::Wrong, |code| second_factor::read(code, secret, seconds));
        let refused = |refusal| Err(SignInError::Refused(refusal));
        let Some(person) = person else { return refused(Refusal::UnknownName) };
        let (id, name) = (person.id(), person::sign_in_name(&shown.name));
        let account = person.account.account()?;
        let one_time = person.one_time_until;
        match () {
            () if !free => return refused(Refusal::Locked),
            () if !right => return refused(Refusal::WrongPassword),
            () if account.disabled.is_some() => return refused(Refusal::Disabled),
            () if one_time.is_some_and(|until| until <= now.as_millisecond()) => {
                return refused(Refusal::OneTimeSecretExpired);
            }
            () => {}
        }
        let recovery = match (person.totp_confirmed, &shown.code) {
            (true, _) => {
                self.use_code(&id, code)?;
                None
            }
            // The secret was handed out before; a code by it shows that it arrived.
            (false, Some(_)) if person.totp.is_some() && one_time.is_none() => Some(self.confirm(&id, &code)?),
            (false, _) => None,
        };
        self.change_password(&id, &name, shown, one_time.is_some())?;
        if rules.second_factor && !person.totp_confirmed && recovery.is_none() {
            let enrolment = self.enrol(&id, &name)?;
            return Ok(Admitted::Enrol { principal: account.principal, enrolment });
        }
        let token = self.begin(&id, now)?;
        Ok(Admitted::In { principal: account.principal, token, recovery })
    }

    /// Who is signed in with `token`, and for how long. Counts as a use.
    pub fn signed_in(&self, token: &str, rules: &Rules) -> Result<SignIn, AuthenticateError> {
        let now = self.0.clock.now();
        let key = hash(token);
        let connection = self.connection();
        let failed = |error| AuthenticateError::Failed(self.failed(error));
        let Some(row) = find(&connection, &key).map_err(failed)? else {
            return Err(AuthenticateError::Refused(Refusal::NotSignedIn));
        };
        let account = table::find(&connection, &row.account).map_err(failed)?;
        let account = account.map(table::Row::account).transpose().map_err(AuthenticateError::Failed)?;
        let used = self.0.used.of(&key).map_or(row.last_used, |used| used.max(row.last_used));
        let passed = |since: i64| SignedDuration::from_millis(now.as_millisecond().saturating_sub(since));
        let refusal = match &account {
            None => Some(Refusal::NotSignedIn),
            Some(_) if row.ended => Some(Refusal::SignedOut),
            Some(account) if account.disabled.is_some() => Some(Refusal::Disabled),
            Some(_) if passed(used) < -CLOCK_SLACK => Some(Refusal::ClockWentBack),
            Some(_) if passed(row.begun) >= rules.longest => Some(Refusal::TooLong),
            Some(_) if passed(used) >= rules.idle => Some(Refusal::Idle),
            Some(_) => None,
        };
        match (account, refusal) {
            (Some(account), None) => {
                // Before it is said that the time runs anew it does: what cannot be written is not promised.
                if passed(row.last_used) >= WRITE_STEP {
                    touch(&connection, &key, now).map_err(failed)?;
                }
                self.0.used.set(&key, now.as_millisecond());
                let at = |since: i64, span: SignedDuration| {
                    Timestamp::from_millisecond(since)
                        .ok()
                        .and_then(|since| since.checked_add(span).ok())
                        .unwrap_or(now)
                };
                Ok(SignIn {
                    principal: account.principal,
                    idle_at: at(now.as_millisecond(), rules.idle),
                    ends_at: at(row.begun, rules.longest),
                })
            }
            (_, refusal) => {
                let refusal = refusal.unwrap_or(Refusal::NotSignedIn);
                // Ended for good: a clock that is put back brings nobody in again.
                if !row.ended {
                    end(&connection, &key, refusal.code()).map_err(failed)?;
                }
                self.0.used.forget(&key);
                Err(AuthenticateError::Refused(refusal))
            }
        }
    }

    /// Signs out whoever holds `token`, at once.
    pub fn sign_out(&self, token: &str) -> Result<(), AccountError> {
        let key = hash(token);
        end(&self.connection(), &key, Refusal::SignedOut.code()).map_err(|error| self.failed(error))?;
        self.0.used.forget(&key);
        Ok(())
    }

    /// Signs a person out wherever they are signed in, at once and also in other processes. How many times they were.
    pub fn sign_out_everywhere(&self, account: &AccountId) -> Result<usize, AccountError> {
        end_all(&self.connection(), account).map_err(|error| self.failed(error))
    }

    fn use_code(&self, account: &AccountId, code: Code) -> Result<(), SignInError> {
        let connection = self.connection();
        let (changed, refusal) = match code {
            Code::Step(step) => {
                let changed = connection.execute(
                    "UPDATE persons SET totp_step = ?2 WHERE account = ?1 AND coalesce(totp_step, -1) < ?2",
                    params![account.as_str(), i64::try_from(step).unwrap_or(i64::MAX)],
                );
                (changed, Refusal::ReplayedCode)
            }
            Code::Recovery(hash) => {
                let statement = "DELETE FROM recovery_codes WHERE account = ?1 AND hash = ?2";
                (connection.execute(statement, params![account.as_str(), hash.as_slice()]), Refusal::WrongCode)
            }
            Code::Wrong => (Ok(0), Refusal::WrongCode),
        };
        match changed.map_err(|error| self.failed(error))? {
            1 => Ok(()),
            _ => Err(SignInError::Refused(refusal)),
        }
    }

    /// Takes the first code by a new secret, and hands out the recovery codes.
    fn confirm(&self, account: &AccountId, code: &Code) -> Result<RecoveryCodes, SignInError> {
        let Code::Step(step) = code else { return Err(SignInError::Refused(Refusal::WrongCode)) };
        let codes = RecoveryCodes::random(self.0.random.as_ref());
        let mut connection = self.connection();
        let mut confirm = || {
            let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            // Of two requests with the same first code, one confirms.
            let confirmed = change.execute(
                "UPDATE persons SET totp_confirmed = 1, totp_step = ?2 WHERE account = ?1 AND totp_confirmed = 0",
                params![account.as_str(), i64::try_from(*step).unwrap_or(i64::MAX)],
            )?;
            if confirmed != 1 {
                return Ok(false);
            }
            change.execute("DELETE FROM recovery_codes WHERE account = ?1", [account.as_str()])?;
            for hash in codes.hashes() {
                change.execute(
                    "INSERT INTO recovery_codes (account, hash) VALUES (?1, ?2)",
                    params![account.as_str(), hash.as_slice()],
                )?;
            }
            change.commit()?;
            Ok(true)
        };
        if confirm().map_err(|error| self.failed(error))? {
            Ok(codes)
        } else {
            Err(SignInError::Refused(Refusal::ReplayedCode))
        }
    }

    /// Sets the password that was asked for. Whoever was signed in with the old one is signed out.
    fn change_password(
        &self,
        account: &AccountId,
        name: &str,
        shown: &Credentials,
        needed: bool,
    ) -> Result<(), SignInError> {
        let Some(new) = &shown.new_password else {
            return if needed {
                self.forgive(account)?;
                Err(SignInError::NewPassword("set a password of your own: send it as `new_password`"))
            } else {
                Ok(())
            };
        };
        let unsuitable = password::unsuitable(new, name).or_else(|| {
            (new.as_str() == shown.password.as_str()).then_some("the new password is not the one that it replaces")
        });
        if let Some(reason) = unsuitable {
            self.forgive(account)?;
            return Err(SignInError::NewPassword(reason));
        }
        let stored = Stored::of(new, self.0.random.as_ref())?;
        let connection = self.connection();
        person::set_password(&connection, account, &stored, None).map_err(|error| self.failed(error))?;
        end_all(&connection, account).map_err(|error| self.failed(error))?;
        Ok(())
    }

    fn enrol(&self, account: &AccountId, name: &str) -> Result<Enrolment, SignInError> {
        let mut secret = Zeroizing::new([0; SECRET_BYTES]);
        self.0.random.fill(secret.as_mut_slice());
        let enrolment = Enrolment::of(secret.as_slice(), name)
            .ok_or(AccountError::Hash("the second factor's secret cannot be made"))?;
        // A factor that its owner has just confirmed is not replaced by who came a moment before.
        let statement = "UPDATE persons SET totp = ?2, totp_confirmed = 0, totp_step = NULL WHERE account = ?1 AND totp_confirmed = 0";
        let enrolled = self
            .connection()
            .execute(statement, params![account.as_str(), secret.as_slice()])
            .map_err(|error| self.failed(error))?;
        if enrolled != 1 {
            return Err(SignInError::Refused(Refusal::WrongCode));
        }
        self.forgive(account)?;
        Ok(enrolment)
    }

    fn forgive(&self, account: &AccountId) -> Result<(), AccountError> {
        attempt::forget(&self.connection(), account).map_err(|error| self.failed(error))
    }

    fn begin(&self, account: &AccountId, now: Timestamp) -> Result<Token, AccountError> {
        let token = random_token(self.0.random.as_ref());
        let old = now.saturating_sub(KEPT).unwrap_or(Timestamp::MIN).as_millisecond();
        let mut connection = self.connection();
        let mut begin = || {
            let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            attempt::forget(&change, account)?;
            change.execute("DELETE FROM sign_ins WHERE begun < ?1", [old])?;
            change.execute(
                "INSERT INTO sign_ins (hash, account, begun, last_used) VALUES (?1, ?2, ?3, ?3)",
                params![hash(token.expose()).as_slice(), account.as_str(), now.as_millisecond()],
            )?;
            change.commit()
        };
        begin().map_err(|error| self.failed(error))?;
        Ok(token)
    }
}

fn random_token(random: &dyn Random) -> Token {
    Token(random_letters(random, TOKEN_LETTERS))
}

/// A sign-in's row.
struct Row {
    account: AccountId,
    begun: i64,
    last_used: i64,
    ended: bool,
}

fn find(connection: &Connection, key: &[u8]) -> rusqlite::Result<Option<Row>> {
    connection
        .prepare_cached("SELECT account, begun, last_used, ended IS NOT NULL FROM sign_ins WHERE hash = ?1")?
        .query_row([key], |row| {
            Ok(Row { account: AccountId(row.get(0)?), begun: row.get(1)?, last_used: row.get(2)?, ended: row.get(3)? })
        })
        .optional()
}

fn touch(connection: &Connection, key: &[u8], now: Timestamp) -> rusqlite::Result<()> {
    connection.execute("UPDATE sign_ins SET last_used = ?2 WHERE hash = ?1", params![key, now.as_millisecond()])?;
    Ok(())
}

fn end(connection: &Connection, key: &[u8], why: &str) -> rusqlite::Result<()> {
    connection.execute("UPDATE sign_ins SET ended = coalesce(ended, ?2) WHERE hash = ?1", params![key, why])?;
    Ok(())
}

fn end_all(connection: &Connection, account: &AccountId) -> rusqlite::Result<usize> {
    connection.execute(
        "UPDATE sign_ins SET ended = ?2 WHERE account = ?1 AND ended IS NULL",
        params![account.as_str(), Refusal::SignedOut.code()],
    )
}

impl Used {
    fn of(&self, key: &[u8]) -> Option<i64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).copied()
    }

    fn set(&self, key: &[u8], at: i64) {
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if used.len() >= REMEMBERED && !used.contains_key(key) {
            // What was written counts for those that are forgotten here: they end too early, never too late.
            used.retain(|_, last| at.saturating_sub(*last) < REMEMBERED_FOR);
        }
        // Never earlier than it was: of two requests at once the later counts.
        used.entry(key.to_vec()).and_modify(|used| *used = at.max(*used)).or_insert(at);
    }

    fn forget(&self, key: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

impl Person {
    fn id(&self) -> AccountId {
        AccountId(self.account.id().to_owned())
    }
}
