//! Hashing beside reading: one thread reads and decrypts records, this one makes leaves of them and hashes those.
//!
//! Records come back in the order in which they were handed over, some batches later.

use std::{
    io,
    sync::mpsc::{Receiver, Sender, channel},
    thread::{Builder, Scope},
};

use super::super::{leaf::Stored, merkle::Hash};

/// Records that change threads at a time: enough that the change costs nothing beside them.
const BATCH: usize = 512;

/// Batches that are under way at most. More would only take memory.
const AHEAD: usize = 4;

/// A record's number, and the hash of its leaf; none where it does not read as a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hashed {
    pub(super) sequence: u64,
    pub(super) hash: Option<Hash>,
}

/// The thread that hashes. It ends when this is dropped.
pub(super) struct Hashing {
    filling: Vec<Stored>,
    under_way: usize,
    stored: Sender<Vec<Stored>>,
    hashed: Receiver<Vec<Hashed>>,
}

impl Hashing {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system has none to give.
    pub(super) fn start<'scope>(scope: &'scope Scope<'scope, '_>) -> io::Result<Self> {
        let (stored, receiver) = channel::<Vec<Stored>>();
        let (sender, hashed) = channel();
        let run = move || {
            for batch in receiver {
                let hash = |stored: &Stored| Hashed {
                    sequence: stored.sequence,
                    hash: stored.leaf().map(|leaf| Hash::of_leaf(&leaf)),
                };
                if sender.send(batch.iter().map(hash).collect()).is_err() {
                    return;
                }
            }
        };
        Builder::new().name("audit-hashing".to_owned()).spawn_scoped(scope, run)?;
        Ok(Self { filling: Vec::with_capacity(BATCH), under_way: 0, stored, hashed })
    }

    /// Hands a record over, and calls `each` with those that are hashed meanwhile, in order.
    pub(super) fn hand_over(&mut self, stored: Stored, each: impl FnMut(Hashed)) {
        self.filling.push(stored);
        if self.filling.len() >= BATCH {
            self.send();
            if self.under_way > AHEAD {
                self.receive(each);
            }
        }
    }

    /// Calls `each` with all that were handed over and have not come back yet, in order.
    pub(super) fn rest(&mut self, mut each: impl FnMut(Hashed)) {
        self.send();
        while self.under_way > 0 {
            self.receive(&mut each);
        }
    }

    fn send(&mut self) {
        let batch = std::mem::replace(&mut self.filling, Vec::with_capacity(BATCH));
        // INVARIANT (the thread lives): it ends only with this value, and its work does not panic.
        if !batch.is_empty() && self.stored.send(batch).is_ok() {
            self.under_way += 1;
        }
    }

    fn receive(&mut self, each: impl FnMut(Hashed)) {
        self.under_way -= 1;
        self.hashed.recv().into_iter().flatten().for_each(each);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_hashed_and_in_order_however_many_there_are() {
        let stored = |sequence| Stored {
            sequence,
            at: "2026-01-01T00:00:00Z".to_owned(),
            entry: format!("{sequence:032x}"),
            closes: false,
            body: if sequence % 7 == 0 { b"damaged".to_vec() } else { b"{\"intent\":{}}".to_vec() },
        };
        for count in [0, 1, 511, 512, 513, 5000] {
            let mut back = Vec::new();
            std::thread::scope(|scope| {
                let mut hashing = Hashing::start(scope).unwrap();
                for sequence in 1..=count {
                    hashing.hand_over(stored(sequence), |hashed| back.push(hashed));
                }
                hashing.rest(|hashed| back.push(hashed));
            });
            let expected: Vec<_> = (1..=count)
                .map(|sequence| Hashed { sequence, hash: stored(sequence).leaf().map(|leaf| Hash::of_leaf(&leaf)) })
                .collect();
            assert_eq!(back, expected, "{count} records");
            assert!(back.iter().all(|hashed| hashed.hash.is_none() == (hashed.sequence % 7 == 0)));
        }
    }
}
