//! Identifiers: what is found of them in a text, counted in letters and digits.

use cloister_guardrails::detect::{Category, code_points};

use crate::evaluation::{
    item::Labelled,
    record::{Record, Shown, truth},
    site::Site,
};

pub(super) fn measure(site: &Site, part: &str, item: &Labelled) -> Record {
    let found = code_points(&item.text, &site.identifiers(&item.text));
    compare(part, item, &found)
}

/// Compares what is labelled with what was found, both in code points.
fn compare(part: &str, item: &Labelled, found: &[(usize, usize)]) -> Record {
    let mut record = Record::of(part, &item.id, item.group.as_deref());
    let characters: Vec<char> = item.text.chars().collect();
    let counts = |at: usize| characters.get(at).is_some_and(|character| character.is_alphanumeric());
    let covered = |at: usize| found.iter().any(|(start, end)| (*start..*end).contains(&at));
    let labelled = |at: usize| item.spans.iter().any(|span| (span.start..span.end).contains(&at));
    let mut missed = Vec::new();
    let mut overlapped = 0.0;
    for span in &item.spans {
        let places: Vec<usize> = (span.start..span.end).filter(|at| counts(*at)).collect();
        let hit = places.iter().any(|at| covered(*at));
        let full = !places.is_empty() && places.iter().all(|at| covered(*at));
        let category = Some(words(span.label.category()));
        record.sorted("recall", category, truth(hit), 1.0);
        record.sorted("recall_full", category, truth(full), 1.0);
        overlapped += truth(hit);
        if !hit {
            let text: String = characters.get(span.start..span.end).unwrap_or_default().iter().collect();
            missed.push(format!("{} (\u{201c}{text}\u{201d})", words(span.label.category())));
        }
    }
    let masked = (0..characters.len()).filter(|at| counts(*at) && covered(*at)).count();
    let rightly = (0..characters.len()).filter(|at| counts(*at) && covered(*at) && labelled(*at)).count();
    if masked > 0 {
        record.point("precision", rightly as f64, masked as f64);
    }
    let beside = found.iter().filter(|(start, end)| !(*start..*end).any(|at| labelled(at) && counts(at))).count();
    let (spans, beside_f) = (item.spans.len() as f64, beside as f64);
    if spans + beside_f > 0.0 {
        record.point("f1", 2.0 * overlapped, spans + overlapped + beside_f);
    }
    if item.spans.is_empty() {
        record.share("clean_texts_flagged", !found.is_empty());
    }
    let shown =
        |wrong: String, expected: String| Shown { wrong, asked: item.text.clone(), expected, ..Shown::default() };
    if !missed.is_empty() {
        let loss = 0.6 + 0.4 * missed.len() as f64 / spans;
        record.wrong(loss, || shown("An identifier was not found.".to_owned(), missed.join("; ")));
    } else if beside > 0 {
        record.wrong(0.3, || {
            shown("Something else was taken for an identifier.".to_owned(), "Left as it is.".to_owned())
        });
    }
    record
}

/// The category of the Safe Harbor rule, for a reader.
const fn words(category: Category) -> &'static str {
    match category {
        Category::Names => "A names",
        Category::Geography => "B places",
        Category::Dates => "C dates, ages over 89",
        Category::Telephones => "D telephone numbers",
        Category::Faxes => "E fax numbers",
        Category::Emails => "F e-mail addresses",
        Category::SocialSecurity => "G social security numbers",
        Category::MedicalRecords => "H medical record numbers",
        Category::HealthPlans => "I health plan numbers",
        Category::Accounts => "J account numbers",
        Category::Licenses => "K licence numbers",
        Category::Vehicles => "L vehicles and plates",
        Category::Devices => "M device identifiers",
        Category::Urls => "N web addresses",
        Category::IpAddresses => "O internet addresses",
        Category::Biometrics => "P biometric identifiers",
        Category::Photographs => "Q photographs of faces",
        Category::Other => "R other numbers of a person",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::statistics::Point;

    fn points(record: &Record, metric: &str) -> Vec<Point> {
        record.points.iter().filter(|seen| seen.metric == metric).map(|seen| seen.point).collect()
    }

    #[test]
    fn what_is_found_is_counted_in_letters_and_digits() {
        let item = r#"{"id": "a", "text": "caf\u00e9: Ana Cruz, MRN 447", "spans": [
            {"start": 6, "end": 14, "label": "NAME"}, {"start": 20, "end": 23, "label": "MEDICAL_RECORD_NUMBER"}]}"#;
        let item: Labelled = serde_json::from_str(item).unwrap();
        // "Ana" of the name, and "caf\u{e9}" by mistake; the number not at all.
        let record = compare("texts", &item, &[(0, 4), (6, 9)]);
        assert_eq!(points(&record, "recall"), [Point(1.0, 1.0), Point(0.0, 1.0)]);
        assert_eq!(points(&record, "recall_full"), [Point(0.0, 1.0), Point(0.0, 1.0)]);
        assert_eq!(points(&record, "precision"), [Point(3.0, 7.0)]);
        // One found, one not, one beside: 2 of 2 + 1 + 1.
        assert_eq!(points(&record, "f1"), [Point(2.0, 4.0)]);
        let shown = record.shown.unwrap();
        assert!(shown.expected.contains("H medical record numbers") && !shown.expected.contains("Ana"));
    }

    #[test]
    fn a_text_that_names_nobody_counts_by_itself() {
        let item: Labelled = serde_json::from_str(r#"{"id": "a", "text": "Wells score of 4", "spans": []}"#).unwrap();
        let clean = compare("texts", &item, &[]);
        assert_eq!((points(&clean, "clean_texts_flagged"), clean.loss), (vec![Point(0.0, 1.0)], 0.0));
        let flagged = compare("texts", &item, &[(0, 5)]);
        assert_eq!(points(&flagged, "clean_texts_flagged"), [Point(1.0, 1.0)]);
        assert!(points(&flagged, "recall").is_empty() && flagged.loss > 0.0);
    }
}
