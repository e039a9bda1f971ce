//! The table behind the register. Times are microseconds since 1970, so that they compare as numbers.

use cloister_terms::{EmergencyId, Phi, TenantId};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, named_params, types::Type};

use super::Emergency;
use crate::accounts::AccountId;

/// The accounts' table counts the migrations of this database; this table is made where it is not there.
pub(super) fn create(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS emergencies (
             id          TEXT PRIMARY KEY,
             account     TEXT NOT NULL,
             tenant      TEXT NOT NULL,
             reason      TEXT NOT NULL,    -- a person's words; may name a patient
             began       INTEGER NOT NULL,
             until       INTEGER NOT NULL,
             reviewed    INTEGER,
             reviewed_by TEXT
         ) STRICT;
         CREATE INDEX IF NOT EXISTS emergencies_by_account ON emergencies (account, until);
         CREATE INDEX IF NOT EXISTS emergencies_unreviewed ON emergencies (began) WHERE reviewed IS NULL;",
    )
}

pub(super) fn insert(connection: &mut Connection, emergency: &Emergency) -> rusqlite::Result<()> {
    let change = connection.transaction()?;
    end(&change, &emergency.account, emergency.began)?;
    change.execute(
        "INSERT INTO emergencies (id, account, tenant, reason, began, until)
         VALUES (:id, :account, :tenant, :reason, :began, :until)",
        named_params! {
            ":id": emergency.id.to_string(),
            ":account": emergency.account.as_str(),
            ":tenant": emergency.tenant.as_str(),
            ":reason": emergency.reason.expose(),
            ":began": emergency.began.as_microsecond(),
            ":until": emergency.until.as_microsecond(),
        },
    )?;
    change.commit()
}

pub(super) fn end(
    connection: &Connection,
    account: &AccountId,
    now: Timestamp,
) -> rusqlite::Result<Option<EmergencyId>> {
    connection
        .prepare_cached(
            "UPDATE emergencies SET until = :now WHERE account = :account AND began <= :now AND until > :now RETURNING id",
        )?
        .query_row(named_params! {":account": account.as_str(), ":now": now.as_microsecond()}, |row| read(row, 0))
        .optional()
}

pub(super) fn active(
    connection: &Connection,
    account: &AccountId,
    tenant: &TenantId,
    now: Timestamp,
) -> rusqlite::Result<Option<EmergencyId>> {
    connection
        .prepare_cached(
            "SELECT id FROM emergencies WHERE account = :account AND tenant = :tenant AND began <= :now AND until > :now",
        )?
        .query_row(
            named_params! {":account": account.as_str(), ":tenant": tenant.as_str(), ":now": now.as_microsecond()},
            |row| read(row, 0),
        )
        .optional()
}

pub(super) fn unreviewed(connection: &Connection) -> rusqlite::Result<Vec<Emergency>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, account, tenant, reason, began, until FROM emergencies WHERE reviewed IS NULL ORDER BY began, id",
    )?;
    let emergencies = statement.query_map([], |row| {
        Ok(Emergency {
            id: read(row, 0)?,
            account: read(row, 1)?,
            tenant: read(row, 2)?,
            reason: Phi::new(row.get(3)?),
            began: time(row, 4)?,
            until: time(row, 5)?,
            reviewed: None,
        })
    })?;
    emergencies.collect()
}

pub(super) fn review(
    connection: &Connection,
    id: EmergencyId,
    by: &AccountId,
    now: Timestamp,
) -> rusqlite::Result<()> {
    connection.execute(
        "UPDATE emergencies SET reviewed = :now, reviewed_by = :by WHERE id = :id AND reviewed IS NULL",
        named_params! {":id": id.to_string(), ":by": by.as_str(), ":now": now.as_microsecond()},
    )?;
    Ok(())
}

/// A value that cannot be read is an error, never another value.
fn read<T: std::str::FromStr>(row: &Row<'_>, column: usize) -> rusqlite::Result<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    let text: String = row.get(column)?;
    text.parse().map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error)))
}

fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    Timestamp::from_microsecond(row.get(column)?)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Integer, Box::new(error)))
}
