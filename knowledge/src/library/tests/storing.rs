use std::sync::atomic::Ordering;

use crate::testing::{Desk, HashedWords, procedures, query, source, staff};
use crate::{CollectionError, CollectionSpec, IngestError, Mode, Outcome, Query, StoreError};

const REFILLS: &str = "# Refills\n\nA refill may be dispensed seven days before the supply ends.\n\n\
                       ## Controlled substances\n\nTwo days, never more.\n";

#[test]
fn what_was_ingested_is_found_with_its_heading_and_its_place() {
    let desk = Desk::new();
    let ingested = desk.ingest("refills.md", REFILLS);
    assert_eq!((ingested.outcome, ingested.version.as_str()), (Outcome::Added, "1"));
    let found = desk.find("controlled substances days");
    let passage = &found.passages[0];
    assert_eq!(passage.headings, ["Refills", "Controlled substances"]);
    assert_eq!(passage.text, "Two days, never more.");
    let text = desk.library.document_text(&staff(), passage.document, None).unwrap().unwrap().text;
    let place: String = text.chars().skip(passage.start).take(passage.end - passage.start).collect();
    assert_eq!(place, passage.text);
    assert!(found.strength.evidence > 0.0 && found.strength.searched == 2, "{:?}", found.strength);
    desk.assert_sound();
}

#[test]
fn the_same_file_again_changes_nothing_and_embeds_nothing() {
    let desk = Desk::new();
    let first = desk.ingest("refills.md", REFILLS);
    let embedded = desk.embed.embedded.load(Ordering::Relaxed);
    let second = desk.ingest("refills.md", REFILLS);
    assert_eq!((second.outcome, second.document), (Outcome::Unchanged, first.document));
    assert_eq!(desk.embed.embedded.load(Ordering::Relaxed), embedded);
    // Under another label it is another version.
    let third = desk.try_ingest("refills.md", REFILLS, &[("access", "managers")]).unwrap();
    assert_eq!((third.outcome, third.document), (Outcome::Replaced, first.document));
    assert_eq!(desk.embed.embedded.load(Ordering::Relaxed), embedded, "its texts were embedded before");
    assert!(desk.find("refill").passages.is_empty());
}

#[test]
fn documents_go_another_way_to_the_model_than_questions() {
    let mut desk = Desk::new();
    let documents = HashedWords::new("aa11");
    desk.library = desk.library.taking_in_with(documents.clone());
    desk.ingest("refills.md", REFILLS);
    let counts = || [&documents, &desk.embed].map(|embed| embed.embedded.load(Ordering::Relaxed));
    let [ingested, asked] = counts();
    assert!(ingested > 0 && asked == 0);
    assert!(!desk.find("controlled substances").passages.is_empty());
    assert_eq!(counts(), [ingested, 1]);
}

#[test]
fn a_replaced_file_is_gone_from_results_and_its_text_can_still_be_read() {
    let desk = Desk::new();
    let first = desk.ingest("refills.md", REFILLS);
    let second = desk.ingest("refills.md", "# Refills\n\nThree days.\n");
    assert_eq!((second.outcome, second.version.as_str()), (Outcome::Replaced, "2"));
    assert!(desk.names(&staff(), "dispensed").is_empty());
    assert_eq!(desk.names(&staff(), "three"), ["refills.md"]);
    let old = desk.library.document_text(&staff(), first.document, Some("1")).unwrap().unwrap();
    assert!(old.text.contains("seven days"));
    desk.assert_sound();
}

