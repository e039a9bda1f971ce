use proptest::prelude::*;

use super::*;

fn sampler(sampling: &Sampling, seed: u64) -> Sampler {
    Sampler::new(sampling, seed, &[])
}

#[test]
fn greedy_takes_the_most_probable_and_the_first_of_equals() {
    let mut greedy = sampler(&Sampling::default(), 0);
    assert_eq!(greedy.choose(&mut [0.0, 3.0, 3.0, -1.0]), Some(1));
    assert_eq!(greedy.choose(&mut [f32::NAN, -5.0]), Some(1));
    assert_eq!(greedy.choose(&mut [f32::NAN]), None);
}

#[test]
fn draws_follow_the_probabilities() {
    let sampling = Sampling { temperature: 1.0, ..Sampling::default() };
    let logits = [0.7f32.ln(), 0.2f32.ln(), 0.1f32.ln()];
    let mut counts = [0usize; 3];
    let mut sampler = sampler(&sampling, 7);
    for _ in 0..20_000 {
        counts[sampler.choose(&mut logits.clone()).unwrap() as usize] += 1;
    }
    for (count, expected) in counts.iter().zip([0.7, 0.2, 0.1]) {
        assert!((*count as f64 / 20_000.0 - expected).abs() < 0.015, "{counts:?}");
    }
}

#[test]
fn the_penalty_makes_a_repeated_token_lose() {
    let sampling = Sampling { repetition_penalty: 2.0, ..Sampling::default() };
    let mut sampler = Sampler::new(&sampling, 0, &[1]);
    assert_eq!(sampler.choose(&mut [1.0, 1.5]), Some(0));
    assert_eq!(sampler.choose(&mut [-1.0, -1.5]), Some(0));
}

#[test]
fn settings_out_of_range_are_refused_by_name() {
    for (sampling, word) in [
        (Sampling { temperature: f32::NAN, ..Sampling::default() }, "temperature"),
        (Sampling { top_p: 0.0, ..Sampling::default() }, "top_p"),
        (Sampling { min_p: 1.0, ..Sampling::default() }, "min_p"),
        (Sampling { repetition_penalty: 0.0, ..Sampling::default() }, "repetition_penalty"),
        (Sampling { stop: vec![String::new()], ..Sampling::default() }, "stop"),
        (Sampling { max_tokens: 0, ..Sampling::default() }, "max_tokens"),
    ] {
        assert!(sampling.check().unwrap_err().contains(word));
    }
}

proptest! {
    #[test]
    fn the_same_seed_draws_the_same_and_stays_inside_the_kept_set(
        logits in prop::collection::vec(-20f32..20.0, 1..64),
        temperature in 0.05f32..3.0, top_p in 0.01f32..=1.0, min_p in 0f32..0.9, seed: u64
    ) {
        let sampling = Sampling { temperature, top_p, min_p, ..Sampling::default() };
        let (mut a, mut b) = (sampler(&sampling, seed), sampler(&sampling, seed));
        let top = logits.iter().copied().fold(f32::MIN, f32::max);
        for _ in 0..8 {
            let token = a.choose(&mut logits.clone()).unwrap();
            prop_assert_eq!(Some(token), b.choose(&mut logits.clone()));
            let share = ((logits[token as usize] - top) / temperature).exp();
            prop_assert!(share >= min_p * 0.999, "token {} has share {}", token, share);
            let before: f32 = logits.iter().filter(|l| **l > logits[token as usize]).map(|l| ((l - top) / temperature).exp()).sum();
            let total: f32 = logits.iter().map(|l| ((l - top) / temperature).exp()).sum();
            prop_assert!(before <= top_p * total * 1.001 + 1e-4);
        }
    }

    #[test]
    fn random_numbers_lie_in_the_unit_interval(seed: u64, step: u64) {
        prop_assert!((0.0..1.0).contains(&unit(seed, step)));
    }
}
