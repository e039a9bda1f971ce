//! A file of sealed chunks.
//!
//! The STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár, "Online authenticated-encryption and its nonce-reuse
//! misuse-resistance", CRYPTO 2015): the nonce of a chunk is its number and whether it is the last, so that none can be
//! left out, moved or cut off. Each file has a key of its own, derived from the backup key with the file's salt.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Read, Write},
    path::Path,
};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use rustix::fs::{Mode, OFlags};
use serde::Deserialize;

use super::{BackupError, BackupLabel, FORMAT};
use crate::keys::{DataKey, derive_salted};

/// Bytes of plain text in a chunk.
const CHUNK: usize = 1 << 20;
const TAG: usize = 16;

/// The line in the clear is some hundred bytes.
const LONGEST_LABEL: u64 = 16 << 10;

fn cipher(key: &DataKey, label: &BackupLabel) -> io::Result<LessSafeKey> {
    let salt = hex::decode(&label.salt).map_err(|_| altered())?;
    let key = derive_salted(key.secret(), &salt, "cloister backup, form 1");
    UnboundKey::new(&AES_256_GCM, key.bytes()).map(LessSafeKey::new).map_err(|_| altered())
}

fn nonce(number: u64, last: bool) -> Nonce {
    let [a, b, c, d, e, f, g, h] = number.to_be_bytes();
    let bytes: [u8; NONCE_LEN] = [0, 0, 0, a, b, c, d, e, f, g, h, u8::from(last)];
    Nonce::assume_unique_for_key(bytes)
}

fn altered() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a chunk does not open")
}

/// Writes what it is given as sealed chunks.
pub(super) struct Sealer {
    file: BufWriter<File>,
    cipher: LessSafeKey,
    head: Vec<u8>,
    number: u64,
    chunk: Vec<u8>,
}

impl Sealer {
    /// A new file of mode 0600.
    pub(super) fn create(path: &Path, label: &BackupLabel, key: &DataKey) -> io::Result<Self> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = BufWriter::new(File::from(rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)?));
        let mut head = serde_json::to_vec(label)?;
        head.push(b'\n');
        file.write_all(&head)?;
        let cipher = cipher(key, label)?;
        Ok(Self { file, cipher, head, number: 0, chunk: Vec::with_capacity(CHUNK + TAG) })
    }

    /// Writes the last chunk, and syncs.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.seal(true)?;
        self.file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    }

    fn seal(&mut self, last: bool) -> io::Result<()> {
        self.cipher
            .seal_in_place_append_tag(nonce(self.number, last), Aad::from(&self.head), &mut self.chunk)
            .map_err(|_| io::Error::other("a chunk cannot be sealed"))?;
        self.number += 1;
        self.file.write_all(&self.chunk)?;
        self.chunk.clear();
        Ok(())
    }
}

impl Write for Sealer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Only what is followed by more: whether a chunk is the last is known then.
        if self.chunk.len() == CHUNK {
            self.seal(false)?;
        }
        let taken = bytes.get(..bytes.len().min(CHUNK - self.chunk.len())).unwrap_or(bytes);
        self.chunk.extend_from_slice(taken);
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A file of which the first line was read, and that line.
type Opened = (BufReader<File>, Vec<u8>);

/// Reads what a [`Sealer`] wrote. Nothing is handed out that did not open.
pub(super) struct Opener {
    file: BufReader<File>,
    cipher: LessSafeKey,
    head: Vec<u8>,
    number: u64,
    ended: bool,
    chunk: Vec<u8>,
    at: usize,
}

impl Opener {
    /// What stands on the file, and the file after it.
    pub(super) fn label(path: &Path) -> Result<(BackupLabel, Opened), BackupError> {
        #[derive(Deserialize)]
        struct Form {
            format: u32,
        }
        let io = |source| BackupError::Io { path: path.to_owned(), doing: "read", source };
        let damaged = || BackupError::Damaged { path: path.to_owned(), part: "first line".to_owned() };
        let mut file = BufReader::with_capacity(CHUNK + TAG, File::open(path).map_err(io)?);
        let mut head = Vec::new();
        (&mut file).take(LONGEST_LABEL).read_until(b'\n', &mut head).map_err(io)?;
        let Form { format } = serde_json::from_slice(&head).map_err(|_| damaged())?;
        if format != FORMAT {
            return Err(BackupError::Newer { path: path.to_owned(), found: format });
        }
        let label = serde_json::from_slice(&head).map_err(|_| damaged())?;
        Ok((label, (file, head)))
    }

    pub(super) fn open(path: &Path, key: &DataKey) -> Result<(BackupLabel, Self), BackupError> {
        let (label, (file, head)) = Self::label(path)?;
        let damaged = |_| BackupError::Damaged { path: path.to_owned(), part: "first line".to_owned() };
        let cipher = cipher(key, &label).map_err(damaged)?;
        Ok((label, Self { file, cipher, head, number: 0, ended: false, chunk: Vec::new(), at: 0 }))
    }

    fn next_chunk(&mut self) -> io::Result<()> {
        self.chunk.clear();
        self.at = 0;
        (&mut self.file).take((CHUNK + TAG) as u64).read_to_end(&mut self.chunk)?;
        let last = self.file.fill_buf()?.is_empty();
        let plain = self
            .cipher
            .open_in_place(nonce(self.number, last), Aad::from(&self.head), &mut self.chunk)
            .map_err(|_| altered())?
            .len();
        self.chunk.truncate(plain);
        self.number += 1;
        self.ended = last;
        Ok(())
    }
}

impl Read for Opener {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at == self.chunk.len() && !self.ended {
            self.next_chunk()?;
        }
        let rest = self.chunk.get(self.at..).unwrap_or_default();
        let taken = rest.len().min(into.len());
        if let (Some(to), Some(from)) = (into.get_mut(..taken), rest.get(..taken)) {
            to.copy_from_slice(from);
        }
        self.at += taken;
        Ok(taken)
    }
}
