//! The published tree: the folder `audit` beside the database, in the layout of C2SP's `tlog-tiles`.
//!
//! ```text
//! audit/checkpoint            the newest published checkpoint, a signed note
//! audit/keys                  the checkpoint keys, oldest first, one NAME+HASH+KEY a line
//! audit/tile/0/000            hashes of leaves 0 to 255
//! audit/tile/0/001.p/37       the next 37
//! audit/tile/1/000.p/1        the root over tile 0/000
//! ```
//!
//! It holds hashes and signatures only, and may be copied to anyone. What is published below the size of its checkpoint is
//! complete. Records themselves stay in the encrypted database; `cloister audit export` writes them.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    merkle::{HASH_BYTES, Hash, Node, range},
    note::{SignedCheckpoint, Verifier},
};

/// Hashes in a full tile.
pub(super) const TILE_WIDTH: u64 = 256;

/// Levels of the tree that one level of tiles stands for.
const TILE_HEIGHT: u8 = 8;

/// A tile: the `index`-th of its level, with so many hashes of the 256 that it will have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tile {
    pub(super) level: u8,
    pub(super) index: u64,
    pub(super) width: u64,
}

impl Tile {
    /// The tile as a tree of `size` leaves has it. None if it has no hash yet.
    pub(super) fn of_tree(level: u8, index: u64, size: u64) -> Option<Self> {
        let hashes = size.checked_shr(u32::from(level) * u32::from(TILE_HEIGHT)).unwrap_or(0);
        let width = hashes.saturating_sub(index.saturating_mul(TILE_WIDTH)).min(TILE_WIDTH);
        (width > 0).then_some(Self { level, index, width })
    }

    /// Its path below the folder: `tile/0/x001/067.p/8`.
    pub(super) fn path(self) -> PathBuf {
        let mut number = format!("{:03}", self.index % 1000);
        let mut rest = self.index / 1000;
        while rest > 0 {
            number = format!("x{:03}/{number}", rest % 1000);
            rest /= 1000;
        }
        let partial = if self.width < TILE_WIDTH { format!(".p/{}", self.width) } else { String::new() };
        PathBuf::from(format!("tile/{}/{number}{partial}", self.level))
    }
}

/// The folder, to read. What it says is believed only as far as it agrees with signed checkpoints.
#[derive(Debug, Clone)]
pub(super) struct TreeFolder(PathBuf);

impl TreeFolder {
    pub(super) fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// The newest published checkpoint; none where nothing was published.
    pub(super) fn checkpoint(&self) -> io::Result<Option<SignedCheckpoint>> {
        let text = match fs::read_to_string(self.0.join("checkpoint")) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        SignedCheckpoint::parse(&text).map(Some).map_err(io::Error::other)
    }

    /// The keys that were published, oldest first.
    pub(super) fn keys(&self) -> io::Result<Vec<Verifier>> {
        let text = fs::read_to_string(self.0.join("keys"))?;
        text.lines().map(|line| Verifier::parse(line).map_err(io::Error::other)).collect()
    }

    /// The hashes of a tile. A wider one that was published since does as well.
    pub(super) fn hashes(&self, tile: Tile) -> io::Result<Vec<Hash>> {
        let mut bytes = fs::read(self.0.join(tile.path()));
        if tile.width < TILE_WIDTH && bytes.is_err() {
            let wider = self.widths(tile).into_iter().filter(|width| *width > tile.width).min().unwrap_or(TILE_WIDTH);
            bytes = fs::read(self.0.join(Tile { width: wider, ..tile }.path()));
        }
        let bytes = bytes?;
        let (hashes, rest) = bytes.as_chunks::<HASH_BYTES>();
        let width = usize::try_from(tile.width).unwrap_or(usize::MAX);
        let Some(hashes) = hashes.get(..width).filter(|_| rest.is_empty()) else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the tile has not the length that it should have"));
        };
        Ok(hashes.iter().filter_map(|hash| Hash::from_bytes(hash)).collect())
    }

    /// The widths in which a tile that is not full was published.
    pub(super) fn widths(&self, tile: Tile) -> Vec<u64> {
        let partial = self.0.join(Tile { width: 1, ..tile }.path());
        let entries = partial.parent().and_then(|folder| fs::read_dir(folder).ok()).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
    }

    /// A node of the tree with `size` leaves, from the tile that has it.
    pub(super) fn node(&self, node: Node, size: u64) -> io::Result<Hash> {
        let (level, above) = (node.level / TILE_HEIGHT, u32::from(node.level % TILE_HEIGHT));
        let (start, end) = (node.index << above, (node.index + 1) << above);
        let index = start / TILE_WIDTH;
        let tile = Tile::of_tree(level, index, size).ok_or(io::ErrorKind::NotFound)?;
        let hashes = self.hashes(tile)?;
        let base = index * TILE_WIDTH;
        range(start - base, end - base, &mut |part: Node| within(&hashes, part))
    }

    /// The root of the tree with `size` leaves.
    pub(super) fn root(&self, size: u64) -> io::Result<Hash> {
        range(0, size, &mut |node| self.node(node, size))
    }
}

/// The hash of a complete subtree over the hashes of one tile.
pub(super) fn within(hashes: &[Hash], node: Node) -> io::Result<Hash> {
    let (start, width) = (node.index << node.level, 1_u64 << node.level);
    let bounds = usize::try_from(start).ok().zip(usize::try_from(start + width).ok());
    let part = bounds.and_then(|(start, end)| hashes.get(start..end)).ok_or(io::ErrorKind::InvalidData)?;
    let mut level = part.to_vec();
    while level.len() > 1 {
        level = level
            .chunks(2)
            .filter_map(|pair| match pair {
                [left, right] => Some(Hash::of_pair(*left, *right)),
                _ => None,
            })
            .collect();
    }
    level.first().copied().ok_or_else(|| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_layout() {
        for (level, index, width, path) in [
            (0, 0, 256, "tile/0/000"),
            (0, 5, 17, "tile/0/005.p/17"),
            (1, 1067, 256, "tile/1/x001/067"),
            (0, 1_234_067, 8, "tile/0/x001/x234/067.p/8"),
        ] {
            assert_eq!(Tile { level, index, width }.path(), Path::new(path));
        }
    }

    #[test]
    fn a_tree_has_the_tiles_of_its_size() {
        assert_eq!(Tile::of_tree(0, 0, 0), None);
        assert_eq!(Tile::of_tree(0, 1, 300).unwrap().width, 44);
        assert_eq!(Tile::of_tree(1, 0, 300).unwrap().width, 1);
        assert_eq!(Tile::of_tree(2, 0, 65_535), None);
        assert_eq!(Tile::of_tree(2, 0, 65_536).unwrap().width, 1);
    }
}
