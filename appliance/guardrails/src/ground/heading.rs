//! Headings in running text: what a sentence stands under.

/// The headings above a place, the outermost first, each with its rank.
#[derive(Debug, Clone, Default)]
pub(super) struct Headings(Vec<(usize, String)>);

/// Ranks below those of Markdown's six: a short line without a stop, and a line that leads in to what follows.
const LINE: usize = 7;
const LEAD_IN: usize = 8;

/// A heading is no longer than this, in bytes; a line that ends with a colon no longer than the other.
const LONGEST: usize = 80;
const LONGEST_LEAD_IN: usize = 200;

impl Headings {
    /// Takes the next sentence or line of a text, and tells whether it is a heading. Those of its rank and below end there.
    pub(super) fn take(&mut self, text: &str) -> bool {
        let Some(rank) = rank(text) else { return false };
        while self.0.last().is_some_and(|(last, _)| *last >= rank) {
            self.0.pop();
        }
        self.0.push((rank, text.split_whitespace().collect::<Vec<_>>().join(" ")));
        true
    }

    /// Those above the heading that was taken last.
    pub(super) fn above_last(&self) -> String {
        let mut above = self.clone();
        above.0.pop();
        above.lines()
    }

    /// One heading a line, the innermost last.
    pub(super) fn lines(&self) -> String {
        self.0.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join("\n")
    }
}

/// How far out a line stands if it is a heading; the outermost is 1. An item of a list and a row of a table are none.
fn rank(text: &str) -> Option<usize> {
    let marks = text.bytes().take_while(|byte| *byte == b'#').count();
    if marks > 0 {
        return Some(marks.min(6));
    }
    let bare = text.trim_matches(['*', '_']);
    let numbered = bare.trim_start_matches(|c: char| c.is_ascii_digit());
    let item = bare.starts_with(['|', '•', '-', '–', '+']) || text.starts_with("* ");
    if item || bare.contains('|') || numbered.len() < bare.len() && numbered.starts_with(['.', ')']) {
        return None;
    }
    if bare.ends_with(':') {
        return (text.len() <= LONGEST_LEAD_IN).then_some(LEAD_IN);
    }
    (text.len() <= LONGEST && !bare.ends_with(['.', '!', '?', ';', ','])).then_some(LINE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::split;

    fn above(text: &str, line: &str) -> String {
        let mut headings = Headings::default();
        for span in split::sentences(text) {
            if span.of(text).starts_with(line) {
                return headings.lines();
            }
            headings.take(span.of(text));
        }
        panic!("{line} is not there")
    }

    #[test]
    fn a_sentence_stands_under_each_rank_of_heading_once() {
        let text = "# Ibuprofen\n\n## Doses\n\nChildren:\n- Give 5 mg.\n- Give food\n- Wait here.\n\nAdults:\n\nGive 9 mg.\n\n## Storage\n\nKeep it dry.";
        assert_eq!(above(text, "- Give 5"), "# Ibuprofen\n## Doses\nChildren:");
        assert_eq!(above(text, "- Wait"), "# Ibuprofen\n## Doses\nChildren:");
        assert_eq!(above(text, "Give 9"), "# Ibuprofen\n## Doses\nAdults:");
        assert_eq!(above(text, "Keep"), "# Ibuprofen\n## Storage");
    }
}
