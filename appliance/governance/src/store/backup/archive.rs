//! The parts of a backup, one after the other: the length of a line and the line, which names a part and gives its size,
//! and the part. A length of zero ends it.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

/// A name is a path within a site.
const LONGEST_LINE: u32 = 16 << 10;

/// A part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) size: u64,
}

/// Adds a part of `size` bytes.
pub(super) fn put(to: &mut impl Write, name: &str, size: u64, content: &mut impl Read) -> io::Result<()> {
    let line = serde_json::to_vec(&Entry { name: name.to_owned(), size })?;
    let length = u32::try_from(line.len()).ok().filter(|length| *length <= LONGEST_LINE);
    to.write_all(&length.ok_or_else(|| io::Error::other("a name is too long for a backup"))?.to_be_bytes())?;
    to.write_all(&line)?;
    let copied = io::copy(&mut content.take(size), to)?;
    if copied == size { Ok(()) } else { Err(io::Error::other("a file shrank while it was read")) }
}

/// Ends the parts.
pub(super) fn end(to: &mut impl Write) -> io::Result<()> {
    to.write_all(&0_u32.to_be_bytes())
}

/// Reads parts.
pub(super) struct Entries<R>(R);

impl<R: Read> Entries<R> {
    pub(super) const fn new(from: R) -> Self {
        Self(from)
    }

    /// Hands the next part to `each`, which need not read it, and says which it was.
    pub(super) fn next(
        &mut self,
        each: &mut impl FnMut(&Entry, &mut dyn Read) -> io::Result<()>,
    ) -> io::Result<Option<Entry>> {
        let mut length = [0; 4];
        self.0.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length);
        if length == 0 {
            // What follows the end was not written by us.
            return match self.0.read(&mut [0])? {
                0 => Ok(None),
                _ => Err(io::ErrorKind::InvalidData.into()),
            };
        }
        if length > LONGEST_LINE {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut line = Vec::new();
        (&mut self.0).take(u64::from(length)).read_to_end(&mut line)?;
        let entry: Entry = serde_json::from_slice(&line).map_err(|_| io::ErrorKind::InvalidData)?;
        let mut content = (&mut self.0).take(entry.size);
        each(&entry, &mut content)?;
        io::copy(&mut content, &mut io::sink())?;
        if content.limit() > 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(Some(entry)) }
    }
}
