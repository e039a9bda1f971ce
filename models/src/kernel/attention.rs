//! Attention over a cache of 16-bit floats, kept in blocks of positions that sequences share.
//!
//! Keys lie sixteen positions side by side, so that sixteen scores come out of one run over a head; values lie position by
//! position. Positions are taken in stretches of 256 from the start of the sequence, each with a softmax of its own, joined afterwards
//! (Milakov and Gimelshein, 2018; Dao and others, 2022). The stretches depend on nothing but the position, so a row's result is the same
//! to the last bit whether it is computed alone, in a prompt, or in parts by several threads.

use std::mem::MaybeUninit;

use super::formats::LANES;
use super::simd::{Kernel, Simd};
use super::team::Pointer;
use super::{Path, Team};
use crate::layers::curve;

/// Positions of a block of the cache.
pub(crate) const POSITIONS: usize = 32;
/// Positions of a stretch.
const STRETCH: usize = 256;
/// Longest head.
pub(crate) const LONGEST_HEAD: usize = 512;
/// Query heads that are computed together, at most.
const TOGETHER: usize = 8;
/// Rows of a prompt that one unit of work takes.
const ROWS: usize = 16;
/// The same where a part has no more than those: a few guessed tokens are shared out too, in whole tiles.
const FEW: usize = 4;

/// How heads are laid out in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Heads {
    /// Heads that ask.
    pub(crate) queries: usize,
    /// Heads that are asked; each serves the same number of asking ones.
    pub(crate) keys: usize,
    /// Numbers per head, a multiple of sixteen.
    pub(crate) size: usize,
}

impl Heads {
    /// Length of a row of keys, and of values.
    pub(crate) fn key_row(self) -> usize {
        self.keys * self.size
    }

    /// Length of a row of queries, and of the result.
    pub(crate) fn query_row(self) -> usize {
        self.queries * self.size
    }

    fn group(self) -> usize {
        self.queries / self.keys.max(1)
    }
}

/// Keys and values of many sequences. Which block holds which part of a sequence is for the caller to know.
pub(crate) struct Cache {
    heads: Heads,
    layers: usize,
    /// Empty until a block is first written.
    blocks: Vec<Box<[u16]>>,
}

/// A sequence's new rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part<'a> {
    /// The blocks of the sequence, from its beginning.
    pub(crate) table: &'a [u32],
    /// Position of the first new row.
    pub(crate) position: usize,
    /// New rows.
    pub(crate) rows: usize,
}

/// Where the rows of a step go, checked: every place exists, and no two rows go to the same.
pub(crate) struct Places {
    rows: Vec<(usize, usize)>,
}

impl Cache {
    /// Room for so many blocks. Memory is taken when a block is first written.
    pub(crate) fn new(heads: Heads, layers: usize, blocks: usize) -> Self {
        Self { heads, layers, blocks: vec![Box::default(); blocks] }
    }

    /// Blocks that there are.
    pub(crate) fn blocks(&self) -> usize {
        self.blocks.len()
    }

    /// Numbers of a block: per layer and asked head 32 keys, then 32 values.
    fn length(&self) -> usize {
        self.layers * self.heads.keys * 2 * POSITIONS * self.heads.size
    }

    /// Start of a layer's and head's keys within a block; the values follow.
    fn offset(&self, layer: usize, head: usize) -> usize {
        (layer * self.heads.keys + head) * 2 * POSITIONS * self.heads.size
    }

