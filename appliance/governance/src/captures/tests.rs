use cloister_terms::{FixedClock, Phi, Role};

use super::*;
use crate::{
    policy::{Decision, Policy, Principal, Resource, Rules, Source},
    store::Store,
    testing::{clock, store},
};

const CANARY: &str = "Zorvekquan Drelmib, MRN 4471902";

fn tenant(name: &str) -> TenantId {
    name.parse().unwrap()
}

fn permit(action: Action, resource: Resource) -> Permit {
    let raw = "@id(\"raw\") @why(\"For a test.\") permit(principal in Role::\"compliance\",
        action == Action::\"read_raw_capture\", resource);";
    let rules = Rules::with(&[Source { name: "site.cedar".to_owned(), text: raw.to_owned() }]).unwrap();
    match Policy::of(rules).decide(&Principal::local(Role::Compliance, None), action, &resource) {
        Decision::Permit(permit) => permit,
        Decision::Deny { reason, .. } => panic!("{reason}"),
    }
}

fn listing(of: &str) -> Permit {
    permit(Action::ListCaptures, Resource::Tenant(tenant(of)))
}

fn reading(of: &str, id: u128) -> Permit {
    permit(Action::ReadCapture, Resource::Capture(tenant(of), id.into()))
}

fn capture(id: u128, at: Timestamp, form: Form) -> Capture {
    Capture {
        label: CaptureLabel {
            id: id.into(),
            at,
            session: Some((id / 2).into()),
            request: (100 + id).into(),
            action: Action::Ask,
            form,
            outcome: OutcomeKind::Done,
            code: Some("quoted".to_owned()),
        },
        content: Content {
            asked: vec![Turn { role: "user".to_owned(), text: Phi::new(CANARY.to_owned()) }],
            evidence: Vec::new(),
            answered: Some(Phi::new("Yes.".to_owned())),
        },
    }
}

/// Captures of the tenant `a`, kept for 30 days.
fn captures() -> (tempfile::TempDir, Store, Arc<FixedClock>, Captures) {
    let (folder, store) = store();
    store.create_tenant(&tenant("a")).unwrap();
    let clock = clock();
    let captures = Captures::of(&store, &tenant("a"), 30, clock.clone());
    (folder, store, clock, captures)
}

fn days(days: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * days)
}

#[test]
fn a_capture_reads_back_as_it_was_sealed_and_stands_in_no_file() {
    let (_folder, store, clock, captures) = captures();
    assert_eq!(captures.list(&listing("a"), &Filter::default(), 10).unwrap(), Listed::default());
    assert!(!store.tenant_folder(&tenant("a")).join("captures.db").exists(), "reading makes nothing");
    let kept = capture(1, clock.now(), Form::Redacted);
    captures.put(&kept).unwrap();
    assert_eq!(captures.read(&reading("a", 1)).unwrap(), Some(kept));
    assert_eq!(captures.read(&reading("a", 2)).unwrap(), None);
    for file in std::fs::read_dir(store.tenant_folder(&tenant("a"))).unwrap() {
        let path = file.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        for part in ["Zorvek", "4471902", "redacted", "SQLite format 3"] {
            assert!(!bytes.windows(part.len()).any(|window| window == part.as_bytes()), "{}", path.display());
        }
    }
}

