use totp_rs::{Builder, Secret as TotpSecret};

use super::*;

pub(super) const PASSWORD: &str = "four words make one";

pub(super) fn rules() -> Rules {
    Rules { idle: SignedDuration::from_mins(15), longest: SignedDuration::from_hours(12), second_factor: true }
}

pub(super) fn one_factor() -> Rules {
    Rules { second_factor: false, ..rules() }
}

pub(super) fn text(text: &str) -> Option<Zeroizing<String>> {
    Some(Zeroizing::new(text.to_owned()))
}

pub(super) fn shown(password: &str) -> Credentials {
    Credentials { name: "a.lopez".to_owned(), password: Zeroizing::new(password.to_owned()), ..Credentials::default() }
}

pub(super) fn with_code(password: &str, code: &str) -> Credentials {
    Credentials { code: text(code), ..shown(password) }
}

impl Register {
    pub(super) fn create(&self) -> (AccountId, OneTimeSecret) {
        self.accounts.create(NewAccount { name: "a.lopez".to_owned(), ..agent() }).unwrap()
    }

    /// A person with a password and no second factor.
    pub(super) fn person(&self) -> AccountId {
        let (id, secret) = self.create();
        let first = Credentials { new_password: text(PASSWORD), ..shown(secret.expose()) };
        assert!(matches!(self.accounts.sign_in(&first, &one_factor()).unwrap(), Admitted::In { .. }));
        id
    }

    /// A person with both factors: the secret of the second, and the recovery codes.
    fn enrolled(&self) -> (AccountId, String, Vec<String>) {
        let (id, secret) = self.create();
        let first = Credentials { new_password: text(PASSWORD), ..shown(secret.expose()) };
        let Admitted::Enrol { enrolment, .. } = self.accounts.sign_in(&first, &rules()).unwrap() else {
            panic!("signed in without a second factor")
        };
        let seed = enrolment.secret().to_owned();
        let confirm = with_code(PASSWORD, &self.code(&seed));
        let Admitted::In { recovery: Some(codes), .. } = self.accounts.sign_in(&confirm, &rules()).unwrap() else {
            panic!("the second factor was not confirmed")
        };
        let codes = codes.expose().map(str::to_owned).collect();
        (id, seed, codes)
    }

    pub(super) fn code(&self, seed: &str) -> String {
        let totp = Builder::new().with_secret(TotpSecret::try_from_base32(seed).unwrap()).build().unwrap();
        totp.generate(u64::try_from(self.clock.now().as_second()).unwrap()).to_string()
    }

    pub(super) fn token(&self, shown: &Credentials) -> Token {
        match self.accounts.sign_in(shown, &one_factor()).unwrap() {
            Admitted::In { token, .. } => token,
            other @ Admitted::Enrol { .. } => panic!("{other:?}"),
        }
    }

