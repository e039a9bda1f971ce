//! A counter-based generator: the n-th number of a seed is a function of both, so no state can be shared or lost.

/// SplitMix64's finaliser (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
pub(crate) fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The `step`-th number of `seed`, in [0, 1), from 53 bits.
pub(crate) fn unit(seed: u64, step: u64) -> f64 {
    (mix(mix(seed) ^ mix(step)) >> 11) as f64 / (1u64 << 53) as f64
}
