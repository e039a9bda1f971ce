use std::sync::Arc;

use cloister_governance::{approvals::Evaluation, keys::MasterKey, store::Store};
use cloister_terms::FixedClock;

use super::*;
use crate::{edge::rig::Seeded, evaluation::result::tests::run};

/// A folder with a gate, a result of which so many of 50 were right, and a site that made it.
struct Place {
    folder: tempfile::TempDir,
    approvals: Approvals,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let random = Arc::new(Seeded::new(3));
        let key = MasterKey::load_or_create(&folder.path().join("master.key"), random.as_ref()).unwrap();
        let store = Store::open(&folder.path().join("store"), key, random).unwrap();
        let approvals = Approvals::open(&store.fleet()).unwrap();
        Self { folder, approvals }
    }

    fn write(&self, name: &str, text: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn result(&self, run: &Run) -> PathBuf {
        let bytes = serde_json::to_vec(run).unwrap();
        let clock = FixedClock::at("2026-01-01T00:00:00Z".parse().unwrap());
        let made = Evaluation { result: sha256(&bytes), suite: run.suite.sha256.clone(), model: None };
        self.approvals.record(&made, &clock).unwrap();
        self.write("RESULT.json", &bytes)
    }

    fn gate(&self, metrics: &str) -> PathBuf {
        self.write("gate.toml", metrics.as_bytes())
    }

    fn pass(&self, gate: &Path, result: &Path) -> Result<Pass, NotPassed> {
        let wanted = Named { name: "small".to_owned(), sha256: "cc".repeat(32) };
        pass(&self.approvals, gate, result, &Subject::Model(wanted))
    }
}

fn judged(metrics: &str, run: &Run) -> Ruling {
    let place = Place::new();
    Gate::read(&place.gate(metrics)).unwrap().judge(run)
}

const LEAST: &str = "[metrics.\"answers/string_presence\"]\nleast = 0.85\n";

#[test]
fn a_result_that_holds_passes_and_one_that_does_not_is_told_why() {
    let place = Place::new();
    let gate = place.gate(LEAST);
    let good = place.result(&run(45));
    let passed = place.pass(&gate, &good).unwrap();
    assert_eq!((passed.result.len(), passed.gate), (64, sha256(LEAST.as_bytes())));
    let bad = place.result(&run(40));
    let refused = place.pass(&gate, &bad).unwrap_err().to_string();
    assert!(refused.contains("answers/string_presence must be at least 0.850: 0.800"), "{refused}");
}

#[test]
fn a_result_that_was_mended_by_hand_or_made_elsewhere_does_not_pass() {
    let place = Place::new();
    let gate = place.gate(LEAST);
    let path = place.result(&run(40));
    let mut mended = run(40);
    mended.metrics.iter_mut().for_each(|figure| figure.interval.value = 1.0);
    fs::write(&path, serde_json::to_vec(&mended).unwrap()).unwrap();
    assert!(matches!(place.pass(&gate, &path), Err(NotPassed::Unknown)));
    fs::write(&path, "{}").unwrap();
    assert!(matches!(place.pass(&gate, &path), Err(NotPassed::File(_))));
    assert!(matches!(place.pass(&gate, &place.folder.path().join("nowhere")), Err(NotPassed::File(_))));
}

#[test]
fn a_result_about_another_model_does_not_pass() {
    let place = Place::new();
    let gate = place.gate(LEAST);
    for generate in [None, Some(Named { name: "small".to_owned(), sha256: "ee".repeat(32) })] {
        let mut other = run(50);
        other.system.generate = generate;
        let path = place.result(&other);
        assert!(matches!(place.pass(&gate, &path), Err(NotPassed::OtherSubject { .. })));
    }
    // A model's result says nothing for a guardrail.
    let subject = Subject::Guardrail(Named { name: "pharmacy:3".to_owned(), sha256: "cc".repeat(32) });
    let path = place.result(&run(50));
    assert!(matches!(pass(&place.approvals, &gate, &path, &subject), Err(NotPassed::OtherSubject { .. })));
}

#[test]
fn what_cannot_be_judged_does_not_hold() {
    let run = run(50);
    for metrics in [
        "[metrics.\"answers/faithfulness\"]\nleast = 0.0\n",
        "[metrics.\"answers/string_presence\"]\ngreatest_loss = 1.0\n",
        "[metrics.\"answers/string_presence\"]\nmost = 1.0\n",
        "[metrics.\"answers/false_abstention\"]\nleast = 0.0\n",
    ] {
        assert!(!judged(metrics, &run).holds(), "{metrics}");
    }
    assert!(judged("[metrics.\"answers/false_abstention\"]\nmost = 0.0\n", &run).holds());
    let place = Place::new();
    for odd in [
        "",
        "[metrics]\n",
        "[metrics.\"a/b\"]\n",
        "[metrics.\"a/b\"]\nleast = 1\nleat = 1\n",
        "baseline = 'x'\n[metrics.\"a/b\"]\nleast = 1\n",
    ] {
        assert!(Gate::read(&place.gate(odd)).is_err(), "{odd}");
    }
}

#[test]
fn a_loss_is_told_against_the_baseline_of_the_same_suite() {
    let place = Place::new();
    place.write("baseline.json", &serde_json::to_vec(&run(45)).unwrap());
    let text = "baseline = 'baseline.json'\n[metrics.\"answers/string_presence\"]\ngreatest_loss = 0.04\n";
    let gate = Gate::read(&place.gate(text)).unwrap();
    assert!(gate.judge(&run(45)).holds() && gate.judge(&run(43)).holds() && gate.judge(&run(50)).holds());
    let ruling = gate.judge(&run(42));
    assert!(!ruling.holds());
    assert_eq!(ruling.lines[0].found, "0.840 after 0.900");
    let mut other = run(45);
    other.suite.sha256 = "ff".repeat(32);
    assert!(!gate.judge(&other).holds());
}

#[test]
fn surely_counts_the_worse_end() {
    let (value, surely) = (LEAST.to_owned(), format!("{LEAST}surely = true\n"));
    assert!(judged(&value, &run(45)).holds());
    assert!(!judged(&surely, &run(45)).holds());
    assert!(judged(&surely, &run(50)).holds());
}
