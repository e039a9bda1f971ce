//! Choosing the next token from the logits: deterministic for a seed, whatever else the machine does.

mod constraint;
mod random;
mod stop;

pub use constraint::Constraint;
pub(crate) use constraint::{Constraints, Mask, MaskError};
pub(crate) use random::{mix, unit};
pub(crate) use stop::StopStrings;

/// How the next token is chosen. The default is greedy, with at most 256 tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// Divides the logits; 0 is greedy: always the most probable token.
    pub temperature: f32,
    /// Keeps the smallest set of tokens whose probabilities reach this sum; 1 keeps all.
    pub top_p: f32,
    /// Drops tokens less probable than this share of the most probable one; 0 drops none.
    pub min_p: f32,
    /// Makes every token of the prompt and the answer so far less likely, as in the CTRL paper; 1 is off.
    pub repetition_penalty: f32,
    /// Same weights, prompt and seed: same text. Without one the pool picks.
    pub seed: Option<u64>,
    /// The text ends before the first of these; they are not part of it.
    pub stop: Vec<String>,
    /// At most this many tokens are generated.
    pub max_tokens: usize,
    /// Goes on when the model says that it has finished. For measuring.
    pub ignore_eos: bool,
    /// What the text must be.
    pub constraint: Option<Constraint>,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 0.0,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            seed: None,
            stop: Vec::new(),
            max_tokens: 256,
            ignore_eos: false,
            constraint: None,
        }
    }
}

/// Most stop strings a request may carry, and the most bytes each may have.
const STOP_LIMITS: (usize, usize) = (16, 256);

impl Sampling {
    /// What is wrong with the settings, if anything.
    ///
    /// # Errors
    /// The name of the field and its range.
    pub fn check(&self) -> Result<(), &'static str> {
        if !(self.temperature.is_finite() && (0.0..=10.0).contains(&self.temperature)) {
            return Err("temperature must lie between 0 and 10");
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return Err("top_p must be above 0 and at most 1");
        }
        if !(0.0..1.0).contains(&self.min_p) {
            return Err("min_p must be at least 0 and below 1");
        }
        if !(self.repetition_penalty.is_finite() && (0.1..=10.0).contains(&self.repetition_penalty)) {
            return Err("repetition_penalty must lie between 0.1 and 10");
        }
        let (count, bytes) = STOP_LIMITS;
        if self.stop.len() > count || self.stop.iter().any(|s| s.is_empty() || s.len() > bytes) {
            return Err("stop holds at most 16 strings of 1 to 256 bytes");
        }
        if self.max_tokens == 0 {
            return Err("max_tokens must be at least 1");
        }
        Ok(())
    }
}

/// The sampler of one sequence. It keeps which tokens have been seen, nothing else: the randomness of step `n` is a
/// function of seed and `n`.
pub(crate) struct Sampler {
    temperature: f32,
    top_p: f32,
    min_p: f32,
    penalty: f32,
    seed: u64,
    step: u64,
    seen: std::collections::HashSet<u32>,
}

impl Sampler {
    pub(crate) fn new(sampling: &Sampling, seed: u64, prompt: &[u32]) -> Self {
        let penalised = sampling.repetition_penalty != 1.0;
        Self {
            temperature: sampling.temperature,
            top_p: sampling.top_p,
            min_p: sampling.min_p,
            penalty: sampling.repetition_penalty,
            seed,
            step: 0,
            seen: if penalised { prompt.iter().copied().collect() } else { Default::default() },
        }
    }

    /// Chooses the next token; `None` where no logit is a number, which only broken weights give.
    pub(crate) fn choose(&mut self, logits: &mut [f32]) -> Option<u32> {
        if self.penalty != 1.0 {
            for &token in &self.seen {
                if let Some(logit) = logits.get_mut(token as usize) {
                    *logit = if *logit > 0.0 { *logit / self.penalty } else { *logit * self.penalty };
                }
            }
        }
        let token =
            if self.temperature == 0.0 { argmax(logits)? } else { self.draw(logits, unit(self.seed, self.step))? };
        self.step += 1;
        if self.penalty != 1.0 {
            self.seen.insert(token);
        }
        Some(token)
    }

    /// Temperature, then top-p, then min-p: the order of Hugging Face's `generate`.
    fn draw(&self, logits: &[f32], random: f64) -> Option<u32> {
        let top = logits.get(argmax(logits)? as usize).copied()?;
        // A token this far below the best has a probability under 1e-9 of the best's: it never counts, and leaving it
        // out early spares the sort.
        let floor = top - 21.0 * self.temperature;
        let mut kept: Vec<(u32, f64)> = (0u32..)
            .zip(logits)
            .filter(|(_, logit)| **logit >= floor)
            .map(|(token, logit)| (token, f64::from((logit - top) / self.temperature).exp()))
            .collect();
        kept.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let total: f64 = kept.iter().map(|(_, weight)| weight).sum();
        let mut sum = 0.0;
        let reached = kept.iter().position(|(_, weight)| {
            sum += weight;
            sum >= f64::from(self.top_p) * total
        });
        kept.truncate(reached.map_or(kept.len(), |last| last + 1));
        // The best has weight 1, so a share of the best is the weight itself.
        kept.retain(|(_, weight)| *weight >= f64::from(self.min_p));
        let total: f64 = kept.iter().map(|(_, weight)| weight).sum();
        let mut left = random * total;
        for (token, weight) in &kept {
            left -= weight;
            if left < 0.0 {
                return Some(*token);
            }
        }
        kept.last().map(|(token, _)| *token)
    }
}

/// The index of the greatest logit, the lowest where several are equal.
fn argmax(logits: &[f32]) -> Option<u32> {
    // Sixteen maxima side by side, which the compiler keeps in vector registers. What is no number never wins.
    let greater = |top: f32, logit: f32| if logit > top && logit < f32::INFINITY { logit } else { top };
    let (lanes, rest) = logits.as_chunks::<16>();
    let mut tops = [f32::NEG_INFINITY; 16];
    for lane in lanes {
        for (top, logit) in tops.iter_mut().zip(lane) {
            *top = greater(*top, *logit);
        }
    }
    let top = tops.into_iter().chain(rest.iter().copied()).fold(f32::NEG_INFINITY, greater);
    let found = logits.iter().position(|logit| *logit == top && top > f32::NEG_INFINITY)?;
    u32::try_from(found).ok()
}

#[cfg(test)]
mod tests;