#[test]
fn a_deleted_document_is_gone_at_once_from_every_index() {
    let desk = Desk::new();
    let ingested = desk.ingest("refills.md", REFILLS);
    assert!(!desk.find("refill").passages.is_empty());
    assert!(desk.library.delete_document(&procedures(), ingested.document).unwrap());
    assert!(desk.find("refill").passages.is_empty());
    assert!(desk.library.document_text(&staff(), ingested.document, Some("1")).unwrap().is_none());
    assert!(!desk.library.delete_document(&procedures(), ingested.document).unwrap());
    let left: i64 = desk
        .connection()
        .query_row(
            "SELECT (SELECT count(*) FROM chunks) + (SELECT count(*) FROM vectors) + (SELECT count(*) FROM documents)",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(left, 0);
    desk.assert_sound();
}

#[test]
fn a_transaction_that_fails_half_way_leaves_everything_as_it_was() {
    let desk = Desk::new();
    desk.ingest("refills.md", REFILLS);
    let before = desk.library.show(&procedures()).unwrap();
    for table in ["versions", "chunks", "vectors"] {
        let connection = desk.connection();
        let trigger = format!("CREATE TRIGGER stop AFTER INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'stop'); END");
        connection.execute_batch(&trigger).unwrap();
        let failed = desk.try_ingest("refills.md", "# Refills\n\nThree days.\n", &[]).unwrap_err();
        assert!(matches!(failed, IngestError::Store(StoreError::Database { .. })), "{failed}");
        connection.execute_batch("DROP TRIGGER stop").unwrap();
        assert_eq!(desk.library.show(&procedures()).unwrap(), before);
        assert_eq!(desk.names(&staff(), "dispensed"), ["refills.md"]);
        assert!(desk.names(&staff(), "three").is_empty());
        desk.assert_sound();
    }
}

#[test]
fn a_name_is_only_a_name_whatever_stands_in_it() {
    let desk = Desk::new();
    let names = [
        "'; DROP TABLE chunks; --.md",
        "../../etc/passwd.md",
        "a/b c/\u{202e}gpj.md",
        "\"quoted\".md",
        "%s%n.md",
        "\u{1f48a}.md",
        "-rf.md",
    ];
    for name in names {
        desk.ingest(name, &format!("# Refills\n\nUnique word {name}\n"));
    }
    let listed = desk.library.documents(&procedures()).unwrap();
    assert_eq!(listed.len(), names.len());
    for name in ["", "a\u{0}b.md", "a\nb.md", &"x".repeat(2000)] {
        let refused = desk.try_ingest(name, REFILLS, &[]).unwrap_err();
        assert!(matches!(refused, IngestError::Name), "{name}: {refused}");
    }
    desk.assert_sound();
}

#[test]
fn metadata_that_cannot_be_read_is_refused_and_not_guessed() {
    let desk = Desk::new();
    for (key, value) in [("effective", "next week"), ("expires", "01/02/2026"), ("access", "Every One")] {
        let refused = desk.try_ingest("refills.md", REFILLS, &[(key, value)]).unwrap_err();
        assert!(matches!(refused, IngestError::Metadata(_)), "{refused}");
        assert!(!refused.to_string().contains(value), "{refused}");
    }
    assert!(desk.library.documents(&procedures()).unwrap().is_empty());
}

#[test]
fn a_collection_is_made_once_and_deleted_whole() {
    let desk = Desk::new();
    desk.ingest("refills.md", REFILLS);
    let again = desk.library.create(CollectionSpec { id: procedures(), title: "Again".into() });
    assert!(matches!(again, Err(CollectionError::Exists(_))));
    desk.library.delete(&procedures()).unwrap();
    assert!(matches!(desk.library.show(&procedures()), Err(CollectionError::Unknown(_))));
    assert!(desk.library.search(&staff(), &query("refill")).is_err());
    desk.library.create(CollectionSpec { id: procedures(), title: "Anew".into() }).unwrap();
    assert!(desk.find("refill").passages.is_empty());
    desk.assert_sound();
}

#[test]
fn a_question_longer_than_the_model_sees_is_still_searched() {
    let desk = Desk::new();
    desk.ingest("refills.md", REFILLS);
    let long = "refill supply ".repeat(5000);
    for text in [long.as_str(), "", "???", "\u{0}", "NEAR( \"", &"x".repeat(100_000)] {
        for mode in [Mode::Hybrid, Mode::Words, Mode::Meaning] {
            desk.library.search(&staff(), &Query { text: text.into(), top: 5, mode }).unwrap();
        }
    }
}

#[test]
fn an_unknown_collection_is_named_with_the_command_that_makes_it() {
    let desk = Desk::new();
    let source = source("refills.md", REFILLS);
    let none = "nowhere".parse().unwrap();
    let parser = crate::parse::InProcess::default();
    let refused = desk.library.ingest(&none, &source, &std::collections::BTreeMap::new(), &parser).unwrap_err();
    assert!(refused.to_string().contains("cloister kb create nowhere"), "{refused}");
}
