use proptest::prelude::*;

use super::*;

fn split(text: &str) -> Vec<&str> {
    sentences(text).into_iter().map(|span| span.of(text)).collect()
}

#[test]
fn decimals_and_abbreviations_do_not_end_a_sentence() {
    assert_eq!(
        split("Dr. Roe gives 2.5 mg. Take it p.o. with food, e.g. bread. See No. 5 by 9 a.m. Monday. No. Stop!"),
        ["Dr. Roe gives 2.5 mg.", "Take it p.o. with food, e.g. bread.", "See No. 5 by 9 a.m. Monday.", "No.", "Stop!"]
    );
    assert_eq!(split("Add vitamin C. Take it daily."), ["Add vitamin C.", "Take it daily."]);
    assert_eq!(
        split("Ask J. Smith at refills.example. Then wait."),
        ["Ask J. Smith at refills.example.", "Then wait."]
    );
    assert_eq!(split("Give 5 mg. 2 times a day."), ["Give 5 mg. 2 times a day."]);
    assert_eq!(split("Call us. 24 hours a day we answer."), ["Call us.", "24 hours a day we answer."]);
}

#[test]
fn an_abbreviation_before_a_line_s_end_does_not_end_a_sentence() {
    for text in [
        "Lines are open from 8:00 a.m.\n to 4:30 p.m.",
        "Lines are open from 8:00 a.m. to\n4:30 p.m.",
        "We answer by 8:00 a.m.\n(except holidays).",
        "We answer by 8:00 a.m.\n(ET) on most days.",
        "We answer by 8:00 a.m.\nEastern time.",
        "Call before 8:00 a.m.\nMonday.",
        "Ask Dr.\nRoe about it.",
        "Ask Dr. J.\nRoe about it.",
        "Dry foods, e.g.\nBread, are allowed.",
        "Compare generic vs.\nBrand prices.",
        "See form No.\n5 for it.",
        "Give 10 mg.\nIV once.",
        "Open Monday -\nFriday.",
        "Bring the card and\nAnn's letter.",
    ] {
        assert_eq!(split(text), [text]);
    }
}

#[test]
fn an_abbreviation_goes_on_with_a_mark_a_zone_or_a_number() {
    for text in [
        "We answer in 3 days (Monday through Friday, 8:00 a.m. - 5:00 p.m., except holidays).",
        "Open from 8:00 a.m. – 10:00 p.m. (ET), and Saturday.",
        "Open from 8:00 a.m. 10 hours long.",
        "Open until 8:00 p.m. ET on Friday.",
        "Give 5 mg. IV every 8 hours.",
        "Give 5 mg. (one tablet) at night.",
        "The maximum is 4 tab. 2 times a day, max. 8 in all.",
        "The U.S. Food and Drug Administration says so.",
        "The nurse saw J. R. Smith today.",
        "Smith et al. Report this as well.",
        "It costs approx. $5 a month.",
    ] {
        assert_eq!(split(text), [text]);
    }
}

#[test]
fn a_sentence_may_end_with_an_abbreviation() {
    for (text, sentences) in [
        ("Open until 8:00 p.m. Call us.", &["Open until 8:00 p.m.", "Call us."][..]),
        ("Open until 8:00 p.m. DO NOT park here.", &["Open until 8:00 p.m.", "DO NOT park here."]),
        ("Open until 8:00 p.m.\nParking", &["Open until 8:00 p.m.", "Parking"]),
        ("Open until 8:00 p.m.\n- Ring\n- Wait", &["Open until 8:00 p.m.", "- Ring", "- Wait"]),
        ("Open until 8:00 p.m.\n## Parking", &["Open until 8:00 p.m.", "## Parking"]),
        ("Open until 8:00 p.m.\n2. Ring", &["Open until 8:00 p.m.", "2. Ring"]),
        ("Take it q.i.d. Then rest.", &["Take it q.i.d.", "Then rest."]),
        ("We are in the U.S. The office is not.", &["We are in the U.S.", "The office is not."]),
        ("It prevents hepatitis B. Ask about it.", &["It prevents hepatitis B.", "Ask about it."]),
        ("Give 10 mg.\n5 tablets are left.", &["Give 10 mg.", "5 tablets are left."]),
        ("# Ask Dr.\nRoe knows.", &["# Ask Dr.", "Roe knows."]),
        ("Whom to talk to\nThe nurse knows.", &["Whom to talk to", "The nurse knows."]),
        ("Ask at refills.example. - Then wait.", &["Ask at refills.example.", "- Then wait."]),
    ] {
        assert_eq!(split(text), sentences);
    }
}

