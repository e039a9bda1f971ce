use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn now() -> Timestamp {
    "2026-01-31T12:00:00Z".parse().unwrap()
}

fn names(given: &[&str]) -> BTreeSet<String> {
    given.iter().map(ToString::to_string).collect()
}

fn held(path: &Path) -> Held {
    Held::parse(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn a_certificate_carries_every_name_and_is_signed_by_the_authority() {
    let folder = tempfile::tempdir().unwrap();
    let wanted = names(&["localhost", "pharmacy-7", "127.0.0.1", "10.0.0.7", "::1"]);
    let issued = ensure(folder.path(), &wanted, now()).unwrap();
    assert!(issued.renewed);
    let server = held(&issued.server);
    assert_eq!(server.names(), wanted);
    let authority = std::fs::read_to_string(&issued.authority).unwrap();
    assert!(server.is_signed_by(&authority));
    assert!(!authority.contains("PRIVATE"), "the public file holds no key");
    assert!(ends(&issued.server).unwrap() > now() + SignedDuration::from_hours(24 * 390));
    for (name, mode) in [("authority.pem", 0o600), ("server.pem", 0o600), ("ca.pem", 0o644)] {
        let metadata = std::fs::metadata(folder.path().join(name)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777 & !mode, 0, "{name}");
    }
}

#[test]
fn nothing_changes_while_it_is_good() {
    let folder = tempfile::tempdir().unwrap();
    let wanted = names(&["localhost"]);
    let first = ensure(folder.path(), &wanted, now()).unwrap();
    let before = std::fs::read(&first.server).unwrap();
    let again = ensure(folder.path(), &wanted, now() + SignedDuration::from_hours(24 * 300)).unwrap();
    assert!(!again.renewed);
    assert_eq!(std::fs::read(&again.server).unwrap(), before);
}

#[test]
fn a_certificate_is_renewed_when_it_runs_out_or_the_names_change_under_the_same_authority() {
    let folder = tempfile::tempdir().unwrap();
    let issued = ensure(folder.path(), &names(&["localhost"]), now()).unwrap();
    let authority = std::fs::read(&issued.authority).unwrap();
    let later = now() + SignedDuration::from_hours(24 * 370);
    assert!(ensure(folder.path(), &names(&["localhost"]), later).unwrap().renewed);
    assert!(ensure(folder.path(), &names(&["localhost", "rx"]), later).unwrap().renewed);
    assert!(ensure(folder.path(), &names(&["localhost"]), later).unwrap().renewed, "a name that is gone is taken out");
    assert_eq!(std::fs::read(&issued.authority).unwrap(), authority, "what people trust stays");
}

#[test]
fn a_torn_file_or_a_foreign_certificate_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let wanted = names(&["localhost"]);
    let issued = ensure(folder.path(), &wanted, now()).unwrap();
    let whole = std::fs::read_to_string(&issued.server).unwrap();
    std::fs::write(&issued.server, &whole[..whole.len() / 2]).unwrap();
    assert!(ensure(folder.path(), &wanted, now()).unwrap().renewed);
    let other = tempfile::tempdir().unwrap();
    let foreign = ensure(other.path(), &wanted, now()).unwrap();
    std::fs::copy(&foreign.server, &issued.server).unwrap();
    assert!(ensure(folder.path(), &wanted, now()).unwrap().renewed);
    std::fs::write(&issued.authority, "").unwrap();
    assert!(!ensure(folder.path(), &wanted, now()).unwrap().renewed);
    assert!(held(&issued.server).is_signed_by(&std::fs::read_to_string(&issued.authority).unwrap()));
}

#[test]
fn an_authority_that_runs_out_is_replaced_with_what_it_signed() {
    let folder = tempfile::tempdir().unwrap();
    let wanted = names(&["localhost"]);
    let issued = ensure(folder.path(), &wanted, now()).unwrap();
    let before = std::fs::read(&issued.authority).unwrap();
    let issued = ensure(folder.path(), &wanted, now() + SignedDuration::from_hours(24 * 3640)).unwrap();
    assert!(issued.renewed);
    assert_ne!(std::fs::read(&issued.authority).unwrap(), before);
}
