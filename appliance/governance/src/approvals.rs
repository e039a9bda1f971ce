//! What was measured here, and which models a gate let in on the strength of it.
//!
//! It lies in the database of the site, so that it is encrypted, backed up and brought back with the accounts.
//!
//! **What it is not:** the measures. A result is a file; what is kept of it is the SHA-256 over its bytes.
//!
//! # Why
//! - **Not in the model's manifest.** A manifest says what the files are, the same on every machine; what a model earned, it earned
//!   on one site's documents.
//! - **A result counts only where this site made it.** Whoever changes a number in the file changes its hash, and the hash is not
//!   here.

use cloister_terms::Clock;
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::store::{Database, StoreError};

const TABLES: &str = "CREATE TABLE IF NOT EXISTS evaluations (
         result  TEXT PRIMARY KEY,     -- SHA-256 of the result's file, in hexadecimal digits, like the other hashes here
         suite   TEXT NOT NULL,
         model   TEXT,                 -- what generated; null where nothing did
         sha256  TEXT,
         at      TEXT NOT NULL         -- RFC 3339 in UTC
     ) STRICT, WITHOUT ROWID;
     CREATE TABLE IF NOT EXISTS approvals (
         model   TEXT NOT NULL,
         sha256  TEXT NOT NULL,
         retired INTEGER NOT NULL,
         result  TEXT NOT NULL,
         gate    TEXT NOT NULL,
         at      TEXT NOT NULL,
         PRIMARY KEY (model, sha256)
     ) STRICT, WITHOUT ROWID;";

/// A result that this site made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation {
    /// SHA-256 of the result's file.
    pub result: String,
    /// SHA-256 of the suite.
    pub suite: String,
    /// Name and SHA-256 of the model that generated; none where nothing did.
    pub model: Option<(String, String)>,
}

/// What let a model in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// The model's name.
    pub model: String,
    /// The model's SHA-256: a model with other files under the same name has earned nothing.
    pub sha256: String,
    /// SHA-256 of the result's file.
    pub result: String,
    /// SHA-256 of the gate's file.
    pub gate: String,
}

/// How far a model has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is there.
    Imported,
    /// There is a result of this site's about it.
    Evaluated,
    /// A result held at a gate.
    Approved,
    /// It was approved, and is no longer.
    Retired,
}

impl State {
    /// The word in listings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Imported => "imported",
            Self::Evaluated => "evaluated",
            Self::Approved => "approved",
            Self::Retired => "retired",
        }
    }
}

/// The results and approvals of a site.
#[derive(Debug, Clone)]
pub struct Approvals {
    database: Database,
}

impl Approvals {
    /// Those of the site whose database this is.
    ///
    /// # Errors
    /// When the database fails.
    pub fn open(database: &Database) -> Result<Self, StoreError> {
        let approvals = Self { database: database.clone() };
        approvals.with(|connection| connection.execute_batch(TABLES))?;
        Ok(approvals)
    }

    /// Keeps that this site made a result.
    ///
    /// # Errors
    /// When the database fails.
    pub fn record(&self, made: &Evaluation, clock: &dyn Clock) -> Result<(), StoreError> {
        let (model, sha256) = made.model.clone().unzip();
        self.with(|connection| {
            connection.execute(
                "INSERT INTO evaluations VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (result) DO NOTHING",
                params![made.result, made.suite, model, sha256, clock.now().to_string()],
            )
        })
        .map(drop)
    }

    /// The result of that hash, if this site made it.
    ///
    /// # Errors
    /// When the database fails.
    pub fn evaluation(&self, result: &str) -> Result<Option<Evaluation>, StoreError> {
        self.with(|connection| {
            let statement = "SELECT result, suite, model, sha256 FROM evaluations WHERE result = ?1";
            connection
                .query_row(statement, [result], |row| {
                    let model: Option<String> = row.get(2)?;
                    Ok(Evaluation { result: row.get(0)?, suite: row.get(1)?, model: model.zip(row.get(3)?) })
                })
                .optional()
        })
    }

