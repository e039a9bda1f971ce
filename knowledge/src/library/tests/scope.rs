//! Whatever happens to a collection, a search returns nothing that its scope does not show, and everything by words
//! that it does.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use crate::parse::InProcess;
use crate::testing::{Desk, procedures, source};
use crate::{Mode, Query, Scope};

const LABELS: [&str; 3] = ["staff", "managers", "public"];
const REGIONS: [&str; 2] = ["north", "south"];

/// Something that happens to a collection. Days count from 1 January 2026; documents have few names so that they meet.
#[derive(Debug, Clone)]
enum Event {
    Ingest {
        name: usize,
        document: usize,
        version: usize,
        label: usize,
        region: usize,
        effective: Option<u8>,
        expires: Option<u8>,
    },
    DeleteFile {
        name: usize,
    },
}

fn event() -> impl Strategy<Value = Event> {
    let day = proptest::option::of(0_u8..100);
    prop_oneof![
        6 => (0_usize..6, 0_usize..4, 0_usize..4, 0_usize..3, 0_usize..2, day.clone(), day).prop_map(
            |(name, document, version, label, region, effective, expires)| Event::Ingest {
                name, document, version, label, region, effective, expires,
            }
        ),
        1 => (0_usize..6).prop_map(|name| Event::DeleteFile { name }),
    ]
}

fn day(number: u8) -> String {
    let first: jiff::civil::Date = "2026-01-01".parse().unwrap();
    first.checked_add(jiff::Span::new().days(i64::from(number))).unwrap().to_string()
}

/// What the collection should hold, kept in the plainest way.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Held {
    word: String,
    name: usize,
    document: usize,
    version: usize,
    label: usize,
    region: usize,
    effective: Option<u8>,
    expires: Option<u8>,
    order: usize,
}

fn apply(held: &mut Vec<Held>, order: usize, event: &Event) {
    match *event {
        Event::DeleteFile { name } => held.retain(|other| other.name != name),
        Event::Ingest { name, document, version, label, region, effective, expires } => {
            held.retain(|old| {
                old.name != name || (old.document == document && effective.is_some() && old.effective < effective)
            });
            let word = format!("unique{order}");
            held.push(Held { word, name, document, version, label, region, effective, expires, order });
        }
    }
}

fn visible<'a>(held: &'a [Held], labels: &[usize], region: Option<usize>, today: u8) -> BTreeSet<&'a str> {
    let begun = |held: &&Held| held.effective.is_none_or(|first| first <= today);
    let newest = |held_one: &&Held| {
        let of_document = held.iter().filter(begun).filter(|other| other.document == held_one.document);
        of_document.max_by_key(|other| (other.effective, other.version, other.order)) == Some(held_one)
    };
    held.iter()
        .filter(begun)
        .filter(newest)
        .filter(|held| held.expires.is_none_or(|end| today < end))
        .filter(|held| labels.contains(&held.label))
        .filter(|held| region.is_none_or(|region| region == held.region))
        .map(|held| held.word.as_str())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_search_returns_exactly_what_its_scope_shows(
        events in proptest::collection::vec(event(), 1..20),
        labels in proptest::sample::subsequence(vec![0_usize, 1, 2], 0..=3),
        region in proptest::option::of(0_usize..2),
        today in 0_u8..100,
    ) {
        let desk = Desk::new();
        let mut held = Vec::new();
        for (order, event) in events.iter().enumerate() {
            apply(&mut held, order, event);
            match event {
                Event::DeleteFile { name } => {
                    desk.library.delete_file(&procedures(), &format!("{name}.md")).unwrap();
                }
                Event::Ingest { name, document, version, label, region, effective, expires } => {
                    let mut overrides = BTreeMap::from([
                        ("document".to_owned(), format!("d{document}")),
                        ("version".to_owned(), version.to_string()),
                        ("access".to_owned(), LABELS[*label].to_owned()),
                        ("region".to_owned(), REGIONS[*region].to_owned()),
                    ]);
                    overrides.extend(effective.map(|number| ("effective".to_owned(), day(number))));
                    overrides.extend(expires.map(|number| ("expires".to_owned(), day(number))));
                    let text = source(&format!("{name}.md"), &format!("# T\n\nrefill unique{order}\n"));
                    desk.library.ingest(&procedures(), &text, &overrides, &InProcess::default()).unwrap();
                }
            }
        }
        let scope_labels = labels.iter().map(|label| LABELS[*label].parse().unwrap()).collect();
        let mut scope =
            Scope::new(vec![procedures()], scope_labels, format!("{}T10:00:00Z", day(today)).parse().unwrap());
        if let Some(region) = region {
            scope = scope.filter("region", REGIONS[region]);
        }
        let expected = visible(&held, &labels, region, today);
        for mode in [Mode::Words, Mode::Hybrid, Mode::Meaning] {
            let found = desk.library.search(&scope, &Query { text: "refill".into(), top: 100, mode }).unwrap();
            let words: BTreeSet<&str> =
                found.passages.iter().map(|passage| passage.text.trim_start_matches("refill ")).collect();
            prop_assert_eq!(&words, &expected, "{:?}", mode);
            prop_assert_eq!(found.strength.searched, expected.len());
        }
        desk.assert_sound();
    }
}