    /// Finds the places of all rows of all parts and takes memory for blocks written for the first time. `None` where a table is too
    /// short, names a block that does not exist, or two rows would go to one place.
    pub(crate) fn places(&mut self, parts: &[Part<'_>]) -> Option<Places> {
        let mut rows = Vec::new();
        for part in parts {
            for position in part.position..part.position + part.rows {
                let block = *part.table.get(position / POSITIONS)? as usize;
                rows.push((block, position % POSITIONS));
            }
            // What is read must be there too.
            let read = part.table.get(..(part.position + part.rows).div_ceil(POSITIONS))?;
            if read.iter().any(|block| *block as usize >= self.blocks.len()) {
                return None;
            }
        }
        let mut sorted = rows.clone();
        sorted.sort_unstable();
        if sorted.windows(2).any(|pair| pair.first() == pair.last()) {
            return None;
        }
        let length = self.length();
        for block in
            parts.iter().flat_map(|part| part.table.iter().take((part.position + part.rows).div_ceil(POSITIONS)))
        {
            let block = self.blocks.get_mut(*block as usize)?;
            if block.is_empty() {
                *block = vec![0; length].into_boxed_slice();
            }
        }
        Some(Places { rows })
    }

    /// Writes keys and values of a layer. `row` gives both for a row's number.
    pub(crate) fn write<'a>(
        &mut self,
        path: Path,
        team: &Team,
        layer: usize,
        places: &Places,
        row: impl Fn(usize) -> (&'a [f32], &'a [f32]) + Sync,
    ) {
        let (heads, size) = (self.heads, self.heads.size);
        let starts: Vec<usize> = (0..heads.keys).map(|head| self.offset(layer, head)).collect();
        let blocks: Vec<Pointer<u16>> = self.blocks.iter_mut().map(|block| Pointer(block.as_mut_ptr())).collect();
        let together = if places.rows.len() < ROWS { places.rows.len() } else { ROWS }.max(1);
        team.run(places.rows.len().div_ceil(together), |unit| {
            for (at, (block, offset)) in places.rows.iter().enumerate().skip(unit * together).take(together) {
                let (keys, values) = row(at);
                let Some(block) = blocks.get(*block) else { continue };
                let heads = keys.chunks_exact(size).zip(values.chunks_exact(size)).zip(&starts);
                for ((key, value), start) in heads {
                    // SAFETY: `places` holds rows of this cache whose memory is there, each at a place of its own; the block is as
                    // long as `length` says, which these offsets stay within.
                    unsafe {
                        let keys = block.at(start + offset / LANES * LANES * size + offset % LANES);
                        let values = block.at(start + POSITIONS * size + offset * size);
                        path.run(Write { key: key.as_ptr(), value: value.as_ptr(), size, keys, values });
                    }
                }
            }
        });
    }
}

/// Writes one head of one row.
struct Write {
    key: *const f32,
    value: *const f32,
    size: usize,
    /// Sixteen numbers from one to the next.
    keys: *mut u16,
    values: *mut u16,
}

impl Kernel for Write {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for at in (0..self.size).step_by(LANES) {
            // SAFETY: the maker's word; the size is a multiple of sixteen.
            unsafe {
                S::store_half(self.values.add(at), S::load(self.value.add(at)));
                let mut lanes = [0u16; LANES];
                S::store_half(lanes.as_mut_ptr(), S::load(self.key.add(at)));
                for (lane, bits) in lanes.into_iter().enumerate() {
                    self.keys.add((at + lane) * LANES).write(bits);
                }
            }
        }
    }
}

/// What attention asks of a layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) layer: usize,
    /// Rows of queries, already scaled, and the numbers from row to row.
    pub(crate) queries: &'a [f32],
    pub(crate) stride: usize,
    /// Positions that a row sees, its own included; `None` is all before it.
    pub(crate) window: Option<usize>,
}

/// One unit of work: some rows of a part, one asked head, some stretches.
#[derive(Clone, Copy)]
struct Unit {
    part: usize,
    /// Among all rows, the first of the part.
    base: usize,
    head: usize,
    rows: (usize, usize),
    stretches: (usize, usize),
    /// Where an unfinished result goes, in heads of results.
    partial: Option<usize>,
}

/// Room that attention keeps from call to call.
#[derive(Default)]
pub(crate) struct Room {
    partials: Vec<f32>,
}

