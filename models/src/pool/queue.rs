//! The bounded queue in front of a worker.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::PoolError;

/// Something that waits.
pub(super) trait Waiting {
    /// When it is no longer worth doing.
    fn deadline(&self) -> Instant;
    /// Whether whoever asked has left.
    fn abandoned(&self) -> bool;
    /// Tells whoever asked why it will not be done.
    fn refuse(self, why: PoolError);
}

/// Until something was served there is no pace to go by.
const FIRST_GUESS: Duration = Duration::from_secs(1);
/// A longer wait than this is no advice.
const LONGEST_ADVICE: Duration = Duration::from_secs(60);

struct State<T> {
    waiting: VecDeque<T>,
    closed: bool,
    /// Moving average of the time one request takes.
    pace: Duration,
    running: usize,
}

pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    ready: Condvar,
    capacity: usize,
}

impl<T: Waiting> Queue<T> {
    pub(super) fn new(capacity: usize) -> Self {
        let state = State { waiting: VecDeque::new(), closed: false, pace: FIRST_GUESS, running: 0 };
        Self { state: Mutex::new(state), ready: Condvar::new(), capacity: capacity.max(1) }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing below can leave the state half changed, so a poisoned lock is as good as a clean one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses early what would be refused by [`Queue::push`], before work is spent on preparing it.
    pub(super) fn admits(&self) -> Result<(), PoolError> {
        let mut state = self.lock();
        Self::room(&mut state, self.capacity)
    }

    fn room(state: &mut State<T>, capacity: usize) -> Result<(), PoolError> {
        if state.closed {
            return Err(PoolError::Stopped);
        }
        if state.waiting.len() >= capacity {
            // Whoever has left gives up the place; dropping the entry is enough, nobody listens.
            state.waiting.retain(|item| !item.abandoned());
        }
        if state.waiting.len() >= capacity {
            let ahead = u32::try_from(state.running + 1).unwrap_or(u32::MAX);
            let retry_after = state.pace.saturating_mul(ahead).clamp(Duration::from_millis(50), LONGEST_ADVICE);
            return Err(PoolError::QueueFull { retry_after });
        }
        Ok(())
    }

    pub(super) fn push(&self, item: T) -> Result<(), PoolError> {
        let mut state = self.lock();
        Self::room(&mut state, self.capacity)?;
        state.waiting.push_back(item);
        drop(state);
        self.ready.notify_one();
        Ok(())
    }

    /// Waits for the next request that is still wanted. `None` once closed.
    pub(super) fn take(&self) -> Option<T> {
        let mut state = self.lock();
        loop {
            Self::refuse_late(&mut state);
            if state.closed {
                return None;
            }
            if let Some(item) = state.waiting.pop_front() {
                state.running = 1;
                return Some(item);
            }
            state = self.ready.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Further requests from the front, as long as `fits` takes them. Never waits.
    pub(super) fn take_more(&self, mut fits: impl FnMut(&T) -> bool) -> Vec<T> {
        let mut state = self.lock();
        Self::refuse_late(&mut state);
        let mut taken = Vec::new();
        while state.waiting.front().is_some_and(&mut fits) {
            taken.extend(state.waiting.pop_front());
        }
        state.running += taken.len();
        taken
    }

    /// Answers those whose deadline has passed and drops those whose caller has left, without computing anything. A worker that takes more
    /// at every step keeps deadlines even behind a long request.
    fn refuse_late(state: &mut State<T>) {
        let now = Instant::now();
        if !state.waiting.iter().any(|item| item.abandoned() || item.deadline() <= now) {
            return;
        }
        for item in std::mem::take(&mut state.waiting) {
            if item.abandoned() {
                item.refuse(PoolError::Cancelled);
            } else if item.deadline() <= now {
                item.refuse(PoolError::DeadlineExceeded);
            } else {
                state.waiting.push_back(item);
            }
        }
    }

    /// Records how long `requests` took together.
    pub(super) fn served(&self, took: Duration, requests: usize) {
        let mut state = self.lock();
        state.running = 0;
        let one = took / u32::try_from(requests.max(1)).unwrap_or(u32::MAX);
        // A quarter of the newest: a few requests are enough to follow a change, one outlier is not.
        state.pace = if state.pace == FIRST_GUESS { one } else { (state.pace * 3 + one) / 4 };
    }

    /// Refuses what waits and everything after it.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        self.ready.notify_all();
        for item in waiting {
            item.refuse(PoolError::Stopped);
        }
    }

    pub(super) fn closed(&self) -> bool {
        self.lock().closed
    }

    pub(super) fn len(&self) -> usize {
        self.lock().waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    struct Item {
        name: u32,
        deadline: Instant,
        left: bool,
        refused: Rc<RefCell<Vec<(u32, PoolError)>>>,
    }

    impl Waiting for Item {
        fn deadline(&self) -> Instant {
            self.deadline
        }
        fn abandoned(&self) -> bool {
            self.left
        }
        fn refuse(self, why: PoolError) {
            self.refused.borrow_mut().push((self.name, why));
        }
    }

    fn item(name: u32, seconds: u64, left: bool, refused: &Rc<RefCell<Vec<(u32, PoolError)>>>) -> Item {
        Item { name, deadline: Instant::now() + Duration::from_secs(seconds), left, refused: refused.clone() }
    }

    #[test]
    fn a_full_queue_refuses_with_a_time_that_follows_the_pace() {
        let refused = Rc::default();
        let queue = Queue::new(2);
        queue.push(item(1, 60, false, &refused)).unwrap();
        queue.push(item(2, 60, false, &refused)).unwrap();
        queue.take().unwrap();
        queue.push(item(3, 60, false, &refused)).unwrap();
        queue.served(Duration::from_secs(4), 2);
        let Err(PoolError::QueueFull { retry_after }) = queue.push(item(4, 60, false, &refused)) else {
            panic!("taken")
        };
        assert_eq!(retry_after, Duration::from_secs(2));
    }

    #[test]
    fn whoever_has_left_gives_up_the_place() {
        let refused = Rc::default();
        let queue = Queue::new(1);
        queue.push(item(1, 60, true, &refused)).unwrap();
        queue.push(item(2, 60, false, &refused)).unwrap();
        assert_eq!(queue.take().unwrap().name, 2);
    }

    #[test]
    fn late_and_abandoned_requests_are_answered_without_being_taken() {
        let refused = Rc::default();
        let queue = Queue::new(8);
        queue.push(item(1, 0, false, &refused)).unwrap();
        queue.push(item(2, 60, true, &refused)).unwrap();
        queue.push(item(3, 60, false, &refused)).unwrap();
        assert_eq!(queue.take().unwrap().name, 3);
        assert_eq!(*refused.borrow(), [(1, PoolError::DeadlineExceeded), (2, PoolError::Cancelled)]);
    }

    #[test]
    fn closing_refuses_what_waits_and_what_comes() {
        let refused = Rc::default();
        let queue = Queue::new(8);
        queue.push(item(1, 60, false, &refused)).unwrap();
        queue.close();
        assert_eq!(*refused.borrow(), [(1, PoolError::Stopped)]);
        assert_eq!(queue.push(item(2, 60, false, &refused)), Err(PoolError::Stopped));
        assert!(queue.take().is_none());
    }

    #[test]
    fn more_is_taken_only_in_order() {
        let refused = Rc::default();
        let queue = Queue::new(8);
        for name in [1, 2, 9, 3] {
            queue.push(item(name, 60, false, &refused)).unwrap();
        }
        let taken: Vec<u32> = queue.take_more(|item| item.name < 9).iter().map(|item| item.name).collect();
        assert_eq!(taken, [1, 2]);
    }
}
