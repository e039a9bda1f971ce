//! The blocks of a document in the form in which they are stored, so that passages can be cut anew without the file.

use serde::{Deserialize, Serialize};

use crate::parse::{Block, BlockKind};

/// Blocks, with each heading path written once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Structure {
    paths: Vec<Vec<String>>,
    /// Kind, start, end, page, index of the path.
    blocks: Vec<(BlockKind, usize, usize, Option<u32>, usize)>,
}

impl Structure {
    pub(crate) fn new(blocks: &[Block]) -> Self {
        let mut paths: Vec<Vec<String>> = Vec::new();
        let blocks = blocks
            .iter()
            .map(|block| {
                // Paths repeat in runs, so the search from the end is short.
                let path = paths.iter().rposition(|path| *path == block.headings).unwrap_or_else(|| {
                    paths.push(block.headings.clone());
                    paths.len() - 1
                });
                (block.kind, block.start, block.end, block.page, path)
            })
            .collect();
        Self { paths, blocks }
    }

    /// The blocks again; `None` where a path is missing.
    pub(crate) fn blocks(&self) -> Option<Vec<Block>> {
        self.blocks
            .iter()
            .map(|&(kind, start, end, page, path)| {
                self.paths.get(path).map(|headings| Block { kind, start, end, page, headings: headings.clone() })
            })
            .collect()
    }
}
