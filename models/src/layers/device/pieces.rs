//! The pieces of a step as a device takes them: in which order, which attend together, and where in the cache each reads and writes.
//!
//! # Why
//! - **Sequences that add equally many tokens attend together**, the shorter ones padded: what a step costs on a device is how many
//!   kernels are started, hardly how much each of them has to do. They are joined up to twice the length of the shortest, so that
//!   padding stays bounded.
//! - **What all layers need to know is told to the device once a step.**

use candle_core::Tensor;

use super::{Angles, DeviceDecoder};
use crate::kernel::attention::POSITIONS;
use crate::task::generate::Piece;

/// A piece of a step, in the order in which its rows are computed.
pub(super) struct Place {
    /// Which of the pieces.
    pub(super) piece: usize,
    /// First row among those of the step, and how many.
    pub(super) rows: (usize, usize),
    /// The places of all positions so far, the new ones included.
    pub(super) seen: Vec<u32>,
    pub(super) position: usize,
}

/// Pieces that attend together.
pub(super) struct Group {
    /// First row, pieces, and rows of each.
    pub(super) first: usize,
    pub(super) pieces: usize,
    pub(super) rows: usize,
    /// Places that each of them reads, one piece after the other, `length` of each.
    pub(super) seen: Tensor,
    pub(super) length: usize,
    /// By window: what hides the later positions, those out of the window and padding, of the shape (1, pieces, 1, rows, length).
    pub(super) masks: Vec<(Option<usize>, Tensor)>,
}

/// What all layers of a step need to know.
pub(super) struct Step {
    pub(super) groups: Vec<Group>,
    /// Where the new keys and values go, of their own shape.
    pub(super) places: Tensor,
    /// By rope: cosines and sines of the rows.
    pub(super) angles: Vec<(Tensor, Tensor)>,
}

impl DeviceDecoder {
    /// Checks that every place exists. Pieces that add equally many tokens come together, the shorter sequence first.
    pub(super) fn places(&self, pieces: &[Piece<'_>]) -> Option<Vec<Place>> {
        let mut order: Vec<(usize, &Piece<'_>)> = pieces.iter().enumerate().collect();
        order.sort_by_key(|(_, piece)| (piece.tokens.len(), piece.position));
        let mut first = 0;
        let mut places = Vec::with_capacity(pieces.len());
        for (index, piece) in order {
            let end = piece.position + piece.tokens.len();
            let place = |position: usize| {
                let block = *piece.blocks.get(position / POSITIONS)? as usize;
                (block < self.blocks).then_some(block * POSITIONS + position % POSITIONS)
            };
            let seen = (0..end).map(|position| u32::try_from(place(position)?).ok()).collect::<Option<Vec<u32>>>()?;
            let rows = (first, piece.tokens.len());
            places.push(Place { piece: index, rows, seen, position: piece.position });
            first += piece.tokens.len();
        }
        Some(places)
    }

    /// What all layers of a step need to know, told to the device once.
    pub(super) fn lay(&self, places: &[Place]) -> candle_core::Result<Step> {
        let heads = self.plan.heads;
        let new = places.iter().flat_map(|place| place.seen.iter().skip(place.position).copied());
        let new: Vec<u32> = new.collect();
        let rows = new.len();
        let new = Tensor::from_vec(new, (1, rows, 1), &self.device)?;
        let new = new.broadcast_as((heads.keys, rows, heads.size))?.contiguous()?;
        let positions = places.iter().flat_map(|place| place.position..place.position + place.rows.1);
        let positions: Vec<u32> = positions.map(|position| position as u32).collect();
        let positions = Tensor::new(positions.as_slice(), &self.device)?;
        let of = |angles: &Angles| {
            Ok((angles.cosines.index_select(&positions, 0)?, angles.sines.index_select(&positions, 0)?))
        };
        let angles = self.ropes.iter().map(of).collect::<candle_core::Result<Vec<_>>>()?;
        let groups = groups(places).into_iter().map(|places| self.group(places));
        Ok(Step { groups: groups.collect::<candle_core::Result<_>>()?, places: new, angles })
    }

    fn group(&self, places: &[Place]) -> candle_core::Result<Group> {
        let length = places.iter().map(|place| place.seen.len()).max().unwrap_or(0);
        let (first, rows) = places.first().map_or((0, 0), |place| place.rows);
        // With a place of its own: what is hidden counts for nothing unless it is no number, and then it is no other sequence's.
        let padded = |place: &Place| {
            let (padding, own) = (length - place.seen.len(), place.seen.first().copied().unwrap_or(0));
            place.seen.iter().copied().chain(std::iter::repeat_n(own, padding)).collect::<Vec<u32>>()
        };
        let seen: Vec<u32> = places.iter().flat_map(padded).collect();
        let mut windows: Vec<Option<usize>> = self.weights.layers.iter().map(|layer| layer.window).collect();
        windows.sort_unstable();
        windows.dedup();
        let masks = windows.into_iter().map(|window| {
            let mut mask = Vec::with_capacity(places.len() * rows * length);
            for (place, row) in places.iter().flat_map(|place| (0..rows).map(move |row| (place, row))) {
                let position = place.position + row;
                let hidden = |at: usize| at > position || window.is_some_and(|window| at + window <= position);
                mask.extend((0..length).map(|at| if hidden(at) { f32::NEG_INFINITY } else { 0.0 }));
            }
            Ok((window, Tensor::from_vec(mask, (1, places.len(), 1, rows, length), &self.device)?))
        });
        let masks = masks.collect::<candle_core::Result<_>>()?;
        let seen = Tensor::new(seen.as_slice(), &self.device)?;
        Ok(Group { first, pieces: places.len(), rows, seen, length, masks })
    }
}

/// The places by group. The last ones of prompts and guesses are joined; the rows of a prompt fill a device by themselves.
fn groups(places: &[Place]) -> Vec<&[Place]> {
    let (mut groups, mut rest) = (Vec::new(), places);
    while let Some(first) = rest.first() {
        let joins = |place: &&Place| {
            place.rows.1 == first.rows.1
                && first.rows.1 <= JOINED
                && place.seen.len() <= 2 * first.seen.len() + POSITIONS
        };
        let (group, after) = rest.split_at(rest.iter().take_while(joins).count().max(1));
        groups.push(group);
        rest = after;
    }
    groups
}

/// Rows of a piece up to which it attends together with others.
const JOINED: usize = 16;
