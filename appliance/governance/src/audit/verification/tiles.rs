//! The published tree in itself: its checkpoint reads, and each hash above is that of the tile below.

use super::{
    super::{
        merkle::Node,
        note::SignedCheckpoint,
        tile::{TILE_WIDTH, Tile, TreeFolder, within},
    },
    Fault, Findings,
};

/// The newest published checkpoint.
pub(super) fn checkpoint(tree: &TreeFolder, found: &mut Findings) -> Option<SignedCheckpoint> {
    tree.checkpoint().unwrap_or_else(|_| {
        found.add(Fault::Checkpoint, None, || "the published checkpoint does not read as one".to_owned());
        None
    })
}

/// Checks the tiles above the leaves of a published tree of `size` leaves. The leaves are held against the records.
pub(super) fn levels(tree: &TreeFolder, size: u64, found: &mut Findings) {
    let mut level = 1_u8;
    while size.checked_shr(8 * u32::from(level)).is_some_and(|hashes| hashes > 0) {
        let mut index = 0;
        while let Some(tile) = Tile::of_tree(level, index, size) {
            check(tree, tile, size, found);
            index += 1;
        }
        level += 1;
    }
}

fn check(tree: &TreeFolder, tile: Tile, size: u64, found: &mut Findings) {
    let path = tile.path();
    let leaves = TILE_WIDTH.saturating_pow(u32::from(tile.level));
    let Ok(hashes) = tree.hashes(tile) else {
        let records = Some((tile.index * TILE_WIDTH * leaves + 1, size.min((tile.index + 1) * TILE_WIDTH * leaves)));
        return found.add(Fault::Tile, records, || format!("the tile {} is missing or cut", path.display()));
    };
    for (place, hash) in (tile.index * TILE_WIDTH..).zip(hashes) {
        let below = Tile { level: tile.level - 1, index: place, width: TILE_WIDTH };
        // A tile below that cannot be read is found where its own level is checked.
        let Ok(below) = tree.hashes(below) else { continue };
        if within(&below, Node { level: 8, index: 0 }).is_ok_and(|root| root != hash) {
            let records = Some((place * leaves + 1, (place + 1) * leaves));
            found.add(Fault::Tile, records, || {
                format!("the tile {} has another hash than the tile below", path.display())
            });
        }
    }
}
