//! Signing in: from what somebody shows to a token.
//!
//! # Why
//! - **What a sign-in writes it writes only while the password that it checked still is theirs.** Checking one takes a
//!   while, and an account may be reset or disabled meanwhile: a sign-in under way must not outlive that.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use rusqlite::{TransactionBehavior, params};
use zeroize::Zeroizing;

use super::{
    AccountError, AccountId, Accounts, Enrolment, RecoveryCodes, Refusal, Rules, Token, attempt, hash,
    password::{self, Stored},
    person::{self, Person},
    second_factor::{self, Code, SECRET_BYTES},
    signed_in,
};
use crate::policy::Principal;

/// How long a sign-in that has ended is kept, for `signed out` to be told from `never signed in` in the log, and for the
/// address that it came from to be familiar.
const KEPT: SignedDuration = SignedDuration::from_hours(24 * 7);

/// What somebody shows to be let in, as it was typed, and from where.
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
    /// The address that they come from, where it is known: wrong tries from there lock nobody out elsewhere.
    pub source: Option<IpAddr>,
}

/// Whose password was right, where they are, and the hash that it was compared with.
struct Proven {
    account: AccountId,
    name: String,
    place: String,
    hash: Vec<u8>,
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

impl Accounts {
    /// Checks what somebody shows and signs them in. Takes as long as hashing a password does; call it where blocking is
    /// allowed, and not many at once.
    ///
    /// Does the same work for a name that nobody has, a locked or disabled account, a wrong password and a wrong code.
    pub fn sign_in(&self, shown: &Credentials, rules: &Rules) -> Result<Admitted, SignInError> {
        let now = self.0.clock.now();
        let failed = |error| AccountError::Store(self.0.database.error(error));
        let (name, place) = (person::stored_name(&shown.name), attempt::place(shown.source));
        let (person, free) = {
            let mut connection = self.connection();
            let person = person::find(&connection, &name).map_err(failed)?;
            let account = person.as_ref().map_or_else(AccountId::unknown, Person::id);
            let free = attempt::take(&mut connection, &account, &place, now).map_err(failed)?;
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
        let mut proven = Proven { account: person.id(), name, place, hash: person.password.hash.clone() };
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
                self.use_code(&proven, code)?;
                None
            }
            // The secret was handed out before; a code by it shows that it arrived.
            (false, Some(_)) if person.totp.is_some() && one_time.is_none() => Some(self.confirm(&proven, &code)?),
            (false, _) => None,
        };
        self.change_password(&mut proven, shown, one_time.is_some())?;
        if rules.second_factor && !person.totp_confirmed && recovery.is_none() {
            let enrolment = self.enrol(&proven)?;
            return Ok(Admitted::Enrol { principal: account.principal, enrolment });
        }
        let token = self.begin(&proven, now)?;
        Ok(Admitted::In { principal: account.principal, token, recovery })
    }

    fn use_code(&self, proven: &Proven, code: Code) -> Result<(), SignInError> {
        let (connection, account) = (self.connection(), proven.account.as_str());
        let (changed, refusal) = match code {
            Code::Step(step) => {
                let changed = connection.execute(
                    "UPDATE persons SET totp_step = ?2 WHERE account = ?1 AND coalesce(totp_step, -1) < ?2 AND hash = ?3",
                    params![account, i64::try_from(step).unwrap_or(i64::MAX), proven.hash],
                );
                (changed, Refusal::ReplayedCode)
            }
            // A reset takes the recovery codes away, so that one that is there is one of this password.
            Code::Recovery(hash) => {
                let statement = "DELETE FROM recovery_codes WHERE account = ?1 AND hash = ?2";
                (connection.execute(statement, params![account, hash.as_slice()]), Refusal::WrongCode)
            }
            Code::Wrong => (Ok(0), Refusal::WrongCode),
        };
        match changed.map_err(|error| self.failed(error))? {
            1 => Ok(()),
            _ => Err(SignInError::Refused(refusal)),
        }
    }