impl Cache {
    /// What every row of the parts reads from its sequence, up to itself. `out` has a row of all query heads per row. False where the sizes do not
    /// fit together; nothing is computed then.
    pub(crate) fn read(
        &self,
        path: Path,
        team: &Team,
        parts: &[Part<'_>],
        ask: Ask<'_>,
        room: &mut Room,
        out: &mut [f32],
    ) -> bool {
        let heads = self.heads;
        let rows: usize = parts.iter().map(|part| part.rows).sum();
        let group = heads.group();
        let written = |part: &Part<'_>| {
            let needed = (part.position + part.rows).div_ceil(POSITIONS);
            let table = part.table.get(..needed).unwrap_or_default();
            table.len() == needed
                && table.iter().all(|block| self.blocks.get(*block as usize).is_some_and(|b| !b.is_empty()))
        };
        let last = rows.saturating_sub(1) * ask.stride + heads.query_row();
        if rows == 0
            || out.len() != rows * heads.query_row()
            || ask.queries.len() < last
            || ask.layer >= self.layers
            || heads.size > LONGEST_HEAD
            || !parts.iter().all(written)
        {
            return false;
        }
        // A head's result, its greatest score and its sum.
        let partial = heads.size + 2;
        let (units, partials) = units(parts, heads, ask.window);
        if room.partials.len() < partials * partial {
            room.partials.resize(partials * partial, 0.0);
        }
        let (result, unfinished) = (Pointer(out.as_mut_ptr()), Pointer(room.partials.as_mut_ptr()));
        team.run(units.len(), |unit| {
            let Some(unit) = units.get(unit) else { return };
            let Some(part) = parts.get(unit.part) else { return };
            let start = self.offset(ask.layer, unit.head);
            let blocks: Vec<*const u16> = part
                .table
                .iter()
                .map(|block| match self.blocks.get(*block as usize) {
                    // SAFETY: a block that is there is longer than every offset.
                    Some(block) if !block.is_empty() => unsafe { block.as_ptr().add(start) },
                    _ => std::ptr::null(),
                })
                .collect();
            let (from, to) = (unit.rows.0 * group, unit.rows.1 * group);
            let mut first = from;
            while first < to {
                let count = together(path, to - first);
                let mut tile = Tile {
                    count,
                    size: heads.size,
                    queries: [std::ptr::null(); TOGETHER],
                    seen: [(0, 0); TOGETHER],
                    out: [std::ptr::null_mut(); TOGETHER],
                    whole: unit.partial.is_none(),
                    blocks: blocks.as_ptr(),
                    stretches: unit.stretches,
                };
                let lines = tile.queries.iter_mut().zip(&mut tile.seen).zip(&mut tile.out);
                for (at, ((query, seen), out)) in lines.take(count).enumerate() {
                    let (row, member) = ((first + at) / group, (first + at) % group);
                    let column = (unit.head * group + member) * heads.size;
                    let position = part.position + row;
                    *seen = (ask.window.map_or(0, |window| (position + 1).saturating_sub(window)), position);
                    // SAFETY: the lengths were checked above; every unit writes heads of its own.
                    unsafe {
                        *query = ask.queries.as_ptr().add((unit.base + row) * ask.stride + column);
                        *out = match unit.partial {
                            None => result.at((unit.base + row) * heads.query_row() + column),
                            Some(place) => unfinished.at((place + member) * partial),
                        };
                    }
                }
                // SAFETY: the blocks of every position that is seen are there, queries and results as above.
                unsafe { path.run(tile) };
                first += count;
            }
        });
        self.join(&units, &room.partials, out);
        true
    }

    /// Joins what was computed in parts, in the order of the positions.
    fn join(&self, units: &[Unit], partials: &[f32], out: &mut [f32]) {
        let (heads, group, size) = (self.heads, self.heads.group(), self.heads.size);
        // The stretches of one head follow each other.
        for units in units.chunk_by(|a, b| (a.part, a.head) == (b.part, b.head)) {
            let Some((unit, first)) = units.first().and_then(|unit| Some((unit, unit.partial?))) else { continue };
            let column = unit.base * heads.query_row() + unit.head * group * size;
            let rows = out.get_mut(column..).unwrap_or_default().chunks_exact_mut(size).take(group);
            for (member, row) in rows.enumerate() {
                let mut state = State::default();
                row.fill(0.0);
                for stretch in 0..units.len() {
                    let at = (first + stretch * group + member) * (size + 2);
                    let Some([top, sum, found @ ..]) = partials.get(at..at + size + 2) else { continue };
                    let (by, with) = state.join(*top, *sum);
                    for (row, found) in row.iter_mut().zip(found) {
                        *row = row.mul_add(by, found * with);
                    }
                }
                let scale = 1.0 / state.sum;
                row.iter_mut().for_each(|x| *x *= scale);
            }
        }
    }
}

