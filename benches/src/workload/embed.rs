//! Embedding: a question, long passages, a mixture.

use std::time::{Duration, Instant};

use cloister_models::{EmbedPool, Truncate};

use super::{Figure, Workload};
use crate::Failure;
use crate::statistics::Dice;
use crate::text;

/// Texts of so many tokens each.
fn texts(pool: &EmbedPool, lengths: &[usize], seed: u64) -> Vec<String> {
    let mut dice = Dice::new(seed);
    lengths.iter().map(|length| text::until(&mut dice, |text| pool.count_tokens(text) >= *length)).collect()
}

fn seconds(pool: &EmbedPool, texts: &[String]) -> Result<f64, Failure> {
    let begun = Instant::now();
    pool.embed_blocking(texts, Truncate::End, begun + Duration::from_secs(3600))?;
    Ok(begun.elapsed().as_secs_f64())
}

/// One question at a time, of 16 tokens or a few more.
#[must_use]
pub fn short(pool: EmbedPool) -> Workload {
    Workload::new("embed-short", move |round| {
        let texts = texts(&pool, &[16; 32], round as u64);
        let mut took = 0.0;
        for text in texts.chunks(1) {
            took += seconds(&pool, text)?;
        }
        Ok(vec![Figure::milliseconds("one question", took / texts.len() as f64 * 1e3)])
    })
}

/// Passages of about 200 tokens, 32 at a time.
#[must_use]
pub fn long(pool: EmbedPool) -> Workload {
    Workload::new("embed-long", move |round| {
        let texts = texts(&pool, &[200; 32], round as u64);
        Ok(vec![Figure::speed("32 of 200 tokens", "texts/s", texts.len() as f64 / seconds(&pool, &texts)?)])
    })
}

/// Texts of 8 to 248 tokens, 64 at a time.
#[must_use]
pub fn mixed(pool: EmbedPool) -> Workload {
    Workload::new("embed-mixed", move |round| {
        let mut dice = Dice::new(round as u64);
        let lengths: Vec<usize> = (0..64).map(|_| 8 + dice.below(240)).collect();
        let texts = texts(&pool, &lengths, round as u64);
        Ok(vec![Figure::speed("64 of 8 to 248 tokens", "texts/s", texts.len() as f64 / seconds(&pool, &texts)?)])
    })
}
