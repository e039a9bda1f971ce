use cloister_terms::FixedClock;

use super::*;
use crate::testing::{Seeded, clock, store};

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
        .query_row("SELECT id || name || role || tenant || labels || hex(secret_hash) FROM accounts", [], |row| {
            row.get(0)
        })
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
    for change in ["collections = 'all'", "expires = 'never'", "role = 'owner'"] {
        connection.execute(&format!("UPDATE accounts SET {change}"), []).unwrap();
        assert!(
            matches!(register.accounts.authenticate(secret.expose()), Err(AuthenticateError::Failed(_))),
            "{change}"
        );
        connection.execute_batch("UPDATE accounts SET collections = NULL, expires = NULL, role = 'agent'").unwrap();
    }
}
