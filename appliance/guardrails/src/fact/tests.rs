use proptest::prelude::*;

use super::*;

fn values(text: &str) -> Vec<(FactKind, String)> {
    facts(text).into_iter().map(|fact| (fact.kind, fact.value)).collect()
}

#[test]
fn measures_come_to_a_common_form() {
    use FactKind::{Measure, Number};
    for (text, kind, value) in [
        ("500 mg", Measure, "500 mg"),
        ("500mg", Measure, "500 mg"),
        ("2.50 milligrams", Measure, "2.5 mg"),
        (".5 mL", Measure, "0.5 ml"),
        ("a 30-day supply", Measure, "30 day"),
        ("thirty days", Measure, "30 day"),
        ("$1,234.50", Measure, "1234.5 $"),
        ("15%", Measure, "15 %"),
        ("3 business days", Measure, "3 business day"),
        ("36°F", Measure, "36 °f"),
        ("36 °F", Measure, "36 °f"),
        ("twice daily", Measure, "2 time"),
        ("room 7", Number, "7"),
    ] {
        assert_eq!(values(text), [(kind, value.to_owned())], "{text}");
    }
    assert_eq!(values("this one is fine"), []);
    assert_eq!(
        values("15-20 mL or 5 to 7 days"),
        [(Measure, "15 ml".into()), (Measure, "20 ml".into()), (Measure, "5 day".into()), (Measure, "7 day".into())]
    );
}

#[test]
fn telephone_numbers_are_one_fact_however_they_are_written() {
    for text in ["(555) 010-2000", "555-010-2000", "555.010.2000", "1-555-010-2000", "+1 555 010 2000", "5550102000"] {
        assert_eq!(values(text), [(FactKind::Phone, "5550102000".to_owned())], "{text}");
    }
    assert_eq!(
        values("Call 555-0100, option 3."),
        [(FactKind::Phone, "5550100".to_owned()), (FactKind::Number, "3".to_owned())]
    );
}

#[test]
fn times_and_dates_are_read_in_their_common_forms() {
    for (text, value) in
        [("9 a.m.", "09:00"), ("9:30 PM", "21:30"), ("17:00", "17:00"), ("12am", "00:00"), ("noon", "12:00")]
    {
        assert_eq!(values(text), [(FactKind::Time, value.to_owned())], "{text}");
    }
    for text in ["March 5, 2026", "5 March 2026", "2026-03-05", "03/05/2026", "Mar. 5, 2026"] {
        assert_eq!(values(text), [(FactKind::Date, "2026-03-05".to_owned())], "{text}");
    }
    assert!(facts("March 5")[0].stands_in(&facts("by 5 March 2026")));
    assert!(!facts("March 6")[0].stands_in(&facts("by 5 March 2026")));
}

#[test]
fn a_number_wants_its_unit_and_a_bare_one_does_not() {
    assert!(facts("500 mg")[0].stands_in(&facts("a dose of 500 milligrams")));
    assert!(!facts("500 mg")[0].stands_in(&facts("a dose of 500 mcg")));
    assert!(facts("500")[0].stands_in(&facts("a dose of 500 mcg")));
    assert!(!facts("50 mg")[0].stands_in(&facts("a dose of 500 mg")));
}

#[test]
fn the_same_amount_in_another_unit_is_the_same_fact() {
    for (one, other) in [
        ("0.5 g", "500 mg"),
        ("250 mcg", "0.25 mg"),
        ("1 L", "1000 mL"),
        ("two weeks", "14 days"),
        ("1 year", "12 months"),
        ("10 mg/kg", "0.01 g/kg"),
        ("1.5 million units", "1,500,000 units"),
        ("2 pills", "two tablets"),
    ] {
        assert!(facts(one)[0].stands_in(&facts(other)) && facts(other)[0].stands_in(&facts(one)), "{one} / {other}");
    }
    for (one, other) in [
        ("5 mg", "50 mg"),
        (".5 mg", "5 mg"),
        ("5.0 mg", "50 mg"),
        ("10 mg/kg", "10 mg"),
        ("10 units", "10 mL"),
        ("500 mg", "500 mcg"),
        ("14 days", "14 weeks"),
    ] {
        assert!(!facts(one)[0].stands_in(&facts(other)), "{one} / {other}");
    }
}

