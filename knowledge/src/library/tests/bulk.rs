use std::fs;

use crate::parse::{InProcess, Parse, ParseError, Parsed, Source};
use crate::testing::{Desk, on, procedures, staff};
use crate::{Content, IngestError, Mode, Outcome, Progress, Query, Report, Submission, SyncError};

fn sync(desk: &Desk, folder: &std::path::Path) -> Report {
    desk.library.sync(&procedures(), folder, &InProcess::default(), &mut |_| {}).unwrap()
}

#[test]
fn a_bad_file_fails_alone_and_is_reported_with_its_reason() {
    let desk = Desk::new();
    let submissions = (0..50)
        .map(|number| {
            let bytes =
                if number == 7 { b"{ not json".to_vec() } else { format!("# T\n\nrefill number{number}\n").into() };
            let name = if number == 7 { "7.jsonl".to_owned() } else { format!("{number}.md") };
            Submission { name, content: Content::Bytes(bytes), overrides: Default::default() }
        })
        .collect();
    let mut seen = Vec::new();
    let mut texts = 0;
    let report = desk
        .library
        .ingest_many(&procedures(), submissions, &InProcess::default(), &mut |progress| match progress {
            Progress::File { done, total, report } => seen.push((done, total, report.name.clone())),
            Progress::Embedded { texts: more } => texts += more,
        })
        .unwrap();
    assert_eq!(report.count(Outcome::Added), 49);
    assert_eq!(report.failed().map(|(name, _)| name).collect::<Vec<_>>(), ["7.jsonl"]);
    assert_eq!(seen.len(), 50);
    assert_eq!(seen.last().map(|(done, total, _)| (*done, *total)), Some((50, 50)));
    assert_eq!(texts, 49);
    assert_eq!(desk.names(&staff(), "number13"), ["13.md"]);
    desk.assert_sound();
}

#[test]
fn every_passage_has_its_own_vector_however_many_calls_of_the_model_it_took() {
    let desk = Desk::new();
    let words = |n: usize| format!("alpha{n} beta{n} gamma{n} delta{n} epsilon{n}");
    let submission = |n: usize| Submission {
        name: format!("{n}.md"),
        content: Content::Bytes(words(n).into_bytes()),
        overrides: Default::default(),
    };
    let submissions = (0..700).map(submission).collect();
    let report = desk.library.ingest_many(&procedures(), submissions, &InProcess::default(), &mut |_| {}).unwrap();
    assert_eq!(report.count(Outcome::Added), 700);
    for n in (0..700).step_by(37) {
        let query = Query { text: words(n), top: 1, mode: Mode::Meaning };
        let found = desk.library.search(&staff(), &query).unwrap();
        assert_eq!(found.passages[0].name, format!("{n}.md"));
    }
    desk.assert_sound();
}

#[test]
fn a_collection_becomes_equal_to_the_folder_deletions_included() {
    let desk = Desk::new();
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir_all(root.join("procedures")).unwrap();
    fs::write(root.join("procedures/a.md"), "# A\n\nrefill alpha\n").unwrap();
    fs::write(root.join("b.md"), "# B\n\nrefill beta\n").unwrap();
    let report = sync(&desk, root);
    assert_eq!(report.count(Outcome::Added), 2);
    fs::write(root.join("b.md"), "# B\n\nrefill changed\n").unwrap();
    fs::remove_file(root.join("procedures/a.md")).unwrap();
    fs::write(root.join("c.md"), "# C\n\nrefill gamma\n").unwrap();
    let report = sync(&desk, root);
    assert_eq!((report.count(Outcome::Added), report.count(Outcome::Replaced)), (1, 1));
    assert_eq!(report.removed.iter().map(|gone| gone.name.as_str()).collect::<Vec<_>>(), ["procedures/a.md"]);
    let mut names = desk.names(&staff(), "refill");
    names.sort();
    assert_eq!(names, ["b.md", "c.md"]);
    assert!(desk.names(&staff(), "beta").is_empty());
    assert_eq!(sync(&desk, root).count(Outcome::Unchanged), 2);
    desk.assert_sound();
}

