//! Far more callers than the machine can serve: they are told when to come back, and the service stays up.

use std::{
    collections::BTreeMap,
    sync::Mutex,
    time::{Duration, Instant},
};

use cloister_tests::Client;
use serde_json::json;

use super::site::program;

/// How long the load lasts; `CLOISTER_LOAD_SECONDS=60` for the long run.
fn seconds() -> u64 {
    std::env::var("CLOISTER_LOAD_SECONDS").ok().and_then(|n| n.parse().ok()).unwrap_or(8)
}

#[test]
fn sixty_four_callers_at_once_get_an_answer_or_a_time_to_come_back() {
    let site = program().site();
    let server = site.serve();
    let agent = Client::new(&server, site.key("agent"));
    let questions = [
        "How do I transfer a prescription to another pharmacy?",
        "At what temperature must vaccines be stored?",
        "What happens when a medicine is recalled?",
        "Can I bring back tablets I no longer need?",
    ];
    let ask = |n: usize| agent.post("/api/ask", &json!({ "question": questions[n % questions.len()] }));
    assert_eq!(ask(0).status, 200);
    let before = server.resident_bytes();
    let seen: Mutex<BTreeMap<u16, usize>> = Mutex::default();
    let until = Instant::now() + Duration::from_secs(seconds());
    std::thread::scope(|scope| {
        for caller in 0..64 {
            let (seen, ask) = (&seen, &ask);
            scope.spawn(move || {
                let mut n = caller;
                while Instant::now() < until {
                    let reply = ask(n);
                    n += 1;
                    if matches!(reply.status, 429 | 503) {
                        assert!(reply.header("retry-after").is_some(), "{}", reply.text());
                    } else {
                        assert_eq!(reply.status, 200, "{}", reply.text());
                    }
                    *seen.lock().unwrap().entry(reply.status).or_default() += 1;
                }
            });
        }
    });
    let seen = seen.into_inner().unwrap();
    assert!(seen.get(&200).is_some_and(|n| *n > 0), "{seen:?}");
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < 1 << 30, "resident memory grew by {grown} bytes");
    let asked = Instant::now();
    assert_eq!(ask(1).status, 200, "it answers afterwards");
    println!(
        "replies by status {seen:?}; memory grew by {} MiB; the next answer took {:?}",
        grown >> 20,
        asked.elapsed()
    );
}
