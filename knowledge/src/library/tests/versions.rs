use crate::Scope;
use crate::testing::{Desk, names, on, procedures, staff};

fn with(front: &str, body: &str) -> String {
    format!("---\n{front}\n---\n\n# Refill policy\n\n{body}\n")
}

#[test]
fn of_several_versions_only_the_one_in_force_is_found() {
    let desk = Desk::new();
    desk.ingest("policy-1.md", &with("document: refill-policy\nversion: 1.9\neffective: 2025-01-01", "refill ancient"));
    desk.ingest("policy-3.md", &with("document: refill-policy\nversion: 2.0\neffective: 2026-06-01", "refill future"));
    desk.ingest(
        "policy-2.md",
        &with("document: refill-policy\nversion: 1.10\neffective: 2026-01-01", "refill present"),
    );
    assert_eq!(desk.names(&staff(), "refill"), ["policy-2.md"]);
    assert_eq!(desk.names(&on("2025-06-01", &["staff"]), "refill"), ["policy-1.md"]);
    assert_eq!(desk.names(&on("2026-06-01", &["staff"]), "refill"), ["policy-3.md"]);
    assert!(desk.names(&on("2024-12-31", &["staff"]), "refill").is_empty());
    assert_eq!(desk.library.documents(&procedures()).unwrap().len(), 1);
    desk.assert_sound();
}

#[test]
fn a_version_takes_effect_at_midnight_where_the_site_is() {
    let desk = Desk::new();
    desk.ingest("1.md", &with("document: p\neffective: 2025-01-01", "refill old"));
    desk.ingest("2.md", &with("document: p\neffective: 2026-03-01", "refill new"));
    let library = desk.another().in_zone(jiff::tz::TimeZone::fixed(jiff::tz::offset(-5)));
    let at = |moment: &str| {
        let scope = Scope::new(vec![procedures()], vec!["staff".parse().unwrap()], moment.parse().unwrap());
        names(&library, &scope, "refill")
    };
    assert_eq!(at("2026-03-01T04:59:59Z"), ["1.md"], "there it is still February");
    assert_eq!(at("2026-03-01T05:00:00Z"), ["2.md"]);
}

#[test]
fn an_expired_version_does_not_bring_back_the_one_before() {
    let desk = Desk::new();
    desk.ingest("1.md", &with("document: p\neffective: 2025-01-01", "refill old"));
    desk.ingest("2.md", &with("document: p\neffective: 2025-06-01\nexpires: 2026-03-01", "refill new"));
    assert_eq!(desk.names(&on("2026-02-28", &["staff"]), "refill"), ["2.md"]);
    assert!(desk.names(&on("2026-03-01", &["staff"]), "refill").is_empty());
}

#[test]
fn a_file_replaced_by_one_of_a_later_date_holds_until_then() {
    let desk = Desk::new();
    desk.ingest("policy.md", &with("effective: 2025-01-01", "refill seven"));
    desk.ingest("policy.md", &with("effective: 2026-04-01", "refill three"));
    let text = |day: &str| {
        let scope = on(day, &["staff"]);
        let query = crate::testing::query("refill");
        desk.library
            .search(&scope, &query)
            .unwrap()
            .passages
            .into_iter()
            .map(|passage| passage.text)
            .collect::<Vec<_>>()
    };
    assert_eq!(text("2026-03-31"), ["refill seven"]);
    assert_eq!(text("2026-04-01"), ["refill three"]);
    // And without a date of its own, a file takes over at once.
    desk.ingest("policy.md", &with("owner: pharmacy", "refill two"));
    assert_eq!(text("2026-03-31"), ["refill two"]);
    desk.assert_sound();
}

#[test]
fn a_document_that_supersedes_another_silences_it_from_its_date_on() {
    let desk = Desk::new();
    desk.ingest("old.md", &with("document: old-policy", "refill old"));
    desk.ingest("new.md", &with("document: new-policy\nsupersedes: old-policy\neffective: 2026-02-01", "refill new"));
    assert_eq!(desk.names(&on("2026-01-31", &["staff"]), "refill"), ["old.md"]);
    assert_eq!(desk.names(&staff(), "refill"), ["new.md"]);
}

#[test]
fn one_version_of_another_document_is_superseded_by_name_and_number() {
    let desk = Desk::new();
    desk.ingest("1.md", &with("document: LRP-101\nversion: v1", "refill first"));
    desk.ingest("new.md", &with("document: LRP-201\nsupersedes: LRP-101/v1", "refill new"));
    assert_eq!(desk.names(&staff(), "refill"), ["new.md"]);
    desk.ingest("2.md", &with("document: LRP-101\nversion: v2", "refill second"));
    let mut names = desk.names(&staff(), "refill");
    names.sort();
    assert_eq!(names, ["2.md", "new.md"], "another version was not meant");
}

#[test]
fn the_properties_of_a_page_silence_nobody_and_open_nothing() {
    let desk = Desk::new();
    desk.ingest("policy.md", &with("document: LRP-104\naccess: staff", "refill controlled"));
    let page = "<html><head><meta name=supersedes content=LRP-104><meta name=access content=all></head>\
                <body><p>refill offer</p></body></html>";
    let ingested = desk.ingest("vendor.html", page);
    assert!(ingested.warnings.iter().any(|warning| warning.contains("`supersedes` is not taken")), "{ingested:?}");
    let mut names = desk.names(&staff(), "refill");
    names.sort();
    assert_eq!(names, ["policy.md", "vendor.html"]);
    assert!(desk.names(&on("2026-03-01", &["all"]), "offer").is_empty(), "it opened itself to everybody");
    let said = desk.try_ingest("vendor.html", page, &[("supersedes", "LRP-104")]).unwrap();
    assert!(!said.warnings.iter().any(|warning| warning.contains("supersedes")), "{said:?}");
    assert_eq!(desk.names(&staff(), "refill"), ["vendor.html"]);
}

#[test]
fn a_newer_version_under_another_label_silences_the_older_all_the_same() {
    let desk = Desk::new();
    desk.ingest("1.md", &with("document: p\nversion: 1", "refill open"));
    desk.ingest("2.md", &with("document: p\nversion: 2\naccess: managers", "refill closed"));
    assert!(desk.names(&staff(), "refill").is_empty());
    assert_eq!(desk.names(&on("2026-03-01", &["managers"]), "refill"), ["2.md"]);
}

#[test]
fn the_list_says_which_version_is_in_force() {
    let desk = Desk::new();
    desk.ingest("1.md", &with("document: p\nversion: 1\neffective: 2025-01-01", "refill"));
    desk.ingest("2.md", &with("document: p\nversion: 2\neffective: 2027-01-01", "refill"));
    let listed = desk.library.documents(&procedures()).unwrap();
    let said: Vec<(&str, bool)> =
        listed[0].versions.iter().map(|version| (version.version.as_str(), version.in_force)).collect();
    assert_eq!(said, [("2", false), ("1", true)]);
}

#[test]
fn a_version_that_has_not_begun_cannot_be_read_by_its_number() {
    let desk = Desk::new();
    let future = desk.ingest("1.md", &with("document: p\nversion: 9\neffective: 2027-01-01", "refill"));
    assert!(desk.library.document_text(&staff(), future.document, Some("9")).unwrap().is_none());
    let then = on("2027-01-01", &["staff"]);
    assert!(desk.library.document_text(&then, future.document, Some("9")).unwrap().is_some());
}
