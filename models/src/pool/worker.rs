//! The thread that owns a model.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use super::PoolError;
use super::queue::{Queue, Waiting};

/// After this many requests in a row that ended in a panic the pool stops: something is broken for good.
const PANICS_IN_A_ROW: u32 = 3;

/// A queue and the thread that serves it. Dropping it ends the thread after the current step.
pub(super) struct Worker<T: Waiting + Send + 'static> {
    queue: Arc<Queue<T>>,
    thread: Option<JoinHandle<()>>,
}

/// What serves one request, or several taken together.
pub(super) trait Serve<T: Waiting>: Send + 'static {
    /// Carries out `first`, and whatever else it takes from the queue.
    fn serve(&mut self, first: T, queue: &Queue<T>);
    /// Puts the model back into a known state after a panic.
    fn reset(&mut self);
}

impl<T: Waiting + Send + 'static> Worker<T> {
    pub(super) fn start(name: &str, capacity: usize, mut serve: impl Serve<T>) -> std::io::Result<Self> {
        let queue = Arc::new(Queue::new(capacity));
        let served = Arc::clone(&queue);
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let mut panics = 0;
            while let Some(first) = served.take() {
                let outcome = catch_unwind(AssertUnwindSafe(|| serve.serve(first, &served)));
                let outcome = outcome.map(|()| panics = 0).or_else(|payload| {
                    forget(payload);
                    panics += 1;
                    catch_unwind(AssertUnwindSafe(|| serve.reset()))
                });
                if outcome.is_err() || panics >= PANICS_IN_A_ROW {
                    tracing::error!(panics, "a model's worker gave up after repeated panics");
                    break;
                }
            }
            served.close();
        })?;
        Ok(Self { queue, thread: Some(thread) })
    }

    pub(super) fn queue(&self) -> &Queue<T> {
        &self.queue
    }
}

/// A panic's message may hold anything, so it is neither logged nor passed on.
fn forget(payload: Box<dyn Any + Send>) {
    drop(payload);
    tracing::error!("a model's worker panicked; the request failed, the pool goes on");
}

/// What a request is told when the worker panicked while it was being served.
pub(super) fn panicked() -> PoolError {
    PoolError::Failed("the worker panicked".to_owned())
}

impl<T: Waiting + Send + 'static> Drop for Worker<T> {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(thread) = self.thread.take() {
            // It ends within a step; a panic inside was already dealt with.
            drop(thread.join());
        }
    }
}
