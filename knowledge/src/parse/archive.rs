//! Parts of a ZIP container (DOCX, XLSX, ODT), read into memory under a limit. Nothing is ever written to disk, so a
//! part's name is only a key to look up: one that climbs out of its folder reaches nothing.

use std::io::{Cursor, Read};

use zip::ZipArchive;
use zip::result::ZipError;

use super::{Format, Limits, ParseError};

/// A part may unpack to this many times the largest file that is accepted; all parts together too.
pub(crate) const EXPANSION: u64 = 4;
/// More members than this, and the archive is not an office document.
const MOST_MEMBERS: usize = 20_000;

/// A container, and how much of it may still be unpacked.
pub(crate) struct Archive<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    format: Format,
    left: u64,
    limit: u64,
}

impl<'a> Archive<'a> {
    pub(crate) fn open(bytes: &'a [u8], format: Format, limits: &Limits) -> Result<Self, ParseError> {
        let zip = ZipArchive::new(Cursor::new(bytes)).map_err(|error| damaged(format, "its ZIP directory", &error))?;
        if zip.len() > MOST_MEMBERS {
            return Err(ParseError::TooLarge { what: "the number of parts".into(), limit: MOST_MEMBERS as u64 });
        }
        let limit = limits.input_bytes.saturating_mul(EXPANSION);
        Ok(Self { zip, format, left: limit, limit })
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.zip.index_for_name(name).is_some()
    }

    /// The part of that name, unpacked; `None` where there is none.
    pub(crate) fn part(&mut self, name: &str) -> Result<Option<Vec<u8>>, ParseError> {
        let member = match self.zip.by_name(name) {
            Ok(member) => member,
            Err(ZipError::FileNotFound) => return Ok(None),
            Err(error) if is_password(&error) => return Err(ParseError::Encrypted { format: self.format }),
            Err(error) => return Err(damaged(self.format, name, &error)),
        };
        let mut bytes = Vec::new();
        // The declared size is a claim; what is counted is what comes out.
        let read = member.take(self.left.saturating_add(1)).read_to_end(&mut bytes);
        if bytes.len() as u64 > self.left {
            return Err(ParseError::TooLarge { what: "the unpacked content in bytes".into(), limit: self.limit });
        }
        if read.is_err() {
            let why = "its compressed data is broken".to_owned();
            return Err(ParseError::Damaged { format: self.format, place: part_label(name), why });
        }
        self.left -= bytes.len() as u64;
        Ok(Some(bytes))
    }

    /// Like [`Archive::part`], for a part without which there is no document.
    pub(crate) fn required(&mut self, name: &str) -> Result<Vec<u8>, ParseError> {
        let missing =
            || ParseError::Damaged { format: self.format, place: part_label(name), why: "it is missing".into() };
        let missing = missing();
        self.part(name)?.ok_or(missing)
    }

    /// Unpacks every part once and drops it, so that a bomb is found before a library that keeps no count opens it.
    pub(crate) fn check_expansion(&mut self) -> Result<(), ParseError> {
        let mut total = 0_u64;
        for index in 0..self.zip.len() {
            let Ok(member) = self.zip.by_index(index) else { continue };
            let room = self.limit.saturating_sub(total).saturating_add(1);
            total = total.saturating_add(std::io::copy(&mut member.take(room), &mut std::io::sink()).unwrap_or(0));
            if total > self.limit {
                return Err(ParseError::TooLarge { what: "the unpacked content in bytes".into(), limit: self.limit });
            }
        }
        Ok(())
    }
}

fn is_password(error: &ZipError) -> bool {
    matches!(error, ZipError::InvalidPassword)
        || matches!(error, ZipError::UnsupportedArchive(why) if why.contains("assword"))
}

fn damaged(format: Format, place: &str, error: &ZipError) -> ParseError {
    let why = match error {
        ZipError::UnsupportedArchive(_) | ZipError::CompressionMethodNotSupported(_) => {
            "its compression is not supported"
        }
        _ => "the ZIP container is broken or cut short",
    };
    ParseError::Damaged { format, place: part_label(place), why: why.into() }
}

/// Names of parts that this crate asks for are its own words, never text of the document; still, only plain ones pass.
fn part_label(name: &str) -> String {
    name.chars().filter(|char| char.is_ascii_alphanumeric() || " ./_-".contains(*char)).take(60).collect()
}
