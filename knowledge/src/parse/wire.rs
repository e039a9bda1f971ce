//! What passes between the server and the parsing child: one request in, one reply out, each with its length in front.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

use super::sandbox::Confinement;
use super::{Limits, ParseError, Parsed};

/// A file's name and the limits are short; the file itself follows raw.
const LONGEST_HEADER: u32 = 64 << 10;

/// What the server says before the bytes of the file.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Header {
    pub(crate) name: String,
    pub(crate) length: u64,
    pub(crate) limits: Limits,
}

/// What the child answers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Reply {
    pub(crate) confinement: Confinement,
    pub(crate) outcome: Result<Parsed, ParseError>,
}

/// The longest reply that a server reads: JSON may need two bytes for one, and a pair's text stands in it twice.
pub(crate) fn longest_reply(limits: &Limits) -> u64 {
    limits.output_bytes.saturating_mul(4).saturating_add(1 << 20)
}

pub(crate) fn write_header(out: &mut impl Write, header: &Header) -> io::Result<()> {
    write_json(out, header)
}

pub(crate) fn read_header(input: &mut impl Read) -> io::Result<Header> {
    let bytes = read_frame(input, LONGEST_HEADER.into())?;
    serde_json::from_slice(&bytes).map_err(io::Error::other)
}

pub(crate) fn write_reply(out: &mut impl Write, reply: &Reply) -> io::Result<()> {
    write_json(out, reply)?;
    out.flush()
}

/// Reads a reply of at most `longest` bytes; a longer one is an error of kind `FileTooLarge`.
pub(crate) fn read_reply(input: &mut impl Read, longest: u64) -> io::Result<Reply> {
    let bytes = read_frame(input, longest)?;
    serde_json::from_slice(&bytes).map_err(|_| io::ErrorKind::InvalidData.into())
}

fn write_json(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    let bytes = serde_json::to_vec(value).map_err(io::Error::other)?;
    let length = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
    out.write_all(&length.to_be_bytes())?;
    out.write_all(&bytes)
}

fn read_frame(input: &mut impl Read, longest: u64) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    input.read_exact(&mut length)?;
    let length = u64::from(u32::from_be_bytes(length));
    if length > longest {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    // The length is a claim: memory grows with what arrives.
    let mut bytes = Vec::new();
    if input.take(length).read_to_end(&mut bytes)? as u64 == length {
        Ok(bytes)
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}
