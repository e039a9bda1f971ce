//! What only shows once every file of an ingest is in: a document that nobody will see, a `supersedes` that names nothing.

use std::collections::HashSet;

use super::Library;
use super::bulk::Report;
use super::ingest::{IngestError, Outcome, Target};
use crate::index::force::{in_force, is_named};
use crate::index::version::{self, Version};

impl Library {
    /// Adds to the report what the person who ingested must know and no single file shows.
    pub(super) fn advise(&self, target: &Target, report: &mut Report) -> Result<(), IngestError> {
        let fresh: HashSet<&str> = report
            .files
            .iter()
            .filter(|file| file.result.as_ref().is_ok_and(|done| done.outcome != Outcome::Unchanged))
            .map(|file| file.name.as_str())
            .collect();
        if fresh.is_empty() {
            return Ok(());
        }
        let today = self.clock.now().to_zoned(self.zone.clone()).date();
        let versions = self.store.read(|db| version::load_all(db, target.collection))?;
        let all = || versions.values().map(AsRef::as_ref);
        let seen: HashSet<i64> = in_force(all(), today).map(|version| version.key).collect();
        let mut advice: Vec<(String, String)> = Vec::new();
        for version in all().filter(|version| fresh.contains(version.name.as_str())) {
            let mut say = |what: String| advice.push((version.name.clone(), what));
            if let Some(other) = version.supersedes.as_deref()
                && !all().any(|one| one.key != version.key && is_named(other, version.document, one))
            {
                say(format!(
                    "it supersedes `{other}`, which names no other document here: write a document's name, or its name, `/` and the version"
                ));
            }
            match version.effective {
                Some(first) if first > today => say(format!("it takes effect on {first}; until then it is not cited")),
                _ if seen.contains(&version.key) => {}
                _ => say(why_unseen(version, today)),
            }
        }
        advice.sort();
        report.advice = advice;
        Ok(())
    }
}

fn why_unseen(version: &Version, today: jiff::civil::Date) -> String {
    match version.expires {
        Some(end) if end <= today => format!("it expired on {end} and is not cited"),
        _ => {
            "another version of this document is in force, or one that supersedes it: it is not cited; give it a later \
              `effective` date if it is the newer"
                .to_owned()
        }
    }
}
