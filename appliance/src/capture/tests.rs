use cloister_governance::{
    captures::Turn,
    keys::MasterKey,
    policy::{Decision, Permit, Policy, Principal, Resource},
    store::Store,
};
use cloister_terms::{FixedClock, Phi, Role, TenantId};

use super::*;
use crate::edge::rig::Seeded;

struct Bench {
    store: Store,
    captures: Captures,
    means: Means,
    _folder: tempfile::TempDir,
}

fn tenant() -> TenantId {
    "larkfield".parse().unwrap()
}

/// With a redaction that does what `redact` says.
fn bench(redact: Redact) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let random: Arc<dyn Random> = Arc::new(Seeded::new(3));
    let key = MasterKey::load_or_create(&folder.path().join("master.key"), random.as_ref()).unwrap();
    let store = Store::open(&folder.path().join("store"), key, Arc::clone(&random)).unwrap();
    store.create_tenant(&tenant()).unwrap();
    let clock: Arc<dyn Clock> = Arc::new(FixedClock::at("2026-03-01T12:00:00Z".parse().unwrap()));
    let captures = Captures::of(&store, &tenant(), 30, Arc::clone(&clock));
    Bench { store, captures, means: Means { redact, clock, random, metrics: Metrics::new() }, _folder: folder }
}

impl Bench {
    fn recorder(&self, settings: config::Captures) -> Recorder {
        Recorder::of(&self.captures, settings, self.means.clone()).unwrap()
    }

    fn kept(&self) -> Vec<CaptureLabel> {
        let permit = permit(Action::ListCaptures, Resource::Tenant(tenant()));
        self.captures.list(&permit, &cloister_governance::captures::Filter::default(), 10).unwrap().captures
    }
}

fn permit(action: Action, resource: Resource) -> Permit {
    match Policy::built_in().decide(&Principal::local(Role::Compliance, None), action, &resource) {
        Decision::Permit(permit) => permit,
        Decision::Deny { reason, .. } => panic!("{reason}"),
    }
}

fn exchange() -> Exchange {
    let asked = vec![Turn { role: "user".to_owned(), text: Phi::new("MRN 4471902".to_owned()) }];
    let content = Content { asked, ..Content::default() };
    Exchange { session: Some(1.into()), request: 2.into(), action: Action::Ask, content }
}

fn outcome() -> Outcome {
    Outcome::done().with_code("quoted")
}

const REQUIRED: config::Captures = config::Captures { mode: config::CaptureMode::Redacted, days: 30, required: true };

#[tokio::test]
async fn what_cannot_be_redacted_is_not_kept_and_the_outcome_says_so() {
    let fails: [Redact; 2] =
        [Arc::new(|_, _, _: &dyn Random| None), Arc::new(|_, _, _: &dyn Random| panic!("MRN 4471902"))];
    for redact in fails {
        let bench = bench(redact);
        let recorded = bench.recorder(config::Captures::default()).record(exchange(), outcome()).await;
        assert!(recorded.refused.is_none(), "the answer is not lost by it");
        assert_eq!((recorded.outcome.kind, recorded.outcome.capture), (OutcomeKind::Done, None));
        assert_eq!(recorded.outcome.counts["capture_unredacted"], 1);
        assert!(bench.kept().is_empty());

        let recorded = bench.recorder(REQUIRED).record(exchange(), outcome()).await;
        let refused = recorded.refused.unwrap();
        assert_eq!(refused.kind(), "unavailable");
        assert!(!format!("{refused:?} {refused}").contains("4471902"));
        assert_eq!((recorded.outcome.kind, recorded.outcome.code), (OutcomeKind::Failed, Some("capture_required")));
        assert!(bench.kept().is_empty());
        assert!(bench.means.metrics.render().contains(r#"cloister_captures_total{result="unredacted"} 2"#));
    }
}

#[tokio::test]
async fn a_capture_that_cannot_be_written_is_told_of_in_the_outcome() {
    let bench = bench(Arc::new(|content, _, _: &dyn Random| Some(content)));
    let recorder = bench.recorder(config::Captures::default());
    let recorded = recorder.record(exchange(), outcome()).await;
    let kept = bench.kept();
    assert_eq!((kept.len(), recorded.outcome.capture), (1, Some(kept[0].id)));
    assert_eq!((kept[0].session, kept[0].request, kept[0].code.as_deref()), (Some(1.into()), 2.into(), Some("quoted")));

    refuse(&bench);
    let recorded = recorder.record(exchange(), outcome()).await;
    assert!(recorded.refused.is_none());
    assert_eq!((recorded.outcome.capture, recorded.outcome.counts["capture_unwritten"]), (None, 1));
    assert!(bench.recorder(REQUIRED).record(exchange(), outcome()).await.refused.is_some());
    assert_eq!(bench.kept().len(), 1);
}

/// Has every further write to the captures fail.
fn refuse(bench: &Bench) {
    let trigger = "CREATE TRIGGER refused BEFORE INSERT ON captures BEGIN SELECT RAISE(ABORT, 'refused'); END";
    bench.store.captures(&tenant()).unwrap().connect().unwrap().execute_batch(trigger).unwrap();
}

#[tokio::test]
async fn a_recorder_that_is_off_keeps_and_changes_nothing() {
    let bench = bench(Arc::new(|content, _, _: &dyn Random| Some(content)));
    let off = config::Captures { mode: config::CaptureMode::Off, ..config::Captures::default() };
    let recorder = bench.recorder(off);
    assert!(!recorder.is_on());
    let recorded = recorder.record(exchange(), outcome()).await;
    assert_eq!(recorded.outcome, outcome());
    assert!(bench.kept().is_empty());
}
