//! What a search holds in memory of one collection: versions with their validity, passages, vectors.
//!
//! An [`Index`] never changes. When the collection does, a new one is made that shares all segments but the newest, so
//! a search in flight sees one state from beginning to end.

pub(crate) mod force;
pub(crate) mod segment;
pub(crate) mod vectors;
pub(crate) mod version;

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::Connection;

use crate::store::collections::{CollectionRow, Generation};
use crate::store::{StoreError, passages};
use segment::{Segment, SegmentBuilder};
use version::Version;

/// Rows that nobody may see any more, as a share of all, above which the index is loaded anew.
const DEAD_MOST: f32 = 0.3;

/// One state of a collection in memory.
pub(crate) struct Index {
    pub(crate) epoch: i64,
    pub(crate) changes: i64,
    pub(crate) generation: Generation,
    pub(crate) versions: HashMap<i64, Arc<Version>>,
    pub(crate) segments: Vec<Arc<Segment>>,
    /// Mean of all vectors: what every passage has in common and no question asks for.
    pub(crate) mean: Vec<f32>,
    chunks: usize,
}

impl Index {
    /// Loads a collection as it is in `connection`'s view.
    pub(crate) fn load(
        connection: &Connection,
        collection: &CollectionRow,
        generation: Generation,
    ) -> Result<Self, StoreError> {
        let versions = version::load_all(connection, collection.key)?;
        let segments = load_segments(connection, &generation, versions.keys().copied().collect())?;
        Ok(Self::of(collection, generation, versions, segments))
    }

    /// The same collection after a change: loads the versions that are new and forgets those that are gone.
    pub(crate) fn follow(
        &self,
        connection: &Connection,
        collection: &CollectionRow,
        generation: Generation,
    ) -> Result<Self, StoreError> {
        if self.epoch != collection.epoch || self.generation != generation {
            return Self::load(connection, collection, generation);
        }
        let present = version::keys(connection, collection.key)?;
        let mut versions: HashMap<i64, Arc<Version>> = HashMap::with_capacity(present.len());
        let mut added = Vec::new();
        for key in present {
            if let Some(known) = self.versions.get(&key) {
                versions.insert(key, Arc::clone(known));
            } else {
                versions.insert(key, Arc::new(version::load(connection, key)?));
                added.push(key);
            }
        }
        let mut segments = self.segments.clone();
        segments.extend(load_segments(connection, &generation, added)?);
        let (all, live) = segments.iter().fold((0, 0), |(all, live), segment| {
            (all + segment.rows(), live + segment.rows_of(|version| versions.contains_key(&version)))
        });
        #[expect(clippy::cast_precision_loss, reason = "a share, needed to two digits")]
        let dead = (all - live) as f32 / (all.max(1)) as f32;
        if dead > DEAD_MOST {
            return Self::load(connection, collection, generation);
        }
        Ok(Self::of(collection, generation, versions, segments))
    }

    /// How many passages the collection has, seen or not.
    pub(crate) const fn live_chunks(&self) -> usize {
        self.chunks
    }

    fn of(
        collection: &CollectionRow,
        generation: Generation,
        versions: HashMap<i64, Arc<Version>>,
        segments: Vec<Arc<Segment>>,
    ) -> Self {
        let segments = segment::merged(segments, generation.dimensions, &|version| versions.contains_key(&version));
        let mean = segment::mean(&segments, generation.dimensions);
        let live = |segment: &Arc<Segment>| {
            segment.chunks.iter().filter(|chunk| versions.contains_key(&chunk.version)).count()
        };
        let chunks = segments.iter().map(live).sum();
        let (epoch, changes) = (collection.epoch, collection.changes);
        Self { epoch, changes, generation, versions, segments, mean, chunks }
    }
}

fn load_segments(
    connection: &Connection,
    generation: &Generation,
    mut versions: Vec<i64>,
) -> Result<Vec<Arc<Segment>>, StoreError> {
    if versions.is_empty() {
        return Ok(Vec::new());
    }
    versions.sort_unstable();
    let mut builder = SegmentBuilder::new(generation.dimensions);
    for version in versions {
        let chunks = passages::chunks_of(connection, version)?;
        builder.begin(&chunks);
        passages::vectors_of(connection, version, generation.key, generation.dimensions, &mut |row| builder.add(row))?;
    }
    Ok(vec![Arc::new(builder.finish()?)])
}
