//! Identifiers of people in questions, in documents and in answers.

use std::sync::Arc;

use cloister_guardrails::{
    detect::{Detector, Patterns, Roster},
    redact::Policy,
};

use super::{
    bench::{Bench, passage},
    *,
};

const DOCUMENT: &str = "Opened insulin pens keep at room temperature for 28 days. Call the refill line on (555) 010-7788. \
                        Dr. Elena Whitford answers at 12 Main Street. Ms. Ana Cruz, MRN 4471902, keeps opened insulin pens for 90 days.";

const ASKED: &str = "How long may Ms. Ana Cruz, MRN 4471902, keep opened insulin pens at room temperature?";

fn bench(draft: &str) -> Bench {
    Bench::new().holding(passage("storage.md", DOCUMENT, 0.8, 0.9)).composing(Scripted::saying(draft))
}

fn guarded(mut bench: Bench, policy: &str) -> Bench {
    let detector = Detector::new(None, Patterns::default());
    bench.identifiers = Arc::new(Identifiers::new(detector, Policy::read(policy).unwrap()));
    bench
}

#[tokio::test]
async fn a_person_in_a_question_is_a_placeholder_to_search_model_and_record() {
    let bench = bench("Opened insulin pens keep at room temperature for 28 days.");
    let answer = bench.ask(ASKED).await.unwrap();
    assert_eq!(answer.lane(), Lane::Composed);
    let told: String = bench.model.heard().iter().map(|(text, ..)| text.as_str()).collect();
    assert!(told.contains("[NAME-1], MRN [MRN-1], keep opened"), "{told}");
    let sought = bench.sought();
    assert!(!sought.is_empty() && sought.iter().all(|text| text.contains("keep opened insulin pens")), "{sought:?}");
    let outcome = answer.outcome();
    for text in sought.iter().chain([&told, &answer.text().to_owned(), &format!("{outcome:?}")]) {
        assert!(!text.contains("Cruz") && !text.contains("4471902"), "{text}");
    }
    let counts = &outcome.counts;
    assert_eq!((counts["identifiers_masked"], counts["NAME"], counts["MEDICAL_RECORD_NUMBER"]), (2, 1, 1));
}

#[tokio::test]
async fn a_question_that_names_no_person_goes_on_as_it_is() {
    let bench = bench("x");
    for question in [
        "Is the refill line at 12 Main Street open on July 4, or do I call (555) 010-7788?",
        "Can my daughter's Adderall script go to another store?",
    ] {
        bench.ask(question).await.unwrap();
        assert_eq!(bench.sought().last().unwrap(), question);
    }
}

#[tokio::test]
async fn the_tenant_s_guardrail_decides_kind_by_kind() {
    let block = "version = 1\n[[entities]]\ntype = \"MEDICAL_RECORD_NUMBER\"\naction = \"ANONYMIZE\"\ninput_action = \"BLOCK\"\n";
    let bench = guarded(bench("x"), block);
    let Err(stop) = bench.ask(ASKED).await else { panic!("it should be refused") };
    let Stop::Blocked { check, rule, .. } = &stop else { panic!("{stop:?}") };
    assert_eq!((*check, *rule), ("identifier", "MEDICAL_RECORD_NUMBER"));
    assert!(!format!("{stop:?} {stop}").contains("4471902"));
    assert!(bench.sought().is_empty() && bench.model.heard().is_empty());

    let allow = "version = 1\ndefault = \"NONE\"\n[[entities]]\ntype = \"PHONE\"\naction = \"ANONYMIZE\"\n";
    let bench = guarded(self::bench("x"), allow);
    bench.ask("May Ana Cruz call (555) 010-9911 about opened insulin pens?").await.unwrap();
    assert_eq!(bench.sought()[0], "May Ana Cruz call about opened insulin pens?");
}

#[tokio::test]
async fn a_patient_in_a_document_reaches_neither_model_nor_answer_and_the_site_s_numbers_stay() {
    for (question, said) in [
        ("How long do opened insulin pens keep?", "28 days"),
        ("On which number do I call the refill line?", "(555) 010-7788"),
    ] {
        let bench = bench("Ms. Ana Cruz, MRN 4471902, keeps opened insulin pens for 90 days.");
        let answer = bench.ask(question).await.unwrap();
        assert_eq!(answer.lane(), Lane::Quoted);
        let told: String = bench.model.heard().iter().map(|(text, ..)| text.as_str()).collect();
        for text in [&told, &answer.text().to_owned()] {
            assert!(!text.contains("Cruz") && !text.contains("4471902"), "{text}");
        }
        assert!(answer.text().contains(said), "{}", answer.text());
        assert_eq!(answer.outcome().counts["identifiers_kept_out"], 1);
    }
}

#[tokio::test]
async fn a_guardrail_may_let_a_patient_in_a_document_through() {
    let bench = guarded(
        bench("x"),
        "version = 1\n[[entities]]\ntype = \"MEDICAL_RECORD_NUMBER\"\naction = \"NONE\"\n[[entities]]\ntype = \"NAME\"\naction = \"NONE\"\n",
    );
    let answer = bench.ask(ASKED).await.unwrap();
    assert!(answer.text().contains("MRN 4471902"), "{}", answer.text());
    assert_eq!(answer.outcome().counts["identifiers_kept_out"], 0);
}

#[tokio::test]
async fn curated_answers_and_headings_with_a_patient_are_left_out() {
    let mut under = passage("storage.md", "Opened insulin pens keep at room temperature for 28 days.", 0.8, 0.9);
    under.headings = vec!["The case of patient Ana Cruz, MRN 4471902".to_owned()];
    let bench = Bench::new().holding(under).pair(
        "How do I refill a prescription?",
        "Patient Ana Cruz, MRN 4471902, calls.",
        0.99,
    );
    for question in ["How long do opened insulin pens keep?", "How do I refill a prescription?"] {
        let answer = bench.ask(question).await.unwrap();
        assert_eq!(answer.lane(), Lane::Abstain, "{question}");
        assert_eq!(answer.outcome().counts["identifiers_kept_out"], 2);
    }
}

#[tokio::test]
async fn the_same_question_about_a_person_gets_the_curated_answer() {
    let bench = Bench::new().pair("How do I refill a prescription?", "Call 555-0100 and press 2.", 0.93);
    let answer = bench.ask("How do I refill a prescription for Ms. Ana Cruz?").await.unwrap();
    assert_eq!(answer.lane(), Lane::Verified);
}

#[tokio::test]
async fn the_roster_s_people_are_found_where_nothing_introduces_them() {
    let roster = Roster::read("{\"kind\": \"NAME\", \"text\": \"Rain Winter\"}\n").unwrap();
    let mut bench = bench("x");
    bench.identifiers = Arc::new(Identifiers::new(Detector::new(Some(roster), Patterns::default()), Policy::default()));
    bench.ask("Does Rain Winter keep opened insulin pens?").await.unwrap();
    assert!(bench.sought().iter().all(|text| !text.contains("Winter")), "{:?}", bench.sought());
}