/// How many of so many query heads are computed together. Each key and value is widened once for all of them.
fn together(path: Path, left: usize) -> usize {
    match left {
        0..=3 => left,
        TOGETHER.. if path.is_tall() => TOGETHER,
        _ => 4,
    }
}

/// Shares the work out: rows of a prompt by sixteen, a single row by stretches.
fn units(parts: &[Part<'_>], heads: Heads, window: Option<usize>) -> (Vec<Unit>, usize) {
    let (mut units, mut partials, mut base) = (Vec::new(), 0, 0);
    for (at, part) in parts.iter().enumerate() {
        let first = |row: usize| window.map_or(0, |window| (part.position + row + 1).saturating_sub(window)) / STRETCH;
        let end = |row: usize| (part.position + row) / STRETCH + 1;
        for head in 0..heads.keys {
            let unit = Unit { part: at, base, head, rows: (0, 1), stretches: (first(0), end(0)), partial: None };
            if part.rows == 1 && unit.stretches.1 - unit.stretches.0 > 1 {
                for stretch in unit.stretches.0..unit.stretches.1 {
                    units.push(Unit { stretches: (stretch, stretch + 1), partial: Some(partials), ..unit });
                    partials += heads.group();
                }
                continue;
            }
            let together = if part.rows > ROWS { ROWS } else { FEW };
            for from in (0..part.rows).step_by(together) {
                let to = part.rows.min(from + together);
                units.push(Unit { rows: (from, to), stretches: (first(from), end(to - 1)), ..unit });
            }
        }
        base += part.rows;
    }
    (units, partials)
}

/// Where a softmax over several stretches is.
#[derive(Clone, Copy)]
struct State {
    top: f32,
    sum: f32,
}

impl Default for State {
    fn default() -> Self {
        Self { top: f32::NEG_INFINITY, sum: 0.0 }
    }
}

impl State {
    /// Takes a stretch in; what the result so far and the stretch's are to be multiplied by.
    #[inline(always)]
    fn join(&mut self, top: f32, sum: f32) -> (f32, f32) {
        if sum == 0.0 {
            return (1.0, 0.0);
        }
        if self.sum == 0.0 {
            (self.top, self.sum) = (top, sum);
            return (0.0, 1.0);
        }
        let both = self.top.max(top);
        let (by, with) = (curve::exp(self.top - both), curve::exp(top - both));
        (self.top, self.sum) = (both, self.sum.mul_add(by, sum * with));
        (by, with)
    }
}

/// Some query heads of one asked head over some stretches.
struct Tile {
    count: usize,
    size: usize,
    queries: [*const f32; TOGETHER],
    /// First and last position that each sees.
    seen: [(usize, usize); TOGETHER],
    out: [*mut f32; TOGETHER],
    /// Whether the result is final; else greatest score, sum and unfinished result are written.
    whole: bool,
    /// Keys of the head in each block of the sequence; the values follow them.
    blocks: *const *const u16,
    stretches: (usize, usize),
}

impl Kernel for Tile {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: the maker's word.
        unsafe {
            match self.count {
                1 => self.tile::<S, 1>(),
                2 => self.tile::<S, 2>(),
                3 => self.tile::<S, 3>(),
                4 => self.tile::<S, 4>(),
                // Paths with fewer registers are never given so many.
                _ if S::TALL >= TOGETHER => self.tile::<S, TOGETHER>(),
                _ => {}
            }
        }
    }
}

