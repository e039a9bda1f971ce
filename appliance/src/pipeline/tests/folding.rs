//! A streamed answer and an unstreamed one are the same, however the model's text arrives.

use proptest::prelude::*;

use super::{
    bench::{Bench, passage},
    *,
};

/// Units as they pass.
#[derive(Default)]
struct Units(Vec<String>);

impl Sink for Units {
    fn pass(&mut self, _: Lane, unit: &Passed) {
        self.0.push(format!("{}{}", unit.separator(), unit.text()));
    }
}

fn answered(pieces: Vec<String>) -> (Lane, String, bool, Vec<String>) {
    let bench = Bench::new()
        .holding(passage("storage.md", INSULIN, 0.8, 0.9))
        .composing(Scripted::new(vec![Script::Say(pieces)]));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut units = Units::default();
    let asked = bench.ask_into("How are insulin pens stored and how long do opened pens keep?", None, &mut units);
    let answer = runtime.block_on(asked).unwrap();
    (answer.lane(), answer.text().to_owned(), answer.cut(), units.0)
}

/// Drafts of sentences that pass and sentences that do not, with marks and line ends between them.
fn draft() -> impl Strategy<Value = String> {
    let sentence = prop_oneof![
        4 => Just("Opened insulin pens keep at room temperature for 28 days."),
        4 => Just("Store unopened pens in the refrigerator."),
        4 => Just("Do not freeze insulin pens."),
        1 => Just("Opened insulin pens keep at room temperature for 2.8 days."),
        1 => Just("Freeze insulin pens."),
        1 => Just("Ask Dr. Roe, e.g. by phone."),
        1 => Just("[1]"),
        1 => Just("Opened insulin pens keep"),
        1 => Just("- Store unopened pens in the refrigerator"),
    ];
    let gap = prop_oneof![Just(" "), Just("\n"), Just(" [2] "), Just("\n\n"), Just("\n1. ")];
    prop::collection::vec((sentence, gap), 0..6).prop_map(|parts| parts.iter().flat_map(|(s, g)| [*s, *g]).collect())
}

fn cut(text: &str, at: &[prop::sample::Index]) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    let mut places: Vec<usize> = at.iter().map(|index| index.index(characters.len() + 1)).collect();
    places.extend([0, characters.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| characters[pair[0]..pair[1]].iter().collect()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn an_answer_does_not_depend_on_how_the_draft_was_cut(
        text in draft(),
        at in prop::collection::vec(any::<prop::sample::Index>(), 0..24),
    ) {
        let whole = answered(vec![text.clone()]);
        let pieces = answered(cut(&text, &at));
        prop_assert_eq!(&pieces, &whole);
        prop_assert_eq!(pieces.3.concat(), if whole.0 == Lane::Abstain { String::new() } else { whole.1 });
    }
}
