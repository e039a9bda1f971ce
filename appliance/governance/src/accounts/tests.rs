use cloister_terms::FixedClock;
use jiff::SignedDuration;

use super::*;
use crate::testing::{Seeded, clock, store};

mod emergencies;
mod locks;
mod persons;
mod under_way;

struct Register {
    accounts: Accounts,
    clock: Arc<FixedClock>,
    _folder: tempfile::TempDir,
    store: crate::store::Store,
}

fn register() -> Register {
    let (folder, store) = store();
    let clock = clock();
    let accounts = Accounts::open(&store.fleet(), clock.clone(), Arc::new(Seeded::new(3))).unwrap();
    Register { accounts, clock, _folder: folder, store }
}

fn agent() -> NewAccount {
    NewAccount::of("desk", Role::Agent).within("larkfield".parse().unwrap())
}

fn refusal(accounts: &Accounts, key: &str) -> Refusal {
    match accounts.authenticate(key) {
        Err(AuthenticateError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_key_says_who_holds_it() {
    let register = register();
    let mut new = agent();
    new.collections = Some(vec!["faq".parse().unwrap()]);
    new.labels = vec!["staff".parse().unwrap()];
    let (id, secret) = register.accounts.issue(new).unwrap();
    let principal = register.accounts.authenticate(secret.expose()).unwrap();
    assert_eq!(principal.account, id);
    assert_eq!((principal.name.as_str(), principal.role), ("desk", Role::Agent));
    assert_eq!(principal.tenant, Some("larkfield".parse().unwrap()));
    assert!(principal.collections.contains(&"faq".parse().unwrap()));
    assert!(!principal.collections.contains(&"staff".parse().unwrap()));
    assert!(principal.labels.contains(&"staff".parse().unwrap()));
}

#[test]
fn a_key_has_the_promised_form_and_strength() {
    let register = register();
    let (id, secret) = register.accounts.issue(agent()).unwrap();
    let rest = secret.expose().strip_prefix(&format!("clk_{id}_")).unwrap();
    assert_eq!(rest.len(), 43);
    assert!(rest.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    assert_eq!(format!("{secret:?}"), "clk_[secret]");
}

#[test]
fn a_wrong_unknown_malformed_revoked_or_expired_key_is_refused() {
    let register = register();
    let (id, secret) = register.accounts.issue(agent()).unwrap();
    let (_, other) = register.accounts.issue(agent()).unwrap();
    let swapped = format!("clk_{id}_{}", other.expose().rsplit_once('_').unwrap().1);
    assert_eq!(refusal(&register.accounts, &swapped), Refusal::WrongSecret);
    assert_eq!(
        refusal(&register.accounts, &secret.expose().replacen(id.as_str(), "000000000000", 1)),
        Refusal::Unknown
    );
    for malformed in ["", "clk_", "clk__", "Bearer x", &secret.expose()[..40], &format!("{} ", secret.expose())] {
        assert_eq!(refusal(&register.accounts, malformed), Refusal::Malformed, "{malformed}");
    }
    register.accounts.revoke(&id).unwrap();
    assert_eq!(refusal(&register.accounts, secret.expose()), Refusal::Revoked);

    let expires = register.clock.now() + SignedDuration::from_hours(1);
    let (_, secret) = register.accounts.issue(NewAccount { expires: Some(expires), ..agent() }).unwrap();
    assert!(register.accounts.authenticate(secret.expose()).is_ok());
    register.clock.advance(SignedDuration::from_hours(1));
    assert_eq!(refusal(&register.accounts, secret.expose()), Refusal::Expired);
}

#[test]
fn a_key_revoked_by_another_process_stops_working_at_once() {
    let register = register();
    let (id, secret) = register.accounts.issue(agent()).unwrap();
    assert!(register.accounts.authenticate(secret.expose()).is_ok());
    let elsewhere = Accounts::open(&register.store.fleet(), register.clock.clone(), Arc::new(Seeded::new(9))).unwrap();
    elsewhere.revoke(&id).unwrap();
    assert_eq!(refusal(&register.accounts, secret.expose()), Refusal::Revoked);
}

#[test]
fn the_secret_is_stored_nowhere() {
    let register = register();
    let (_, secret) = register.accounts.issue(agent()).unwrap();
    let proof = secret.expose().rsplit_once('_').unwrap().1.to_owned();
    let connection = register.store.fleet().connect().unwrap();
    let dump: String = connection
        .query_row(
            "SELECT a.id || name || role || tenant || labels || hex(secret_hash) FROM accounts a, api_keys",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert!(!dump.contains(&proof) && !dump.contains(&hex::encode_upper(&proof)));
}

#[test]
fn last_use_is_kept_to_the_minute() {
    let register = register();
    let (_, secret) = register.accounts.issue(agent()).unwrap();
    let last_used = || register.accounts.list().unwrap()[0].last_used;
    assert_eq!(last_used(), None);
    register.accounts.authenticate(secret.expose()).unwrap();
    let first = last_used().unwrap();
    register.clock.advance(SignedDuration::from_secs(59));
    register.accounts.authenticate(secret.expose()).unwrap();
    assert_eq!(last_used(), Some(first));
    register.clock.advance(SignedDuration::from_secs(1));
    register.accounts.authenticate(secret.expose()).unwrap();
    assert_eq!(last_used(), Some(register.clock.now()));
}

#[test]
fn a_role_that_reads_content_needs_a_tenant() {
    let register = register();
    for role in [Role::Agent, Role::Reviewer, Role::KnowledgeManager, Role::Service] {
        assert!(matches!(register.accounts.issue(NewAccount::of("x", role)), Err(AccountError::NeedsTenant(_))));
    }
    assert!(register.accounts.issue(NewAccount::of("x", Role::Operator)).is_ok());
    assert!(matches!(register.accounts.issue(NewAccount::of("a\nb", Role::Operator)), Err(AccountError::InvalidName)));
}

#[test]
fn a_damaged_row_refuses_rather_than_widens() {
    let register = register();
    let (_, secret) = register.accounts.issue(agent()).unwrap();
    let connection = register.store.fleet().connect().unwrap();
    for change in [
        "accounts SET collections = 'all'",
        "api_keys SET expires = 'never'",
        "accounts SET role = 'owner'",
        "api_keys SET actions = '[\"fly\"]'",
    ] {
        connection.execute(&format!("UPDATE {change}"), []).unwrap();
        assert!(
            matches!(register.accounts.authenticate(secret.expose()), Err(AuthenticateError::Failed(_))),
            "{change}"
        );
        connection
            .execute_batch("UPDATE accounts SET collections = NULL, role = 'agent'; UPDATE api_keys SET expires = NULL, actions = NULL")
            .unwrap();
    }
}

#[test]
fn a_rotated_key_works_beside_the_old_one_for_the_overlap_and_alone_after_it() {
    let register = register();
    let (id, old) = register.accounts.issue(agent()).unwrap();
    let new = register.accounts.rotate(&id, SignedDuration::from_hours(2), None).unwrap();
    assert_ne!(old.expose(), new.expose());
    for key in [&old, &new] {
        assert_eq!(register.accounts.authenticate(key.expose()).unwrap().account, id);
    }
    register.clock.advance(SignedDuration::from_hours(2));
    assert_eq!(refusal(&register.accounts, old.expose()), Refusal::Expired);
    assert!(register.accounts.authenticate(new.expose()).is_ok());
    register.accounts.revoke(&id).unwrap();
    assert_eq!(refusal(&register.accounts, new.expose()), Refusal::Revoked);
    let again = register.accounts.rotate(&id, SignedDuration::from_hours(2), None);
    assert!(matches!(again, Err(AccountError::NoKey(_))), "what was revoked does not come back by rotation");
}

#[test]
fn rotation_widens_no_key() {
    let register = register();
    let only = |actions: &[Action]| Some(actions.iter().copied().collect::<BTreeSet<_>>());
    let (id, old) = register.accounts.issue(NewAccount { actions: only(&[Action::Ask]), ..agent() }).unwrap();
    let new = register.accounts.rotate(&id, SignedDuration::from_hours(2), None).unwrap();
    for key in [&old, &new] {
        assert_eq!(register.accounts.authenticate(key.expose()).unwrap().actions, only(&[Action::Ask]));
    }
    assert_eq!(register.accounts.list().unwrap()[0].principal.actions, only(&[Action::Ask]));
    let (_, wide) = register.accounts.issue(agent()).unwrap();
    assert_eq!(register.accounts.authenticate(wide.expose()).unwrap().actions, None);
}

#[test]
fn access_keys_are_listed_with_what_they_are_limited_to_and_whether_they_work() {
    let register = register();
    let (id, _) = register.accounts.issue(agent()).unwrap();
    let only = BTreeSet::from([Action::Search]);
    let one = register.accounts.issue_access_key(&id, None, Some(&only)).unwrap();
    let other = register.accounts.issue_access_key(&id, None, None).unwrap();
    register.accounts.revoke_access_key(other.id()).unwrap();
    let listed = register.accounts.list().unwrap().remove(0).access_keys;
    let told: Vec<_> = listed.iter().map(|key| (key.id.as_str(), key.actions.clone(), key.revoked.is_some())).collect();
    assert_eq!(told, [(one.id(), Some(only.clone()), false), (other.id(), None, true)]);
    assert_eq!(register.accounts.authenticate_signature(one.id(), |_| true).unwrap().actions, Some(only));
}

#[test]
fn rotation_lengthens_no_key() {
    let register = register();
    let soon = register.clock.now() + SignedDuration::from_hours(1);
    let (id, old) = register.accounts.issue(NewAccount { expires: Some(soon), ..agent() }).unwrap();
    register.accounts.rotate(&id, SignedDuration::from_hours(48), None).unwrap();
    register.clock.advance(SignedDuration::from_hours(1));
    assert_eq!(refusal(&register.accounts, old.expose()), Refusal::Expired);
}

#[test]
fn a_disabled_account_lets_nobody_in_until_it_is_enabled() {
    let register = register();
    let (id, secret) = register.accounts.issue(agent()).unwrap();
    register.accounts.disable(&id).unwrap();
    assert_eq!(refusal(&register.accounts, secret.expose()), Refusal::Disabled);
    register.accounts.enable(&id).unwrap();
    assert!(register.accounts.authenticate(secret.expose()).is_ok());
    let elsewhere = AccountId::of_digest(&[7; 32]);
    assert!(matches!(register.accounts.enable(&elsewhere), Err(AccountError::Unknown(_))));
    let vouched = || {
        let principal = Principal { account: elsewhere.clone(), ..Principal::local(Role::Operator, None) };
        register.accounts.vouched(principal)
    };
    assert!(vouched().is_ok());
    assert!(matches!(register.accounts.disable(&elsewhere), Err(AccountError::Unknown(_))), "a slip is no success");
    assert!(vouched().is_ok());
    register.accounts.bar(&elsewhere).unwrap();
    assert!(matches!(vouched(), Err(AuthenticateError::Refused(Refusal::Disabled))));
    register.accounts.enable(&elsewhere).unwrap();
    assert!(vouched().is_ok());
}

#[test]
fn keys_of_the_first_version_go_on_working() {
    let (_folder, store) = store();
    let connection = store.fleet().connect().unwrap();
    connection.execute_batch(&table::first_version()).unwrap();
    let proof = "a".repeat(43);
    connection
        .execute(
            "INSERT INTO accounts VALUES ('abcdefghijkl', 'desk', 'agent', 'larkfield', NULL, '[]', ?1,
             '2025-01-01T00:00:00Z', NULL, NULL, NULL)",
            [hash(&proof).as_slice()],
        )
        .unwrap();
    let accounts = Accounts::open(&store.fleet(), clock(), Arc::new(Seeded::new(3))).unwrap();
    let principal = accounts.authenticate(&format!("clk_abcdefghijkl_{proof}")).unwrap();
    assert_eq!((principal.account.as_str(), principal.name.as_str()), ("abcdefghijkl", "desk"));
}
