//! What points say together: a value, between what it lies, and how far two runs differ.
//!
//! # Why
//! - **Groups are drawn, not items.** Items made from one template or one document are alike; drawn one by one they would make
//!   an interval look narrower than it is.
//! - **A share of which nothing went wrong is not certain.** Resamples of it are all alike, so that its interval comes from the
//!   rule of three (Hanley and Lippman-Hand, 1983).

use serde::{Deserialize, Serialize};

/// Resamples of a bootstrap (Efron, 1979).
pub const RESAMPLES: usize = 1000;

/// Repeatable numbers that look random (SplitMix64; Steele, Lea and Flood, 2014).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The same seed gives the same numbers.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub const fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `limit`; 0 where that is 0.
    pub const fn below(&mut self, limit: usize) -> usize {
        if limit == 0 { 0 } else { (self.number() % limit as u64) as usize }
    }
}

/// What one item says: of a share its part and its weight, of a ranking its score and whether it is one of those sought.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point(pub f64, pub f64);

/// How points make a value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Statistic {
    /// Sum of the parts over the sum of the weights. A mean where each weight is 1.
    Ratio,
    /// Mean of two shares: of right ones among those sought (weight 1), and among the others (weight 0).
    Balanced,
    /// The chance that one of those sought (weight 1) has a higher score than one of the others; half of it where they are equal.
    Auroc,
    /// The value below which that share of the values lies.
    Quantile(f64),
}

/// A value, and between what it lies in 95 of 100 runs like this one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The value.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// How far a second run lies from a first on the same items.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// Second minus first; of quantiles, the logarithm of their ratio.
    pub interval: Interval,
    /// Its standard error.
    pub error: f64,
}

impl Statistic {
    /// The value of the points; none where they do not make one.
    #[must_use]
    pub fn of(self, points: &[Point]) -> Option<f64> {
        match self {
            Self::Ratio => {
                let (part, weight) = points.iter().fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
                (weight > 0.0).then_some(part / weight)
            }
            Self::Balanced => {
                let share = |sought: bool| {
                    let among = points.iter().filter(|point| (point.1 > 0.5) == sought);
                    let (right, all) = among.fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + 1.0));
                    (all > 0.0).then_some(right / all)
                };
                Some(f64::midpoint(share(true)?, share(false)?))
            }
            Self::Auroc => auroc(points),
            Self::Quantile(share) => {
                let values: Vec<f64> = points.iter().map(|point| point.0).collect();
                quantile(values, share)
            }
        }
    }

    /// The value of all groups together, with its interval.
    #[must_use]
    pub fn interval(self, groups: &[Vec<Point>], dice: &mut Dice) -> Option<Interval> {
        let groups = self.reduced(groups);
        let value = self.of(&groups.concat())?;
        let mut resampled = Vec::with_capacity(RESAMPLES);
        let mut drawn = Vec::new();
        for _ in 0..RESAMPLES {
            drawn.clear();
            for _ in 0..groups.len() {
                drawn.extend_from_slice(groups.get(dice.below(groups.len())).map_or(&[], Vec::as_slice));
            }
            resampled.extend(self.of(&drawn));
        }
        let (low, high) = (quantile(resampled.clone(), 0.025)?, quantile(resampled, 0.975)?);
        let certain = matches!(self, Self::Ratio | Self::Balanced) && low >= high;
        let reach = if certain { (3.0 / groups.len() as f64).min(1.0) } else { 0.0 };
        let low = if certain && value >= 1.0 { low - reach } else { low };
        let high = if certain && value <= 0.0 { high + reach } else { high };
        Some(Interval { value, low, high })
    }

    /// How far the second of each pair of groups lies from the first, groups drawn in pairs, so often.
    #[must_use]
    pub fn difference(
        self,
        pairs: &[(Vec<Point>, Vec<Point>)],
        resamples: usize,
        dice: &mut Dice,
    ) -> Option<Difference> {
        let (first, second): (Vec<_>, Vec<_>) = pairs.iter().cloned().unzip();
        let (first, second) = (self.reduced(&first), self.reduced(&second));
        let apart = |one: &[Point], other: &[Point]| {
            let (one, other) = (self.of(one)?, self.of(other)?);
            match self {
                Self::Quantile(_) => (one > 0.0 && other > 0.0).then(|| (other / one).ln()),
                _ => Some(other - one),
            }
        };
        let value = apart(&first.concat(), &second.concat())?;
        let mut resampled = Vec::with_capacity(resamples);
        let (mut one, mut other) = (Vec::new(), Vec::new());
        for _ in 0..resamples {
            one.clear();
            other.clear();
            for _ in 0..first.len() {
                let which = dice.below(first.len());
                one.extend_from_slice(first.get(which).map_or(&[], Vec::as_slice));
                other.extend_from_slice(second.get(which).map_or(&[], Vec::as_slice));
            }
            resampled.extend(apart(&one, &other));
        }
        let middle = resampled.iter().sum::<f64>() / resampled.len().max(1) as f64;
        let spread = resampled.iter().map(|one| (one - middle).powi(2)).sum::<f64>();
        let error = (spread / resampled.len().max(1) as f64).sqrt();
        let (low, high) = (quantile(resampled.clone(), 0.025)?, quantile(resampled, 0.975)?);
        Some(Difference { interval: Interval { value, low, high }, error })
    }

    /// Groups of points as few points as the value needs: of a ratio the sums do.
    fn reduced(self, groups: &[Vec<Point>]) -> Vec<Vec<Point>> {
        match self {
            Self::Ratio => groups
                .iter()
                .map(|group| {
                    vec![group.iter().fold(Point(0.0, 0.0), |sum, point| Point(sum.0 + point.0, sum.1 + point.1))]
                })
                .collect(),
            _ => groups.to_vec(),
        }
    }
}

