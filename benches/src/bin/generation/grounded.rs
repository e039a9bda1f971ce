//! The work of a grounded answer: a system prompt, about 1,200 tokens of evidence from a text, four questions in turn; and what guessing the next
//! tokens from it gains. One pool guesses, the other does not; they take turns, and must say the same.

use std::time::{Duration, Instant};

use cloister_models::{ChatMessage, ChatRole, Event, GeneratePool, GenerateRequest, Priority, Prompt, Sampling, Usage};

use super::{Failure, Settings, median};

const SYSTEM: &str =
    "You answer a pharmacy agent's question from the evidence alone, in two sentences, and name the passage you used.";
const QUESTIONS: [&str; 4] = [
    "How can a prescription be refilled?",
    "Who may use this service?",
    "What does it cost?",
    "Whom does one call with a question?",
];
/// Words of evidence: about 1,200 tokens.
const WORDS: usize = 800;

/// How one answer went.
struct Answer {
    text: String,
    first: f64,
    /// Tokens per second after the first text.
    speed: f64,
    usage: Usage,
}

/// Rounds of four questions with either pool, and the median of the quotients.
///
/// # Errors
/// Where an answer fails, or the pools say different things.
pub(super) fn measure(
    with: &GeneratePool,
    without: &GeneratePool,
    text: &str,
    settings: &Settings,
) -> Result<(), Failure> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (mut gains, mut firsts, mut speeds, mut guessed, mut tokens) = (vec![], vec![], vec![], 0, 0);
    // The first round warms the pools and counts for nothing.
    for round in 0..=settings.rounds {
        let from = round * 13_000 % words.len().saturating_sub(WORDS).max(1);
        let evidence = words.iter().skip(from).take(WORDS).copied().collect::<Vec<_>>().join(" ");
        for (number, question) in QUESTIONS.iter().enumerate() {
            let pools = if number % 2 == 0 { [with, without] } else { [without, with] };
            let [one, other] = pools.map(|pool| ask(pool, &evidence, question, settings, round));
            let (with, without) = if number % 2 == 0 { (one?, other?) } else { (other?, one?) };
            if with.text != without.text {
                return Err(format!("round {round}: guessing changed the answer").into());
            }
            if round == 0 {
                continue;
            }
            println!(
                "round {round}, question {number}: {:.1} tokens/s, without guesses {:.1}; {} of {} tokens guessed",
                with.speed, without.speed, with.usage.guessed_tokens, with.usage.completion_tokens
            );
            gains.push(with.speed / without.speed);
            firsts.push((with.first, without.first));
            speeds.push((with.speed, without.speed));
            guessed += with.usage.guessed_tokens;
            tokens += with.usage.completion_tokens;
        }
    }
    println!(
        "first text after {:.2} s with guesses, {:.2} s without; {:.1} and {:.1} tokens/s; {:.0}% guessed",
        median(&firsts, |pair| pair.0),
        median(&firsts, |pair| pair.1),
        median(&speeds, |pair| pair.0),
        median(&speeds, |pair| pair.1),
        100.0 * f64::from(u32::try_from(guessed)?) / f64::from(u32::try_from(tokens)?.max(1))
    );
    println!(
        "speed with guesses over speed without: median {:.2}, least {:.2} of {} answers",
        median(&gains, |gain| *gain),
        gains.iter().copied().fold(f64::INFINITY, f64::min),
        gains.len()
    );
    Ok(())
}

fn ask(
    pool: &GeneratePool,
    evidence: &str,
    question: &str,
    settings: &Settings,
    round: usize,
) -> Result<Answer, Failure> {
    let begun = Instant::now();
    let user = if settings.prompt == 0 {
        question.to_owned()
    } else {
        format!("Evidence:\n{evidence}\n\nQuestion: {question}")
    };
    let mut generation = pool.generate(GenerateRequest {
        prompt: Prompt::Chat(vec![ChatMessage::new(ChatRole::System, SYSTEM), ChatMessage::new(ChatRole::User, user)]),
        sampling: Sampling {
            max_tokens: settings.answer,
            ignore_eos: true,
            temperature: settings.temperature,
            seed: Some(round as u64),
            ..Sampling::default()
        },
        deadline: begun + Duration::from_secs(600),
        salt: round as u64,
        priority: Priority::Interactive,
    })?;
    let (mut text, mut first) = (String::new(), None);
    while let Some(event) = generation.next_blocking() {
        match event {
            Event::Text(more) => {
                first.get_or_insert_with(|| begun.elapsed().as_secs_f64());
                text.push_str(&more);
            }
            Event::Finished { usage, .. } => {
                let last = begun.elapsed().as_secs_f64();
                let first = first.unwrap_or(last);
                let speed = usage.completion_tokens.saturating_sub(1) as f64 / (last - first).max(1e-9);
                return Ok(Answer { text, first, speed, usage });
            }
            Event::Failed(error) => return Err(error.into()),
            Event::Started { .. } => {}
        }
    }
    Err("the answer has no end".into())
}
