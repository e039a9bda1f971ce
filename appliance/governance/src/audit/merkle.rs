//! The Merkle tree over the records: RFC 6962 hashes, the tree's right edge, and proofs.
//!
//! Leaves are numbered from 0, records from 1: record `n` is leaf `n - 1`. A [`Node`] is a complete subtree. Proofs ask for
//! nodes by name, so that they neither know nor care whether those come from a file, a database or memory.
//!
//! # Why
//! - **Our own, in few lines, from RFC 6962 and RFC 9162**: the crates that do this (`tlog_tiles`, `signed_note`) bring a
//!   second Ed25519 and SHA-256 beside the ones that the rest of the program uses, and stop the program on a number that
//!   does not fit. They check ours in the tests instead.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, prelude::BASE64_STANDARD};

/// Length of a hash in bytes.
pub const HASH_BYTES: usize = 32;

/// A SHA-256 hash in the tree. Shown in base64, as signed notes and proofs write it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash([u8; HASH_BYTES]);

impl Hash {
    /// The hash of the empty tree: SHA-256 of nothing (RFC 6962, section 2.1).
    pub fn of_nothing() -> Self {
        Self::sha256(&[])
    }

    /// The hash of a leaf: SHA-256 of a zero byte and the leaf's bytes (RFC 6962, section 2.1).
    pub fn of_leaf(leaf: &[u8]) -> Self {
        let mut input = Vec::with_capacity(leaf.len() + 1);
        input.push(0);
        input.extend_from_slice(leaf);
        Self::sha256(&input)
    }

    /// The hash of a node over two others: SHA-256 of a one byte and both hashes (RFC 6962, section 2.1).
    pub fn of_pair(left: Self, right: Self) -> Self {
        let mut input = [1; 1 + 2 * HASH_BYTES];
        if let Some((_, both)) = input.split_first_mut()
            && let Some((l, r)) = both.split_at_mut_checked(HASH_BYTES)
        {
            l.copy_from_slice(&left.0);
            r.copy_from_slice(&right.0);
        }
        Self::sha256(&input)
    }

    /// A hash from its bytes, if there are as many as there should be.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// A hash from base64.
    pub fn parse(text: &str) -> Option<Self> {
        Self::from_bytes(&BASE64_STANDARD.decode(text).ok()?)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; HASH_BYTES] {
        &self.0
    }

    fn sha256(input: &[u8]) -> Self {
        let mut hash = [0; HASH_BYTES];
        // INVARIANT (a digest has its length): SHA-256 gives 32 bytes; `zip` would leave zeros of a shorter one.
        for (to, from) in hash.iter_mut().zip(digest(&SHA256, input).as_ref()) {
            *to = *from;
        }
        Self(hash)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64_STANDARD.encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A complete subtree: the `index`-th of those with 2 to the power of `level` leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    /// Its height; 0 is a leaf.
    pub level: u8,
    /// Its place among the nodes of its height, from 0.
    pub index: u64,
}

/// The right edge of a tree: the roots of the complete subtrees that it is made of, the widest first. As much as is needed
/// to go on growing it, and at most 64 hashes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

impl Frontier {
    /// The frontier of a tree with `size` leaves from its bytes: the peaks, one after the other.
    pub fn from_bytes(size: u64, bytes: &[u8]) -> Option<Self> {
        let (peaks, rest) = bytes.as_chunks::<HASH_BYTES>();
        let fits = rest.is_empty() && peaks.len() == size.count_ones() as usize;
        fits.then(|| Self { size, peaks: peaks.iter().copied().map(Hash).collect() })
    }

    /// The peaks, one after the other.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.peaks.iter().flat_map(|hash| hash.0).collect()
    }

    /// Leaves in the tree.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf on the right.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        // Each complete subtree on the right of the same height becomes the left half of one twice as wide.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                hash = Hash::of_pair(left, hash);
            }
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The hash of the whole tree.
    pub fn root(&self) -> Hash {
        let joined = self.peaks.iter().rev().copied().reduce(|right, left| Hash::of_pair(left, right));
        joined.unwrap_or_else(Hash::of_nothing)
    }
}

/// The widest complete tree that is narrower than `leaves`: RFC 6962's k. `leaves` is at least 2.
const fn left_half(leaves: u64) -> u64 {
    1 << (leaves - 1).ilog2()
}

