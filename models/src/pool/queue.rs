//! The bounded queue in front of a worker. The most urgent is taken first; who came first goes first among those alike.
//!
//! Where it is full, a newcomer may take the place of one that is less urgent, or of one whose tenant has more waiting: nobody fills it for
//! everybody else.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::PoolError;
use super::share::Standing;

/// Something that waits.
pub(super) trait Waiting {
    /// When it is no longer worth doing.
    fn deadline(&self) -> Instant;
    /// Whose it is, and how urgent.
    fn standing(&self) -> Standing;
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

impl<T> State<T> {
    fn full(&self) -> PoolError {
        let ahead = u32::try_from(self.running + 1).unwrap_or(u32::MAX);
        let retry_after = self.pace.saturating_mul(ahead).clamp(Duration::from_millis(50), LONGEST_ADVICE);
        PoolError::QueueFull { retry_after }
    }
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
    pub(super) fn admits(&self, new: Standing) -> Result<(), PoolError> {
        Self::place(&mut self.lock(), self.capacity, new).map(drop)
    }

    /// Whether there is a place; the one that is to be given up for it, where there is none free.
    fn place(state: &mut State<T>, capacity: usize, new: Standing) -> Result<Option<usize>, PoolError> {
        if state.closed {
            return Err(PoolError::Stopped);
        }
        if state.waiting.len() >= capacity {
            // Whoever has left gives up the place; dropping the entry is enough, nobody listens.
            state.waiting.retain(|item| !item.abandoned());
        }
        if state.waiting.len() < capacity {
            return Ok(None);
        }
        Self::yielding(&state.waiting, new).map(Some).ok_or_else(|| state.full())
    }

    /// The request that must give way to a newcomer: the newest of the least urgent, of the tenant that has most of them waiting.
    fn yielding(waiting: &VecDeque<T>, new: Standing) -> Option<usize> {
        let least = waiting.iter().map(|item| item.standing().priority).max()?;
        let count = |standing: Standing| waiting.iter().filter(|item| item.standing() == standing).count();
        let of_class = waiting.iter().enumerate().filter(|(_, item)| item.standing().priority == least);
        let (waits, at) = of_class.map(|(at, item)| (count(item.standing()), at)).max()?;
        (least > new.priority || least == new.priority && waits > count(new) + 1).then_some(at)
    }

    pub(super) fn push(&self, item: T) -> Result<(), PoolError> {
        let mut state = self.lock();
        let yielding = Self::place(&mut state, self.capacity, item.standing())?;
        let yielding = yielding.and_then(|at| state.waiting.remove(at));
        state.waiting.push_back(item);
        let full = state.full();
        drop(state);
        self.ready.notify_one();
        if let Some(item) = yielding {
            item.refuse(full);
        }
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
            if let Some(item) = Self::next(&mut state, |_| true) {
                state.running = 1;
                return Some(item);
            }
            state = self.ready.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// One more request, of those that `fits` takes. Never waits.
    pub(super) fn take_one(&self, fits: impl Fn(&T) -> bool) -> Option<T> {
        let mut state = self.lock();
        Self::refuse_late(&mut state);
        let item = Self::next(&mut state, fits)?;
        state.running += 1;
        Some(item)
    }

    fn next(state: &mut State<T>, fits: impl Fn(&T) -> bool) -> Option<T> {
        let fitting = state.waiting.iter().enumerate().filter(|(_, item)| fits(item));
        let (_, at) = fitting.map(|(at, item)| (item.standing().priority, at)).min()?;
        state.waiting.remove(at)
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

    use super::super::share::Priority;
    use super::*;

    struct Item {
        name: u32,
        standing: Standing,
        deadline: Instant,
        left: bool,
        refused: Rc<RefCell<Vec<(u32, PoolError)>>>,
    }

    impl Waiting for Item {
        fn deadline(&self) -> Instant {
            self.deadline
        }
        fn standing(&self) -> Standing {
            self.standing
        }
        fn abandoned(&self) -> bool {
            self.left
        }
        fn refuse(self, why: PoolError) {
            self.refused.borrow_mut().push((self.name, why));
        }
    }

    fn item(name: u32, seconds: u64, left: bool, refused: &Rc<RefCell<Vec<(u32, PoolError)>>>) -> Item {
        let (standing, deadline) = (Standing::default(), Instant::now() + Duration::from_secs(seconds));
        Item { name, standing, deadline, left, refused: refused.clone() }
    }

    fn of(name: u32, priority: Priority, tenant: u64, refused: &Rc<RefCell<Vec<(u32, PoolError)>>>) -> Item {
        Item { standing: Standing { priority, tenant }, ..item(name, 60, false, refused) }
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
    fn the_most_urgent_that_fits_is_taken_then_the_first() {
        let refused = Rc::default();
        let queue = Queue::new(8);
        for (name, priority) in
            [(1, Priority::Ingest), (2, Priority::Batch), (9, Priority::Interactive), (3, Priority::Interactive)]
        {
            queue.push(of(name, priority, 0, &refused)).unwrap();
        }
        queue.push(of(4, Priority::Interactive, 0, &refused)).unwrap();
        let taken: Vec<u32> =
            std::iter::from_fn(|| queue.take_one(|item| item.name < 9)).map(|item| item.name).collect();
        assert_eq!(taken, [3, 4, 2, 1]);
        assert_eq!(queue.take().unwrap().name, 9);
    }

    #[test]
    fn a_full_queue_gives_a_place_to_the_more_urgent_and_to_who_has_fewer_waiting() {
        let refused: Rc<RefCell<Vec<(u32, PoolError)>>> = Rc::default();
        let queue = Queue::new(3);
        let push = |name, priority, tenant| queue.push(of(name, priority, tenant, &refused)).is_ok();
        assert!((1..=3).all(|name| push(name, Priority::Batch, 1)));
        assert!(!push(4, Priority::Batch, 1) && !push(5, Priority::Ingest, 2));
        assert!(push(6, Priority::Batch, 2) && !push(7, Priority::Batch, 2));
        assert!(push(8, Priority::Interactive, 1) && push(9, Priority::Interactive, 1));
        let names: Vec<u32> = refused.borrow().iter().map(|(name, _)| *name).collect();
        assert_eq!(names, [3, 2, 6]);
        assert!(refused.borrow().iter().all(|(_, why)| matches!(why, PoolError::QueueFull { .. })));
        let taken: Vec<u32> = std::iter::from_fn(|| queue.take_one(|_| true)).map(|item| item.name).collect();
        assert_eq!(taken, [8, 9, 1]);
    }
}
