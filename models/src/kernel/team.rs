//! The threads that compute together, with a barrier cheap enough for products of a few microseconds.
//!
//! Work comes as numbered units that whoever is free takes next. So a thread that another process keeps from running holds
//! up no more than the unit it is in, and one that never wakes holds up nothing. Waiting is a short spin, for the next product is
//! usually there within microseconds, then sleep, so that an idle model costs nothing and a waiting one leaves its core to
//! whoever needs it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering, fence};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

/// How long a thread waits awake. A sleeper takes about 50 microseconds to come back on a virtual machine.
const SPIN: Duration = Duration::from_micros(60);
/// Looks between two looks at the clock.
const LOOKS: u32 = 64;

/// Most units of one call: what the counter's bits hold.
const MOST: usize = (1 << 16) - 1;

/// A call under way, on the stack of who made it.
struct Call<'a> {
    work: &'a (dyn Fn(usize) + Sync),
    left: AtomicU32,
    panicked: AtomicBool,
    caller: Thread,
}

struct Member {
    asleep: AtomicBool,
    thread: std::sync::OnceLock<Thread>,
}

struct Shared {
    /// From the top: 32 bits the number of the call, 16 bits its units, 16 bits the next unit.
    state: AtomicU64,
    call: AtomicPtr<Call<'static>>,
    members: Vec<Member>,
    ending: AtomicBool,
}

/// A number of threads, the caller of [`Team::run`] among them.
pub(crate) struct Team {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    /// One call at a time.
    turn: std::sync::Mutex<u32>,
}

fn units(state: u64) -> (usize, usize) {
    ((state & 0xffff) as usize, (state >> 16 & 0xffff) as usize)
}

impl Shared {
    /// Takes one unit of the call under way and does it; false where none is left.
    fn help(&self) -> bool {
        let state = self.state.load(Ordering::Acquire);
        let (next, count) = units(state);
        if next >= count {
            return false;
        }
        let call = self.call.load(Ordering::Acquire);
        if self.state.compare_exchange_weak(state, state + 1, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            return true;
        }
        // SAFETY: the exchange succeeded, so this unit belongs to the call whose number stands in `state`, and its maker
        // waits until `left` is 0, which it cannot be before this unit is counted. The pointer is that call's: it is stored before
        // the state that names it, and replaced only after all units of the call were done.
        let call = unsafe { &*call };
        let work = std::panic::AssertUnwindSafe(|| (call.work)(next));
        if std::panic::catch_unwind(work).is_err() {
            call.panicked.store(true, Ordering::Relaxed);
        }
        // Once the count is down the call may be gone: what is needed of it is taken first.
        let caller = call.caller.clone();
        if call.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            caller.unpark();
        }
        true
    }

    fn serve(&self, at: usize) {
        let Some(member) = self.members.get(at) else { return };
        while !self.ending.load(Ordering::Relaxed) {
            if self.help() || spin(|| self.waiting() || self.ending.load(Ordering::Relaxed)) {
                continue;
            }
            member.asleep.store(true, Ordering::SeqCst);
            if !self.waiting() && !self.ending.load(Ordering::SeqCst) {
                std::thread::park();
            }
            member.asleep.store(false, Ordering::SeqCst);
        }
    }

    fn waiting(&self) -> bool {
        let (next, count) = units(self.state.load(Ordering::SeqCst));
        next < count
    }

    fn wake(&self) {
        fence(Ordering::SeqCst);
        for member in &self.members {
            if member.asleep.load(Ordering::SeqCst)
                && member.asleep.swap(false, Ordering::SeqCst)
                && let Some(thread) = member.thread.get()
            {
                thread.unpark();
            }
        }
    }
}

/// Waits awake for a short while; true where what is waited for came.
fn spin(came: impl Fn() -> bool) -> bool {
    let mut until = None;
    loop {
        for _ in 0..LOOKS {
            if came() {
                return true;
            }
            std::hint::spin_loop();
        }
        let now = Instant::now();
        if now >= *until.get_or_insert_with(|| now + SPIN) {
            return false;
        }
    }
}

