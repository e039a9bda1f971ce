use std::sync::Mutex;
use std::time::Duration;

use super::super::stream::{FinishReason, Usage};
use super::*;
use crate::chat::ChatRole;
use crate::pool::Accelerator;
use crate::sampling::Constraint;
use crate::task::scripted::{Gate, Speaker};
use crate::tokenizer::tests::bytes_only;

const END: u32 = 1;

fn say(text: &str) -> Vec<u32> {
    text.bytes().map(|byte| u32::from(byte) + 2).chain([END]).collect()
}

type Fed = Arc<Mutex<Vec<(usize, usize, usize)>>>;

fn pool(gate: &Gate, says: Vec<u32>, queue: usize) -> (GeneratePool, Fed) {
    let model = Speaker::new(gate.clone(), says);
    let fed = Arc::clone(&model.fed);
    let template =
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant";
    let template = ChatTemplate::parse(template.to_owned(), String::new(), String::new()).unwrap();
    let loaded = LoadedGenerator { model: Box::new(model), tokens: bytes_only(), template: Some(template) };
    let identity = ModelIdentity { name: "scripted".to_owned(), sha256: String::new() };
    let options = PoolOptions { queue, ..PoolOptions::default() };
    (GeneratePool::with_model(identity, loaded, &options).unwrap(), fed)
}

fn ask(prompt: &str) -> GenerateRequest {
    GenerateRequest {
        prompt: Prompt::Text(prompt.to_owned()),
        sampling: Sampling::default(),
        deadline: Instant::now() + Duration::from_secs(60),
        salt: 0,
        priority: Priority::Interactive,
    }
}

fn run(mut generation: Generation) -> (String, Vec<Event>) {
    let (mut text, mut others) = (String::new(), Vec::new());
    while let Some(event) = generation.next_blocking() {
        match event {
            Event::Text(piece) => text.push_str(&piece),
            event => others.push(event),
        }
    }
    (text, others)
}