#[test]
fn a_list_is_newest_first_in_pages_and_holds_no_text() {
    let (_folder, _store, clock, captures) = captures();
    for id in 1..=5 {
        clock.advance(SignedDuration::from_secs(60));
        captures.put(&capture(id, clock.now(), if id == 4 { Form::Raw } else { Form::Redacted })).unwrap();
    }
    let ids = |filter: &Filter, limit| {
        let listed = captures.list(&listing("a"), filter, limit).unwrap();
        assert!(!format!("{listed:?}").contains("Zorvek"));
        (listed.captures.iter().map(|label| label.id).collect::<Vec<_>>(), listed.next)
    };
    let id = CaptureId::from;
    let (first, next) = ids(&Filter::default(), 2);
    assert_eq!(first, [id(5), id(4)]);
    let (second, next) = ids(&Filter { before: next, ..Filter::default() }, 2);
    assert_eq!(second, [id(3), id(2)]);
    assert_eq!(ids(&Filter { before: next, ..Filter::default() }, 2), (vec![id(1)], None));
    assert_eq!(ids(&Filter { form: Some(Form::Raw), ..Filter::default() }, 9).0, [id(4)]);
    assert_eq!(ids(&Filter { session: Some(1.into()), ..Filter::default() }, 9).0, [id(3), id(2)]);
    assert_eq!(ids(&Filter { request: Some(101.into()), ..Filter::default() }, 9).0, [id(1)]);
    assert!(ids(&Filter { code: Some("composed".to_owned()), ..Filter::default() }, 9).0.is_empty());
    assert!(ids(&Filter { outcome: Some(OutcomeKind::Failed), ..Filter::default() }, 9).0.is_empty());
    assert!(ids(&Filter { action: Some(Action::Generate), ..Filter::default() }, 9).0.is_empty());
    let until = Some("2026-01-01T00:03:00Z".parse().unwrap());
    assert_eq!(ids(&Filter { until, ..Filter::default() }, 9).0, [id(2), id(1)]);
    assert_eq!(ids(&Filter { since: until, ..Filter::default() }, 9).0, [id(5), id(4), id(3)]);
}

#[test]
fn a_permit_opens_what_it_names_and_a_raw_capture_needs_its_own() {
    let (_folder, store, clock, captures) = captures();
    store.create_tenant(&tenant("b")).unwrap();
    captures.put(&capture(1, clock.now(), Form::Raw)).unwrap();
    assert!(matches!(captures.read(&reading("a", 1)), Err(CaptureError::Raw)));
    let raw = permit(Action::ReadRawCapture, Resource::Capture(tenant("a"), 1.into()));
    assert!(captures.read(&raw).unwrap().is_some());
    assert!(matches!(captures.read(&reading("b", 1)), Err(CaptureError::NotPermitted)));
    assert!(matches!(captures.read(&listing("a")), Err(CaptureError::NotPermitted)));
    assert!(matches!(captures.list(&listing("b"), &Filter::default(), 1), Err(CaptureError::NotPermitted)));
    assert!(matches!(captures.list(&reading("a", 1), &Filter::default(), 1), Err(CaptureError::NotPermitted)));
    let others = Captures::of(&store, &tenant("b"), 30, clock);
    assert_eq!(others.read(&reading("b", 1)).unwrap(), None, "an id of one tenant is nothing in another");
}

#[test]
fn what_is_over_is_neither_read_nor_listed_and_a_purge_removes_it() {
    let (_folder, store, clock, captures) = captures();
    captures.put(&capture(1, clock.now(), Form::Redacted)).unwrap();
    clock.advance(days(20));
    captures.put(&capture(2, clock.now(), Form::Redacted)).unwrap();
    assert_eq!((captures.expired().unwrap(), captures.purge().unwrap()), (0, 0));
    clock.advance(days(11));
    assert_eq!(captures.read(&reading("a", 1)).unwrap(), None);
    assert_eq!(captures.list(&listing("a"), &Filter::default(), 9).unwrap().captures.len(), 1);
    assert_eq!((captures.expired().unwrap(), captures.purge().unwrap(), captures.expired().unwrap()), (1, 1, 0));
    let shorter = Captures::of(&store, &tenant("a"), 5, clock.clone());
    assert_eq!(shorter.read(&reading("a", 2)).unwrap(), None, "the days of today count");
    assert_eq!(shorter.purge().unwrap(), 1);
    let longer = Captures::of(&store, &tenant("a"), 3650, clock);
    assert_eq!(longer.list(&listing("a"), &Filter::default(), 9).unwrap(), Listed::default(), "they are gone");
}

