//! What the configuration names of a site's own, beside its store: the files that a backup takes along.

use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

use super::{ClientCertificates, Config, Oidc, Policy, Tenant, Tls};

/// A file or a folder of the site's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Belonging {
    /// The key of the configuration that names it, and its name in a backup. The local certificate authority, which no key
    /// names, is `tls`.
    pub key: String,
    /// Where it is.
    pub path: PathBuf,
    /// Whether it is a folder, of which every file belongs to the site.
    pub folder: bool,
}

impl Config {
    /// Every file and folder that makes the site what it is, but for the store, which is backed up by itself, the master key,
    /// which no backup may hold, and the models, which come from where they came from before.
    pub fn belongings(&self) -> Vec<Belonging> {
        // Each section by its name: of one that is new it must be said here whether it names a file.
        let Self {
            site: _,
            data: _,
            keys: _,
            server: _,
            tls: Tls { certificate, key, names: _ },
            limits: _,
            sign_in: _,
            break_glass: _,
            session: _,
            oidc,
            client_certificates,
            models: _,
            answer: _,
            audit: _,
            batches: _,
            policy: Policy { folder, shadow },
            tenants,
        } = self;
        let file = |key: &str, path: &PathBuf| Belonging { key: key.to_owned(), path: path.clone(), folder: false };
        let whole = |key: &str, path: &PathBuf| Belonging { key: key.to_owned(), path: path.clone(), folder: true };
        let mut found = vec![whole("tls", &self.tls_folder())];
        found.extend(certificate.as_ref().map(|path| file("tls.certificate", path)));
        found.extend(key.as_ref().map(|path| file("tls.key", path)));
        found.extend(oidc.as_ref().map(|Oidc { keys, .. }| file("oidc.keys", keys)));
        let authority = |ClientCertificates { authority, .. }: &ClientCertificates| authority.clone();
        found.extend(client_certificates.as_ref().map(|c| file("client_certificates.authority", &authority(c))));
        found.extend(folder.as_ref().map(|path| whole("policy.folder", path)));
        found.extend(shadow.as_ref().map(|path| whole("policy.shadow", path)));
        for (name, Tenant { title: _, assistant: _, guardrail, roster, captures: _, vault: _ }) in tenants {
            found.extend(guardrail.as_ref().map(|path| file(&format!("tenants.{name}.guardrail"), path)));
            found.extend(roster.as_ref().map(|path| file(&format!("tenants.{name}.roster"), path)));
        }
        found
    }

    /// Where the file of that name in a backup belongs on this site; none where the configuration names no place for it.
    pub fn place_of(&self, name: &str) -> Option<PathBuf> {
        let (key, within) = name.split_once('/').map_or((name, None), |(key, within)| (key, Some(within)));
        let belonging = self.belongings().into_iter().find(|belonging| belonging.key == key)?;
        match (belonging.folder, within) {
            (false, None) => Some(belonging.path),
            (true, Some(within)) => Some(belonging.path.join(within)),
            _ => None,
        }
    }
}

impl Belonging {
    /// The files that there are, by their names in a backup. None where neither file nor folder is there.
    ///
    /// # Errors
    /// When the folder cannot be read, or holds a file whose name is no text.
    pub fn files(&self) -> io::Result<Vec<(String, PathBuf)>> {
        if !self.path.exists() {
            return Ok(Vec::new());
        }
        if !self.folder {
            return Ok(vec![(self.key.clone(), self.path.clone())]);
        }
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let path = entry?.path();
            // What an editor or a version control leaves there, and folders, which no section reads.
            if hidden(&path) || !path.is_file() {
                continue;
            }
            let name = path.file_name().and_then(OsStr::to_str).ok_or_else(|| {
                io::Error::new(io::ErrorKind::InvalidData, "it holds a file whose name is no text: give it another")
            })?;
            files.push((format!("{}/{name}", self.key), path));
        }
        Ok(files)
    }
}

fn hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_that_the_configuration_can_name_is_taken_along_or_left_for_a_reason() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cloister.toml");
        let text = "[data]\nfolder = \"/d\"\n[keys]\nmaster = \"/k\"\n[models]\nfolder = \"/m\"\n\
            [tls]\ncertificate = \"/t/c\"\nkey = \"/t/k\"\n[policy]\nfolder = \"/p\"\nshadow = \"/s\"\n\
            [client_certificates]\nauthority = \"/c\"\n\
            [oidc]\nissuer = \"i\"\naudience = \"a\"\nalgorithm = \"RS256\"\nkeys = \"/o\"\ngroups = []\n\
            [tenants.ward]\nguardrail = \"/g\"\nroster = \"/r\"\n";
        fs::write(&file, text).unwrap();
        let loaded = Config::load(Some(&file), &[]).unwrap();
        let taken: Vec<Belonging> = loaded.config.belongings();
        let paths = loaded.settings().into_iter().filter(|s| s.value.as_ref().is_some_and(|v| v.starts_with("\"/")));
        for setting in paths {
            let left = ["data.folder", "keys.master", "models.folder"].contains(&setting.key.as_str());
            assert!(left || taken.iter().any(|belonging| belonging.key == setting.key), "{}", setting.key);
        }
        assert_eq!(loaded.config.place_of("policy.folder/x.cedar"), Some("/p/x.cedar".into()));
        assert_eq!(loaded.config.place_of("tls/ca.pem"), Some("/d/tls/ca.pem".into()));
        assert_eq!(loaded.config.place_of("oidc.keys"), Some("/o".into()));
        assert_eq!(loaded.config.place_of("tenants.ward.roster"), Some("/r".into()));
        for none in ["policy.folder", "oidc.keys/x", "policy", "cloister.toml", "guardrails/x"] {
            assert_eq!(loaded.config.place_of(none), None, "{none}");
        }
    }

    #[test]
    fn of_a_folder_every_file_counts_but_hidden_ones() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.cedar", "cases.toml", ".a.cedar.swp"] {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        fs::create_dir(folder.path().join(".git")).unwrap();
        let belonging =
            |path: &Path, folder| Belonging { key: "policy.folder".to_owned(), path: path.to_owned(), folder };
        let mut files = belonging(folder.path(), true).files().unwrap();
        files.sort();
        let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["policy.folder/a.cedar", "policy.folder/cases.toml"]);
        assert_eq!(belonging(&folder.path().join("none"), true).files().unwrap(), []);
        assert_eq!(belonging(&folder.path().join("none"), false).files().unwrap(), []);
    }
}