/// The hash over the leaves from `start` up to `end`, a stretch that a proof over a tree asks for.
///
/// # Errors
/// What `node` says.
pub fn range<E>(start: u64, end: u64, node: &mut impl FnMut(Node) -> Result<Hash, E>) -> Result<Hash, E> {
    let leaves = end.saturating_sub(start);
    match leaves {
        0 => Ok(Hash::of_nothing()),
        n if n.is_power_of_two() => {
            let level = n.trailing_zeros();
            node(Node { level: u8::try_from(level).unwrap_or(u8::MAX), index: start >> level })
        }
        n => {
            let middle = start + left_half(n);
            let left = range(start, middle, node)?;
            Ok(Hash::of_pair(left, range(middle, end, node)?))
        }
    }
}

/// The proof that leaf `index` is in the tree of `size` leaves (RFC 6962, section 2.1.1). Empty where `index` is not in it.
///
/// # Errors
/// What `node` says.
pub fn inclusion<E>(index: u64, size: u64, node: &mut impl FnMut(Node) -> Result<Hash, E>) -> Result<Vec<Hash>, E> {
    let (mut start, mut end) = (0, size);
    let mut siblings = Vec::new();
    while index < size && end - start > 1 {
        let middle = start + left_half(end - start);
        if index < middle {
            siblings.push((middle, end));
            end = middle;
        } else {
            siblings.push((start, middle));
            start = middle;
        }
    }
    siblings.into_iter().rev().map(|(start, end)| range(start, end, node)).collect()
}

/// The proof that the tree of `size` leaves begins with the tree of `earlier` leaves (RFC 6962, section 2.1.2). Empty where
/// they are equal or the earlier one is empty.
///
/// # Errors
/// What `node` says.
pub fn consistency<E>(earlier: u64, size: u64, node: &mut impl FnMut(Node) -> Result<Hash, E>) -> Result<Vec<Hash>, E> {
    let (mut start, mut end) = (0, size);
    let mut parts = Vec::new();
    if earlier == 0 || earlier >= size {
        return Ok(Vec::new());
    }
    while end != earlier {
        let middle = start + left_half(end - start);
        if earlier <= middle {
            parts.push((middle, end));
            end = middle;
        } else {
            parts.push((start, middle));
            start = middle;
        }
    }
    // The whole earlier tree needs no mention where it is a node of the later one: its hash is known.
    if start > 0 {
        parts.push((start, end));
    }
    parts.into_iter().rev().map(|(start, end)| range(start, end, node)).collect()
}

/// Whether `proof` shows that `leaf` is at `index` of the tree with `size` leaves and that root (RFC 9162, section
/// 2.1.3.2).
pub fn includes(index: u64, size: u64, leaf: Hash, root: Hash, proof: &[Hash]) -> bool {
    if index >= size {
        return false;
    }
    let (mut place, mut last) = (index, size - 1);
    let mut hash = leaf;
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if place & 1 == 1 || place == last {
            hash = Hash::of_pair(*sibling, hash);
            up_the_left_edge(&mut place, &mut last);
        } else {
            hash = Hash::of_pair(hash, *sibling);
        }
        place >>= 1;
        last >>= 1;
    }
    last == 0 && hash == root
}

/// Whether `proof` shows that the tree with `size` leaves and root `root` begins with that of `earlier` leaves and root
/// `earlier_root` (RFC 9162, section 2.1.4.2).
pub fn extends(earlier: u64, size: u64, earlier_root: Hash, root: Hash, proof: &[Hash]) -> bool {
    match (earlier, proof) {
        (0, []) => earlier_root == Hash::of_nothing(),
        (_, []) => earlier == size && earlier_root == root,
        (0, _) => false,
        _ if earlier >= size => false,
        (_, [first, rest @ ..]) => {
            let (first, rest) = if earlier.is_power_of_two() { (&earlier_root, proof) } else { (first, rest) };
            let (mut place, mut last) = (earlier - 1, size - 1);
            while place & 1 == 1 {
                place >>= 1;
                last >>= 1;
            }
            let (mut before, mut after) = (*first, *first);
            for part in rest {
                if last == 0 {
                    return false;
                }
                if place & 1 == 1 || place == last {
                    before = Hash::of_pair(*part, before);
                    after = Hash::of_pair(*part, after);
                    up_the_left_edge(&mut place, &mut last);
                } else {
                    after = Hash::of_pair(after, *part);
                }
                place >>= 1;
                last >>= 1;
            }
            last == 0 && before == earlier_root && after == root
        }
    }
}

/// Passes by the levels at which the path has no sibling on its left.
const fn up_the_left_edge(place: &mut u64, last: &mut u64) {
    while *place & 1 == 0 && *place != 0 {
        *place >>= 1;
        *last >>= 1;
    }
}

#[cfg(test)]
mod tests;
