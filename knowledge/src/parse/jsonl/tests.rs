use super::*;

fn parsed(source: &str) -> Result<Parsed, ParseError> {
    pairs(source.as_bytes(), &Limits::default())
}

#[test]
fn a_pair_knows_where_its_question_and_answer_stand() {
    let source = r#"{"id":"q1","question":"How early may I refill?","answer":"Seven days.\n\n  Call us.\r\n","also":["refill early?"],"topic":"Refills","effective":"2026-01-01","url":"x"}"#;
    let parsed = parsed(source).unwrap();
    let pair = &parsed.pairs[0];
    assert_eq!(&parsed.text[pair.answer_start..pair.answer_end], "Seven days.\n\n  Call us.");
    assert_eq!(&parsed.text[pair.question_start..pair.question_end], pair.question);
    assert_eq!((pair.topic.as_deref(), pair.effective), (Some("Refills"), Some(jiff::civil::date(2026, 1, 1))));
    assert_eq!((&*pair.also, &*pair.metadata["url"]), (&["refill early?".to_owned()][..], "x"));
    assert_eq!(parsed.blocks[1].headings, ["How early may I refill?"]);
    assert!(parsed.is_sound());
}

#[test]
fn every_line_that_cannot_be_used_is_reported_by_its_number() {
    let source = "{\"question\":\"a\",\"answer\":\"b\"}\n\n{\"question\":\"a\"}\nrubbish\n{\"question\":\"a\",\"answer\":\"b\",\"effective\":\"soon\"}\n";
    let Err(ParseError::Lines { total, faults }) = parsed(source) else { panic!("accepted") };
    assert_eq!(total, 3);
    assert_eq!(faults.iter().map(|fault| fault.line).collect::<Vec<_>>(), [3, 4, 5]);
}

#[test]
fn an_error_shows_nothing_of_the_line() {
    let error = parsed("{\"question\": \"Jane Roe\", \"answer\": 5x}\n").unwrap_err().to_string();
    assert!(!error.contains("Jane"), "{error}");
}

#[test]
fn two_pairs_with_one_id_are_refused() {
    let line = "{\"id\":\"1\",\"question\":\"a\",\"answer\":\"b\"}\n";
    assert!(matches!(parsed(&line.repeat(2)), Err(ParseError::Lines { total: 1, .. })));
}

#[test]
fn documents_become_sections() {
    let parsed = documents(br#"{"id":"1","title":"Refills","text":"One.\n\nTwo."}"#, &Limits::default()).unwrap();
    assert_eq!(parsed.text, "Refills\n\nOne.\n\nTwo.");
    assert_eq!(parsed.blocks[2].headings, ["Refills"]);
}