    /// Approves a model.
    ///
    /// # Errors
    /// When the database fails.
    pub fn approve(&self, approval: &Approval, clock: &dyn Clock) -> Result<(), StoreError> {
        let Approval { model, sha256, result, gate } = approval;
        self.with(|connection| {
            connection.execute(
                "INSERT INTO approvals VALUES (?1, ?2, 0, ?3, ?4, ?5) ON CONFLICT (model, sha256) DO UPDATE SET \
                     retired = 0, result = excluded.result, gate = excluded.gate, at = excluded.at",
                params![model, sha256, result, gate, clock.now().to_string()],
            )
        })
        .map(drop)
    }

    /// Takes an approval back. Whether there was one.
    ///
    /// # Errors
    /// When the database fails.
    pub fn retire(&self, model: &str, sha256: &str, clock: &dyn Clock) -> Result<bool, StoreError> {
        let statement = "UPDATE approvals SET retired = 1, at = ?3 WHERE model = ?1 AND sha256 = ?2 AND retired = 0";
        self.with(|connection| connection.execute(statement, params![model, sha256, clock.now().to_string()]))
            .map(|changed| changed > 0)
    }

    /// How far a model has come. [`State::Imported`] where nothing is known of it.
    ///
    /// # Errors
    /// When the database fails.
    pub fn state(&self, model: &str, sha256: &str) -> Result<State, StoreError> {
        self.with(|connection| {
            let approved = "SELECT retired FROM approvals WHERE model = ?1 AND sha256 = ?2";
            let retired: Option<bool> = connection.query_row(approved, [model, sha256], |row| row.get(0)).optional()?;
            if let Some(retired) = retired {
                return Ok(if retired { State::Retired } else { State::Approved });
            }
            let evaluated = "SELECT EXISTS (SELECT 1 FROM evaluations WHERE model = ?1 AND sha256 = ?2)";
            let evaluated: bool = connection.query_row(evaluated, [model, sha256], |row| row.get(0))?;
            Ok(if evaluated { State::Evaluated } else { State::Imported })
        })
    }

    fn with<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        self.database.connect().and_then(|connection| work(&connection)).map_err(|error| self.database.error(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{clock, store};

    fn approval(sha256: &str) -> Approval {
        Approval {
            model: "small".to_owned(),
            sha256: sha256.to_owned(),
            result: "r1".to_owned(),
            gate: "g1".to_owned(),
        }
    }

    #[test]
    fn a_model_comes_as_far_as_what_is_known_of_its_very_files() {
        let (_folder, store) = store();
        let (approvals, clock) = (Approvals::open(&store.fleet()).unwrap(), clock());
        let state = |sha256: &str| approvals.state("small", sha256).unwrap();
        assert_eq!(state("a"), State::Imported);
        let model = Some(("small".to_owned(), "a".to_owned()));
        let made = Evaluation { result: "r1".to_owned(), suite: "s1".to_owned(), model };
        approvals.record(&made, clock.as_ref()).unwrap();
        approvals.record(&made, clock.as_ref()).unwrap();
        assert_eq!(state("a"), State::Evaluated);
        approvals.approve(&approval("a"), clock.as_ref()).unwrap();
        assert_eq!(state("a"), State::Approved);
        assert_eq!((state("b"), approvals.state("other", "a").unwrap()), (State::Imported, State::Imported));
        assert!(approvals.retire("small", "a", clock.as_ref()).unwrap());
        assert!(!approvals.retire("small", "a", clock.as_ref()).unwrap());
        assert_eq!(state("a"), State::Retired);
        approvals.approve(&approval("a"), clock.as_ref()).unwrap();
        assert_eq!(Approvals::open(&store.fleet()).unwrap().state("small", "a").unwrap(), State::Approved);
    }

    #[test]
    fn a_result_is_known_by_its_hash_alone() {
        let (_folder, store) = store();
        let (approvals, clock) = (Approvals::open(&store.fleet()).unwrap(), clock());
        let made = Evaluation { result: "r1".to_owned(), suite: "s1".to_owned(), model: None };
        approvals.record(&made, clock.as_ref()).unwrap();
        assert_eq!(approvals.evaluation("r1").unwrap(), Some(made));
        assert_eq!(approvals.evaluation("r2").unwrap(), None);
    }
}
