//! Makes contexts, faithful answers and answers with one error each from templates, the same every time.

use std::{collections::BTreeMap, fs};

use serde::Deserialize;

/// One context with one answer.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) context: String,
    pub(super) answer: String,
    /// What kind of answer it is, or the type of its error.
    pub(super) kind: String,
    /// Which template it came from, for the report.
    pub(super) template: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Templates {
    template: Vec<Template>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Template {
    context: String,
    answer: String,
    paraphrases: Vec<String>,
    error: Vec<Error>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Error {
    r#type: String,
    slot: Option<String>,
    answer: Option<String>,
}

/// What may stand in a slot: as the context has it, in other words, and wrong in up to two ways.
type Value = (&'static str, &'static str, &'static [&'static str]);

fn values(slot: &str) -> &'static [Value] {
    match slot.trim_end_matches(|c: char| c.is_ascii_digit()) {
        "drug" => &[
            ("metformin", "Glucophage", &["metronidazole"]),
            ("hydralazine", "hydralazine", &["hydroxyzine"]),
            ("tramadol", "Ultram", &["trazodone"]),
            ("bupropion", "Wellbutrin", &["buspirone"]),
            ("prednisone", "prednisone", &["prednisolone"]),
            ("lamotrigine", "Lamictal", &["lamivudine"]),
            ("glipizide", "Glucotrol", &["glyburide"]),
            ("clonidine", "Catapres", &["clonazepam"]),
            ("sertraline", "Zoloft", &["cetirizine"]),
            ("amlodipine", "Norvasc", &["amiloride"]),
            ("carbamazepine", "Tegretol", &["oxcarbazepine"]),
            ("risperidone", "Risperdal", &["ropinirole"]),
            ("quetiapine", "Seroquel", &["olanzapine"]),
            ("vinblastine", "vinblastine", &["vincristine"]),
        ],
        "dose" => &[
            ("500 mg", "0.5 g", &["5000 mg", "50 mg", "500 mcg", "500 g"]),
            ("2.5 mg", "2.5 milligrams", &["25 mg", ".25 mg", "2.5 mcg", "2.5 g"]),
            ("0.25 mg", "250 mcg", &["2.5 mg", "25 mg", "0.25 g", "0.25 mcg"]),
            ("75 mcg", "75 micrograms", &["750 mcg", "7.5 mcg", "75 mg", "75 units"]),
            ("40 units", "forty units", &["400 units", "4.0 units", "40 mL", "40 mg"]),
            ("10 mL", "10 millilitres", &["100 mL", "1.0 mL", "10 L", "10 mg"]),
            ("1.2 g", "1200 mg", &["12 g", "0.12 g", "1.2 mg", "1.2 mcg"]),
            ("4 mg", "four milligrams", &["40 mg", "0.4 mg", "4 mcg", "4 g"]),
        ],
        "most" => &[
            ("3 g", "3000 mg", &["30 g", "0.3 g", "3 mg", "3 mcg"]),
            ("60 mg", "60 milligrams", &["600 mg", "6.0 mg", "60 mcg", "60 g"]),
            ("800 mcg", "0.8 mg", &["8000 mcg", "80 mcg", "800 mg", "800 units"]),
            ("6 tablets", "six tablets", &["60 tablets", "16 tablets", "6 g", "6 mL"]),
        ],
        "route" => &[
            ("by mouth", "orally", &["intravenously", "rectally"]),
            ("under the skin", "subcutaneously", &["into a muscle", "intravenously"]),
            ("intravenously", "IV", &["by mouth", "under the skin"]),
            ("under the tongue", "sublingually", &["by mouth", "rectally"]),
            ("into a muscle", "intramuscularly", &["intravenously", "under the skin"]),
        ],
        "frequency" => &[
            ("once daily", "every day", &["once weekly", "twice daily"]),
            ("twice daily", "every 12 hours", &["three times daily", "every 2 hours"]),
            ("three times daily", "every 8 hours", &["twice daily", "every 3 hours"]),
            ("every 6 hours", "four times a day", &["every 4 hours", "every 16 hours"]),
            ("once weekly", "every 7 days", &["once daily", "once monthly"]),
            ("every other day", "every 2 days", &["every day", "twice daily"]),
        ],
        "duration" => &[
            ("7 days", "one week", &["7 weeks", "17 days"]),
            ("14 days", "two weeks", &["4 days", "14 weeks"]),
            ("10 days", "ten days", &["100 days", "10 months"]),
            ("28 days", "four weeks", &["42 days", "28 hours"]),
            ("6 months", "six months", &["6 weeks", "16 months"]),
        ],
        "age" => &[
            ("12 years", "12 years", &["2 years", "21 years"]),
            ("6 years", "6 years", &["6 months", "16 years"]),
            ("24 months", "24 months", &["2 months", "42 months"]),
        ],
        "weight" => &[("40 kg", "40 kg", &["4 kg", "40 lb"]), ("25 kg", "25 kg", &["52 kg", "2.5 kg"])],
        "egfr" => &[
            ("30 mL/min", "30 mL/min", &["60 mL/min", "13 mL/min"]),
            ("45 mL/min", "45 mL/min", &["54 mL/min", "4.5 mL/min"]),
        ],
        "phone" => &[
            ("555-0143", "555-0143", &["555-0134", "555-0413"]),
            ("(555) 010-7788", "555-010-7788", &["(555) 010-7789", "(555) 100-7788"]),
        ],
        "time" => &[("8:00 AM", "8 a.m.", &["8:00 PM", "9:00 AM"]), ("7:30 AM", "7:30 a.m.", &["7:00 AM", "6:30 AM"])],
        "money" => &[("$4.50", "$4.50", &["$45", "$5.40"]), ("$12", "$12", &["$120", "$21"])],
        "date" => &[
            ("March 5, 2026", "5 March 2026", &["March 15, 2026", "May 5, 2026"]),
            ("October 1, 2025", "1 October 2025", &["October 1, 2026", "October 11, 2025"]),
        ],
        other => panic!("no values for the slot {other}"),
    }
}

