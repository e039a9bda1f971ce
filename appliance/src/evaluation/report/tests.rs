use std::fs;

use super::*;
use crate::evaluation::{gate::Gate, result::tests::run};

fn gate(text: &str) -> Gate {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gate.toml");
    fs::write(&path, text).unwrap();
    Gate::read(&path).unwrap()
}

const HARD: &str = "about = 'What a <model> must hold.'\n[metrics.\"answers/string_presence\"]\nleast = 0.95\n\
    [metrics.\"answers/false_abstention\"]\nmost = 0.2\n[metrics.\"answers/faithfulness\"]\nleast = 0.9\n";

#[test]
fn the_page_stands_alone_and_escapes_what_it_shows() {
    let mut run = run(45);
    run.suite.name = "A <b>bold</b> name".to_owned();
    let page = page(&run, None);
    for outside in ["<script", "http:", "https:", "src=", "@import", "url(", "<link", "javascript"] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(page.contains("A &lt;b&gt;bold&lt;/b&gt; name") && !page.contains("<b>bold"));
    assert!(page.contains("Question &lt;45&gt;?") && !page.contains("Question <45>"));
    for tag in ["svg", "section", "details", "dl", "ul", "table", "article", "div"] {
        let (open, close) = (page.matches(&format!("<{tag}")).count(), page.matches(&format!("</{tag}>")).count());
        assert_eq!(open, close, "{tag}");
    }
}

#[test]
fn the_page_tells_what_holds_and_what_does_not() {
    let run = run(45);
    assert!(page(&run, None).contains("held against nothing"));
    let hard = gate(HARD);
    let ruling = hard.judge(&run);
    let told = page(&run, Some((&hard, &ruling)));
    assert!(told.contains("2 of 3 demands of the gate do not hold"), "{told}");
    assert!(told.contains("What a &lt;model&gt; must hold."));
    assert!(told.contains("\u{2717} at least 95.0%") && told.contains("\u{2713} at most 20.0%"));
    let easy = gate("[metrics.\"answers/string_presence\"]\nleast = 0.5\n");
    let ruling = easy.judge(&run);
    assert!(page(&run, Some((&easy, &ruling))).contains("The one demand of the gate holds"));
}

#[test]
fn the_worst_cases_come_first_and_no_more_than_a_page_holds() {
    let mut run = run(0);
    run.records.iter_mut().filter(|record| record.id == "q07").for_each(|record| record.loss = 1.0);
    let page = page(&run, None);
    let first = page.find("<article").unwrap();
    assert!(page[first..].find("<code>q07</code>").unwrap() < page[first..].find("<code>q00</code>").unwrap());
    assert_eq!(page.matches("<article").count(), 40);
    assert!(page.contains("10 more are in RESULT.json"));
}

#[test]
fn what_does_not_hold_fails_in_junit_what_is_missing_too() {
    let run = run(45);
    let hard = gate(HARD);
    let ruling = hard.judge(&run);
    let told = junit(&run, Some((&hard, &ruling)));
    assert!(told.contains("tests=\"4\" failures=\"2\""), "{told}");
    assert!(told.contains("<testcase classname=\"gate\" name=\"answers/faithfulness\"><failure"));
    assert_eq!(told.matches("<failure").count(), 2);
    let free = junit(&run, None);
    assert!(free.contains("tests=\"3\" failures=\"0\"") && !free.contains("<failure"));
}
