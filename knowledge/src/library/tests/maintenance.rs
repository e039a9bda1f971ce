use std::sync::atomic::Ordering;

use crate::testing::{Desk, procedures, query, staff};
use crate::{IngestError, MaintainError, Mode, Query, SearchError};

fn filled() -> Desk {
    let desk = Desk::new();
    for (name, word) in [("a.md", "alpha"), ("b.md", "beta"), ("c.md", "gamma")] {
        desk.ingest(name, &format!("# Title {word}\n\nrefill {word}\n\n## More\n\n- one {word}\n- two\n"));
    }
    desk.ingest(
        "p.jsonl",
        "{\"id\":\"p\",\"question\":\"Delta?\",\"also\":[\"Or delta?\"],\"answer\":\"refill delta\"}\n",
    );
    desk
}

#[test]
fn every_kind_of_damage_is_reported() {
    for (damage, word) in [
        ("UPDATE chunks SET body = 'something else' WHERE key = (SELECT min(key) FROM chunks)", "passages do not fit"),
        (
            "UPDATE chunks SET start_char = start_char + 1 WHERE key = (SELECT max(key) FROM chunks)",
            "passages do not fit",
        ),
        ("UPDATE versions SET text = text || ' ' WHERE name = 'a.md'", "does not fit its hash"),
        ("DELETE FROM vectors WHERE chunk = (SELECT min(chunk) FROM vectors)", "have no vector"),
        (
            "UPDATE vectors SET vector = zeroblob(256) WHERE chunk = (SELECT min(chunk) FROM vectors)",
            "wrong size or length",
        ),
        (
            "UPDATE vectors SET vector = zeroblob(2) WHERE chunk = (SELECT min(chunk) FROM vectors)",
            "wrong size or length",
        ),
        ("INSERT INTO words_1 (words_1) VALUES ('delete-all')", "words index"),
        ("UPDATE chunks SET headings = 'other' WHERE key = (SELECT min(key) FROM chunks)", "words index"),
        ("UPDATE versions SET state = 'retired' WHERE name = 'a.md'", "a version in use has no passages"),
    ] {
        let desk = filled();
        desk.assert_sound();
        desk.connection().execute_batch(damage).unwrap();
        let verification = desk.another().verify(&procedures()).unwrap();
        assert!(verification.problems.iter().any(|problem| problem.what.contains(word)), "{damage}: {verification:?}");
    }
}

#[test]
fn rebuilding_mends_words_passages_and_vectors() {
    for damage in [
        "INSERT INTO words_1 (words_1) VALUES ('delete-all')",
        "DELETE FROM vectors WHERE chunk < 4",
        "UPDATE chunks SET body = 'something else' WHERE key < 3",
    ] {
        let desk = filled();
        let before = desk.find("refill").passages.len();
        desk.connection().execute_batch(damage).unwrap();
        let mut last = (0, 0);
        desk.library.rebuild(&procedures(), &mut |done, all| last = (done, all)).unwrap();
        assert_eq!(last, (4, 4));
        desk.assert_sound();
        assert_eq!(desk.find("refill").passages.len(), before);
        assert_eq!(desk.library.match_pairs(&staff(), "or delta").unwrap()[0].matched, "Or delta?");
    }
}

#[test]
fn a_deleted_document_stays_gone_after_a_rebuild() {
    let desk = filled();
    desk.library.delete_file(&procedures(), "a.md").unwrap();
    desk.library.rebuild(&procedures(), &mut |_, _| {}).unwrap();
    assert!(desk.names(&staff(), "alpha").is_empty());
    desk.assert_sound();
}

#[test]
fn an_index_of_another_model_is_refused_with_the_command_that_mends_it() {
    let desk = filled();
    let other = desk.with_model("bb22");
    let refused = other.search(&staff(), &query("refill"));
    let Err(SearchError::ModelMismatch { index, engine, mend, .. }) = refused else { panic!("not refused") };
    assert_eq!((index.as_str(), engine.as_str()), ("hashed-words (aa11)", "hashed-words (bb22)"));
    assert_eq!(mend, "cloister kb rebuild procedures --embed");
    assert!(matches!(other.match_pairs(&staff(), "delta"), Err(SearchError::ModelMismatch { .. })));
    let rebuilt = other.rebuild(&procedures(), &mut |_, _| {});
    assert!(matches!(rebuilt, Err(MaintainError::Ingest(IngestError::ModelMismatch { .. }))));
    // By words alone there is nothing to mismatch.
    let by_words = Query { text: "refill".into(), top: 10, mode: Mode::Words };
    assert_eq!(other.search(&staff(), &by_words).unwrap().passages.len(), 4);
}

#[test]
fn new_vectors_take_over_at_once_and_the_old_ones_can_be_gone_back_to() {
    let desk = filled();
    let other = desk.with_model("bb22");
    other.reembed(&procedures(), &mut |_, _| {}).unwrap();
    assert_eq!(other.search(&staff(), &query("refill alpha")).unwrap().passages[0].name, "a.md");
    assert_eq!(other.match_pairs(&staff(), "or delta").unwrap()[0].matched, "Or delta?");
    let shown = other.show(&procedures()).unwrap();
    assert_eq!(shown.model.sha256, "bb22");
    assert_eq!(shown.previous.unwrap().sha256, "aa11");
    assert_eq!(other.verify(&procedures()).unwrap().problems, []);
    assert!(matches!(desk.library.search(&staff(), &query("refill")), Err(SearchError::ModelMismatch { .. })));
    // Something comes in under the new model; going back embeds only that.
    let parser = crate::parse::InProcess::default();
    let late = crate::testing::source("late.md", "# L\n\nrefill late\n");
    other.ingest(&procedures(), &late, &std::collections::BTreeMap::new(), &parser).unwrap();
    let embedded = desk.embed.embedded.load(Ordering::Relaxed);
    desk.library.reembed(&procedures(), &mut |_, _| {}).unwrap();
    assert_eq!(desk.embed.embedded.load(Ordering::Relaxed), embedded + 1);
    assert_eq!(desk.find("refill late").passages[0].name, "late.md");
    assert!(desk.library.forget_previous(&procedures()).unwrap());
    assert!(desk.library.show(&procedures()).unwrap().previous.is_none());
    desk.assert_sound();
}
