//! Retention: records are kept for six years or longer, and then go in whole bundles. Their hashes stay.
//!
//! # Why
//! - **A bundle is a tile's 256 records.** Of a purged bundle the hashes stay in the database and in the published tree, so
//!   that every checkpoint ever made still verifies, and an exported record can still be proven.
//! - **A clock that jumps purges nothing.** Age is counted in time that the log has lived through: between two checkpoints
//!   at most [`LONGEST_GAP_DAYS`] count. A log that stood still for a year keeps its records a year longer.
//! - **The database refuses too**: a trigger lets no record go before six years, whoever asks.

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, TransactionBehavior, params};
use serde::Serialize;

use super::{
    LogError,
    merkle::Hash,
    reader::{ReadError, Reader},
    table::{self, signed},
    tile::TILE_WIDTH,
    verification::Evidence,
};
use crate::store::Database;

/// Years that records are kept at least: 45 CFR 164.316(b)(2)(i) asks six of documentation.
pub const RETENTION_YEARS: u32 = 6;

/// Days between two checkpoints that count as lived through.
const LONGEST_GAP_DAYS: i64 = 31;

/// What a purge did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Purge {
    /// Records that it removed.
    pub removed: u64,
    /// Records that were removed by this and by earlier ones: those numbered up to this.
    pub through: u64,
}

pub(super) fn purge(database: &Database, now: Timestamp, years: u32, reader: &Reader) -> Result<Purge, ReadError> {
    let verified = reader.verify(&Evidence::default())?;
    if let Some(finding) = verified.findings.first() {
        // Removing records would remove the proof of what was done to them.
        return Err(ReadError::Unsound(finding.to_string()));
    }
    let failed = |error| ReadError::from(LogError::Store(database.error(error)));
    let mut connection = database.open().map_err(LogError::Store)?;
    let before = table::purged(&connection).map_err(failed)?;
    let due = due(&connection, now, years.max(RETENTION_YEARS)).map_err(failed)?;
    let mut through = before;
    while through + TILE_WIDTH <= due && remove(&mut connection, through / TILE_WIDTH, now).map_err(failed)? {
        through += TILE_WIDTH;
    }
    if through > before {
        reader.rebuild_index()?;
    }
    Ok(Purge { removed: through - before, through })
}

/// The records that were under a checkpoint so many years ago: those numbered up to this. The newest record never is one.
fn due(connection: &Connection, now: Timestamp, years: u32) -> rusqlite::Result<u64> {
    let wanted = SignedDuration::from_hours(i64::from(years) * 366 * 24);
    let gap = SignedDuration::from_hours(LONGEST_GAP_DAYS * 24);
    let mut statement = connection.prepare("SELECT size, at FROM checkpoints ORDER BY size DESC")?;
    let mut rows = statement.query([])?;
    let (mut lived, mut later) = (SignedDuration::ZERO, now);
    while let Some(row) = rows.next()? {
        let (size, at): (i64, String) = (row.get(0)?, row.get(1)?);
        // A time that does not read counts as no time passed; a clock that went back likewise.
        let at: Timestamp = at.parse().unwrap_or(later);
        lived = lived.saturating_add(later.duration_since(at).clamp(SignedDuration::ZERO, gap));
        later = at;
        if lived > wanted {
            let last = table::head(connection)?.saturating_sub(1);
            return Ok(u64::try_from(size).unwrap_or(0).min(last));
        }
    }
    Ok(0)
}

/// Removes a bundle, all of it or nothing. False if one of its records is not old enough by its own time.
fn remove(connection: &mut Connection, bundle: u64, now: Timestamp) -> rusqlite::Result<bool> {
    let start = bundle * TILE_WIDTH;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut hashes = Vec::new();
    table::scan(&transaction, start, start + TILE_WIDTH, |stored| {
        let leaf = stored.leaf().map(|leaf| Hash::of_leaf(&leaf));
        hashes.extend(leaf.iter().flat_map(Hash::as_bytes));
        Ok::<_, rusqlite::Error>(())
    })?;
    let insert = "INSERT INTO bundles (bundle, purged, hashes) VALUES (?1, ?2, ?3)";
    match transaction.execute(insert, params![signed(bundle), now.to_string(), hashes]) {
        Ok(_) => {}
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation) => return Ok(false),
        Err(error) => return Err(error),
    }
    let bounds = [signed(start), signed(start + TILE_WIDTH)];
    transaction.execute("DELETE FROM records WHERE sequence > ?1 AND sequence <= ?2", bounds)?;
    transaction.commit()?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        audit::{Log, Outcome, merkle::HASH_BYTES, tests::intent, tree},
        testing::{Seeded, clock, store},
    };

    const MONTH: SignedDuration = SignedDuration::from_hours(30 * 24);

    #[test]
    fn records_go_after_six_lived_years_in_whole_bundles_and_the_log_still_verifies() {
        let (_folder, store) = store();
        let clock = clock();
        let log = Log::open(&store.audit(), clock.clone(), Arc::new(Seeded::new(3))).unwrap();
        let reader = Reader::of(&store);
        let entry = |log: &Log| log.intent_blocking(intent(1)).unwrap().complete_blocking(Outcome::done()).unwrap();
        for _ in 0..300 {
            entry(&log);
        }
        log.checkpoint_blocking().unwrap();
        let nothing = Purge { removed: 0, through: 0 };
        assert_eq!(log.purge_blocking(6, &reader).unwrap(), nothing);
        // The clock jumps ten years ahead, and a checkpoint is made there.
        clock.advance(SignedDuration::from_hours(10 * 366 * 24));
        entry(&log);
        log.checkpoint_blocking().unwrap();
        assert_eq!(log.purge_blocking(0, &reader).unwrap(), nothing, "a jump is not six years of life");
        for month in 1..=72 {
            clock.advance(MONTH);
            entry(&log);
            log.checkpoint_blocking().unwrap();
            if month == 70 {
                assert_eq!(log.purge_blocking(6, &reader).unwrap(), nothing);
            }
        }
        clock.advance(MONTH);
        assert_eq!(log.purge_blocking(7, &reader).unwrap(), nothing, "the site keeps them longer");
        let connection = store.audit().connect().unwrap();
        assert!(connection.execute("DELETE FROM records WHERE sequence = 1", []).is_err());
        let early = "INSERT INTO bundles VALUES (0, '2031-01-01T00:00:00Z', zeroblob(8192))";
        assert!(connection.execute(early, []).is_err(), "the table itself refuses before six years");
        assert_eq!(log.purge_blocking(6, &reader).unwrap(), Purge { removed: 512, through: 512 });
        entry(&log);
        drop(log);

        let verified = reader.verify(&Evidence::default()).unwrap();
        assert_eq!(verified.findings, []);
        assert_eq!((verified.purged, verified.records, verified.covered), (512, 748, 748));
        assert!(
            reader
                .records(0, |_, record| {
                    assert!(record.sequence > 512);
                    Ok(())
                })
                .is_ok()
        );
        assert!(reader.prove_consistency(600, None).is_ok(), "the chain goes back beyond what was purged");
        std::fs::remove_dir_all(tree(&store.audit()).path()).unwrap();
        drop(Log::open(&store.audit(), clock, Arc::new(Seeded::new(4))).unwrap());
        assert_eq!(reader.verify(&Evidence::default()).unwrap().published, 748, "and can be published again");
        assert_eq!(HASH_BYTES * 256, 8192);
    }
}
