//! What was found, and how overlapping findings become one.

use super::kind::Kind;

/// One identifier in a text. It holds no text: kind, place, confidence and the rule that found it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Finding {
    /// What it is.
    pub kind: Kind,
    /// First byte in the original text.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// From 0 to 1: 0.9 and more for a label or a checksum, 0.5 for likelihood by shape alone. An order, no probability.
    pub confidence: f32,
    /// The rule that found it.
    pub rule: &'static str,
}

impl Finding {
    pub(crate) const fn new(kind: Kind, start: usize, end: usize, confidence: f32, rule: &'static str) -> Self {
        Self { kind, start, end, confidence, rule }
    }

    const fn length(&self) -> usize {
        self.end.saturating_sub(self.start)
    }
}

/// Brings findings into order and makes one of those that overlap: the kind of the surest, the extent of all. So no
/// part of an identifier stays in the open because two rules saw different parts of it.
pub(crate) fn resolved(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.retain(|finding| finding.start < finding.end);
    findings.sort_by_key(|finding| (finding.start, std::cmp::Reverse(finding.end)));
    let mut kept: Vec<Finding> = Vec::with_capacity(findings.len());
    for finding in findings {
        match kept.last_mut() {
            Some(last) if finding.start < last.end => {
                let surer = (finding.confidence, finding.length()) > (last.confidence, last.length());
                let (start, end) = (last.start, last.end.max(finding.end));
                if surer {
                    *last = finding;
                }
                (last.start, last.end) = (start, end);
            }
            _ => kept.push(finding),
        }
    }
    kept
}

/// Makes one finding of neighbouring places: `St. Anne's Hospital in Salem`, `Salem, OR 97301`.
pub(crate) fn joined_places(text: &str, findings: Vec<Finding>) -> Vec<Finding> {
    let mut kept: Vec<Finding> = Vec::with_capacity(findings.len());
    for finding in findings {
        if let Some(last) = kept.last_mut() {
            let gap = text.get(last.end..finding.start).unwrap_or("-");
            let place = |kind| matches!(kind, Kind::Facility | Kind::Location | Kind::Address | Kind::Zip);
            let near = matches!(gap, ", " | "," | " " | " in " | ",\n" | "\n");
            let zip_alone = finding.kind == Kind::Zip && !matches!(gap, " " | ", ");
            if near
                && place(last.kind)
                && place(finding.kind)
                && !zip_alone
                && !(gap == "\n" && last.kind != Kind::Address)
            {
                last.end = finding.end;
                last.confidence = last.confidence.max(finding.confidence);
                continue;
            }
        }
        kept.push(finding);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_findings_become_one_with_the_extent_of_all() {
        let found = resolved(vec![
            Finding::new(Kind::Phone, 4, 12, 0.5, "shape"),
            Finding::new(Kind::Mrn, 6, 14, 0.9, "label"),
            Finding::new(Kind::Date, 20, 24, 0.5, "date"),
        ]);
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].kind, found[0].start, found[0].end), (Kind::Mrn, 4, 14));
    }

    #[test]
    fn a_city_after_its_hospital_is_one_place() {
        let text = "at Hill Hospital in Salem today";
        let places = vec![
            Finding::new(Kind::Facility, 3, 16, 0.9, "facility"),
            Finding::new(Kind::Location, 20, 25, 0.7, "city"),
        ];
        assert_eq!(joined_places(text, places)[0].end, 25);
    }
}