impl Tile {
    #[inline(always)]
    unsafe fn tile<S: Simd, const R: usize>(&self) {
        let mut states = [State::default(); R];
        // Only as much of it as heads are long is written and read.
        let mut results: [[MaybeUninit<f32>; LONGEST_HEAD]; R] = [[const { MaybeUninit::uninit() }; LONGEST_HEAD]; R];
        for result in &mut results {
            result.iter_mut().take(self.size.next_multiple_of(LANES)).for_each(|x| *x = MaybeUninit::new(0.0));
        }
        // Every stretch writes those that it reads.
        let mut scores = [[0.0f32; STRETCH]; R];
        let (lowest, highest) =
            self.seen.iter().take(R).fold((usize::MAX, 0), |(low, high), (from, to)| (low.min(*from), high.max(*to)));
        for stretch in self.stretches.0..self.stretches.1 {
            // Whole blocks from the first position that any row sees to the last.
            let from = (stretch * STRETCH).max(lowest) / POSITIONS * POSITIONS;
            let to = ((stretch + 1) * STRETCH).min(highest + 1);
            if from >= to {
                continue;
            }
            // SAFETY: the blocks up to the highest position are there, and a stretch has room for its scores.
            unsafe {
                for block in from / POSITIONS..to.div_ceil(POSITIONS) {
                    let (keys, next) = (*self.blocks.add(block), self.next(block, to));
                    let at = block * POSITIONS - from;
                    if S::TALL >= 8 {
                        self.scores::<S, R, 2>((keys, next), &mut scores, at);
                    } else {
                        self.scores::<S, R, 1>((keys, next), &mut scores, at);
                        let second = LANES * self.size;
                        let (keys, next) = (keys.add(second), next.wrapping_add(second));
                        self.scores::<S, R, 1>((keys, next), &mut scores, at + LANES);
                    }
                }
                let mut joins = [(1.0, 0.0); R];
                for (row, (scores, join)) in scores.iter_mut().zip(&mut joins).enumerate() {
                    let Some((low, high)) = self.seen.get(row) else { continue };
                    let (low, high) = (low.saturating_sub(from), (high + 1).saturating_sub(from));
                    let (top, sum) = softmax::<S>(scores, low, high, (to - from).next_multiple_of(LANES));
                    *join = states.get_mut(row).map_or((1.0, 0.0), |state| state.join(top, sum));
                }
                let mut at = 0;
                while S::TALL >= 8 && at + 2 * LANES <= self.size {
                    self.values::<S, R, 2>((from, to), &scores, &joins, &mut results, at);
                    at += 2 * LANES;
                }
                while at < self.size {
                    self.values::<S, R, 1>((from, to), &scores, &joins, &mut results, at);
                    at += LANES;
                }
            }
        }
        for ((state, result), out) in states.iter().zip(&results).zip(self.out) {
            // SAFETY: a place for a result of `size` numbers, two more where it is not final.
            unsafe {
                let mut to = out;
                if !self.whole {
                    to.write(state.top);
                    to.add(1).write(state.sum);
                    to = to.add(2);
                }
                let scale = if self.whole { 1.0 / state.sum } else { 1.0 };
                for at in (0..self.size).step_by(LANES) {
                    S::store(to.add(at), S::mul(S::load(result.as_ptr().cast::<f32>().add(at)), S::splat(scale)));
                }
            }
        }
    }

    /// The block after one, where it is read too: its lines are asked for while this one is computed on. Blocks lie far from each other, so that
    /// the processor does not guess them.
    #[inline(always)]
    unsafe fn next(&self, block: usize, to: usize) -> *const u16 {
        // SAFETY: the caller's word: the blocks up to position `to` are there.
        unsafe { *self.blocks.add(if (block + 1) * POSITIONS < to { block + 1 } else { block }) }
    }

