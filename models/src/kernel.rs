//! What computes on the CPU, with the instructions that are found when the program starts.
//!
//! The only room with `unsafe`: vector instructions, which a processor either has or has not, and reads whose bounds were
//! checked once for a whole loop. Each block says what it rests on. Every kernel has a portable twin that tests hold it to.

pub(crate) mod embed;
