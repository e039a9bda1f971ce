use cloister_terms::FixedClock;

use super::*;
use crate::testing::{Seeded, clock, store};

const REASON_GIVEN: &str = "The ward's pharmacist is away and a child needs a dose.";

fn register() -> (tempfile::TempDir, Arc<FixedClock>, BreakGlass) {
    let (folder, store) = store();
    let clock = clock();
    let register = BreakGlass::open(&store.fleet(), clock.clone(), Arc::new(Seeded::new(3))).unwrap();
    (folder, clock, register)
}

fn account(letter: char) -> AccountId {
    letter.to_string().repeat(12).parse().unwrap()
}

fn reason(text: &str) -> Phi<String> {
    Phi::new(text.to_owned())
}

#[test]
fn it_begins_with_a_reason_and_ends_by_itself() {
    let (_folder, clock, register) = register();
    let (who, tenant) = (AccountId::local(), "larkfield".parse().unwrap());
    assert_eq!(register.active(&who, &tenant).unwrap(), None);
    let begun = register.begin(&who, &tenant, &reason(REASON_GIVEN), 60).unwrap();
    assert_eq!(register.active(&who, &tenant).unwrap(), Some(begun.id));
    assert_eq!(register.active(&who, &"riverside".parse().unwrap()).unwrap(), None);
    clock.advance(SignedDuration::from_mins(60) - SignedDuration::from_secs(1));
    assert_eq!(register.active(&who, &tenant).unwrap(), Some(begun.id));
    clock.advance(SignedDuration::from_secs(1));
    assert_eq!(register.active(&who, &tenant).unwrap(), None);
}

#[test]
fn without_a_reason_or_for_longer_than_an_hour_there_is_none() {
    let (_folder, _clock, register) = register();
    let (who, tenant) = (AccountId::local(), "larkfield".parse().unwrap());
    for text in ["", "          ", "urgent", &"a".repeat(1001)] {
        assert!(matches!(register.begin(&who, &tenant, &reason(text), 5), Err(BreakGlassError::Reason)), "{text}");
    }
    for minutes in [0, 61, u32::MAX] {
        let begun = register.begin(&who, &tenant, &reason(REASON_GIVEN), minutes);
        assert!(matches!(begun, Err(BreakGlassError::Minutes)), "{minutes}");
    }
    assert_eq!(register.active(&who, &tenant).unwrap(), None);
    assert!(register.unreviewed().unwrap().is_empty());
}

#[test]
fn it_can_be_ended_early_and_begun_again_but_not_twice_at_once() {
    let (_folder, clock, register) = register();
    let (who, tenant) = (AccountId::local(), "larkfield".parse().unwrap());
    let first = register.begin(&who, &tenant, &reason(REASON_GIVEN), 60).unwrap();
    clock.advance(SignedDuration::from_mins(1));
    assert_eq!(register.end(&who).unwrap(), Some(first.id));
    assert_eq!((register.end(&who).unwrap(), register.active(&who, &tenant).unwrap()), (None, None));
    let second = register.begin(&who, &tenant, &reason(REASON_GIVEN), 60).unwrap();
    clock.advance(SignedDuration::from_mins(1));
    let third = register.begin(&who, &tenant, &reason(REASON_GIVEN), 60).unwrap();
    assert_eq!(register.active(&who, &tenant).unwrap(), Some(third.id));
    let ended: Vec<_> = register.unreviewed().unwrap().iter().map(|one| (one.id, one.until)).collect();
    assert_eq!(ended[1], (second.id, third.began));
}

#[test]
fn every_one_waits_for_a_review_by_somebody_else() {
    let (_folder, clock, register) = register();
    let (who, other) = (AccountId::local(), account('a'));
    let one = register.begin(&who, &"larkfield".parse().unwrap(), &reason(REASON_GIVEN), 5).unwrap();
    assert!(matches!(register.review(one.id, &other), Err(BreakGlassError::Unknown)), "it still lasts");
    clock.advance(SignedDuration::from_mins(5));
    assert_eq!(register.unreviewed().unwrap()[0].reason.expose(), REASON_GIVEN);
    assert!(matches!(register.review(one.id, &who), Err(BreakGlassError::OwnReview)));
    register.review(one.id, &other).unwrap();
    assert!(register.unreviewed().unwrap().is_empty());
    assert!(matches!(register.review(one.id, &other), Err(BreakGlassError::Unknown)));
}

#[test]
fn a_clock_that_went_back_prolongs_nothing() {
    let (_folder, clock, register) = register();
    let (who, tenant) = (AccountId::local(), "larkfield".parse().unwrap());
    register.begin(&who, &tenant, &reason(REASON_GIVEN), 60).unwrap();
    clock.advance(SignedDuration::from_hours(-1));
    assert_eq!(register.active(&who, &tenant).unwrap(), None);
}