/// How a template's slots are filled in one round.
struct Filling {
    round: usize,
    wrong: Option<(String, usize)>,
}

impl Filling {
    fn value(&self, template: usize, slot: &str) -> Value {
        let values = values(slot);
        let shift: usize = slot.bytes().map(usize::from).sum();
        values[(self.round + template * 3 + shift) % values.len()]
    }

    fn fill(&self, template: usize, text: &str, with_error: bool) -> String {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (slot, after) = after.split_once('}').unwrap_or_else(|| panic!("a slot without end: {text}"));
            let other_words = slot.ends_with('~');
            let slot = slot.trim_end_matches('~');
            let (plain, reworded, wrong) = self.value(template, slot);
            filled.push_str(before);
            filled.push_str(match &self.wrong {
                Some((changed, which)) if with_error && changed == slot => wrong[which % wrong.len()],
                _ if other_words => reworded,
                _ => plain,
            });
            rest = after;
        }
        filled.push_str(rest);
        let mut letters = filled.chars();
        letters.next().map(|first| first.to_uppercase().collect::<String>() + letters.as_str()).unwrap_or_default()
    }
}

/// All items of a template file, each template filled `rounds` times. No item comes twice.
pub(super) fn items(file: &str, rounds: usize) -> Vec<Item> {
    let path =
        std::path::PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("fixtures/grounding").join(file);
    let templates: Templates = toml::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let mut made: BTreeMap<(String, String, String), usize> = BTreeMap::new();
    for (index, template) in templates.template.iter().enumerate() {
        for round in 0..rounds {
            let right = Filling { round, wrong: None };
            let context = right.fill(index, &template.context, false);
            let mut add = |kind: &str, answer: String| {
                made.entry((kind.to_owned(), context.clone(), answer)).or_insert(index);
            };
            add("verbatim", right.fill(index, &template.answer, false));
            for paraphrase in &template.paraphrases {
                add("paraphrase", right.fill(index, paraphrase, false));
            }
            for error in &template.error {
                match (&error.slot, &error.answer) {
                    (Some(slot), None) => {
                        for which in of_type(&error.r#type, slot, right.value(index, slot).2.len()) {
                            let wrong = Filling { round, wrong: Some((slot.clone(), which)) };
                            add(&error.r#type, wrong.fill(index, &template.answer, true));
                        }
                    }
                    (None, Some(answer)) => add(&error.r#type, right.fill(index, answer, false)),
                    _ => panic!("an error has a slot or an answer: {error:?}"),
                }
            }
        }
    }
    made.into_iter().map(|((kind, context, answer), template)| Item { context, answer, kind, template }).collect()
}

/// Which wrong values of a slot an error of this type takes: amounts are wrong tenfold first, then in their unit.
fn of_type(kind: &str, slot: &str, wrong: usize) -> std::ops::Range<usize> {
    let amount = slot.starts_with("dose") || slot.starts_with("most");
    match kind {
        "tenfold" => 0..2,
        "unit" => 2..4,
        _ if amount => panic!("an amount is changed tenfold or in its unit"),
        _ => 0..wrong,
    }
}
