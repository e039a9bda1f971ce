//! Whether the composed lane is open to the model that would write in it.
//!
//! # Why
//! - **Switched on is not enough.** `answer.composed` says that a site wants composed answers; that this very model may write them, by its
//!   files' hash, a result of this site's must have shown at a gate.
//! - **The demo's model is let in as it is**, since the program's own suite is measured with it: that one, by its hash, and no other of its name.
//! - **A model under evaluation writes before it may**, in a process that serves nobody.

use cloister_governance::approvals::{Approvals, State};
use cloister_models::catalogue;

use crate::{config::Config, pipeline::model::ModelName};

/// The model of the demo, in the catalogue.
const DEMO: &str = "smollm2-135m-instruct";

/// Who may write answers in a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writers {
    /// Models that a gate let in, and the demo's.
    Approved,
    /// Whatever is configured: to find out how well it writes, with nobody served.
    UnderEvaluation,
}

/// What a process tries that does not hold yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trial {
    /// Who may write answers.
    pub writers: Writers,
    /// The version of a guardrail to be held to, in place of the one in force.
    pub guardrail: Option<u32>,
}

impl Trial {
    /// Nothing: what holds, holds.
    pub const NONE: Self = Self { writers: Writers::Approved, guardrail: None };
}

/// Shuts the composed lane where it is switched on for a model that has not earned it, and says so in the log.
///
/// # Errors
/// When the site's database fails.
pub(super) fn shut_unless_earned(
    config: &mut Config,
    writers: Writers,
    approvals: &Approvals,
    model: Option<&ModelName>,
) -> anyhow::Result<()> {
    let Some(model) = model.filter(|_| config.answer.composed && writers == Writers::Approved) else { return Ok(()) };
    if !earned(approvals, model)? {
        tracing::warn!(
            model = %model.name,
            "the composed lane stays shut: the model has not passed this site's gate; see `cloister eval run --model` and `cloister model promote`"
        );
        config.answer.composed = false;
    }
    Ok(())
}

/// Whether a model may write answers here.
fn earned(approvals: &Approvals, model: &ModelName) -> anyhow::Result<bool> {
    Ok(is_demo(model) || approvals.state(&model.name, &model.sha256)? == State::Approved)
}

fn is_demo(model: &ModelName) -> bool {
    model.name == DEMO && catalogue::find(DEMO).is_some_and(|entry| entry.manifest().identity().sha256 == model.sha256)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use cloister_governance::{approvals::Approval, keys::MasterKey, store::Store};
    use cloister_terms::FixedClock;

    use super::*;
    use crate::edge::rig::Seeded;

    /// Whether the lane stays open for a model.
    fn open(approvals: &Approvals, writers: Writers, name: &str, sha256: &str) -> bool {
        let mut config = Config::default();
        config.answer.composed = true;
        let model = ModelName { name: name.to_owned(), sha256: sha256.to_owned() };
        shut_unless_earned(&mut config, writers, approvals, Some(&model)).unwrap();
        config.answer.composed
    }

    #[test]
    fn the_lane_is_open_to_an_approved_model_and_the_demos_by_their_hashes_alone() {
        let folder = tempfile::tempdir().unwrap();
        let random = Arc::new(Seeded::new(3));
        let key = MasterKey::load_or_create(&folder.path().join("master.key"), random.as_ref()).unwrap();
        let store = Store::open(&folder.path().join("store"), key, random).unwrap();
        let approvals = Approvals::open(&store.fleet()).unwrap();
        let clock = FixedClock::at("2026-01-01T00:00:00Z".parse().unwrap());
        let demo = catalogue::find(DEMO).unwrap().manifest().identity().sha256;
        let approved = |name: &str, sha256: &str| open(&approvals, Writers::Approved, name, sha256);
        assert!(approved(DEMO, &demo));
        assert!(!approved(DEMO, "aa") && !approved("other", &demo) && !approved("writer", "aa"));
        assert!(open(&approvals, Writers::UnderEvaluation, "writer", "aa"));
        let text = |text: &str| text.to_owned();
        let approval = Approval { model: text("writer"), sha256: text("aa"), result: text("r"), gate: text("g") };
        approvals.approve(&approval, &clock).unwrap();
        assert!(approved("writer", "aa") && !approved("writer", "bb"));
        approvals.retire("writer", "aa", &clock).unwrap();
        assert!(!approved("writer", "aa"));
    }

    #[test]
    fn what_is_switched_off_stays_off() {
        let folder = tempfile::tempdir().unwrap();
        let random = Arc::new(Seeded::new(3));
        let key = MasterKey::load_or_create(&folder.path().join("master.key"), random.as_ref()).unwrap();
        let store = Store::open(&folder.path().join("store"), key, random).unwrap();
        let approvals = Approvals::open(&store.fleet()).unwrap();
        let mut config = Config::default();
        let model = ModelName { name: "writer".to_owned(), sha256: "aa".to_owned() };
        shut_unless_earned(&mut config, Writers::UnderEvaluation, &approvals, Some(&model)).unwrap();
        assert!(!config.answer.composed);
    }
}