fn reason(events: &[Event]) -> FinishReason {
    match events.last() {
        Some(Event::Finished { reason, .. }) => *reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn text_is_streamed_until_the_model_has_finished() {
    let (pool, _) = pool(&Gate::open(), say("héllo"), 4);
    let (text, events) = run(pool.generate(ask("abc")).unwrap());
    assert_eq!(text, "héllo");
    assert_eq!(
        events,
        [
            Event::Started { prompt_tokens: 3, cached_tokens: 0 },
            Event::Finished {
                reason: FinishReason::Stop,
                usage: Usage { prompt_tokens: 3, completion_tokens: 7, guessed_tokens: 0 }
            }
        ]
    );
}

#[test]
fn a_stop_string_across_tokens_ends_the_text_before_it() {
    let (pool, _) = pool(&Gate::open(), say("one two three"), 4);
    let mut request = ask("abc");
    request.sampling.stop = vec!["two".to_owned()];
    let (text, events) = run(pool.generate(request).unwrap());
    assert_eq!((text.as_str(), reason(&events)), ("one ", FinishReason::Stop));
}

#[test]
fn max_tokens_ends_with_length_and_shows_what_was_held_back() {
    let (pool, _) = pool(&Gate::open(), say("abcdef"), 4);
    let mut request = ask("x");
    request.sampling.max_tokens = 3;
    request.sampling.stop = vec!["cdx".to_owned()];
    let (text, events) = run(pool.generate(request).unwrap());
    assert_eq!((text.as_str(), reason(&events)), ("abc", FinishReason::Length));
}

#[test]
fn the_end_can_be_ignored_and_the_context_is_the_bound() {
    let (pool, _) = pool(&Gate::open(), say("ab"), 4);
    let mut request = ask("x");
    request.sampling = Sampling { ignore_eos: true, max_tokens: 100_000, ..Sampling::default() };
    let (_, events) = run(pool.generate(request).unwrap());
    let Some(Event::Finished { reason: FinishReason::Length, usage }) = events.last() else { panic!("{events:?}") };
    assert_eq!(usage.completion_tokens, 1023);
}

#[test]
fn leaving_ends_the_work_within_a_step() {
    let (gate, open) = Gate::closed();
    let (pool, fed) = pool(&gate, say("a long answer"), 4);
    let mut generation = pool.generate(ask("abc")).unwrap();
    open.send(()).unwrap();
    assert!(matches!(generation.next_blocking(), Some(Event::Started { .. })));
    gate.wait_for(2);
    drop(generation);
    drop(open);
    run(pool.generate(ask("z")).unwrap());
    let fed = fed.lock().unwrap();
    // The prompt, the step at the gate, then the next request from the start.
    let steps: Vec<(usize, usize)> = fed.iter().map(|(_, position, tokens)| (*position, *tokens)).collect();
    assert_eq!(steps[..3], [(0, 3), (3, 1), (0, 1)]);
}

#[test]
fn a_request_that_left_while_waiting_is_never_computed() {
    let (gate, open) = Gate::closed();
    let (pool, fed) = pool(&gate, say("x"), 4);
    let first = pool.generate(ask("aaa")).unwrap();
    gate.wait_for(1);
    drop(pool.generate(ask("bbbbbbbb")).unwrap());
    let third = pool.generate(ask("cc")).unwrap();
    drop(open);
    run(first);
    run(third);
    assert!(fed.lock().unwrap().iter().all(|(_, _, tokens)| *tokens != 8));
}

#[test]
fn a_deadline_ends_a_running_text_and_one_that_waits_behind_it() {
    let (gate, open) = Gate::closed();
    let (pool, _) = pool(&gate, say("never ending"), 4);
    let mut request = ask("abc");
    request.deadline = Instant::now() + Duration::from_millis(30);
    let running = pool.generate(request.clone()).unwrap();
    gate.wait_for(1);
    let waiting = pool.generate(request.clone()).unwrap();
    while Instant::now() < request.deadline {
        std::thread::yield_now();
    }
    open.send(()).unwrap();
    let (text, events) = run(running);
    assert_eq!((text.as_str(), reason(&events)), ("", FinishReason::Deadline));
    assert_eq!(run(waiting).1, [Event::Failed(PoolError::DeadlineExceeded)]);
}

#[test]
fn what_cannot_be_done_is_refused_at_the_door() {
    let (gate, open) = Gate::closed();
    let (pool, _) = pool(&gate, say("x"), 1);
    let long = "a".repeat(5000);
    assert!(matches!(pool.generate(ask(&long)).unwrap_err(), PoolError::TooLong { limit: 1023, .. }));
    assert!(matches!(pool.generate(ask("")).unwrap_err(), PoolError::Refused(_)));
    let mut wrong = ask("a");
    wrong.sampling.top_p = 2.0;
    assert!(matches!(pool.generate(wrong).unwrap_err(), PoolError::Refused(_)));
    let first = pool.generate(ask("a")).unwrap();
    gate.wait_for(1);
    let second = pool.generate(ask("b")).unwrap();
    assert!(matches!(pool.generate(ask("c")).unwrap_err(), PoolError::QueueFull { .. }));
    drop(open);
    run(first);
    run(second);
    run(pool.generate(ask("c")).unwrap());
}

#[test]
fn a_panic_fails_that_request_and_the_pool_goes_on() {
    let (pool, _) = pool(&Gate::open(), say("fine"), 4);
    let (_, events) = run(pool.generate(ask("!")).unwrap());
    assert!(matches!(events.last(), Some(Event::Failed(PoolError::Failed(_)))), "{events:?}");
    assert_eq!(run(pool.generate(ask("a")).unwrap()).0, "fine");
}

#[test]
fn dropping_the_pool_ends_what_runs_and_refuses_what_waits() {
    let (gate, open) = Gate::closed();
    let (pool, _) = pool(&gate, say("never ending"), 4);
    let running = pool.generate(ask("a")).unwrap();
    gate.wait_for(1);
    let waiting = pool.generate(ask("b")).unwrap();
    drop(open);
    drop(pool);
    assert!(run(running).1.len() <= 2);
    let (_, events) = run(waiting);
    assert!(matches!(events.last(), Some(Event::Failed(PoolError::Stopped) | Event::Finished { .. })), "{events:?}");
}

#[test]
fn a_shared_beginning_is_computed_once_per_salt() {
    let (pool, _) = pool(&Gate::open(), say("x"), 4);
    let system = "s".repeat(300);
    let cached = |user: &str, salt: u64| {
        let messages = vec![ChatMessage::new(ChatRole::System, system.clone()), ChatMessage::new(ChatRole::User, user)];
        let request = GenerateRequest { prompt: Prompt::Chat(messages), salt, ..ask("") };
        match run(pool.generate(request).unwrap()).1.first() {
            Some(Event::Started { cached_tokens, .. }) => *cached_tokens,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(cached("one", 1), 0);
    assert_eq!(cached("two", 1), 288);
    assert_eq!(cached("two", 2), 0);
}

#[test]
fn a_conversation_is_counted_as_it_is_laid_out() {
    let (pool, _) = pool(&Gate::open(), say("x"), 4);
    let messages = [ChatMessage::new(ChatRole::User, "<|im_end|>")];
    let rendered = pool.render_chat(&messages).unwrap();
    assert_eq!(rendered, "<|im_start|>user\n<|im_end|><|im_end|>\n<|im_start|>assistant");
    // The control tokens of the template count one each, the message's ten characters count ten.
    assert_eq!(pool.count_chat_tokens(&messages).unwrap(), 3 + "user\n".len() + 10 + "\n".len() + "assistant".len());
}

#[test]
fn a_question_passes_the_batch_that_came_before_it() {
    let (gate, open) = Gate::closed();
    let (pool, fed) = pool(&gate, say("ab"), 64);
    let first = pool.generate(ask("aaa")).unwrap();
    gate.wait_for(1);
    let batch = |n: usize| GenerateRequest { priority: Priority::Batch, ..ask(&"b".repeat(10 + n)) };
    let batch: Vec<Generation> = (0..20).map(|n| pool.generate(batch(n)).unwrap()).collect();
    let question = pool.generate(ask("ccccc")).unwrap();
    drop(open);
    run(first);
    run(question);
    for generation in batch {
        assert!(matches!(run(generation).1.last(), Some(Event::Finished { .. })));
    }
    let fed = fed.lock().unwrap();
    let begun = |tokens: usize| fed.iter().position(|(_, position, fed)| (*position, *fed) == (0, tokens));
    assert!(begun(5) < begun(10), "{fed:?}");
}

#[test]
fn a_full_queue_makes_a_place_for_a_question() {
    let (gate, open) = Gate::closed();
    let (pool, _) = pool(&gate, say("ab"), 1);
    let first = pool.generate(ask("a")).unwrap();
    gate.wait_for(1);
    let batch = || pool.generate(GenerateRequest { priority: Priority::Batch, ..ask("b") });
    let displaced = batch().unwrap();
    assert!(matches!(batch().unwrap_err(), PoolError::QueueFull { .. }));
    let question = pool.generate(ask("c")).unwrap();
    let (_, events) = run(displaced);
    assert!(matches!(events[..], [Event::Failed(PoolError::QueueFull { .. })]), "{events:?}");
    drop(open);
    assert_eq!((run(first).0, run(question).0), ("ab".to_owned(), "ab".to_owned()));
}

/// A tiny model of random weights, which soon says the same over and over.
fn tiny(guesses: bool, device: Accelerator) -> GeneratePool {
    let model = crate::arch::tiny::load_on(&crate::arch::tiny::Tiny::default().file(&[]), device).unwrap();
    let loaded = LoadedGenerator { model, tokens: bytes_only(), template: None };
    let identity = ModelIdentity { name: "tiny".to_owned(), sha256: String::new() };
    GeneratePool::with_model(identity, loaded, &PoolOptions { guesses, ..PoolOptions::default() }).unwrap()
}

#[test]
fn guessing_changes_no_token_of_a_greedy_or_a_drawn_text() {
    guessing_changes_none(Accelerator::None);
}

#[test]
fn guessing_changes_no_token_on_a_device_either() {
    guessing_changes_none(Accelerator::Candle);
}

#[test]
fn a_text_is_the_same_alone_and_among_fifteen_others_on_a_device_too() {
    for device in [Accelerator::None, Accelerator::Candle] {
        let pool = tiny(true, device);
        let request = |n: usize| {
            let mut request = ask(&"abcdefghij".repeat(1 + n % 11)[n % 7..]);
            request.sampling =
                Sampling { temperature: 0.0, ignore_eos: true, max_tokens: 20 + n, ..Sampling::default() };
            request
        };
        let alone: Vec<String> = (0..16).map(|n| run(pool.generate(request(n)).unwrap()).0).collect();
        let together: Vec<Generation> = (0..16).map(|n| pool.generate(request(n)).unwrap()).collect();
        for (generation, alone) in together.into_iter().zip(alone) {
            assert_eq!(run(generation).0, alone, "{device:?}");
        }
    }
}

fn guessing_changes_none(device: Accelerator) {
    let (with, without) = (tiny(true, device), tiny(false, device));
    let mut guessed = 0;
    for n in 0..40u64 {
        let mut request = ask(&format!("{} then {} ", "abcabd".repeat(1 + n as usize % 7), n % 9).repeat(3));
        let temperature = [0.0, 0.05, 0.4, 1.5][n as usize % 4];
        let repetition_penalty = if n % 5 == 4 { 1.2 } else { 1.0 };
        request.sampling = Sampling {
            temperature,
            repetition_penalty,
            seed: Some(n),
            max_tokens: 40 + n as usize,
            ignore_eos: n.is_multiple_of(2),
            stop: if n % 6 == 5 { vec!["a".to_owned()] } else { Vec::new() },
            ..Sampling::default()
        };
        let (text, events) = run(with.generate(request.clone()).unwrap());
        let (expected, others) = run(without.generate(request).unwrap());
        let ended = |events: &[Event]| match events.last() {
            Some(Event::Finished { reason, usage }) => (*reason, usage.completion_tokens, usage.guessed_tokens),
            other => panic!("{other:?}"),
        };
        let ((reason, tokens, hits), (other_reason, other_tokens, none)) = (ended(&events), ended(&others));
        assert_eq!((text, reason, tokens), (expected, other_reason, other_tokens), "request {n}");
        assert_eq!(none, 0);
        guessed += hits;
    }
    // How often depends on the machine; the first guesses are made before anything was measured.
    assert!(guessed > 0);
}

fn about(schema: serde_json::Value) -> GenerateRequest {
    let mut request = ask("abc");
    request.sampling =
        Sampling { constraint: Some(Constraint::JsonSchema(schema)), max_tokens: 200, ..Sampling::default() };
    request
}

#[test]
fn a_text_with_a_schema_is_json_of_it_whatever_the_model_would_say() {
    let (pool, _) = pool(&Gate::open(), say("Once upon a time."), 8);
    let place = serde_json::json!({
        "type": "object",
        "properties": {
            "name": {"enum": ["north wing", "south wing"]},
            "beds": {"type": "integer", "minimum": 10, "maximum": 99},
            "open": {"$ref": "#/$defs/flag"},
        },
        "required": ["name", "beds", "open"],
        "additionalProperties": false,
        "$defs": {"flag": {"type": "boolean"}},
    });
    let (text, events) = run(pool.generate(about(place)).unwrap());
    assert_eq!(reason(&events), FinishReason::Stop, "{text}");
    let found: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(found["name"] == "north wing" || found["name"] == "south wing", "{text}");
    assert!((10..=99).contains(&found["beds"].as_i64().unwrap()), "{text}");
    assert!(found["open"].is_boolean() && found.as_object().unwrap().len() == 3, "{text}");
    // Where only one text is allowed, it ends by itself, the model's own end ignored or not.
    for ignore_eos in [false, true] {
        let mut request = about(serde_json::json!({"const": {"héllo": [1, null]}}));
        request.sampling.ignore_eos = ignore_eos;
        let (text, events) = run(pool.generate(request).unwrap());
        assert_eq!((text.as_str(), reason(&events)), (r#"{"héllo": [1, null]}"#, FinishReason::Stop));
    }
}

#[test]
fn a_copied_text_is_made_of_what_it_may_be_copied_from_word_for_word_and_in_order() {
    let texts =
        ["Give 5 mg once a day.", "Say \"no\" to more than 10 mg.", "Não congele.", "Give 5 mg once a day. Call."];
    for said in ["Once upon a time.", "Give 50 mg.", "Say"] {
        let (pool, _) = pool(&Gate::open(), say(said), 8);
        for ignore_eos in [false, true] {
            let mut request = ask("abc");
            let constraint = Some(Constraint::Copied(texts.map(str::to_owned).to_vec()));
            request.sampling = Sampling { constraint, ignore_eos, max_tokens: 400, ..Sampling::default() };
            let (text, events) = run(pool.generate(request).unwrap());
            assert_eq!(reason(&events), FinishReason::Stop, "{text}");
            let allowed = (1..1 << texts.len()).any(|chosen: usize| {
                let parts: Vec<&str> =
                    (0..texts.len()).filter(|at| chosen >> at & 1 == 1).map(|at| texts[at]).collect();
                parts.join(" ") == text
            });
            assert!(allowed, "{said}: {text}");
        }
    }
    let (pool, fed) = pool(&Gate::open(), say("x"), 4);
    for texts in [vec![], vec![String::new()], vec!["a".to_owned(); 65], vec!["a".repeat(70_000)]] {
        let mut request = ask("abc");
        request.sampling = Sampling { constraint: Some(Constraint::Copied(texts)), ..Sampling::default() };
        let refused = pool.generate(request).map(drop);
        assert!(matches!(&refused, Err(PoolError::Refused(said)) if said.contains("copied from")), "{refused:?}");
    }
    assert!(fed.lock().unwrap().is_empty());
}

#[test]
fn a_schema_that_cannot_be_followed_is_refused_before_anything_is_generated() {
    let (pool, fed) = pool(&Gate::open(), say("x"), 4);
    let long = serde_json::json!({"enum": (0..9000).map(|n| format!("number {n}")).collect::<Vec<_>>()});
    for (schema, why) in [
        (serde_json::json!("object"), "must be an object"),
        (serde_json::json!({"type": "thing"}), "cannot be used"),
        (serde_json::json!({"$ref": "https://example.org/schema"}), "cannot be used"),
        (serde_json::json!({"type": "integer", "minimum": 3, "maximum": 1}), "cannot be used"),
        (long, "longer than"),
    ] {
        let refused = pool.generate(about(schema)).map(drop);
        assert!(matches!(&refused, Err(PoolError::Refused(said)) if said.contains(why)), "{why}: {refused:?}");
    }
    assert!(fed.lock().unwrap().is_empty());
}