    /// Takes the first code by a new secret, and hands out the recovery codes.
    fn confirm(&self, proven: &Proven, code: &Code) -> Result<RecoveryCodes, SignInError> {
        let Code::Step(step) = code else { return Err(SignInError::Refused(Refusal::WrongCode)) };
        let codes = RecoveryCodes::random(self.0.random.as_ref());
        let mut connection = self.connection();
        let account = proven.account.as_str();
        let mut confirm = || {
            let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            // Of two requests with the same first code, one confirms.
            let confirmed = change.execute(
                "UPDATE persons SET totp_confirmed = 1, totp_step = ?2
                 WHERE account = ?1 AND totp_confirmed = 0 AND totp IS NOT NULL AND hash = ?3",
                params![account, i64::try_from(*step).unwrap_or(i64::MAX), proven.hash],
            )?;
            if confirmed != 1 {
                return Ok(false);
            }
            change.execute("DELETE FROM recovery_codes WHERE account = ?1", [account])?;
            for hash in codes.hashes() {
                change.execute(
                    "INSERT INTO recovery_codes (account, hash) VALUES (?1, ?2)",
                    params![account, hash.as_slice()],
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
    fn change_password(&self, proven: &mut Proven, shown: &Credentials, needed: bool) -> Result<(), SignInError> {
        let Some(new) = &shown.new_password else {
            return if needed {
                self.forgive(proven)?;
                Err(SignInError::NewPassword("set a password of your own: send it as `new_password`"))
            } else {
                Ok(())
            };
        };
        let unsuitable = password::unsuitable(new, &proven.name).or_else(|| {
            (new.as_str() == shown.password.as_str()).then_some("the new password is not the one that it replaces")
        });
        if let Some(reason) = unsuitable {
            self.forgive(proven)?;
            return Err(SignInError::NewPassword(reason));
        }
        let stored = Stored::of(new, self.0.random.as_ref())?;
        let mut connection = self.connection();
        let mut change = || {
            let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let set = person::replace_password(&change, &proven.account, &proven.hash, &stored)?;
            if set {
                signed_in::end_all(&change, &proven.account)?;
                change.commit()?;
            }
            Ok(set)
        };
        if !change().map_err(|error| self.failed(error))? {
            return Err(SignInError::Refused(Refusal::WrongPassword));
        }
        proven.hash = stored.hash;
        Ok(())
    }

    fn enrol(&self, proven: &Proven) -> Result<Enrolment, SignInError> {
        let mut secret = Zeroizing::new([0; SECRET_BYTES]);
        self.0.random.fill(secret.as_mut_slice());
        let enrolment = Enrolment::of(secret.as_slice(), &proven.name)
            .ok_or(AccountError::Hash("the second factor's secret cannot be made"))?;
        // A factor that its owner has just confirmed is not replaced by who came a moment before.
        let statement = "UPDATE persons SET totp = ?2, totp_confirmed = 0, totp_step = NULL
             WHERE account = ?1 AND totp_confirmed = 0 AND hash = ?3";
        let enrolled = self
            .connection()
            .execute(statement, params![proven.account.as_str(), secret.as_slice(), proven.hash])
            .map_err(|error| self.failed(error))?;
        if enrolled != 1 {
            return Err(SignInError::Refused(Refusal::WrongCode));
        }
        self.forgive(proven)?;
        Ok(enrolment)
    }

    fn forgive(&self, proven: &Proven) -> Result<(), AccountError> {
        attempt::forget(&self.connection(), &proven.account, &proven.place).map_err(|error| self.failed(error))
    }

    fn begin(&self, proven: &Proven, now: Timestamp) -> Result<Token, SignInError> {
        let token = Token::random(self.0.random.as_ref());
        let old = now.saturating_sub(KEPT).unwrap_or(Timestamp::MIN).as_millisecond();
        let mut connection = self.connection();
        let mut begin = || {
            let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            attempt::forget(&change, &proven.account, &proven.place)?;
            change.execute("DELETE FROM sign_ins WHERE begun < ?1", [old])?;
            let begun = change.execute(
                "INSERT INTO sign_ins (hash, account, begun, last_used, source) SELECT ?1, ?2, ?3, ?3, ?4
                 FROM persons p JOIN accounts a ON a.id = p.account
                 WHERE p.account = ?2 AND p.hash = ?5 AND a.disabled IS NULL",
                params![
                    hash(token.expose()).as_slice(),
                    proven.account.as_str(),
                    now.as_millisecond(),
                    proven.place,
                    proven.hash
                ],
            )?;
            if begun == 1 {
                change.commit()?;
            }
            Ok(begun == 1)
        };
        if begin().map_err(|error| self.failed(error))? {
            Ok(token)
        } else {
            Err(SignInError::Refused(Refusal::WrongPassword))
        }
    }
}

impl Person {
    fn id(&self) -> AccountId {
        AccountId(self.account.id().to_owned())
    }
}
