//! What alone can be loaded: files that were hashed, read in a way that notices any change since.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::files::open_plain;
use super::{MANIFEST, RegistryError};
use crate::manifest::{FileEntry, FileKind, Manifest, ModelIdentity};

/// A file is checked again in blocks of this size as it is read.
const BLOCK: u64 = 256 * 1024;

/// A model whose every file had the hash that its manifest states.
#[derive(Debug)]
pub struct Verified {
    manifest: Manifest,
    files: Vec<VerifiedFile>,
}

/// A file that was hashed. Reading gives the bytes that were hashed or an error, even where someone changes or cuts the
/// file meanwhile.
#[derive(Clone, Debug)]
pub struct VerifiedFile {
    entry: FileEntry,
    opened: Arc<Opened>,
    position: u64,
    current: Option<(u64, Vec<u8>)>,
}

#[derive(Debug)]
struct Opened {
    file: File,
    blocks: Vec<[u8; 32]>,
}

impl Verified {
    /// Opens and hashes every file of the manifest, and refuses what else lies in the directory.
    pub(crate) fn open(directory: &Path, manifest: Manifest) -> Result<Self, RegistryError> {
        refuse_unlisted(directory, &manifest)?;
        let files = manifest
            .files
            .iter()
            .map(|entry| VerifiedFile::open(directory, &manifest.name, entry))
            .collect::<Result<_, _>>()?;
        Ok(Self { manifest, files })
    }

    /// What the model is.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The identity that answers and indexes carry.
    #[must_use]
    pub fn identity(&self) -> ModelIdentity {
        self.manifest.identity()
    }

    /// The first file of a kind.
    pub(crate) fn first(&self, kind: FileKind) -> Option<VerifiedFile> {
        self.files.iter().find(|file| file.entry.kind == kind).cloned()
    }

    /// Every file.
    pub(crate) fn files(&self) -> impl Iterator<Item = VerifiedFile> {
        self.files.iter().cloned()
    }
}

impl VerifiedFile {
    /// Opens a file below `directory` and compares its hash with the manifest's.
    fn open(directory: &Path, name: &str, entry: &FileEntry) -> Result<Self, RegistryError> {
        let refused = |what: String| RegistryError::File { name: name.to_owned(), path: entry.path.clone(), what };
        let found = Self::hash(&directory.join(&entry.path), entry.kind, &entry.path)
            .map_err(|error| refused(format!("cannot be read ({error})")))?;
        if found.entry.bytes != entry.bytes {
            return Err(refused(format!("has {} bytes, its manifest says {}", found.entry.bytes, entry.bytes)));
        }
        if found.entry.sha256 != entry.sha256 {
            return Err(RegistryError::Hash { name: name.to_owned(), path: entry.path.clone() });
        }
        Ok(found)
    }

    /// Opens a plain file and hashes it: its entry states what was found.
    pub(super) fn hash(path: &Path, kind: FileKind, listed_as: &str) -> io::Result<Self> {
        let file = open_plain(path)?;
        let mut reader = &file;
        let (mut whole, mut blocks, mut bytes) = (Sha256::new(), Vec::new(), 0u64);
        loop {
            let mut block = Vec::with_capacity(BLOCK as usize);
            reader.by_ref().take(BLOCK).read_to_end(&mut block)?;
            if block.is_empty() {
                break;
            }
            whole.update(&block);
            blocks.push(Sha256::digest(&block).into());
            bytes += block.len() as u64;
        }
        let entry = FileEntry { path: listed_as.to_owned(), kind, sha256: hex::encode(whole.finalize()), bytes };
        Ok(Self { entry, opened: Arc::new(Opened { file, blocks }), position: 0, current: None })
    }

    /// Path, kind, hash and length.
    #[must_use]
    pub fn entry(&self) -> &FileEntry {
        &self.entry
    }

    /// The whole file, where it is at most `limit` bytes long.
    ///
    /// # Errors
    /// Where it is longer, changed, or cannot be read.
    pub fn read_all(&mut self, limit: u64) -> io::Result<Vec<u8>> {
        if self.entry.bytes > limit {
            let what = format!("`{}` has {} bytes, at most {limit} are read", self.entry.path, self.entry.bytes);
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
        }
        self.position = 0;
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn block(&mut self, index: u64) -> io::Result<&[u8]> {
        if self.current.as_ref().is_none_or(|(at, _)| *at != index) {
            let start = index * BLOCK;
            let length = self.entry.bytes.saturating_sub(start).min(BLOCK) as usize;
            let mut bytes = vec![0; length];
            self.opened.file.read_exact_at(&mut bytes, start)?;
            let expected = self.opened.blocks.get(index as usize);
            if expected.is_none_or(|expected| Sha256::digest(&bytes)[..] != expected[..]) {
                let what = format!("`{}` was changed while it was being read", self.entry.path);
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
            self.current = Some((index, bytes));
        }
        Ok(self.current.as_ref().map_or(&[], |(_, bytes)| bytes.as_slice()))
    }
}

impl Read for VerifiedFile {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.position >= self.entry.bytes {
            return Ok(0);
        }
        let offset = (self.position % BLOCK) as usize;
        let block = self.block(self.position / BLOCK)?;
        let rest = block.get(offset..).unwrap_or_default();
        let count = rest.len().min(out.len());
        for (to, from) in out.iter_mut().zip(rest) {
            *to = *from;
        }
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for VerifiedFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.entry.bytes.checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        self.position = target.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}

/// A file or link that the manifest does not list was put there by somebody else.
fn refuse_unlisted(directory: &Path, manifest: &Manifest) -> Result<(), RegistryError> {
    let refused = |path: &Path, what: &str| {
        let path = path.strip_prefix(directory).unwrap_or(path).display().to_string();
        RegistryError::File { name: manifest.name.clone(), path, what: what.to_owned() }
    };
    let mut folders = vec![directory.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for found in std::fs::read_dir(&folder).map_err(super::io("reading", &folder))? {
            let found = found.map_err(super::io("reading", &folder))?;
            let path = found.path();
            let kind = found.file_type().map_err(super::io("reading", &path))?;
            if kind.is_symlink() {
                return Err(refused(&path, "is a link, which may point anywhere"));
            }
            if kind.is_dir() {
                folders.push(path);
                continue;
            }
            let listed = path.strip_prefix(directory).ok().and_then(|path| path.to_str());
            let known = |listed: &str| listed == MANIFEST || manifest.files.iter().any(|file| file.path == listed);
            if !kind.is_file() || !listed.is_some_and(known) {
                return Err(refused(&path, "is not listed in model.toml"));
            }
        }
    }
    Ok(())
}
