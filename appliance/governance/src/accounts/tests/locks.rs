//! Who is locked out by whose wrong tries.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{persons::*, *};

/// The address of the `number`th device of a network.
fn device(number: u16) -> Option<IpAddr> {
    let [high, low] = number.to_be_bytes();
    Some(Ipv4Addr::new(10, 0, high, low).into())
}

fn from(source: Option<IpAddr>, password: &str) -> Credentials {
    Credentials { source, ..shown(password) }
}

#[test]
fn wrong_tries_from_one_address_lock_nobody_out_at_another() {
    let register = register();
    register.person();
    for _ in 0..5 {
        assert_eq!(register.refused(&from(device(1), "wrong")), Refusal::WrongPassword);
    }
    assert_eq!(register.refused(&from(device(1), PASSWORD)), Refusal::Locked);
    register.token(&from(device(2), PASSWORD));
    assert_eq!(
        register.refused(&from(device(1), PASSWORD)),
        Refusal::Locked,
        "getting in elsewhere lifts nothing here"
    );
    for _ in 0..4 {
        assert_eq!(register.refused(&from(device(2), "wrong")), Refusal::WrongPassword);
    }
    let mapped = Some(Ipv4Addr::new(10, 0, 0, 2).to_ipv6_mapped().into());
    assert_eq!(register.refused(&from(mapped, "wrong")), Refusal::WrongPassword);
    assert_eq!(register.refused(&from(device(2), PASSWORD)), Refusal::Locked, "one address however it is written");
    assert_eq!(register.refused(&from(Some(Ipv6Addr::LOCALHOST.into()), "wrong")), Refusal::WrongPassword);
}

#[test]
fn many_addresses_guess_fifty_times_and_the_owner_gets_in_from_where_they_were_before() {
    let register = register();
    register.person();
    register.token(&from(device(0), PASSWORD));
    for stranger in 1..=50 {
        assert_eq!(register.refused(&from(device(stranger), "wrong")), Refusal::WrongPassword);
    }
    assert_eq!(register.refused(&from(device(51), PASSWORD)), Refusal::Locked, "no more guesses from wherever");
    register.token(&from(device(0), PASSWORD));
    assert_eq!(register.refused(&from(device(51), PASSWORD)), Refusal::Locked);
    register.clock.advance(SignedDuration::from_mins(15));
    register.token(&from(device(51), PASSWORD));
}

#[test]
fn an_address_is_familiar_for_a_week() {
    let register = register();
    let id = register.person();
    register.token(&from(device(0), PASSWORD));
    register.clock.advance(SignedDuration::from_hours(24 * 7 + 1));
    // A sign-in from elsewhere forgets what is older.
    register.token(&from(device(100), PASSWORD));
    for stranger in 1..=50 {
        assert_eq!(register.refused(&from(device(stranger), "wrong")), Refusal::WrongPassword);
    }
    assert_eq!(register.refused(&from(device(0), PASSWORD)), Refusal::Locked);
    register.accounts.unlock(&id).unwrap();
    register.token(&from(device(0), PASSWORD));
}

#[test]
fn a_lock_can_be_lifted() {
    let register = register();
    let id = register.person();
    for _ in 0..5 {
        register.refused(&shown("wrong"));
    }
    assert_eq!(register.refused(&shown(PASSWORD)), Refusal::Locked);
    register.accounts.unlock(&id).unwrap();
    register.token(&shown(PASSWORD));
    let (program, _) = register.accounts.issue(agent()).unwrap();
    assert!(matches!(register.accounts.unlock(&program), Err(AccountError::NotAPerson(_))));
}