#[test]
fn what_is_hidden_temporary_or_outside_the_folder_is_passed_over() {
    let desk = Desk::new();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret.md"), "# S\n\nrefill secret\n").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir_all(root.join("deep/.git")).unwrap();
    for name in [".hidden.md", "~$draft.docx", "a.md~", "b.tmp", "c.part", "deep/.git/config.md", "Thumbs.db"] {
        fs::write(root.join(name), "# H\n\nrefill hidden\n").unwrap();
    }
    fs::write(root.join("deep/real.md"), "# R\n\nrefill real\n").unwrap();
    std::os::unix::fs::symlink(outside.path(), root.join("way-out")).unwrap();
    std::os::unix::fs::symlink(outside.path().join("secret.md"), root.join("link.md")).unwrap();
    std::os::unix::fs::symlink(root, root.join("deep/round")).unwrap();
    std::os::unix::fs::symlink(root.join("nothing"), root.join("dangling.md")).unwrap();
    let report = sync(&desk, root);
    assert_eq!(desk.names(&staff(), "refill"), ["deep/real.md"]);
    assert!(report.skipped.iter().any(|(name, why)| name == "way-out" && why.contains("out of the folder")));
    assert!(report.skipped.iter().any(|(name, why)| name == "link.md" && why.contains("out of the folder")));
}

#[test]
fn metadata_toml_says_what_the_files_do_not() {
    let desk = Desk::new();
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::write(root.join("a.md"), "# A\n\nrefill alpha\n").unwrap();
    fs::write(root.join("b.md"), "# B\n\nrefill beta\n").unwrap();
    let metadata = "[defaults]\naccess = \"managers\"\n[files.\"a.md\"]\naccess = \"staff\"\ntitle = \"Alpha\"\n\
                    effective = 2026-02-01\nversion = 3\n[files.\"gone.md\"]\ntitle = \"Gone\"\n";
    fs::write(root.join("metadata.toml"), metadata).unwrap();
    let report = sync(&desk, root);
    assert!(report.skipped.iter().any(|(name, _)| name == "gone.md"));
    let found = desk.find("refill").passages;
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].title.as_str(), found[0].version.as_str()), ("Alpha", "3"));
    assert_eq!(found[0].effective, Some("2026-02-01".parse().unwrap()));
    assert!(desk.names(&on("2026-01-31", &["staff"]), "refill").is_empty());
    assert_eq!(desk.names(&on("2026-03-01", &["managers"]), "refill"), ["b.md"]);
    fs::write(root.join("metadata.toml"), "[file.\"a.md\"]\n").unwrap();
    let refused = desk.library.sync(&procedures(), root, &InProcess::default(), &mut |_| {});
    assert!(matches!(refused, Err(SyncError::Metadata { .. })));
}

#[test]
fn a_folder_that_is_gone_or_empty_deletes_nothing() {
    let desk = Desk::new();
    desk.ingest("a.md", "# A\n\nrefill alpha\n");
    let folder = tempfile::tempdir().unwrap();
    let parser = InProcess::default();
    let empty = desk.library.sync(&procedures(), folder.path(), &parser, &mut |_| {});
    assert!(matches!(empty, Err(SyncError::NoFiles)));
    let gone = desk.library.sync(&procedures(), &folder.path().join("gone"), &parser, &mut |_| {});
    assert!(matches!(gone, Err(SyncError::Folder(_))));
    assert_eq!(desk.names(&staff(), "refill"), ["a.md"]);
}

