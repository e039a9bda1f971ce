//! What a model will do on a machine, told before it is bought, fetched or loaded: memory, time to the first token, tokens per
//! second for one reader and for many, readers at once.
//!
//! **What it is not**: a benchmark. It measures the machine ([`Rates::measure`], a few seconds) and computes the rest; what was
//! computed is held against what is measured by the program `plan` of the benches.
//!
//! # The model of cost
//!
//! A step of the engine computes some rows: the next token of every sequence, or a part of a prompt. Its time is
//!
//! ```text
//! step    = join(compute, memory) + products * stall + between + layers * layer + logits
//! compute = sum over weights of product(layout, rows) + attention
//! memory  = (bytes of weights + bytes of keys and values) / reading(those bytes)
//! join    = max(compute, memory) + overlap * min(compute, memory)
//! ```
//!
//! Each term is there for a reason, and each of its rates is measured through the kernels that serve, none from a data sheet:
//!
//! - **`product(layout, rows)`**, seconds per weight while the weights lie in the cache, at 1 to 512 rows. One row is taken apart and
//!   multiplied, several share the taking apart, many are multiplied from a panel that was taken apart beforehand: three regimes
//!   whose limits depend on layout and processor, so points are measured and lines drawn between them. Beyond the last
//!   point time grows with rows, as it does by then.
//! - **`reading(bytes)`**, bytes per second when so many are read again and again. One token reads every weight once; a
//!   model that fits the last-level cache reads faster than memory would allow, so it is a curve and not one number.
//! - **`join`**: a roofline (Williams, Waterman and Patterson, 2009) says `max`, as if a processor loaded the next weights while it
//!   multiplies these. How far it does not is `overlap`, the share of the shorter of the two that shows, measured on matrices that
//!   do not fit the cache.
//! - **`stall`**: where one matrix ends and the next begins, nothing is read ahead and every thread waits for the last; measured on
//!   matrices of a layer's size that do not fit the cache together. It weighs on small models, whose matrices are short.
//! - **`attention`**: every asking head sees every position once in each layer, up to the layer's window. One row's heads come four at a
//!   time and its positions in stretches of 256 (fewer units than threads leave threads idle); a prompt's rows come sixteen at a time.
//! - **`between`**: normalisation, rounding and gates touch each number of a row once or twice; a single row does it on one thread.
//! - **`layer`**: what remains per layer when there is next to nothing to compute, barriers of the threads above all: the time of a
//!   tiny model with made-up weights, divided by its layers. It is measured on that model and not fitted to any that is planned.
//! - **`logits`**: choosing a token looks at every logit.
//!
//! A prompt is computed in parts as the scheduler cuts it: 128 tokens first, then as many as a step of the wanted length takes.
//!
//! What is not in it: guessed tokens (`PoolOptions::guesses`), which make answers faster that repeat their evidence; the tokenizer,
//! checks of the answer, retrieval, TLS, and other programs on the machine.

mod cost;
mod forecast;
mod named;
mod rates;
mod subject;

pub use forecast::{Demand, Forecast, Outlook, READING, Verdict};
pub use named::{NamedError, QUANTISATIONS};
pub use rates::{AttentionRate, EncoderRates, Line, ProductRate, Rates};
pub use subject::Subject;
