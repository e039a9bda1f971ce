//! What rounds say: medians, and intervals for the ratio of two runs.

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

    /// A number from 0 to 1, 1 left out.
    pub fn unit(&mut self) -> f64 {
        (self.number() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// The value below which that share of the values lies, on the line between neighbours; not a number where there are none.
#[must_use]
pub fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = share.clamp(0.0, 1.0) * sorted.len().saturating_sub(1) as f64;
    let (below, above) = (sorted.get(place.floor() as usize), sorted.get(place.ceil() as usize));
    match (below, above) {
        (Some(below), Some(above)) => below + (above - below) * place.fract(),
        _ => f64::NAN,
    }
}

/// The middle value.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// The arithmetic mean.
#[must_use]
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// How much larger the second run's values are than the first's, as a ratio of geometric means, and between what.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    /// Second over first.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

/// How much larger the error of a mean is than independent rounds would have it. What slows a shared machine lasts longer than a round, so
/// neighbours are alike: at a correlation of 0.6 the error of five to ten rounds is twice what their spread says. Rounds are too few to
/// estimate it from them.
const DRIFT: f64 = 2.0;
/// Resamples of a bootstrap.
const RESAMPLES: usize = 2000;
/// What the normal distribution needs for 95 in 100.
const NORMAL: f64 = 1.959_964;

/// The difference of two runs' mean logarithms.
struct Difference {
    value: f64,
    /// Its standard error.
    error: f64,
    /// Degrees of freedom of that (Welch, 1947).
    freedom: f64,
}

/// Logarithms; `None` with fewer than three values, or values that are not above 0.
fn logarithms(values: &[f64]) -> Option<Vec<f64>> {
    let fine = values.len() >= 3 && values.iter().all(|value| value.is_finite() && *value > 0.0);
    fine.then(|| values.iter().map(|value| value.ln()).collect())
}

fn difference(first: &[f64], second: &[f64]) -> Difference {
    let freedom = |values: &[f64]| values.len() as f64 - 1.0;
    let of_mean = |values: &[f64]| {
        let middle = mean(values);
        values.iter().map(|value| (value - middle).powi(2)).sum::<f64>() / freedom(values) / values.len() as f64
    };
    let (one, other) = (of_mean(first), of_mean(second));
    let welch = (one + other).powi(2) / (one.powi(2) / freedom(first) + other.powi(2) / freedom(second));
    let freedom = if welch.is_finite() { welch.max(2.0) } else { 2.0 };
    Difference { value: mean(second) - mean(first), error: (one + other).sqrt(), freedom }
}

/// The ratio of two runs' rounds with an interval that misses the true one with probability `error` at most, where the rounds' logarithms are
/// about normal and neighbours alike up to a correlation of 0.6: what Student's distribution gives, which few rounds and small errors need,
/// with twice the standard error. `None` with fewer than three rounds on either side, or values that are not above 0.
#[must_use]
pub fn strict(first: &[f64], second: &[f64], error: f64) -> Option<Ratio> {
    let Difference { value, error: one, freedom } = difference(&logarithms(first)?, &logarithms(second)?);
    let reach = student(error, freedom) * one * DRIFT;
    Some(Ratio { value: value.exp(), low: (value - reach).exp(), high: (value + reach).exp() })
}

/// The ratio with its bootstrap interval of 95 in 100 over rounds (Efron, 1979), for people to look at. Percentiles of resamples are far too
/// narrow with few rounds, so they are stretched about the ratio by the square root of n / (n - 1) and by what Student's
/// distribution needs more than the normal one (Hesterberg, 2015). `None` as for [`strict`].
#[must_use]
pub fn bootstrap(first: &[f64], second: &[f64], dice: &mut Dice) -> Option<Ratio> {
    let (first, second) = (logarithms(first)?, logarithms(second)?);
    let Difference { value, freedom, .. } = difference(&first, &second);
    let resampled: Vec<f64> = (0..RESAMPLES).map(|_| resample(&second, dice) - resample(&first, dice)).collect();
    let rounds = first.len().min(second.len()) as f64;
    let stretch = (rounds / (rounds - 1.0)).sqrt() * student(0.05, freedom) / NORMAL;
    let end = |share| (value + (quantile(&resampled, share) - value) * stretch).exp();
    Some(Ratio { value: value.exp(), low: end(0.025), high: end(0.975) })
}

/// The mean of as many values as there are, drawn from them.
fn resample(values: &[f64], dice: &mut Dice) -> f64 {
    let drawn = (0..values.len()).filter_map(|_| values.get(dice.below(values.len())));
    drawn.sum::<f64>() / values.len() as f64
}

/// How many standard errors to both sides hold all but `error` of Student's distribution. With x = sqrt(freedom) tan(a) the density of
/// a is a power of its cosine, which is summed up from the end.
#[must_use]
pub fn student(error: f64, freedom: f64) -> f64 {
    const PARTS: usize = 300;
    let step = std::f64::consts::FRAC_PI_2 / PARTS as f64;
    let density = |part: usize| ((part as f64 + 0.5) * step).cos().powf(freedom - 1.0);
    let wanted = error * (0..PARTS).map(density).sum::<f64>();
    let mut beyond = 0.0;
    for part in (0..PARTS).rev() {
        let here = density(part);
        if beyond + here >= wanted {
            let share = (wanted - beyond) / here;
            return freedom.sqrt() * ((part as f64 + 1.0 - share) * step).tan();
        }
        beyond += here;
    }
    0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_neighbours() {
        let values = [4.0, 1.0, 3.0, 2.0];
        for (share, expected) in [(0.0, 1.0), (0.5, 2.5), (1.0, 4.0), (1.0 / 3.0, 2.0)] {
            assert!((quantile(&values, share) - expected).abs() < 1e-9, "{share}");
        }
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn student_reaches_as_far_as_published_tables_say() {
        for (error, freedom, expected) in [
            (0.05, 4.0, 2.776),
            (0.05, 8.0, 2.306),
            (0.01, 4.0, 4.604),
            (0.01, 18.0, 2.878),
            (0.001, 8.0, 5.041),
            (0.001, 30.0, 3.646),
        ] {
            let found = student(error, freedom);
            assert!((found / expected - 1.0).abs() < 0.005, "{error} {freedom}: {found} instead of {expected}");
        }
    }

    fn normal(dice: &mut Dice) -> f64 {
        // The sum of twelve evenly spread numbers is nearly normal.
        (0..12).map(|_| dice.unit()).sum::<f64>() - 6.0
    }

    #[test]
    fn intervals_hold_the_true_ratio_about_as_often_as_they_promise() {
        for rounds in [5, 10] {
            let (mut dice, mut missed) = (Dice::new(1), (0, 0));
            for _ in 0..300 {
                let mut run =
                    |middle: f64| (0..rounds).map(|_| middle * (0.05 * normal(&mut dice)).exp()).collect::<Vec<_>>();
                let (first, second) = (run(10.0), run(12.0));
                let strict = strict(&first, &second, 0.05).unwrap();
                let bootstrap = bootstrap(&first, &second, &mut dice).unwrap();
                missed.0 += usize::from(!(strict.low..=strict.high).contains(&1.2));
                missed.1 += usize::from(!(bootstrap.low..=bootstrap.high).contains(&1.2));
            }
            // Five in a hundred of 300 is 15, with a standard deviation of four; a bootstrap of five rounds knows less. These rounds do
            // not drift, so that the strict interval misses less often than it may.
            assert!((0..=6).contains(&missed.0), "{rounds} rounds: {} of 300", missed.0);
            assert!((3..=32).contains(&missed.1), "{rounds} rounds: {} of 300", missed.1);
        }
    }

    #[test]
    fn few_rounds_and_values_without_logarithm_have_no_ratio() {
        for (first, second) in
            [([1.0, 2.0].as_slice(), [1.0, 2.0, 3.0].as_slice()), (&[1.0, 2.0, 0.0], &[1.0, 2.0, 3.0])]
        {
            assert_eq!(strict(first, second, 0.05), None);
            assert_eq!(bootstrap(first, second, &mut Dice::new(1)), None);
        }
        let same = strict(&[1.0; 4], &[2.0; 4], 0.05).unwrap();
        assert!((same.value - 2.0).abs() < 1e-12 && (same.low - 2.0).abs() < 1e-12, "{same:?}");
    }
}
