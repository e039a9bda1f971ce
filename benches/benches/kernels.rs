//! The kernels by themselves, each with the share of what this machine was measured to be able to do.
//!
//! What is measured: one row times weights that do not fit the cache, as generating a token does, against the bandwidth of
//! reading memory; 128 rows times weights that do, as a prompt does, against the fastest product of this processor; attention of
//! a row and of a prompt; the encoders' 8-bit products. Numbers are of no meaning; times do not depend on them.
//!
//! ```sh
//! cargo bench -p cloister-benches --bench kernels            # all
//! cargo bench -p cloister-benches --bench kernels -- Q4_K    # one layout
//! ```
//!
//! After each group a table says how many GB/s or G operations per second that were, and what share of the limit.

#![allow(
    clippy::print_stdout,
    missing_docs,
    reason = "a bench prints what it measured; criterion's macros make functions without docs"
)]

use std::time::Duration;

use cloister_models::measure::{Attention, Crew, EncoderProduct, Format, HeadLayout, Product, seconds};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// Bytes of weights that do not fit the last-level cache of most machines, and numbers of a row.
const LARGE: usize = 128 << 20;
const WIDTH: usize = 2048;
/// How long the limits are measured.
const BUDGET: Duration = Duration::from_millis(300);

fn crew() -> Crew {
    match Crew::new(0) {
        Ok(crew) => crew,
        Err(error) => {
            println!("{error}");
            std::process::exit(1);
        }
    }
}

/// Rows of weights that take so many bytes.
fn outputs(format: Format, bytes: usize) -> usize {
    (bytes * 16 / format.packed_bytes(WIDTH, 16)).max(16)
}

fn tokens(criterion: &mut Criterion) {
    let crew = crew();
    let mut limit = Product::new(&crew, Format::F32, (WIDTH, outputs(Format::F32, LARGE)), 1);
    let bandwidth = limit.bytes() as f64 / seconds(BUDGET, || limit.run());
    drop(limit);
    let mut shares = Vec::new();
    let mut group = criterion.benchmark_group("one row, weights in memory");
    for format in Format::ALL {
        let mut product = Product::new(&crew, format, (WIDTH, outputs(format, LARGE)), 1);
        group.throughput(Throughput::Bytes(product.bytes()));
        group.bench_function(format.name(), |bencher| bencher.iter(|| product.run()));
        shares.push((format.name(), product.bytes() as f64 / seconds(BUDGET, || product.run())));
    }
    group.finish();
    tell("GB/s", "reading memory", bandwidth, &shares);
}

fn prompts(criterion: &mut Criterion) {
    let crew = crew();
    let mut shares = Vec::new();
    let mut group = criterion.benchmark_group("128 rows, weights in the cache");
    for format in Format::ALL {
        let mut product = Product::new(&crew, format, (1024, 1024), 128);
        group.throughput(Throughput::Elements(product.operations()));
        group.bench_function(format.name(), |bencher| bencher.iter(|| product.run()));
        shares.push((format.name(), product.operations() as f64 / seconds(BUDGET, || product.run())));
    }
    group.finish();
    let fastest = shares.iter().map(|(_, speed)| *speed).fold(0.0, f64::max);
    tell("G/s", "the fastest of these", fastest, &shares);
}

fn attention(criterion: &mut Criterion) {
    let crew = crew();
    let mut group = criterion.benchmark_group("attention at 1,024 positions");
    for (rows, size) in [(1, 64), (1, 128), (1, 256), (128, 64), (128, 128), (128, 256)] {
        let layout = HeadLayout { queries: 16, keys: 4, size };
        let Some(mut probe) = Attention::new(&crew, layout, 1024, rows) else { continue };
        group.throughput(Throughput::Elements(probe.seen() * size as u64 * 2));
        let name = format!("{rows} rows, heads of {size}");
        group.bench_function(name, |bencher| bencher.iter(|| probe.run()));
    }
    group.finish();
}

fn encoders(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("8-bit products of encoders, one thread");
    for (inputs, outputs) in [(384, 384), (384, 1536), (1536, 384), (768, 3072)] {
        let mut probe = EncoderProduct::new((inputs, outputs), 48);
        group.throughput(Throughput::Elements(probe.operations()));
        group.bench_function(format!("{inputs} to {outputs}"), |bencher| bencher.iter(|| probe.run()));
    }
    group.finish();
}

fn tell(unit: &str, what: &str, limit: f64, shares: &[(&str, f64)]) {
    println!("limit, {what}: {:.1} {unit}", limit / 1e9);
    for (name, speed) in shares {
        println!("{name:>6} {:7.1} {unit} {:4.0}% of the limit", speed / 1e9, 100.0 * speed / limit);
    }
}

criterion_group! {
    name = kernels;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2));
    targets = tokens, prompts, attention, encoders
}
criterion_main!(kernels);
