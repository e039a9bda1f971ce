//! What makes a site beside its store: configuration, policies, certificates. Small files, each under a name of its own.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Read,
    path::{Component, Path},
};

use zeroize::Zeroizing;

use super::BackupError;

/// Bytes that such a file may have.
const LARGEST: u64 = 16 << 20;

/// The site's own files out of a backup, by their names there. Some are private; none prints.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SiteFiles(BTreeMap<String, Zeroizing<Vec<u8>>>);

impl SiteFiles {
    /// What the file of that name holds.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(|bytes| bytes.as_slice())
    }

    /// Every file with its name, by name. A name is a path that leads down and nowhere else.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
    }

    /// Takes in a file. One whose name leads out of its folder is no file that a backup has.
    pub(super) fn take(&mut self, name: &str, content: &mut dyn Read) -> std::io::Result<()> {
        if !leads_down(name) {
            return Err(std::io::ErrorKind::InvalidData.into());
        }
        let mut bytes = Zeroizing::new(Vec::new());
        content.take(LARGEST + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > LARGEST {
            return Err(std::io::ErrorKind::InvalidData.into());
        }
        self.0.insert(name.to_owned(), bytes);
        Ok(())
    }
}

impl std::fmt::Debug for SiteFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Whether a path goes down only.
pub(super) fn leads_down(name: &str) -> bool {
    !name.is_empty() && Path::new(name).components().all(|part| matches!(part, Component::Normal(_)))
}

/// The file at `path` as a backup takes it.
pub(super) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, BackupError> {
    let io = |source| BackupError::Io { path: path.to_owned(), doing: "read", source };
    let mut bytes = Zeroizing::new(Vec::new());
    File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes)).map_err(io)?;
    if bytes.len() as u64 > LARGEST {
        return Err(BackupError::TooLarge { path: path.to_owned(), limit: LARGEST });
    }
    match crate::keys::kind_of(&bytes) {
        Some(kind) => Err(BackupError::Key { path: path.to_owned(), kind }),
        None => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_leads_out_and_a_file_without_end_are_refused_and_nothing_is_printed() {
        let mut files = SiteFiles::default();
        for name in ["", "/etc/passwd", "../x", "a/../../x"] {
            assert!(files.take(name, &mut b"x".as_slice()).is_err(), "{name}");
        }
        assert!(files.take("long", &mut std::io::repeat(b'x')).is_err());
        files.take("tls/server.pem", &mut b"private".as_slice()).unwrap();
        assert_eq!(format!("{files:?}"), "{\"tls/server.pem\"}");
    }
}