/// A parser that cannot start its child for one file, as on a machine that is short of memory.
struct WithoutWorkerFor(&'static str);

impl Parse for WithoutWorkerFor {
    fn parse(&self, source: &Source) -> Result<Parsed, ParseError> {
        if source.name == self.0 {
            return Err(ParseError::Worker { why: "it cannot be started".into() });
        }
        InProcess::default().parse(source)
    }

    fn input_bytes(&self) -> u64 {
        u64::MAX
    }
}

#[test]
fn a_renamed_file_that_cannot_be_read_keeps_its_document_under_the_old_name() {
    let desk = Desk::new();
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::write(root.join("old.md"), "# A\n\nrefill alpha\n").unwrap();
    fs::write(root.join("b.md"), "# B\n\nrefill beta\n").unwrap();
    sync(&desk, root);
    fs::rename(root.join("old.md"), root.join("new.md")).unwrap();
    let report = desk.library.sync(&procedures(), root, &WithoutWorkerFor("new.md"), &mut |_| {}).unwrap();
    assert_eq!(report.failed().count(), 1);
    assert!(report.removed.is_empty());
    assert!(report.skipped.iter().any(|(name, why)| name == "old.md" && why.contains("kept")), "{:?}", report.skipped);
    assert_eq!(desk.names(&staff(), "alpha"), ["old.md"]);
    let report = sync(&desk, root);
    assert_eq!(report.removed.len(), 1);
    assert_eq!(desk.names(&staff(), "alpha"), ["new.md"]);
    desk.assert_sound();
}

#[test]
fn a_metadata_file_that_cannot_be_read_is_not_no_metadata() {
    let desk = Desk::new();
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    fs::write(elsewhere.path().join("m.toml"), "[defaults]\naccess = \"managers\"\n").unwrap();
    fs::write(folder.path().join("a.md"), "# A\n\nrefill alpha\n").unwrap();
    std::os::unix::fs::symlink(elsewhere.path().join("m.toml"), folder.path().join("metadata.toml")).unwrap();
    let refused = desk.library.sync(&procedures(), folder.path(), &InProcess::default(), &mut |_| {});
    assert!(matches!(refused, Err(SyncError::Metadata { .. })));
    assert!(matches!(crate::folder(folder.path()), Err(SyncError::Metadata { .. })));
    assert!(desk.names(&staff(), "refill").is_empty());
}

#[test]
fn two_files_of_one_name_are_refused_before_one_replaces_the_other() {
    let desk = Desk::new();
    let file = |text: &str| Submission {
        name: "refills.md".into(),
        content: Content::Bytes(text.into()),
        overrides: Default::default(),
    };
    let both = vec![file("# N\n\nrefill north\n"), file("# S\n\nrefill south\n")];
    let refused = desk.library.ingest_many(&procedures(), both, &InProcess::default(), &mut |_| {});
    assert!(matches!(refused, Err(IngestError::SameName(name)) if name == "refills.md"));
    assert!(desk.names(&staff(), "refill").is_empty());
}

#[test]
fn a_huge_file_is_refused_without_being_read() {
    let desk = Desk::new();
    let folder = tempfile::tempdir().unwrap();
    let film = fs::File::create(folder.path().join("film.md")).unwrap();
    film.set_len(1 << 42).unwrap();
    fs::write(folder.path().join("a.md"), "# A\n\nrefill alpha\n").unwrap();
    let report = sync(&desk, folder.path());
    let refused: Vec<_> = report.failed().collect();
    assert!(
        matches!(refused.as_slice(), [("film.md", IngestError::Parse(ParseError::TooLarge { .. }))]),
        "{refused:?}"
    );
    assert_eq!(desk.names(&staff(), "refill"), ["a.md"]);
}

#[test]
fn the_report_says_what_no_single_file_shows() {
    let desk = Desk::new();
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, front: &str| {
        fs::write(folder.path().join(name), format!("---\n{front}\n---\n\n# T\n\nrefill {name}\n")).unwrap();
    };
    write("a.md", "document: p\nversion: 1\neffective: 2025-01-01");
    write("b.md", "document: p\nversion: 2\n");
    write("c.md", "document: q\nsupersedes: nobody");
    write("d.md", "document: r\neffective: 2026-06-01");
    write("e.md", "document: s\nsupersedes: p/1");
    let advice = sync(&desk, folder.path()).advice;
    let said =
        |name: &str| advice.iter().filter(|(of, _)| of == name).map(|(_, what)| what.as_str()).collect::<String>();
    assert!(said("b.md").contains("another version of this document is in force"), "{advice:?}");
    assert!(said("c.md").contains("supersedes `nobody`"), "{advice:?}");
    assert!(said("d.md").contains("takes effect on 2026-06-01"), "{advice:?}");
    assert!(!said("e.md").contains("names no other"), "{advice:?}");
}
