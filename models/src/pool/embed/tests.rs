use std::sync::Mutex;
use std::time::Duration;

use super::*;
use crate::task::scripted::{Encoder, Gate};
use crate::tokenizer::tests::bytes_only;

fn pool(gate: &Gate, queue: usize) -> (EmbedPool, Arc<Mutex<Vec<usize>>>) {
    let batches: Arc<Mutex<Vec<usize>>> = Arc::default();
    let model = Box::new(Encoder { gate: gate.clone(), batches: Arc::clone(&batches) });
    let identity = ModelIdentity { name: "scripted".to_owned(), sha256: String::new() };
    let options = PoolOptions { queue, ..PoolOptions::default() };
    (EmbedPool::with_model(identity, model, bytes_only(), &options).unwrap(), batches)
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn vectors_come_back_in_the_order_of_the_texts() {
    let (pool, _) = pool(&Gate::open(), 4);
    let answer = pool.embed_blocking(&texts(&["aaa", "b", "cc", ""]), Truncate::Refuse, soon());
    // The empty text has no token in this vocabulary, which has none around a text.
    let lengths: Vec<f32> = answer.unwrap().vectors.iter().map(|vector| vector[0]).collect();
    assert_eq!(lengths, [3.0, 1.0, 2.0, 0.0]);
}

#[test]
fn a_text_over_the_limit_is_refused_or_cut_as_the_caller_says() {
    let (pool, _) = pool(&Gate::open(), 4);
    let long = texts(&["a".repeat(20).as_str()]);
    let refusal = pool.embed_blocking(&long, Truncate::Refuse, soon()).unwrap_err();
    assert_eq!(refusal, PoolError::TooLong { tokens: 20, limit: 16 });
    let cut = pool.embed_blocking(&long, Truncate::End, soon()).unwrap();
    assert_eq!((cut.vectors[0][0], cut.tokens), (16.0, 16));
}

#[test]
fn a_full_queue_refuses_at_once_and_takes_again_afterwards() {
    let (gate, open) = Gate::closed();
    let (pool, _) = pool(&gate, 1);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let first = pool.embed(texts(&["a"]), Truncate::Refuse, soon());
        let second = pool.embed(texts(&["b"]), Truncate::Refuse, soon());
        let mut first = std::pin::pin!(first);
        let mut second = std::pin::pin!(second);
        assert!(poll_once(first.as_mut()).is_none());
        gate.wait_for(1);
        assert!(poll_once(second.as_mut()).is_none());
        let refusal = pool.embed(texts(&["c"]), Truncate::Refuse, soon()).await.unwrap_err();
        assert!(matches!(refusal, PoolError::QueueFull { .. }), "{refusal}");
        drop(open);
        assert!(first.await.is_ok() && second.await.is_ok());
    });
}

fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    match future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}

#[test]
fn requests_that_wait_are_computed_together() {
    let (gate, open) = Gate::closed();
    let (pool, batches) = pool(&gate, 8);
    let mut running = Vec::new();
    for text in ["a", "b", "c", "d"] {
        let pool = pool.clone();
        running.push(std::thread::spawn(move || pool.embed_blocking(&texts(&[text]), Truncate::Refuse, soon())));
        // The first is taken at once and stands at the gate; the others wait in the queue.
        gate.wait_for(1);
    }
    while pool.waiting() < 3 {
        std::thread::yield_now();
    }
    drop(open);
    for thread in running {
        thread.join().unwrap().unwrap();
    }
    assert_eq!(*batches.lock().unwrap(), [1, 3]);
}

#[test]
fn work_whose_caller_has_left_is_never_computed() {
    let (gate, open) = Gate::closed();
    let (pool, batches) = pool(&gate, 8);
    let first = {
        let pool = pool.clone();
        std::thread::spawn(move || pool.embed_blocking(&texts(&["a"]), Truncate::Refuse, soon()))
    };
    gate.wait_for(1);
    {
        let mut left = Box::pin(pool.embed(texts(&["x", "y"]), Truncate::Refuse, soon()));
        assert!(poll_once(left.as_mut()).is_none());
    }
    drop(open);
    first.join().unwrap().unwrap();
    pool.embed_blocking(&texts(&["b"]), Truncate::Refuse, soon()).unwrap();
    assert_eq!(*batches.lock().unwrap(), [1, 1]);
}

#[test]
fn a_deadline_that_has_passed_is_said_without_computing() {
    let (pool, batches) = pool(&Gate::open(), 8);
    let refusal = pool.embed_blocking(&texts(&["a"]), Truncate::Refuse, Instant::now()).unwrap_err();
    assert_eq!(refusal, PoolError::DeadlineExceeded);
    assert!(batches.lock().unwrap().is_empty());
}

#[test]
fn a_failure_or_a_panic_fails_that_request_and_the_pool_goes_on() {
    let (pool, _) = pool(&Gate::open(), 8);
    let failed = pool.embed_blocking(&texts(&["#"]), Truncate::Refuse, soon()).unwrap_err();
    assert_eq!(failed, PoolError::Failed("asked to fail".to_owned()));
    let panicked = pool.embed_blocking(&texts(&["!"]), Truncate::Refuse, soon()).unwrap_err();
    assert!(matches!(panicked, PoolError::Failed(_)), "{panicked}");
    assert!(pool.embed_blocking(&texts(&["a"]), Truncate::Refuse, soon()).is_ok());
    assert!(pool.serving());
}

#[test]
fn a_pool_that_panics_every_time_stops_and_says_so() {
    let (pool, _) = pool(&Gate::open(), 8);
    for _ in 0..3 {
        assert!(pool.embed_blocking(&texts(&["!"]), Truncate::Refuse, soon()).is_err());
    }
    while pool.serving() {
        std::thread::yield_now();
    }
    assert_eq!(pool.embed_blocking(&texts(&["a"]), Truncate::Refuse, soon()), Err(PoolError::Stopped));
}