impl Team {
    /// So many threads; 0 is one per core. The caller is one of them.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub(crate) fn new(threads: usize) -> std::io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = if threads == 0 { cores } else { threads };
        let members = (1..threads).map(|_| Member { asleep: AtomicBool::new(false), thread: Default::default() });
        let shared = Arc::new(Shared {
            state: AtomicU64::new(0),
            call: AtomicPtr::new(std::ptr::null_mut()),
            members: members.collect(),
            ending: AtomicBool::new(false),
        });
        let mut team = Self { shared, threads: Vec::new(), turn: std::sync::Mutex::new(0) };
        for at in 0..threads.saturating_sub(1) {
            let shared = Arc::clone(&team.shared);
            let thread =
                std::thread::Builder::new().name(format!("compute-{}", at + 1)).spawn(move || shared.serve(at))?;
            if let Some(member) = team.shared.members.get(at) {
                member.thread.get_or_init(|| thread.thread().clone());
            }
            team.threads.push(thread);
        }
        Ok(team)
    }

    /// Threads, the caller included.
    pub(crate) fn threads(&self) -> usize {
        self.threads.len() + 1
    }

    /// Does units 0 to `count` of the work, in no order, and returns when all are done.
    ///
    /// # Panics
    /// Where a unit panicked.
    pub(crate) fn run(&self, count: usize, work: impl Fn(usize) + Sync) {
        if count <= 1 || self.threads.is_empty() {
            (0..count).for_each(work);
            return;
        }
        let mut first = 0;
        while first < count {
            let some = (count - first).min(MOST);
            self.call(some, &|unit| work(first + unit));
            first += some;
        }
    }

    fn call(&self, count: usize, work: &(dyn Fn(usize) + Sync)) {
        let mut turn = self.turn.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *turn = turn.wrapping_add(1);
        let call = Call {
            work,
            left: AtomicU32::new(count as u32),
            panicked: AtomicBool::new(false),
            caller: std::thread::current(),
        };
        self.shared.call.store((&raw const call).cast_mut().cast(), Ordering::Release);
        self.shared.state.store(u64::from(*turn) << 32 | (count as u64) << 16, Ordering::SeqCst);
        self.shared.wake();
        while self.shared.help() {}
        let done = || call.left.load(Ordering::SeqCst) == 0;
        while !spin(done) {
            if !done() {
                std::thread::park();
            }
        }
        drop(turn);
        assert!(!call.panicked.load(Ordering::Relaxed), "a unit of a computation panicked");
    }

    /// Hands out consecutive parts of a slice, each `length` long but perhaps the last.
    pub(crate) fn split<T: Send>(&self, slice: &mut [T], length: usize, work: impl Fn(usize, &mut [T]) + Sync) {
        let (length, all) = (length.max(1), slice.len());
        let start = Pointer(slice.as_mut_ptr());
        self.run(all.div_ceil(length), |unit| {
            let from = unit * length;
            // SAFETY: parts of different units do not meet, and every unit is done once, while `slice` is borrowed.
            let part = unsafe { std::slice::from_raw_parts_mut(start.at(from), length.min(all - from)) };
            work(unit, part);
        });
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.shared.ending.store(true, Ordering::SeqCst);
        for thread in std::mem::take(&mut self.threads) {
            thread.thread().unpark();
            // A panic inside was already passed on by `run`.
            drop(thread.join());
        }
    }
}

/// A pointer that units of a call share, each using a place of its own.
pub(super) struct Pointer<T>(pub(super) *mut T);

impl<T> Clone for Pointer<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Pointer<T> {}

// SAFETY: whoever uses it sees to it that units use different places.
unsafe impl<T: Send> Send for Pointer<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Pointer<T> {}

impl<T> Pointer<T> {
    /// # Safety
    /// The place lies in what the pointer was made from.
    pub(super) unsafe fn at(self, place: usize) -> *mut T {
        // SAFETY: the caller's word.
        unsafe { self.0.add(place) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_done_once_over_many_calls() {
        for threads in [1, 2, 5] {
            let team = Team::new(threads).unwrap();
            assert_eq!(team.threads(), threads);
            for round in 0..2000usize {
                let mut done = vec![0u32; round % 37];
                team.split(&mut done, 1, |_, part| part[0] += 1);
                assert!(done.iter().all(|times| *times == 1), "{threads} threads, round {round}: {done:?}");
            }
        }
    }

    #[test]
    fn sleepers_wake_for_work() {
        let team = Team::new(3).unwrap();
        for _ in 0..20 {
            std::thread::sleep(Duration::from_millis(2));
            let mut numbers = vec![1u64; 1000];
            team.split(&mut numbers, 7, |at, part| part.iter_mut().for_each(|n| *n += at as u64));
            assert_eq!(numbers.iter().sum::<u64>(), 1000 + (0..1000u64).map(|n| n / 7).sum::<u64>());
        }
    }

    #[test]
    fn calls_from_several_threads_take_turns() {
        let team = Team::new(2).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        let mut done = vec![0u8; 9];
                        team.split(&mut done, 2, |_, part| part.iter_mut().for_each(|n| *n += 1));
                        assert_eq!(done, [1; 9]);
                    }
                });
            }
        });
    }

    #[test]
    fn a_panic_in_a_unit_reaches_the_caller_and_the_team_goes_on() {
        let team = Team::new(2).unwrap();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| team.run(8, |unit| assert!(unit != 5))));
        assert!(outcome.is_err());
        let mut done = vec![0u8; 8];
        team.split(&mut done, 1, |_, part| part[0] = 1);
        assert_eq!(done, [1; 8]);
    }
}
