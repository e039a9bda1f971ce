//! The default models, for real: facts that independent implementations computed from the same files.
//!
//! The weights come from the cache, or are fetched into it once.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use cloister_models::{
    ChatMessage, ChatRole, EmbedPool, Event, FinishReason, GeneratePool, GenerateRequest, PoolOptions, Prompt,
    Registry, Sampling, Truncate, Verified, cache_dir, catalogue, fetch,
};

fn verified(name: &str) -> Verified {
    let registry = Registry::open(cache_dir().join("models")).unwrap();
    fetch::ensure(catalogue::find(name).unwrap(), &registry, &mut |_| {}).unwrap();
    registry.verify(name).unwrap()
}

fn embedder() -> &'static EmbedPool {
    static POOL: OnceLock<EmbedPool> = OnceLock::new();
    POOL.get_or_init(|| EmbedPool::start(verified("all-minilm-l6-v2"), &PoolOptions::default()).unwrap())
}

fn generator() -> &'static GeneratePool {
    static POOL: OnceLock<GeneratePool> = OnceLock::new();
    POOL.get_or_init(|| GeneratePool::start(verified("smollm2-135m-instruct"), &PoolOptions::default()).unwrap())
}

fn later() -> Instant {
    Instant::now() + Duration::from_secs(300)
}

fn embed(texts: &[&str]) -> Vec<Vec<f32>> {
    let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
    embedder().embed_blocking(&texts, Truncate::Refuse, later()).unwrap().vectors
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn run(prompt: Prompt, sampling: Sampling, salt: u64) -> (String, usize, FinishReason, usize) {
    let request = GenerateRequest { prompt, sampling, deadline: later(), salt };
    let mut generation = generator().generate(request).unwrap();
    let (mut text, mut cached) = (String::new(), 0);
    loop {
        match generation.next_blocking().unwrap() {
            Event::Text(piece) => text.push_str(&piece),
            Event::Started { cached_tokens, .. } => cached = cached_tokens,
            Event::Finished { reason, usage } => return (text, cached, reason, usage.completion_tokens),
            Event::Failed(error) => panic!("{error}"),
        }
    }
}

#[test]
fn probe() {
    let v = embed(&[
        "How do I refill my prescription?",
        "When can I get more of my medicine?",
        "The parking garage closes at nine.",
    ]);
    println!("{:?} {} {}", &v[0][..6], cosine(&v[0], &v[1]), cosine(&v[0], &v[2]));
    let chat = vec![ChatMessage::new(ChatRole::User, "What is the capital of France?")];
    println!("{:?}", run(Prompt::Chat(chat), Sampling { max_tokens: 40, ..Sampling::default() }, 1));
    println!(
        "{:?}",
        run(Prompt::Text("The pharmacy is open".to_owned()), Sampling { max_tokens: 40, ..Sampling::default() }, 1)
    );
}
