//! How many tokens of prompts a step takes.

use std::time::Duration;

/// Sequences under way at once.
pub(crate) const MOST: usize = 16;
/// How long a step should take while prompts are computed: as long as whoever reads another text waits for its next word, and as whoever
/// leaves keeps the model busy.
const STEP: Duration = Duration::from_millis(150);
/// How many times as long it may be while nobody reads: long steps take a matrix's weights apart less often, and only who comes or leaves waits.
const UNREAD: usize = 2;
/// Bounds of the tokens of prompts in one step.
const BOUNDS: (usize, usize) = (32, 512);

/// Tokens of prompts that a step of the wanted length takes, as measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget(usize);

impl Default for Budget {
    fn default() -> Self {
        Self(128)
    }
}

impl Budget {
    /// Tokens of prompts that the next step may take, while somebody reads a text or while nobody does.
    pub(crate) fn tokens(self, read: bool) -> usize {
        if read { self.0 } else { (self.0 * UNREAD).min(BOUNDS.1) }
    }

    /// Learns from a step with so many tokens of prompts.
    pub(crate) fn measure(&mut self, prompts: usize, took: Duration) {
        let (least, most) = BOUNDS;
        if prompts >= least {
            let fitting = prompts as f64 * STEP.as_secs_f64() / took.as_secs_f64().max(1e-6);
            self.0 = (fitting as usize / least * least).clamp(least, most);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_takes_as_many_tokens_as_the_wanted_time_allows_within_bounds() {
        let mut budget = Budget::default();
        for (prompts, milliseconds, expected) in
            [(128, 150, 128), (128, 75, 256), (256, 1, 512), (512, 3000, 32), (8, 1, 32), (32, 40, 96)]
        {
            budget.measure(prompts, Duration::from_millis(milliseconds));
            assert_eq!(budget.tokens(true), expected, "{prompts} in {milliseconds} ms");
            assert_eq!(budget.tokens(false), (2 * expected).min(512));
        }
    }
}