#[test]
fn numbers_are_read_in_words_and_fractions() {
    for (text, value) in [
        ("twenty-eight days", "28 day"),
        ("one hundred and fifty mg", "150 mg"),
        ("1/2 tablet", "0.5 tablet"),
        ("1 1/2 tablets", "1.5 tablet"),
        ("half a tablet", "0.5 tablet"),
        ("½ tablet", "0.5 tablet"),
        ("2½ tablets", "2.5 tablet"),
    ] {
        assert_eq!(values(text), [(FactKind::Measure, value.to_owned())], "{text}");
    }
}

#[test]
fn a_number_that_belongs_to_a_name_is_told_with_it() {
    for (text, value) in [
        ("COVID-19 may be", "covid-19"),
        ("covid 19 spreads", "covid-19"),
        ("SARS-CoV-2 was found", "cov-2"),
        ("rich in omega-3", "omega-3"),
    ] {
        assert_eq!(values(text), [(FactKind::Name, value.to_owned())], "{text}");
    }
    for (text, value) in
        [("room 12", "12"), ("from day-14 on", "14"), ("codes 12-13", "12"), ("COVID, 4 visitors", "4")]
    {
        assert_eq!(values(text)[0], (FactKind::Number, value.to_owned()), "{text}");
    }
    assert_eq!(values("8AM-5PM")[1], (FactKind::Time, "17:00".to_owned()));
}

#[test]
fn both_ends_of_a_range_have_the_unit() {
    for text in ["65 to 75 mg", "65-75 mg", "between 65 and 75 mg"] {
        let expected = [(FactKind::Measure, "65 mg".to_owned()), (FactKind::Measure, "75 mg".to_owned())];
        assert_eq!(values(text), expected, "{text}");
    }
    assert_eq!(values("Room 65 and 75 mg")[0].0, FactKind::Number);
}

#[test]
fn a_bound_is_read_from_the_words_around_its_number() {
    use Bound::{Least, Most, Over, Under};
    for (text, bound) in [
        ("at least 4 hours", Some(Least)),
        ("no less than 4 hours", Some(Least)),
        ("for up to 28 days", Some(Most)),
        ("no more than 4 tablets", Some(Most)),
        ("do not take more than 4 tablets", Some(Most)),
        ("don't exceed 4 tablets", Some(Most)),
        ("more than 4 tablets", Some(Over)),
        ("older than 65 years", Some(Over)),
        ("65 years or older", Some(Least)),
        ("do not give less than 4 tablets", Some(Least)),
        ("12 years and older", Some(Least)),
        ("12 years of age or older", Some(Least)),
        ("children under 12 years", Some(Under)),
        ("not for children under 12 years", Some(Under)),
        ("CrCl < 30 mL/min", Some(Under)),
        ("CrCl <= 30 mL/min", Some(Most)),
        ("CrCl > 30 mL/min", Some(Over)),
        ("CrCl >= 30 mL/min", Some(Least)),
        ("the maximum daily dose is 4 g", Some(Most)),
        ("4 g maximum", Some(Most)),
        ("4 g at most.", Some(Most)),
        ("take 2 tablets at least 4 hours before", None),
        ("a minimum of 4 hours", Some(Least)),
        ("take 4 tablets", None),
    ] {
        assert_eq!(facts(text)[0].bound, bound, "{text}");
    }
}

proptest! {
    #[test]
    fn facts_know_their_place_in_any_text(text in "[ 0-9.,:/()$%+a-zé°-]{0,60}|\\PC{0,40}") {
        let mut at = 0;
        for fact in facts(&text) {
            prop_assert!(fact.start >= at && fact.end > fact.start);
            prop_assert!(text.get(fact.start..fact.end).is_some());
            at = fact.end;
        }
    }

    #[test]
    fn every_fact_stands_in_its_own_text(text in "[ 0-9.,:/()$%+a-z-]{0,60}") {
        let found = facts(&text);
        for fact in &found {
            prop_assert!(fact.stands_in(&found));
        }
    }
}
