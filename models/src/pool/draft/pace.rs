//! How long a step takes by its number of rows, as this machine was seen to take.

use super::Load;

/// Rows up to which times are kept apart: kernels take rows by four and eight, so that the time grows in stairs.
const ROWS: usize = 64;
/// What a row adds to a step that was never measured, as a share of it: little, so that it is tried.
const GUESS: f64 = 0.08;
/// The weight of the newest measurement. One that is far off, as when the machine was busy otherwise, counts up to twice the mean.
const NEWEST: f64 = 0.2;

/// Times of steps without prompts, by their rows.
#[derive(Clone, Debug)]
pub(in crate::pool) struct Pace([Option<f64>; ROWS]);

impl Default for Pace {
    fn default() -> Self {
        Self([None; ROWS])
    }
}

impl Pace {
    /// Takes in that a step of so many rows took so long, in any unit.
    pub(in crate::pool) fn record(&mut self, rows: usize, took: f64) {
        if let Some(mean) = rows.checked_sub(1).and_then(|at| self.0.get_mut(at)) {
            *mean = Some(mean.map_or(took, |mean| mean + NEWEST * (took.min(2.0 * mean) - mean)));
        }
    }

    /// How many times as long a step takes with `more` rows.
    pub(super) fn slower(&self, load: Load, more: usize) -> f64 {
        if load.prompts > 0 {
            // With many rows the time is proportional to them.
            let rows = (load.prompts + load.rows) as f64;
            return (rows + more as f64) / rows;
        }
        match (self.time(load.rows), self.time(load.rows + more)) {
            (Some(now), Some(then)) if now > 0.0 => (then / now).max(1.0),
            _ => 1.0 + GUESS * more as f64,
        }
    }

    /// Measured, or between the measured ones around it, or from those below.
    fn time(&self, rows: usize) -> Option<f64> {
        let known = |at: usize| self.0.get(at.checked_sub(1)?).copied().flatten();
        let below = (1..=rows).rev().find_map(|at| Some((at, known(at)?)));
        let above = (rows..=ROWS).find_map(|at| Some((at, known(at)?)));
        match (below, above) {
            (Some((low, time)), Some((high, _))) if low == high => Some(time),
            (Some((low, time)), Some((high, later))) => {
                let part = (rows - low) as f64 / (high - low) as f64;
                Some(time + part * (later - time))
            }
            (Some((low, time)), None) => Some(time * (1.0 + GUESS * (rows - low) as f64)),
            (None, _) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALONE: Load = Load { sequences: 1, rows: 1, prompts: 0 };

    #[test]
    fn stairs_are_seen_as_stairs_and_gaps_are_bridged() {
        let mut pace = Pace::default();
        assert_eq!(pace.slower(ALONE, 2), 1.0 + 2.0 * GUESS);
        pace.record(1, 10.0);
        pace.record(5, 18.0);
        assert_eq!(pace.slower(ALONE, 2), 1.4);
        pace.record(3, 12.0);
        assert_eq!(pace.slower(ALONE, 2), 1.2);
        assert_eq!(pace.slower(ALONE, 4), 1.8);
    }

    #[test]
    fn the_mean_follows_the_machine_and_one_interruption_does_not_carry_it_off() {
        let mut pace = Pace::default();
        pace.record(1, 10.0);
        pace.record(2, 12.0);
        pace.record(2, 9000.0);
        assert!(pace.slower(ALONE, 1) < 1.5);
        for _ in 0..40 {
            pace.record(2, 30.0);
        }
        assert!((pace.slower(ALONE, 1) - 3.0).abs() < 0.01);
        pace.record(0, 1.0);
        pace.record(1000, 1.0);
    }
}