/// Mann and Whitney's statistic as a share of all pairs, equal scores counted half.
fn auroc(points: &[Point]) -> Option<f64> {
    let mut sorted: Vec<&Point> = points.iter().collect();
    sorted.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (mut below, mut won, mut sought) = (0.0, 0.0, 0.0);
    let mut rest = sorted.as_slice();
    while let Some(first) = rest.first() {
        let equal = rest.iter().take_while(|point| point.0.total_cmp(&first.0).is_eq()).count();
        let (level, after) = rest.split_at(equal);
        let positive = level.iter().filter(|point| point.1 > 0.5).count() as f64;
        let negative = level.len() as f64 - positive;
        won += positive * (below + negative / 2.0);
        below += negative;
        sought += positive;
        rest = after;
    }
    (sought > 0.0 && below > 0.0).then(|| won / (sought * below))
}

/// The value below which that share of the values lies, on the line between neighbours.
fn quantile(mut values: Vec<f64>, share: f64) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let place = share.clamp(0.0, 1.0) * values.len().saturating_sub(1) as f64;
    let (below, above) = (values.get(place.floor() as usize)?, values.get(place.ceil() as usize)?);
    Some(below + (above - below) * place.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ones(right: usize, of: usize) -> Vec<Vec<Point>> {
        (0..of).map(|at| vec![Point(if at < right { 1.0 } else { 0.0 }, 1.0)]).collect()
    }

    #[test]
    fn values_follow_their_definitions() {
        let points = [Point(1.0, 2.0), Point(0.0, 2.0)];
        assert_eq!(Statistic::Ratio.of(&points), Some(0.25));
        let sided = [Point(1.0, 1.0), Point(0.0, 1.0), Point(1.0, 0.0)];
        assert_eq!(Statistic::Balanced.of(&sided), Some(0.75));
        assert_eq!(Statistic::Balanced.of(&sided[..2]), None, "there are none of the other side");
        // 0.9 is above both others, 0.4 is level with one and above the other.
        let scored = [Point(0.9, 1.0), Point(0.4, 1.0), Point(0.4, 0.0), Point(0.1, 0.0)];
        assert_eq!(Statistic::Auroc.of(&scored), Some(3.5 / 4.0));
        assert_eq!(Statistic::Auroc.of(&scored[..2]), None);
        let times = [Point(4.0, 1.0), Point(1.0, 1.0), Point(3.0, 1.0), Point(2.0, 1.0)];
        assert_eq!(Statistic::Quantile(0.5).of(&times), Some(2.5));
        assert_eq!(Statistic::Ratio.of(&[]), None);
    }

    #[test]
    fn an_interval_is_as_wide_as_the_textbook_has_it_and_the_same_for_the_same_seed() {
        let groups = ones(240, 300);
        let found = Statistic::Ratio.interval(&groups, &mut Dice::new(1)).unwrap();
        // 1.96 standard errors of a share of 0.8 among 300 are 0.045.
        assert!((found.high - found.low - 0.09).abs() < 0.012, "{found:?}");
        assert_eq!(found, Statistic::Ratio.interval(&groups, &mut Dice::new(1)).unwrap());
        let other = |seed: u64| Statistic::Ratio.interval(&groups, &mut Dice::new(seed)).unwrap();
        assert!((2..12).any(|seed| other(seed) != found), "the seed has no say");
    }

    #[test]
    fn nothing_wrong_in_so_many_leaves_room_for_three() {
        let found = Statistic::Ratio.interval(&ones(100, 100), &mut Dice::new(1)).unwrap();
        assert_eq!((found.value, found.low, found.high), (1.0, 0.97, 1.0));
        let found = Statistic::Ratio.interval(&ones(0, 100), &mut Dice::new(1)).unwrap();
        assert_eq!((found.value, found.low, found.high), (0.0, 0.0, 0.03));
    }

    #[test]
    fn items_of_one_group_count_as_one() {
        let alone = ones(50, 100);
        let together: Vec<Vec<Point>> = alone.chunks(10).map(|chunk| chunk.concat()).collect();
        let width = |groups: &[Vec<Point>]| {
            let found = Statistic::Ratio.interval(groups, &mut Dice::new(3)).unwrap();
            found.high - found.low
        };
        assert!(width(&together) > 2.0 * width(&alone));
    }

    #[test]
    fn a_run_beside_itself_differs_by_nothing() {
        let groups = ones(70, 100);
        let same: Vec<_> = groups.iter().cloned().zip(groups.clone()).collect();
        let found = Statistic::Ratio.difference(&same, 200, &mut Dice::new(1)).unwrap();
        assert_eq!((found.interval.value, found.error), (0.0, 0.0));
        let worse: Vec<_> = groups.into_iter().zip(ones(50, 100)).collect();
        let found = Statistic::Ratio.difference(&worse, 200, &mut Dice::new(1)).unwrap();
        assert!((found.interval.value + 0.2).abs() < 1e-9 && found.interval.high < 0.0, "{found:?}");
        let times = |by: f64| (1..=50_i32).map(|at| vec![Point(f64::from(at) * by, 1.0)]).collect::<Vec<_>>();
        let slower: Vec<_> = times(1.0).into_iter().zip(times(2.0)).collect();
        let found = Statistic::Quantile(0.5).difference(&slower, 200, &mut Dice::new(1)).unwrap();
        assert!((found.interval.value - 2_f64.ln()).abs() < 1e-9, "{found:?}");
    }
}
