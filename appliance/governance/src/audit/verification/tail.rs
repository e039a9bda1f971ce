//! The records after the newest checkpoint: no signature covers them yet, so that all that can be checked is what they say.

use rusqlite::{Connection, params};

use super::{
    super::{
        leaf::Stored,
        table::{self, signed},
    },
    Fault, Findings,
};

pub(super) fn check(connection: &Connection, covered: u64, last: u64, found: &mut Findings) {
    let looked = table::scan(connection, covered, last, |stored| {
        let here = Some((stored.sequence, stored.sequence));
        if stored.read().is_err() {
            found.add(Fault::Malformed, here, || "it does not read as a record".to_owned());
        }
        if !is_in_its_place(connection, &stored)? {
            found.add(Fault::Duplicate, here, || {
                "its entry was opened or closed before, or is closed without having been opened".to_owned()
            });
        }
        Ok::<_, rusqlite::Error>(())
    });
    if looked.is_err() && !found.has(Fault::Unreadable) {
        found.add(Fault::Page, None, || "the newest records cannot be read a second time".to_owned());
    }
}

/// The first of its kind in its entry, and an outcome only after its intent.
fn is_in_its_place(connection: &Connection, stored: &Stored) -> rusqlite::Result<bool> {
    let mut earlier =
        connection.prepare_cached("SELECT closes FROM records WHERE entry = ?1 AND sequence < ?2 ORDER BY sequence")?;
    let rows = earlier.query_map(params![stored.entry, signed(stored.sequence)], |row| row.get::<_, bool>(0))?;
    let earlier: Vec<bool> = rows.collect::<Result<_, _>>()?;
    Ok(if stored.closes { earlier == [false] } else { earlier.is_empty() })
}
