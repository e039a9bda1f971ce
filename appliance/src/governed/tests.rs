use cloister_governance::audit::{Body, OutcomeKind, RecordedOutcome};
use cloister_terms::{RequestId, Role};

use super::*;
use crate::{
    config,
    edge::rig::{Rig, Seeded},
};

fn rig() -> Rig {
    Rig::new(&config::Limits::default())
}

fn agent() -> Caller {
    Caller::local(Role::Agent, Some(Rig::tenant()), RequestId::random(&Seeded::new(1)))
}

fn ask() -> Call {
    Call::new(Action::Ask, Resource::Tenant(Rig::tenant()))
}

fn outcome(rig: &Rig) -> RecordedOutcome {
    match rig.audit.since(1, 1).unwrap().remove(0).body {
        Body::Outcome(outcome) => outcome,
        Body::Intent(_) => panic!("two intents"),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Early {
    Blocked,
    Refused(Refusal),
}

impl From<Refusal> for Early {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl End for Early {
    fn outcome(&self) -> Outcome {
        match self {
            Self::Blocked => Outcome::of(OutcomeKind::Blocked).with_code("screen"),
            Self::Refused(refusal) => refusal.outcome(),
        }
    }
}

#[tokio::test]
async fn the_intent_is_on_the_disk_while_the_work_runs_and_the_outcome_after() {
    let rig = rig();
    let session = SessionId::from(9);
    let during = governed(&rig.shared.gate, &agent(), ask().within(session), async |permit| {
        assert_eq!(permit.action(), Action::Ask);
        Ok::<_, Early>((rig.records(), Outcome::done().with_count("passages", 2)))
    })
    .await
    .unwrap();
    assert_eq!(during, ["ask"]);
    assert_eq!(rig.records(), ["ask", "done"]);
    assert_eq!(outcome(&rig).counts["passages"], 2);
    let Body::Intent(intent) = &rig.audit.since(0, 1).unwrap()[0].body else { panic!() };
    assert_eq!(intent.session, Some(session));
    assert_eq!((intent.who.account.as_str(), intent.policy.len()), ("local", 64));
    assert_eq!(intent.policies, ["staff-ask-and-read"]);
}

#[tokio::test]
async fn an_early_end_is_recorded_as_what_it_is() {
    let rig = rig();
    let ended = governed(&rig.shared.gate, &agent(), ask(), async |_| Err::<((), Outcome), _>(Early::Blocked)).await;
    assert_eq!(ended, Err(Early::Blocked));
    let outcome = outcome(&rig);
    assert_eq!((outcome.kind, outcome.code.as_deref()), (OutcomeKind::Blocked, Some("screen")));
}

#[tokio::test]
async fn a_denial_is_recorded_and_the_work_is_not_begun() {
    let rig = rig();
    let operator = Caller::local(Role::Operator, Some(Rig::tenant()), RequestId::from(1));
    let ended = governed(&rig.shared.gate, &operator, ask(), async |_| {
        panic!("work without a permit");
        #[expect(unreachable_code, reason = "says what the work would have returned")]
        Ok::<_, Early>(((), Outcome::done()))
    })
    .await;
    assert!(matches!(ended, Err(Early::Refused(Refusal::Denied(Denial::Role { .. })))));
    assert_eq!(outcome(&rig).code.as_deref(), Some("role_not_allowed"));
}

#[tokio::test]
async fn a_result_whose_outcome_cannot_be_recorded_is_withheld() {
    let rig = rig();
    let ended = governed(&rig.shared.gate, &agent(), ask(), async |_| {
        rig.store.audit().connect().unwrap().execute_batch("DROP TABLE records").unwrap();
        Ok::<_, Early>(("the answer", Outcome::done()))
    })
    .await;
    assert_eq!(ended, Err(Early::Refused(Refusal::Unrecorded(AuditError::Closed))));
}

#[tokio::test]
async fn without_an_intent_there_is_no_work() {
    let rig = rig();
    rig.store.audit().connect().unwrap().execute_batch("DROP TABLE records").unwrap();
    let opened = open(&rig.shared.gate, &agent(), ask()).await;
    assert_eq!(opened.unwrap_err(), Refusal::Unrecorded(AuditError::Closed));
}