#[test]
fn steps_and_rows_stay_whole() {
    assert_eq!(
        split("To refill:\n1. Call 555-0100. Press 2.\n2. Give the number.\n- Wait\n- Go\n| Drug | Days |\n| A | 5 |"),
        [
            "To refill:",
            "1. Call 555-0100.",
            "Press 2.",
            "2. Give the number.",
            "- Wait",
            "- Go",
            "| Drug | Days |",
            "| A | 5 |"
        ]
    );
}

#[test]
fn a_wrapped_line_goes_on_and_a_heading_does_not() {
    let text =
        "Storage\nKeep the pens that are not yet in use in the refrigerator until\nTuesday. Do not\nfreeze.\n\nEnd";
    assert_eq!(
        split(text),
        [
            "Storage",
            "Keep the pens that are not yet in use in the refrigerator until\nTuesday.",
            "Do not\nfreeze.",
            "End"
        ]
    );
}

#[test]
fn quotes_and_brackets_close_with_their_sentence() {
    assert_eq!(split("He said \"stop.\" (It hurt.) Why?"), ["He said \"stop.\"", "(It hurt.)", "Why?"]);
    assert_eq!(split("   "), Vec::<&str>::new());
    assert_eq!(split("Wait... really?! Yes"), ["Wait... really?!", "Yes"]);
}

/// Feeds `pieces` one by one and takes every sentence as soon as it is certain.
fn fed(pieces: &[String]) -> Vec<Span> {
    let (mut text, mut found, mut from) = (String::new(), Vec::new(), 0);
    for piece in pieces {
        text.push_str(piece);
        while let Some(span) = next_sentence(&text, from, false) {
            from = span.end;
            found.push(span);
        }
    }
    while let Some(span) = next_sentence(&text, from, true) {
        from = span.end;
        found.push(span);
    }
    found
}

/// Text made of what makes splitting hard.
fn awkward() -> impl Strategy<Value = Vec<String>> {
    let piece = prop_oneof![
        Just(". ".to_owned()),
        Just(".".to_owned()),
        Just("\n".to_owned()),
        Just("\n\n".to_owned()),
        Just("\n1. ".to_owned()),
        Just("\n- ".to_owned()),
        Just("| a |".to_owned()),
        Just("Dr".to_owned()),
        Just("a.m.".to_owned()),
        Just(" -".to_owned()),
        Just(" to".to_owned()),
        Just("No".to_owned()),
        Just("5".to_owned()),
        Just("e.g".to_owned()),
        Just("5 mg".to_owned()),
        Just("2.5".to_owned()),
        Just(" ".to_owned()),
        Just("?".to_owned()),
        Just(")".to_owned()),
        Just("\"".to_owned()),
        Just("A".to_owned()),
        Just("é".to_owned()),
        "[A-Za-z]{1,9}",
        "[ a-zA-Z0-9.\\n]{0,60}",
        "\\PC{0,6}",
    ];
    prop::collection::vec(piece, 0..40)
}

proptest! {
    #[test]
    fn pieces_yield_the_same_sentences_as_the_whole(pieces in awkward()) {
        prop_assert_eq!(fed(&pieces), sentences(&pieces.concat()));
    }

    #[test]
    fn sentences_are_in_order_and_hold_all_that_is_not_white_space(pieces in awkward()) {
        let text = pieces.concat();
        let mut at = 0;
        for span in sentences(&text) {
            prop_assert!(span.start >= at && span.end > span.start);
            prop_assert!(text[at..span.start].trim().is_empty());
            prop_assert_eq!(span.of(&text).trim(), span.of(&text));
            at = span.end;
        }
        prop_assert!(text[at..].trim().is_empty());
    }
}