#[test]
fn captures_have_a_key_of_their_own_and_go_with_the_tenant() {
    let (folder, store, clock, captures) = captures();
    captures.put(&capture(1, clock.now(), Form::Raw)).unwrap();
    let keys: Vec<String> = store.keys().unwrap().keys.iter().map(|key| key.name.to_string()).collect();
    assert!(keys.contains(&"tenant/a/captures".to_owned()) && keys.contains(&"tenant/a/database".to_owned()));
    let at = store.tenant_folder(&tenant("a"));
    let copy = folder.path().join("copy.db");
    drop(captures);
    std::fs::copy(at.join("captures.db"), &copy).unwrap();

    // Under the key of the tenant's database it does not open.
    std::fs::copy(at.join("captures.db"), at.join("tenant.db.other")).unwrap();
    std::fs::rename(at.join("tenant.db.other"), at.join("tenant.db")).unwrap();
    assert!(matches!(store.tenant(&tenant("a")).unwrap().check(), Err(StoreError::WrongKey { .. })));

    store.destroy_tenant(&tenant("a"), || Ok::<_, StoreError>(())).unwrap();
    let keys: Vec<String> = store.keys().unwrap().keys.iter().map(|key| key.name.to_string()).collect();
    assert!(!keys.iter().any(|key| key.starts_with("tenant/a/")), "{keys:?}");
    assert!(!at.exists());
    let gone = Captures::of(&store, &tenant("a"), 30, clock.clone());
    assert!(gone.put(&capture(2, clock.now(), Form::Raw)).is_err());
    assert_eq!(gone.list(&listing("a"), &Filter::default(), 9).unwrap(), Listed::default());
    // A later tenant of that name has another key, and a copy of the old file is noise under it.
    store.create_tenant(&tenant("a")).unwrap();
    gone.put(&capture(3, clock.now(), Form::Raw)).unwrap();
    assert_eq!(gone.list(&listing("a"), &Filter::default(), 9).unwrap().captures.len(), 1);
    drop(gone);
    for ending in ["-wal", "-shm"] {
        let _often_not_there = std::fs::remove_file(at.join(format!("captures.db{ending}")));
    }
    std::fs::copy(&copy, at.join("captures.db")).unwrap();
    let put_back = Captures::of(&store, &tenant("a"), 30, clock);
    let error = put_back.list(&listing("a"), &Filter::default(), 9).unwrap_err();
    assert!(matches!(error, CaptureError::Store(StoreError::WrongKey { .. })), "{error}");
}

#[test]
fn a_new_data_key_is_one_for_the_captures_too() {
    let (_folder, store, clock, captures) = captures();
    let kept = capture(1, clock.now(), Form::Redacted);
    captures.put(&kept).unwrap();
    let version = |store: &Store| {
        let keys = store.keys().unwrap().keys;
        keys.iter().find(|key| key.name.to_string() == "tenant/a/captures").map(|key| (key.version, key.replacing))
    };
    assert_eq!(version(&store), Some((1, false)));
    drop(captures);
    store.replace_tenant_key(&tenant("a")).unwrap();
    assert_eq!(version(&store), Some((2, false)));
    let captures = Captures::of(&store, &tenant("a"), 30, clock);
    assert_eq!(captures.read(&reading("a", 1)).unwrap(), Some(kept));
}

#[test]
fn captures_are_in_a_backup_under_their_own_key() {
    let (folder, store, clock, captures) = captures();
    captures.put(&capture(1, clock.now(), Form::Redacted)).unwrap();
    let path = folder.path().join("site.backup");
    let contents = store.back_up(&path, &std::collections::BTreeMap::new(), clock.now()).unwrap();
    assert!(contents.parts.contains_key("store/tenants/a/captures.db"), "{:?}", contents.parts);
    assert!(store.verify_backup(&path).unwrap().unreadable.is_empty());
    drop(captures);
    store.destroy_tenant(&tenant("a"), || Ok::<_, StoreError>(())).unwrap();
    let unreadable: Vec<String> = store.verify_backup(&path).unwrap().unreadable.into_keys().collect();
    assert_eq!(unreadable, ["store/tenants/a/captures.db", "store/tenants/a/tenant.db"]);
}

#[test]
fn captures_that_were_made_and_are_gone_are_not_begun_anew() {
    let (_folder, store, clock, captures) = captures();
    captures.put(&capture(1, clock.now(), Form::Redacted)).unwrap();
    drop(captures);
    for ending in ["", "-wal", "-shm"] {
        let _often_not_there =
            std::fs::remove_file(store.tenant_folder(&tenant("a")).join(format!("captures.db{ending}")));
    }
    let captures = Captures::of(&store, &tenant("a"), 30, clock.clone());
    assert!(captures.put(&capture(2, clock.now(), Form::Redacted)).is_err());
}
