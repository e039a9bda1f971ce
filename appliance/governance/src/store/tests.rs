use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::testing::{Seeded, store};

mod damage;
mod keys;
mod large;
mod recovery;

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn every_file_and_folder_is_closed_to_others() {
    let (_folder, store) = store();
    let tenant: TenantId = "larkfield".parse().unwrap();
    let connection = store.create_tenant(&tenant).unwrap().connect().unwrap();
    connection.execute_batch("CREATE TABLE t(x); INSERT INTO t VALUES (1)").unwrap();
    assert_eq!(mode(store.folder()), 0o700);
    assert_eq!(mode(&store.tenant_folder(&tenant)), 0o700);
    for file in ["tenant.db", "tenant.db-wal", "tenant.db-shm"] {
        assert_eq!(mode(&store.tenant_folder(&tenant).join(file)), 0o600, "{file}");
    }
}

#[test]
fn nothing_written_can_be_read_in_the_files() {
    let (_folder, store) = store();
    let tenant: TenantId = "larkfield".parse().unwrap();
    let connection = store.create_tenant(&tenant).unwrap().connect().unwrap();
    connection.execute_batch("CREATE TABLE canary_table(x); INSERT INTO canary_table VALUES ('canary-value')").unwrap();
    for file in std::fs::read_dir(store.tenant_folder(&tenant)).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"canary"));
        assert!(!bytes.starts_with(b"SQLite format 3"));
    }
}

#[test]
fn another_master_key_is_refused_in_words() {
    let (folder, store) = store();
    drop(store);
    let other = MasterKey::load_or_create(&folder.path().join("other.key"), &Seeded::new(99)).unwrap();
    let error = Store::open(&folder.path().join("data"), other, Arc::new(Seeded::new(3))).unwrap_err();
    assert!(matches!(error, StoreError::Keys(KeyringError::OtherMaster { .. })), "{error}");
    assert!(error.to_string().contains("master key"));
}

#[test]
fn one_tenants_file_does_not_open_as_anothers() {
    let (_folder, store) = store();
    let (a, b): (TenantId, TenantId) = ("a".parse().unwrap(), "b".parse().unwrap());
    for tenant in [&a, &b] {
        store.create_tenant(tenant).unwrap().connect().unwrap().execute_batch("CREATE TABLE t(x)").unwrap();
    }
    std::fs::copy(store.tenant_folder(&a).join("tenant.db"), store.tenant_folder(&b).join("tenant.db")).unwrap();
    assert!(matches!(store.tenant(&b).unwrap().check(), Err(StoreError::WrongKey { .. })));
}

#[test]
fn a_folder_open_to_others_is_refused() {
    let (folder, store) = store();
    let data = store.folder().to_owned();
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o750)).unwrap();
    let key = MasterKey::load(&folder.path().join("master.key")).unwrap();
    assert!(matches!(Store::open(&data, key, Arc::new(Seeded::new(3))), Err(StoreError::TooOpen { .. })));
}

#[test]
fn an_unknown_tenant_is_an_error_and_makes_nothing() {
    let (_folder, store) = store();
    let tenant: TenantId = "nobody".parse().unwrap();
    assert!(matches!(store.tenant(&tenant), Err(StoreError::UnknownTenant(_))));
    assert!(store.tenants().unwrap().is_empty());
    store.create_tenant(&tenant).unwrap();
    assert_eq!(store.tenants().unwrap(), std::slice::from_ref(&tenant));
    assert!(matches!(store.create_tenant(&tenant), Err(StoreError::TenantExists(_))));
}

#[test]
fn the_write_ahead_log_is_brought_into_the_database_when_it_is_long() {
    let (_folder, store) = store();
    let connection = store.fleet().connect().unwrap();
    connection.execute_batch("CREATE TABLE t(x BLOB)").unwrap();
    let log = store.folder().join("fleet.db-wal");
    for _ in 0..100 {
        connection.execute_batch("INSERT INTO t VALUES (randomblob(200000))").unwrap();
    }
    // A hundred times fifty pages went through it; it is written from its beginning again each time it was brought in.
    let pages = std::fs::metadata(log).unwrap().len() / 4096;
    assert!(pages < 1500, "the log grew to {pages} pages");
}

#[test]
fn a_connection_syncs_every_commit_and_keeps_temporary_data_in_memory() {
    let (_folder, store) = store();
    let connection = store.fleet().connect().unwrap();
    let pragma =
        |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0)).unwrap();
    assert_eq!(pragma("journal_mode"), rusqlite::types::Value::Text("wal".into()));
    for (name, value) in [("synchronous", 2), ("foreign_keys", 1), ("temp_store", 2), ("secure_delete", 1)] {
        assert_eq!(pragma(name), rusqlite::types::Value::Integer(value), "{name}");
    }
    assert!(!connection.query_row("PRAGMA cipher_version", [], |row| row.get::<_, String>(0)).unwrap().is_empty());
}
