//! The arithmetic of the processor path: weights repacked for vector instructions, products with them, attention, and the
//! threads that share the work.
//!
//! Every kernel is written once, over sixteen lanes ([`simd::Simd`]), and compiled for each instruction set; which one runs is chosen
//! when the program starts ([`Path::best`]). All of them do the same operations in the same order, sums of integers apart, whose
//! order does not matter. So every path gives the same bits, and one is tested against the other by equality.
//!
//! Where the processor has tiles (AMX) and the system lets this process use them, products of many rows take them. They sum integers exactly,
//! and what is made of the sums is the same code, so their bits are the same too.
//!
//! Encoders have kernels of their own, in [`embed`]: their products are of many rows with 8-bit weights and nothing else.
//!
//! What a row of the result is does not depend on how many rows are computed with it, nor on the number of threads.

#![allow(
    unsafe_code,
    reason = "vector loads and stores go through pointers; the functions that take slices check every length before they do"
)]

pub(crate) mod activations;
#[cfg(target_arch = "x86_64")]
mod amx;
pub(crate) mod attention;
pub(crate) mod embed;
mod formats;
pub(crate) mod matrix;
mod product;
pub(crate) mod rows;
mod simd;
pub(crate) mod team;

pub(crate) use activations::Activations;
pub use formats::Format;
pub(crate) use matrix::Matrix;
pub(crate) use simd::Path;
pub(crate) use team::Team;
