//! Prompts, answers, and grounded answers, asked of the raw model.

use std::time::Instant;

use cloister_models::{ChatMessage, ChatRole, GeneratePool, Prompt};

use super::{Figure, Workload};
use crate::Failure;
use crate::ask::{Seen, ask, together};
use crate::statistics::{Dice, quantile};
use crate::text;

/// Tokens of the prompt that is timed by itself, and of the answer that is.
const PROMPT: usize = 512;
const ANSWER: usize = 64;
/// Tokens of evidence and of the answer that rests on it.
const EVIDENCE: usize = 1200;
const GROUNDED: usize = 96;

const SYSTEM: &str =
    "You answer a pharmacy agent's question from the evidence alone, in two sentences, and name the passage you used.";
/// The questions of a session, one after the other.
const QUESTIONS: [&str; 4] = [
    "How is insulin kept?",
    "Who may label what is returned?",
    "What is done when stock is missing?",
    "Whom does one call?",
];

/// Text of so many tokens, another for every seed.
fn tokens(pool: &GeneratePool, count: usize, seed: u64) -> String {
    text::until(&mut Dice::new(seed), |text| pool.count_tokens(text) >= count)
}

/// A prompt nothing of which is known, and one token.
#[must_use]
pub fn prompt(pool: GeneratePool) -> Workload {
    Workload::new("prompt", move |round| {
        let seed = round as u64;
        let seen = ask(&pool, Prompt::Text(tokens(&pool, PROMPT, seed)), 1, seed)?;
        let speed = seen.prompt as f64 / seen.first.as_secs_f64();
        Ok(vec![Figure::speed("prompt of 512 tokens", "tokens/s", speed)])
    })
}

/// Sixty-four tokens after a short prompt.
#[must_use]
pub fn generation(pool: GeneratePool) -> Workload {
    Workload::new("generation", move |round| {
        let seen = ask(&pool, Prompt::Text(text::sentence(&mut Dice::new(round as u64))), ANSWER + 1, round as u64)?;
        Ok(vec![Figure::speed("answer of 64 tokens", "tokens/s", seen.speed())])
    })
}

/// Sessions of so many clients at once: a system prompt, 1,200 tokens of evidence of one's own, four questions in turn with 96 new tokens
/// each.
#[must_use]
pub fn grounded(pool: GeneratePool, clients: usize) -> Workload {
    Workload::new(format!("grounded-answer-{clients}"), move |round| {
        let begun = Instant::now();
        let sessions = together(clients, |client| session(&pool, (round * 1000 + client) as u64))?;
        let took = begun.elapsed().as_secs_f64();
        let seen: Vec<Seen> = sessions.into_iter().flatten().collect();
        let milliseconds = |of: fn(&Seen) -> std::time::Duration| -> Vec<f64> {
            seen.iter().map(|seen| of(seen).as_secs_f64() * 1e3).collect()
        };
        let (first, last) = (milliseconds(|seen| seen.first), milliseconds(|seen| seen.last));
        let answered: usize = seen.iter().map(|seen| seen.answer).sum();
        Ok(vec![
            Figure::milliseconds("first token, median", quantile(&first, 0.5)),
            Figure::milliseconds("first token, 9 of 10", quantile(&first, 0.9)),
            Figure::milliseconds("last token, median", quantile(&last, 0.5)),
            Figure::milliseconds("last token, 9 of 10", quantile(&last, 0.9)),
            Figure::speed("all clients together", "tokens/s", answered as f64 / took),
        ])
    })
}

fn session(pool: &GeneratePool, seed: u64) -> Result<Vec<Seen>, Failure> {
    let evidence = tokens(pool, EVIDENCE, seed);
    let message = |role, content: String| ChatMessage { role, content };
    QUESTIONS
        .iter()
        .map(|question| {
            let asked = format!("Evidence:\n{evidence}\n\nQuestion: {question}");
            let chat = vec![message(ChatRole::System, SYSTEM.to_owned()), message(ChatRole::User, asked)];
            // A session is a salt of its own: nobody shares another's beginning.
            ask(pool, Prompt::Chat(chat), GROUNDED, seed)
        })
        .collect()
}
