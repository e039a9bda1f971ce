use std::collections::BTreeMap;

use crate::parse::InProcess;
use crate::testing::{Desk, names, procedures, query, source, staff};

#[test]
fn what_another_program_commits_is_seen_by_the_next_search() {
    let desk = Desk::new();
    desk.ingest("a.md", "# A\n\nrefill alpha\n");
    assert_eq!(desk.names(&staff(), "refill"), ["a.md"]);
    let other = desk.another();
    let parser = InProcess::default();
    for round in 0..40 {
        let name = format!("{round}.md");
        let text = source(&name, &format!("# R\n\nrefill round{round}\n"));
        let ingested = other.ingest(&procedures(), &text, &BTreeMap::new(), &parser).unwrap();
        assert_eq!(desk.names(&staff(), &format!("round{round}")), [name.as_str()]);
        let by_meaning = desk.find(&format!("round{round}")).passages;
        assert_eq!(by_meaning[0].name, name);
        if round % 2 == 0 {
            other.delete_document(&procedures(), ingested.document).unwrap();
            assert!(desk.find(&format!("round{round}")).passages.iter().all(|passage| passage.name != name));
        }
    }
    assert_eq!(desk.names(&staff(), "refill").len(), 21);
    desk.assert_sound();
}

#[test]
fn a_collection_deleted_and_made_again_elsewhere_is_not_confused_with_the_old_one() {
    let desk = Desk::new();
    desk.ingest("a.md", "# A\n\nrefill alpha\n");
    assert_eq!(desk.names(&staff(), "refill"), ["a.md"]);
    let other = desk.another();
    other.delete(&procedures()).unwrap();
    other.create(crate::CollectionSpec { id: procedures(), title: "New".into() }).unwrap();
    assert!(desk.library.search(&staff(), &query("refill")).unwrap().passages.is_empty());
}

#[test]
fn searches_and_ingests_at_once_always_see_whole_documents() {
    let desk = Desk::new();
    desk.ingest("steady.md", "# S\n\nrefill steady\n");
    let other = desk.another();
    std::thread::scope(|threads| {
        let writer = threads.spawn(|| {
            for round in 0..30 {
                let text = format!("# R\n\nrefill first{round}\n\n## Second\n\nrefill second{round}\n");
                other
                    .ingest(&procedures(), &source("moving.md", &text), &BTreeMap::new(), &InProcess::default())
                    .unwrap();
            }
        });
        while !writer.is_finished() {
            let found = desk.library.search(&staff(), &query("refill")).unwrap().passages;
            let moving: Vec<&str> = found
                .iter()
                .filter(|passage| passage.name == "moving.md")
                .map(|passage| passage.text.as_str())
                .collect();
            assert!(moving.is_empty() || moving.len() == 2, "{moving:?}");
            if let [one, two] = moving.as_slice() {
                let round = |text: &str| text.trim_start_matches(|c: char| !c.is_ascii_digit()).to_owned();
                assert_eq!(round(one), round(two), "of one version");
            }
            assert!(names(&desk.library, &staff(), "steady").contains(&"steady.md".to_owned()));
        }
    });
    desk.assert_sound();
}