    pub(super) fn refused(&self, shown: &Credentials) -> Refusal {
        match self.accounts.sign_in(shown, &rules()) {
            Err(SignInError::Refused(refusal)) => refusal,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn out(&self, token: &Token) -> Refusal {
        match self.accounts.signed_in(token.expose(), &rules()) {
            Err(AuthenticateError::Refused(refusal)) => refusal,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_first_administrator_is_made_once_with_a_secret_that_sets_a_password_and_no_more() {
    let register = register();
    let (id, secret) = register.accounts.first_administrator("administrator").unwrap().unwrap();
    assert!(register.accounts.first_administrator("administrator").unwrap().is_none());
    let name = |shown: Credentials| Credentials { name: "Administrator ".to_owned(), ..shown };
    let bare = register.accounts.sign_in(&name(shown(secret.expose())), &rules());
    assert!(matches!(bare, Err(SignInError::NewPassword(_))), "{bare:?}");
    let weak = Credentials { new_password: text("too short"), ..name(shown(secret.expose())) };
    assert!(matches!(register.accounts.sign_in(&weak, &rules()), Err(SignInError::NewPassword(_))));
    let first = Credentials { new_password: text(PASSWORD), ..name(shown(secret.expose())) };
    let Admitted::Enrol { principal, .. } = register.accounts.sign_in(&first, &rules()).unwrap() else { panic!() };
    assert_eq!((principal.account, principal.role), (id, Role::Administrator));
    assert_eq!(register.refused(&first), Refusal::WrongPassword, "the secret was for once");
    register.accounts.disable(&register.accounts.named("administrator").unwrap()).unwrap();
    assert!(
        register.accounts.first_administrator("administrator").unwrap().is_none(),
        "not even when there is none left"
    );
}

#[test]
fn the_first_administrator_has_the_name_that_was_chosen() {
    let register = register();
    let refused = register.accounts.first_administrator("A Lopez");
    assert!(matches!(refused, Err(AccountError::InvalidSignInName)), "{refused:?}");
    let (id, _) = register.accounts.first_administrator("a.lopez").unwrap().unwrap();
    assert_eq!(register.accounts.named("a.lopez").unwrap(), id);
    assert!(matches!(register.accounts.named("administrator"), Err(AccountError::UnknownName)));
}

#[test]
fn a_one_time_secret_runs_out() {
    let register = register();
    let (_, secret) = register.create();
    register.clock.advance(SignedDuration::from_hours(72));
    let late = Credentials { new_password: text(PASSWORD), ..shown(secret.expose()) };
    assert_eq!(register.refused(&late), Refusal::OneTimeSecretExpired);
}

#[test]
fn both_factors_are_needed_and_a_code_counts_once() {
    let register = register();
    let (id, seed, _) = register.enrolled();
    let code = register.code(&seed);
    assert_eq!(register.refused(&with_code(PASSWORD, &code)), Refusal::ReplayedCode, "it confirmed the second factor");
    register.clock.advance(SignedDuration::from_secs(30));
    let code = register.code(&seed);
    assert_eq!(register.refused(&shown(PASSWORD)), Refusal::WrongCode);
    assert_eq!(register.refused(&with_code("another password", &code)), Refusal::WrongPassword);
    let signed_in = register.accounts.sign_in(&with_code(PASSWORD, &code), &rules()).unwrap();
    let Admitted::In { principal, recovery: None, .. } = signed_in else { panic!("{signed_in:?}") };
    assert_eq!(principal.account, id);
    assert_eq!(register.refused(&with_code(PASSWORD, &code)), Refusal::ReplayedCode);
    register.clock.advance(SignedDuration::from_secs(30));
    assert_eq!(register.refused(&with_code(PASSWORD, &code)), Refusal::ReplayedCode, "nor in the step after");
}

#[test]
fn a_recovery_code_stands_in_for_the_second_factor_once() {
    let register = register();
    let (_, _, codes) = register.enrolled();
    assert_eq!(codes.len(), 10);
    let with = with_code(PASSWORD, &format!("{} {}", &codes[0][..8], &codes[0][8..]));
    assert!(matches!(register.accounts.sign_in(&with, &rules()).unwrap(), Admitted::In { .. }));
    assert_eq!(register.refused(&with), Refusal::WrongCode);
    let other = with_code(PASSWORD, &codes[1]);
    assert!(matches!(register.accounts.sign_in(&other, &rules()).unwrap(), Admitted::In { .. }));
}

#[test]
fn five_wrong_tries_lock_an_account_for_a_quarter_of_an_hour_even_for_the_right_password() {
    let register = register();
    register.person();
    for _ in 0..5 {
        assert_eq!(register.refused(&shown("wrong")), Refusal::WrongPassword);
    }
    let right = Credentials { new_password: None, ..shown(PASSWORD) };
    assert_eq!(register.refused(&right), Refusal::Locked);
    register.clock.advance(SignedDuration::from_secs(15 * 60 - 1));
    assert_eq!(register.refused(&right), Refusal::Locked);
    register.clock.advance(SignedDuration::from_secs(1));
    register.token(&right);
    for _ in 0..4 {
        assert_eq!(register.refused(&shown("wrong")), Refusal::WrongPassword);
    }
    register.token(&right);
    assert_eq!(register.refused(&shown("wrong")), Refusal::WrongPassword, "getting in starts the count anew");
}

#[test]
fn tries_at_a_locked_account_make_the_lock_no_longer() {
    let register = register();
    register.person();
    for _ in 0..5 {
        register.refused(&shown("wrong"));
    }
    register.clock.advance(SignedDuration::from_mins(10));
    for _ in 0..5 {
        assert_eq!(register.refused(&shown("wrong")), Refusal::Locked);
    }
    register.clock.advance(SignedDuration::from_mins(5));
    register.token(&shown(PASSWORD));
}

#[test]
fn many_tries_at_once_are_no_more_than_five() {
    let register = register();
    register.person();
    let wrong = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..8).map(|_| scope.spawn(|| register.refused(&shown("wrong")))).collect();
        tries.into_iter().map(|each| each.join().unwrap()).filter(|refusal| *refusal == Refusal::WrongPassword).count()
    });
    assert_eq!(wrong, 5);
}

#[test]
fn a_name_that_nobody_has_is_refused_and_never_locked() {
    let register = register();
    let nobody = Credentials { name: "nobody".to_owned(), ..shown("wrong") };
    for _ in 0..7 {
        assert_eq!(register.refused(&nobody), Refusal::UnknownName);
    }
    assert_eq!(register.accounts.claimed("nobody").unwrap().0.account, AccountId::unknown());
    let id = register.person();
    assert_eq!(register.accounts.claimed(" A.Lopez").unwrap().0.account, id);
    assert_eq!(register.accounts.named("A.Lopez").unwrap(), id, "nor by whoever keeps the accounts");
}

#[test]
fn a_disabled_person_is_out_at_once_and_cannot_come_in() {
    let register = register();
    let id = register.person();
    let token = register.token(&shown(PASSWORD));
    assert_eq!(register.accounts.signed_in(token.expose(), &rules()).unwrap().principal.account, id);
    let elsewhere = Accounts::open(&register.store.fleet(), register.clock.clone(), Arc::new(Seeded::new(9))).unwrap();
    elsewhere.disable(&id).unwrap();
    assert_eq!(register.out(&token), Refusal::SignedOut);
    assert_eq!(register.refused(&shown(PASSWORD)), Refusal::Disabled);
    elsewhere.enable(&id).unwrap();
    assert_eq!(register.out(&token), Refusal::SignedOut, "enabling brings no old sign-in back");
}

#[test]
fn a_reset_takes_password_second_factor_keys_lock_and_sign_ins_away() {
    let register = register();
    let (id, seed, codes) = register.enrolled();
    let token = register.token(&with_code(PASSWORD, &codes[0]));
    for _ in 0..5 {
        register.refused(&shown("wrong"));
    }
    let key = register.accounts.issue_access_key(&id, None, None).unwrap();
    assert_eq!(register.accounts.authenticate_signature(key.id(), |_| true).unwrap().account, id);
    let secret = register.accounts.reset(&id).unwrap();
    let signed = register.accounts.authenticate_signature(key.id(), |_| true);
    assert!(matches!(signed, Err(AuthenticateError::Refused(Refusal::Revoked))), "{signed:?}");
    assert_eq!(register.out(&token), Refusal::SignedOut);
    register.clock.advance(SignedDuration::from_secs(60));
    assert_eq!(register.refused(&with_code(PASSWORD, &register.code(&seed))), Refusal::WrongPassword);
    let first = Credentials { new_password: text("another four words"), ..shown(secret.expose()) };
    assert!(matches!(register.accounts.sign_in(&first, &rules()).unwrap(), Admitted::Enrol { .. }));
    let old = with_code("another four words", &codes[1]);
    assert_eq!(register.refused(&old), Refusal::WrongCode, "the recovery codes are gone too");
}

#[test]
fn a_changed_password_signs_out_everywhere_else() {
    let register = register();
    register.person();
    let elsewhere = register.token(&shown(PASSWORD));
    let change = Credentials { new_password: text("a better four words"), ..shown(PASSWORD) };
    let here = register.token(&change);
    assert_eq!(register.out(&elsewhere), Refusal::SignedOut);
    assert!(register.accounts.signed_in(here.expose(), &rules()).is_ok());
    assert_eq!(register.refused(&shown(PASSWORD)), Refusal::WrongPassword);
}

#[test]
fn whoever_does_nothing_is_signed_out_to_the_second() {
    let register = register();
    register.person();
    let token = register.token(&shown(PASSWORD));
    for seconds in [899, 899, 5, 899] {
        register.clock.advance(SignedDuration::from_secs(seconds));
        assert!(register.accounts.signed_in(token.expose(), &rules()).is_ok(), "after {seconds} s");
    }
    register.clock.advance(SignedDuration::from_secs(900));
    assert_eq!(register.out(&token), Refusal::Idle);
    register.clock.advance(SignedDuration::from_secs(-600));
    assert_eq!(register.out(&token), Refusal::SignedOut, "a clock that is put back brings nobody in again");
}

#[test]
fn nobody_is_signed_in_for_longer_than_the_site_allows() {
    let register = register();
    register.person();
    let token = register.token(&shown(PASSWORD));
    for _ in 0..12 * 6 - 1 {
        register.clock.advance(SignedDuration::from_mins(10));
        let signed_in = register.accounts.signed_in(token.expose(), &rules()).unwrap();
        assert!(signed_in.idle_at > register.clock.now() && signed_in.ends_at > register.clock.now());
    }
    register.clock.advance(SignedDuration::from_mins(10));
    assert_eq!(register.out(&token), Refusal::TooLong);
}

#[test]
fn a_clock_that_is_put_back_prolongs_nothing() {
    let register = register();
    register.person();
    for back in [61, 3600, 315_360_000] {
        let token = register.token(&shown(PASSWORD));
        register.clock.advance(SignedDuration::from_secs(-back));
        assert_eq!(register.out(&token), Refusal::ClockWentBack, "{back} s");
        register.clock.advance(SignedDuration::from_secs(back));
        assert_eq!(register.out(&token), Refusal::SignedOut);
    }
}

#[test]
fn signing_out_ends_it_also_in_another_process_and_for_that_token_alone() {
    let register = register();
    let id = register.person();
    let (one, other) = (register.token(&shown(PASSWORD)), register.token(&shown(PASSWORD)));
    register.accounts.sign_out(one.expose()).unwrap();
    assert_eq!(register.out(&one), Refusal::SignedOut);
    assert!(register.accounts.signed_in(other.expose(), &rules()).is_ok());
    let elsewhere = Accounts::open(&register.store.fleet(), register.clock.clone(), Arc::new(Seeded::new(9))).unwrap();
    assert!(elsewhere.signed_in(other.expose(), &rules()).is_ok(), "a restart signs nobody out");
    elsewhere.sign_out_everywhere(&id).unwrap();
    assert_eq!(register.out(&other), Refusal::SignedOut);
    assert!(matches!(register.accounts.signed_in("", &rules()), Err(AuthenticateError::Refused(Refusal::NotSignedIn))));
}

#[test]
fn accounts_are_not_shared_and_programs_have_no_password() {
    let register = register();
    register.create();
    let again = register.accounts.create(NewAccount { name: "a.lopez".to_owned(), ..agent() });
    assert!(matches!(again, Err(AccountError::NameTaken)), "{again:?}");
    let program = NewAccount { role: Role::Service, name: "kiosk".to_owned(), ..agent() };
    assert!(matches!(register.accounts.create(program), Err(AccountError::ProgramsRole(Role::Service))));
    for name in ["A.Lopez", "a lopez", "x", ".lopez", "unknown", "local"] {
        let new = NewAccount { name: name.to_owned(), ..agent() };
        assert!(matches!(register.accounts.create(new), Err(AccountError::InvalidSignInName)), "{name}");
    }
    let (id, _) = register.accounts.issue(agent()).unwrap();
    assert!(matches!(register.accounts.reset(&id), Err(AccountError::NotAPerson(_))));
}

#[test]
fn nothing_that_opens_a_door_is_stored_as_it_is() {
    let register = register();
    let (_, _, codes) = register.enrolled();
    let token = register.token(&with_code(PASSWORD, &codes[0]));
    let connection = register.store.fleet().connect().unwrap();
    let dump: String = connection
        .query_row(
            "SELECT group_concat(hex(p.hash) || hex(r.hash) || hex(s.hash)) FROM persons p, recovery_codes r, sign_ins s",
            [],
            |row| row.get(0),
        )
        .unwrap();
    for secret in [PASSWORD, codes[1].as_str(), token.expose()] {
        assert!(!dump.contains(&hex::encode_upper(secret)));
    }
}