    /// Scores of `G` times sixteen positions.
    #[allow(
        clippy::indexing_slicing,
        clippy::needless_range_loop,
        reason = "indices run to lengths that are constants of the types; the compiler unrolls and checks nothing at run time"
    )]
    #[inline(always)]
    unsafe fn scores<S: Simd, const R: usize, const G: usize>(
        &self,
        (keys, next): (*const u16, *const u16),
        scores: &mut [[f32; STRETCH]; R],
        at: usize,
    ) {
        // SAFETY: the caller's word.
        unsafe {
            let mut sums = [[S::splat(0.0); R]; G];
            for number in 0..self.size {
                for group in 0..G {
                    S::prefetch(next.wrapping_add((group * self.size + number) * LANES).cast());
                }
                let keys: [S::F; G] =
                    std::array::from_fn(|group| S::load_half(keys.add((group * self.size + number) * LANES)));
                for row in 0..R {
                    let query = S::splat(*self.queries[row].add(number));
                    for group in 0..G {
                        sums[group][row] = S::fma(keys[group], query, sums[group][row]);
                    }
                }
            }
            for group in 0..G {
                for row in 0..R {
                    S::store(scores[row].as_mut_ptr().add(at + group * LANES), sums[group][row]);
                }
            }
        }
    }

    /// Sums of values, `D` times sixteen numbers of every position, taken into the result.
    #[allow(
        clippy::indexing_slicing,
        clippy::needless_range_loop,
        reason = "indices run to lengths that are constants of the types; the compiler unrolls and checks nothing at run time"
    )]
    #[inline(always)]
    unsafe fn values<S: Simd, const R: usize, const D: usize>(
        &self,
        (from, to): (usize, usize),
        shares: &[[f32; STRETCH]; R],
        joins: &[(f32, f32); R],
        results: &mut [[MaybeUninit<f32>; LONGEST_HEAD]; R],
        number: usize,
    ) {
        // SAFETY: the caller's word.
        unsafe {
            let mut sums = [[S::splat(0.0); R]; D];
            for block in from / POSITIONS..to.div_ceil(POSITIONS) {
                let values = (*self.blocks.add(block)).add(POSITIONS * self.size + number);
                let next = self.next(block, to).wrapping_add(POSITIONS * self.size + number);
                let start = block * POSITIONS;
                for position in start..to.min(start + POSITIONS) {
                    let value = values.add((position - start) * self.size);
                    S::prefetch(next.wrapping_add((position - start) * self.size).cast());
                    let value: [S::F; D] = std::array::from_fn(|part| S::load_half(value.add(part * LANES)));
                    for row in 0..R {
                        let share = S::splat(*shares[row].as_ptr().add(position - from));
                        for part in 0..D {
                            sums[part][row] = S::fma(value[part], share, sums[part][row]);
                        }
                    }
                }
            }
            for part in 0..D {
                for row in 0..R {
                    let (by, with) = joins[row];
                    let place = results[row].as_mut_ptr().cast::<f32>().add(number + part * LANES);
                    S::store(place, S::fma(S::load(place), S::splat(by), S::mul(sums[part][row], S::splat(with))));
                }
            }
        }
    }
}

/// Turns scores into shares in place: those from `low` to `high` count, up to `end` all others become 0. The greatest score and the sum.
#[inline(always)]
unsafe fn softmax<S: Simd>(scores: &mut [f32; STRETCH], low: usize, high: usize, end: usize) -> (f32, f32) {
    let outside = |scores: &mut [f32; STRETCH], with: f32| {
        let below = low.min(end);
        scores.iter_mut().take(below).for_each(|score| *score = with);
        scores.iter_mut().take(end).skip(high).for_each(|score| *score = with);
    };
    outside(scores, f32::NEG_INFINITY);
    let at = scores.as_mut_ptr();
    // SAFETY: `end` is a multiple of sixteen and at most the length.
    unsafe {
        let mut top = S::splat(f32::NEG_INFINITY);
        for lane in (0..end).step_by(LANES) {
            top = S::max(top, S::load(at.add(lane)));
        }
        let top = S::greatest(top);
        if top == f32::NEG_INFINITY {
            scores.fill(0.0);
            return (top, 0.0);
        }
        for lane in (0..end).step_by(LANES) {
            S::store(at.add(lane), S::exp(S::sub(S::load(at.add(lane)), S::splat(top))));
        }
        outside(scores, 0.0);
        let mut sum = S::splat(0.0);
        for lane in (0..end).step_by(LANES) {
            sum = S::add(sum, S::load(at.add(lane)));
        }
        (top, S::total(sum))
    }
}

#[cfg(test)]
mod tests;
