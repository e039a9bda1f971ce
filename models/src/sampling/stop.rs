//! Stop strings across token boundaries: text that may be the start of one is held back until it is known.

/// What may be shown after a piece of text was pushed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Held {
    /// Text that is final.
    pub(crate) text: String,
    /// A stop string was found; nothing after `text` belongs to the answer.
    pub(crate) stopped: bool,
}

/// Watches a stream of text for stop strings.
pub(crate) struct StopStrings {
    stops: Vec<String>,
    pending: String,
}

impl StopStrings {
    pub(crate) fn new(stops: &[String]) -> Self {
        Self { stops: stops.iter().filter(|stop| !stop.is_empty()).cloned().collect(), pending: String::new() }
    }

    /// Adds text and gives back what is certain not to be part of a stop string.
    pub(crate) fn push(&mut self, piece: &str) -> Held {
        self.pending.push_str(piece);
        if let Some(at) = self.stops.iter().filter_map(|stop| self.pending.find(stop.as_str())).min() {
            let text = self.pending.get(..at).unwrap_or_default().to_owned();
            self.pending.clear();
            return Held { text, stopped: true };
        }
        let keep = self.stops.iter().map(|stop| overlap(&self.pending, stop)).max().unwrap_or(0);
        let rest = self.pending.split_off(self.pending.len() - keep);
        Held { text: std::mem::replace(&mut self.pending, rest), stopped: false }
    }

    /// The text still held back, once no more comes.
    pub(crate) fn finish(&mut self) -> String {
        std::mem::take(&mut self.pending)
    }
}

/// Length of the longest end of `text` that begins `stop`.
fn overlap(text: &str, stop: &str) -> usize {
    let longest = text.len().min(stop.len().saturating_sub(1));
    (1..=longest)
        .rev()
        .find(|&n| stop.is_char_boundary(n) && stop.get(..n).is_some_and(|start| text.ends_with(start)))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(stops: &[String], pieces: &[String]) -> (String, bool) {
        let mut watch = StopStrings::new(stops);
        let mut out = String::new();
        for piece in pieces {
            let held = watch.push(piece);
            out.push_str(&held.text);
            if held.stopped {
                return (out, true);
            }
        }
        out.push_str(&watch.finish());
        (out, false)
    }

    #[test]
    fn a_stop_string_cut_across_pieces_is_found() {
        let pieces = ["ab<", "|en", "d|", ">tail"].map(str::to_owned);
        assert_eq!(run(&["<|end|>".to_owned()], &pieces), ("ab".to_owned(), true));
    }

    #[test]
    fn a_start_that_does_not_go_on_is_shown_after_all() {
        let mut watch = StopStrings::new(&["END".to_owned()]);
        assert_eq!(watch.push("xEN"), Held { text: "x".to_owned(), stopped: false });
        assert_eq!(watch.push("T"), Held { text: "ENT".to_owned(), stopped: false });
    }

    proptest! {
        #[test]
        fn the_cut_into_pieces_never_changes_the_text(
            text in "[abé]{0,40}", stops in prop::collection::vec("[abé]{1,4}", 0..3), cuts in prop::collection::vec(0usize..40, 0..6)
        ) {
            let chars: Vec<char> = text.chars().collect();
            let mut at: Vec<usize> = cuts.into_iter().map(|c| c.min(chars.len())).chain([0, chars.len()]).collect();
            at.sort_unstable();
            let pieces: Vec<String> = at.windows(2).map(|w| chars[w[0]..w[1]].iter().collect()).collect();
            // What is found depends on where the pieces end only when two stop strings overlap: the first one completed wins.
            let (cut, stopped) = run(&stops, &pieces);
            let first = stops.iter().filter_map(|s| text.find(s.as_str()).map(|at| at + s.len())).min();
            prop_assert_eq!(stopped, first.is_some());
            prop_assert!(text.starts_with(&cut));
            match first {
                None => prop_assert_eq!(&cut, &text),
                Some(end) => prop_assert!(cut.len() < end || stops.iter().any(|s| s.len() + cut.len() <= text.len())),
            }
            prop_assert!(stops.iter().all(|s| !cut.contains(s.as_str())));
        }
    }
}
