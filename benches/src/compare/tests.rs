use super::*;
use crate::report::FORMAT;
use crate::report::tests::row;

/// What disturbs rounds.
#[derive(Clone, Copy, Debug)]
enum Noise {
    /// Every round by itself.
    Even(f64),
    /// One round in ten is one and a half times as slow.
    Outliers(f64),
    /// A round is disturbed like the one before it, the more the nearer to 1.
    Drift(f64, f64),
}

fn normal(dice: &mut Dice) -> f64 {
    (0..12).map(|_| dice.unit()).sum::<f64>() - 6.0
}

fn rounds(dice: &mut Dice, noise: Noise, count: usize, middle: f64) -> Vec<f64> {
    let mut before = normal(dice);
    (0..count)
        .map(|_| {
            let disturbed = match noise {
                Noise::Even(size) => size * normal(dice),
                Noise::Outliers(size) => size * normal(dice) + if dice.below(10) == 0 { 0.4 } else { 0.0 },
                Noise::Drift(size, like) => {
                    before = like * before + (1.0 - like * like).sqrt() * normal(dice);
                    size * before
                }
            };
            middle * disturbed.exp()
        })
        .collect()
}

/// Thirty figures, as a whole report has.
fn report(dice: &mut Dice, noise: Noise, count: usize, by: f64) -> Report {
    let rows = (0..30).map(|at| {
        let better = if at % 2 == 0 { Better::Higher } else { Better::Lower };
        let worse = if better == Better::Higher { 1.0 / by } else { by };
        row(&format!("workload-{at}"), "speed", better, &rounds(dice, noise, count, 100.0 * worse))
    });
    Report { format: FORMAT, begun: String::new(), rows: rows.collect() }
}

/// How many of the comparisons name a difference.
fn alarms(noise: Noise, count: usize, seeds: u64) -> usize {
    (0..seeds)
        .filter(|seed| {
            let mut dice = Dice::new(*seed * 7919 + count as u64);
            let (first, second) = (report(&mut dice, noise, count, 1.0), report(&mut dice, noise, count, 1.0));
            // As `compare` does, without the intervals that are only looked at.
            let pairs = first.rows.iter().zip(&second.rows);
            pairs.into_iter().any(|(a, b)| verdict(a, b, ERROR / 30.0) != Verdict::NoDifferenceShown)
        })
        .count()
}

#[test]
fn a_run_compared_with_itself_shows_no_difference_over_thousands_of_seeds() {
    for noise in [Noise::Even(0.02), Noise::Even(0.15), Noise::Outliers(0.03), Noise::Drift(0.05, 0.6)] {
        for (count, seeds) in [(3, 300), (5, 400), (10, 100)] {
            let found = alarms(noise, count, seeds);
            // One in a hundred is promised where rounds are independent; so many more come by chance in 1 of 1,000 such tests.
            let expected = ERROR * seeds as f64;
            let most = expected + 3.1 * expected.sqrt() + 1.0;
            assert!(found as f64 <= most, "{noise:?}, {count} rounds: {found} of {seeds}");
        }
    }
}

#[test]
fn what_became_a_fifth_slower_is_found_and_what_became_faster_too() {
    for (by, verdict) in [(1.2, Verdict::Slower), (1.0 / 1.2, Verdict::Faster)] {
        let mut dice = Dice::new(5);
        let first = report(&mut dice, Noise::Even(0.02), 10, 1.0);
        let second = report(&mut dice, Noise::Even(0.02), 10, by);
        let comparison = compare(&first, &second);
        let found = comparison.lines.iter().filter(|line| line.verdict == verdict).count();
        assert_eq!(found, 30, "{by}: {}", comparison.text());
        assert_eq!(comparison.slower(), verdict == Verdict::Slower);
    }
}

#[test]
fn a_difference_within_the_margin_is_none_however_sure() {
    let first = vec![row("a", "speed", Better::Higher, &[100.0, 100.1, 99.9, 100.0, 100.05])];
    let second = vec![row("a", "speed", Better::Higher, &[103.0, 103.1, 102.9, 103.0, 103.05])];
    let of = |rows: Vec<Row>| Report { format: FORMAT, begun: String::new(), rows };
    let comparison = compare(&of(first), &of(second));
    assert_eq!(comparison.lines[0].verdict, Verdict::NoDifferenceShown, "{comparison:?}");
    assert!(comparison.lines[0].ratio.is_some_and(|(value, low, _)| value > 1.02 && low > 1.0));
}

#[test]
fn what_cannot_be_compared_is_said() {
    let mut other = row("b", "speed", Better::Higher, &[1.0, 2.0]);
    other.machine.threads = 99;
    let of = |rows: Vec<Row>| Report { format: FORMAT, begun: String::new(), rows };
    let first = of(vec![row("a", "speed", Better::Higher, &[1.0; 5]), row("b", "speed", Better::Higher, &[1.0; 5])]);
    let comparison = compare(&first, &of(vec![other]));
    assert_eq!(comparison.lines.len(), 1);
    assert_eq!(comparison.lines[0].verdict, Verdict::TooFewRounds);
    assert_eq!(comparison.missing, ["a speed (first only)"]);
    assert_eq!(comparison.machines_differ, ["threads"]);
    let text = comparison.text();
    assert!(text.contains("too few rounds") && text.contains("not compared: a speed"), "{text}");
    assert!(text.contains("The machines differ in threads"), "{text}");
}
