use crate::testing::{Desk, on, query, staff};
use crate::{Mode, Query};

const PAIRS: &str = concat!(
    r#"{"id":"early","question":"How early can I refill?","also":["When may a refill be picked up?"],"answer":"Seven days before the supply ends.","topic":"refills"}"#,
    "\n",
    r#"{"id":"copay","question":"What is the copay?","answer":"Ten dollars for a month of generics.","effective":"2026-06-01"}"#,
    "\n",
    r#"{"id":"secret","question":"What is the safe code?","answer":"Ask the manager of the vault.","access":"managers"}"#,
    "\n",
);

#[test]
fn a_pair_is_found_once_through_its_question_or_its_answer() {
    let desk = Desk::new();
    desk.ingest("pairs.jsonl", PAIRS);
    for text in ["How early can I refill?", "seven days before supply ends", "refill picked up seven days"] {
        let found = desk.find(text).passages;
        let ids: Vec<&str> = found.iter().filter_map(|passage| Some(passage.pair.as_ref()?.id.as_str())).collect();
        assert_eq!(ids, ["early"], "{text}");
        assert_eq!(found[0].text, "Seven days before the supply ends.");
    }
}

#[test]
fn the_likest_question_is_matched_in_whichever_wording() {
    let desk = Desk::new();
    desk.ingest("pairs.jsonl", PAIRS);
    let matches = desk.library.match_pairs(&staff(), "when may a refill be picked up").unwrap();
    assert_eq!(matches.len(), 1);
    assert_eq!(matches[0].matched, "When may a refill be picked up?");
    assert_eq!(matches[0].question, "How early can I refill?");
    assert_eq!(matches[0].answer, "Seven days before the supply ends.");
    assert!(matches[0].similarity > 0.99);
    let text = desk.library.document_text(&on("2026-03-01", &["staff", "managers"]), matches[0].passage.document, None);
    let text = text.unwrap().unwrap().text;
    let passage = &matches[0].passage;
    assert_eq!(text.chars().skip(passage.start).take(passage.end - passage.start).collect::<String>(), passage.text);
}

#[test]
fn a_pair_keeps_its_own_date_and_label() {
    let desk = Desk::new();
    let document = desk.ingest("pairs.jsonl", PAIRS).document;
    let ids = |scope: &crate::Scope| {
        let mut ids: Vec<String> =
            desk.library.match_pairs(scope, "what").unwrap().into_iter().map(|pair| pair.id).collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(&staff()), ["early"]);
    assert_eq!(ids(&on("2026-06-01", &["staff"])), ["copay", "early"]);
    assert_eq!(ids(&on("2026-06-01", &["staff", "managers"])), ["copay", "early", "secret"]);
    assert!(desk.find("vault manager code").passages.iter().all(|passage| !passage.text.contains("vault")));
    // The file's whole text holds the labelled answer too.
    assert!(desk.library.document_text(&staff(), document, None).unwrap().is_none());
}

#[test]
fn a_long_answer_is_matched_whole_and_found_by_its_middle() {
    let desk = Desk::new();
    let filler = "The pharmacist reviews the order and records the decision in the system. ".repeat(60);
    let answer = format!("First call the prescriber. {filler}Then the zebra protocol applies. {filler}");
    let line = serde_json::json!({"id": "long", "question": "What about long orders?", "answer": answer});
    desk.ingest("pairs.jsonl", &format!("{line}\n"));
    let found = desk.library.search(&staff(), &Query { text: "zebra protocol".into(), top: 5, mode: Mode::Hybrid });
    let found = found.unwrap().passages;
    assert_eq!(found.len(), 1);
    assert!(found[0].text.contains("zebra") && found[0].text.len() < answer.len() / 2);
    let matched = desk.library.match_pairs(&staff(), "what about long orders").unwrap();
    assert_eq!(matched[0].answer, answer.trim());
    desk.assert_sound();
}

#[test]
fn a_filter_holds_for_the_document_or_for_the_pair() {
    let desk = Desk::new();
    let pair = r#"{"id":"a","question":"Refill question?","answer":"refill by pair","region":"north"}"#;
    desk.ingest("pairs.jsonl", &format!("{pair}\n{}\n", r#"{"id":"b","question":"Refill?","answer":"refill plain"}"#));
    desk.try_ingest("north.md", "# N\n\nrefill by document\n", &[("region", "north")]).unwrap();
    let found = desk.library.search(&staff().filter("region", "north"), &query("refill")).unwrap().passages;
    let mut texts: Vec<&str> = found.iter().map(|passage| passage.text.as_str()).collect();
    texts.sort_unstable();
    assert_eq!(texts, ["refill by document", "refill by pair"]);
}

#[test]
fn an_answer_that_differs_from_its_document_is_not_given() {
    let desk = Desk::new();
    desk.ingest("pairs.jsonl", PAIRS);
    desk.assert_sound();
    let changed = "UPDATE pairs SET answer = 'Nine days before the supply ends.' WHERE id = 'early'";
    desk.connection().execute(changed, []).unwrap();
    assert!(desk.library.match_pairs(&staff(), "How early can I refill?").is_err());
    let verified = desk.library.verify(&crate::testing::procedures()).unwrap();
    assert!(verified.problems.iter().any(|problem| problem.what.contains("1 curated answers")), "{verified:?}");
}
