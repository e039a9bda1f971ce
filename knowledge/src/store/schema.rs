//! The tables of this room, and the steps by which an older database becomes a newer one.
//!
//! The ledger `knowledge_schema` holds how many steps were taken. A step that has been released is never edited.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use super::{Doing, StoreError};

const STEPS: &[&str] = &[include_str!("schema/1.sql")];

pub(super) fn bring_up_to_date(connection: &mut Connection) -> Result<(), StoreError> {
    let known = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    // Immediate, so that two programs that start together take each step once.
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).doing("begin its migration")?;
    transaction
        .execute_batch("CREATE TABLE IF NOT EXISTS knowledge_schema (steps INTEGER NOT NULL) STRICT")
        .doing("create its ledger")?;
    let taken: Option<i64> = transaction
        .query_row("SELECT steps FROM knowledge_schema", [], |row| row.get(0))
        .optional()
        .doing("read its ledger")?;
    let found = taken.unwrap_or(0);
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    for step in STEPS.iter().skip(usize::try_from(found).unwrap_or(0)) {
        transaction.execute_batch(step).doing("migrate its schema")?;
    }
    match taken {
        Some(_) => transaction.execute("UPDATE knowledge_schema SET steps = ?1", [known]),
        None => transaction.execute("INSERT INTO knowledge_schema (steps) VALUES (?1)", [known]),
    }
    .doing("write its ledger")?;
    transaction.commit().doing("commit its migration")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_of_a_later_release_is_refused_and_not_touched() {
        let mut connection = Connection::open_in_memory().unwrap();
        bring_up_to_date(&mut connection).unwrap();
        bring_up_to_date(&mut connection).unwrap();
        connection.execute("UPDATE knowledge_schema SET steps = 99", []).unwrap();
        let refused = bring_up_to_date(&mut connection).unwrap_err();
        assert!(matches!(refused, StoreError::Newer { found: 99, .. }), "{refused}");
    }

    #[test]
    fn another_rooms_user_version_stays_as_it_is() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "user_version", 7).unwrap();
        bring_up_to_date(&mut connection).unwrap();
        let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        assert_eq!(version, 7);
    }
}
