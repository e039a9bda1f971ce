//! Sign-ins that something overtakes while they are being checked.

use std::sync::Mutex;

use super::{persons::*, *};

/// Random bytes that something happens before: a sign-in draws some after the password was checked and before it writes.
struct Overtaken {
    bytes: Seeded,
    meanwhile: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Random for Overtaken {
    fn fill(&self, bytes: &mut [u8]) {
        let meanwhile = self.meanwhile.lock().unwrap().take();
        if let Some(meanwhile) = meanwhile {
            meanwhile();
        }
        self.bytes.fill(bytes);
    }
}

impl Register {
    /// The outcome of a sign-in in another process, during which `meanwhile` happens here.
    fn overtaken(
        &self,
        shown: &Credentials,
        rules: &Rules,
        meanwhile: impl FnOnce(&Accounts) + Send + 'static,
    ) -> Result<Admitted, SignInError> {
        let random = Arc::new(Overtaken { bytes: Seeded::new(21), meanwhile: Mutex::default() });
        let elsewhere = Accounts::open(&self.store.fleet(), self.clock.clone(), random.clone()).unwrap();
        let here = self.accounts.clone();
        *random.meanwhile.lock().unwrap() = Some(Box::new(move || meanwhile(&here)));
        let ended = elsewhere.sign_in(shown, rules);
        assert!(random.meanwhile.lock().unwrap().is_none(), "nothing happened meanwhile");
        ended
    }

    fn nobody_is_signed_in(&self) -> bool {
        let statement = "SELECT NOT EXISTS (SELECT 1 FROM sign_ins WHERE ended IS NULL)";
        self.store.fleet().connect().unwrap().query_row(statement, [], |row| row.get(0)).unwrap()
    }
}

fn refused(ended: &Result<Admitted, SignInError>) -> bool {
    matches!(ended, Err(SignInError::Refused(_)))
}

/// A person, of whose sign-ins the first is over.
fn person(register: &Register) -> AccountId {
    let id = register.person();
    register.accounts.sign_out_everywhere(&id).unwrap();
    id
}

#[test]
fn a_sign_in_under_way_does_not_survive_a_reset() {
    let register = register();
    let id = person(&register);
    let ended = register.overtaken(&shown(PASSWORD), &one_factor(), move |here| drop(here.reset(&id).unwrap()));
    assert!(refused(&ended) && register.nobody_is_signed_in(), "{ended:?}");
}

#[test]
fn a_sign_in_under_way_does_not_survive_a_changed_password() {
    let register = register();
    let id = person(&register);
    let ended = register.overtaken(&shown(PASSWORD), &one_factor(), move |here| {
        let change = Credentials { new_password: text("a better four words"), ..shown(PASSWORD) };
        here.sign_in(&change, &one_factor()).unwrap();
        here.sign_out_everywhere(&id).unwrap();
    });
    assert!(refused(&ended) && register.nobody_is_signed_in(), "{ended:?}");
}

#[test]
fn a_changed_password_under_way_does_not_undo_a_reset() {
    let register = register();
    let id = person(&register);
    let (tell, told) = std::sync::mpsc::channel();
    let change = Credentials { new_password: text("chosen by whoever was there"), ..shown(PASSWORD) };
    let ended = register.overtaken(&change, &one_factor(), move |here| tell.send(here.reset(&id).unwrap()).unwrap());
    assert!(refused(&ended) && register.nobody_is_signed_in(), "{ended:?}");
    assert_eq!(register.refused(&shown("chosen by whoever was there")), Refusal::WrongPassword);
    let secret = told.recv().unwrap();
    register.token(&Credentials { new_password: text("four words of their own"), ..shown(secret.expose()) });
}

#[test]
fn a_second_factor_set_up_under_way_does_not_survive_a_reset() {
    let register = register();
    let id = person(&register);
    let reset = id.clone();
    let ended = register.overtaken(&shown(PASSWORD), &rules(), move |here| drop(here.reset(&reset).unwrap()));
    assert!(refused(&ended), "{ended:?}");

    let secret = register.accounts.reset(&id).unwrap();
    let first = Credentials { new_password: text(PASSWORD), ..shown(secret.expose()) };
    let Admitted::Enrol { enrolment, .. } = register.accounts.sign_in(&first, &rules()).unwrap() else { panic!() };
    let confirm = with_code(PASSWORD, &register.code(enrolment.secret()));
    let ended = register.overtaken(&confirm, &rules(), move |here| drop(here.reset(&id).unwrap()));
    assert!(refused(&ended) && register.nobody_is_signed_in(), "{ended:?}");
    let kept = "SELECT totp_confirmed FROM persons";
    let confirmed: bool = register.store.fleet().connect().unwrap().query_row(kept, [], |row| row.get(0)).unwrap();
    assert!(!confirmed, "what was confirmed is no longer there");
}

#[test]
fn a_sign_in_under_way_at_an_account_that_is_disabled_is_not_there_when_it_is_enabled() {
    let register = register();
    let id = person(&register);
    let disable = id.clone();
    let ended = register.overtaken(&shown(PASSWORD), &one_factor(), move |here| here.disable(&disable).unwrap());
    assert!(refused(&ended), "{ended:?}");
    register.accounts.enable(&id).unwrap();
    assert!(register.nobody_is_signed_in());
}
