//! Texts a second.

use std::time::Instant;

use cloister_models::EmbedPool;

use super::options::{Options, embed};
use super::peer::Peer;

/// Name, lengths in tokens, repetitions in a round.
type Workload = (&'static str, Vec<usize>, usize);

fn workloads() -> Vec<Workload> {
    vec![
        ("16 of 128", vec![128; 16], 4),
        ("one of 32", vec![32], 50),
        ("one of 12", vec![12], 50),
        ("64 of 8 to 256", (0..64).map(|n| 8 + n * 97 % 249).collect(), 1),
        ("256 of 200", vec![200; 256], 1),
    ]
}

/// A text of so many tokens, those around it included; `seed` makes it another one.
fn text(pool: &EmbedPool, tokens: usize, seed: usize) -> String {
    const WORDS: [&str; 8] = ["insulin", "dose", "patient", "pharmacy", "daily", "table", "water", "night"];
    let words = WORDS.iter().cycle().skip(seed % WORDS.len());
    let mut text = String::new();
    for word in words {
        let longer = format!("{text} {word}");
        if pool.count_tokens(&longer) > tokens {
            break;
        }
        text = longer;
    }
    text
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Prints a row per workload: medians over the rounds.
pub(crate) fn measure(options: &Options) -> Result<(), Box<dyn std::error::Error>> {
    let started = Instant::now();
    let pool = options.pool(options.precision)?;
    println!(
        "ready after {:.2} s, {:?}, {:?}",
        started.elapsed().as_secs_f64(),
        options.precision,
        options.instructions
    );
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = if options.threads == 0 { threads } else { options.threads };
    let mut peer = options.peer.as_deref().map(|python| Peer::start(python, threads)).transpose()?;
    println!("{:16} {:>10} {:>12} {:>12} {:>8}", "workload", "ms", "texts/s", "ONNX int8", "ratio");
    for (name, lengths, repetitions) in workloads() {
        let texts: Vec<String> = lengths.iter().enumerate().map(|(n, length)| text(&pool, *length, n)).collect();
        let (mut own, mut theirs) = (Vec::new(), Vec::new());
        embed(&pool, &texts)?;
        for _ in 0..options.rounds {
            let started = Instant::now();
            for _ in 0..repetitions {
                embed(&pool, &texts)?;
            }
            own.push(started.elapsed().as_secs_f64() / repetitions as f64);
            if let Some(peer) = &mut peer {
                theirs.push(peer.time(&lengths, repetitions)?);
            }
        }
        let (own, theirs) = (median(own), median(theirs));
        let count = lengths.len() as f64;
        println!("{name:16} {:>10.2} {:>12.1} {:>12.1} {:>8.2}", own * 1e3, count / own, count / theirs, theirs / own);
    }
    Ok(())
}
