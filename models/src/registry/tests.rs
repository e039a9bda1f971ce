use std::fs;
use std::os::unix::fs::symlink;

use super::*;
use crate::arch::tiny::Tiny;
use crate::manifest::{FileKind, Task};

struct Place {
    folder: tempfile::TempDir,
    registry: Registry,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry::open(folder.path().join("models")).unwrap();
        Self { folder, registry }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A registry with one model.
    fn with_model() -> Self {
        let place = Self::new();
        fs::write(place.path("tiny.gguf"), Tiny::default().file(&[])).unwrap();
        place.registry.import(&place.path("tiny.gguf"), &Import::default()).unwrap();
        place
    }

    fn model(&self, file: &str) -> PathBuf {
        self.registry.root().join("tiny").join(file)
    }
}

fn words(result: Result<impl std::fmt::Debug, RegistryError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn an_imported_file_is_listed_shown_verified_and_removed() {
    let place = Place::with_model();
    let manifest = place.registry.show("tiny").unwrap();
    assert_eq!((manifest.task, manifest.architecture.as_str()), (Task::Generate, "llama"));
    assert_eq!(place.registry.list().unwrap().len(), 1);
    let mut file = place.registry.verify("tiny").unwrap().first(FileKind::Weights).unwrap();
    assert_eq!(file.read_all(1 << 30).unwrap(), Tiny::default().file(&[]));
    place.registry.remove("tiny").unwrap();
    assert!(place.registry.list().unwrap().is_empty());
    assert!(words(place.registry.show("tiny")).contains("cloister model list"));
}

#[test]
fn a_single_changed_byte_anywhere_is_noticed() {
    let place = Place::with_model();
    let path = place.model("tiny.gguf");
    let bytes = fs::read(&path).unwrap();
    for at in (0..bytes.len()).step_by(bytes.len() / 37) {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        fs::write(&path, changed).unwrap();
        assert!(matches!(place.registry.verify("tiny"), Err(RegistryError::Hash { .. })), "byte {at}");
    }
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    assert!(matches!(place.registry.verify("tiny"), Err(RegistryError::File { .. })));
}

/// Every bit and every cut where this is `all`, some otherwise.
fn everything() -> bool {
    std::env::var("CLOISTER_TAMPER").is_ok_and(|value| value == "all")
}

#[test]
fn no_damage_to_a_manifest_or_a_file_is_overlooked() {
    let place = Place::with_model();
    let manifest = place.registry.show("tiny").unwrap();
    // What is read after the damage is an error, or what was read before it.
    let inert = || place.registry.verify("tiny").is_ok_and(|verified| *verified.manifest() == manifest);
    let refused = || place.registry.verify("tiny").is_err();
    for (file, may_be_inert) in [(MANIFEST, true), ("tiny.gguf", false)] {
        let path = place.model(file);
        let bytes = fs::read(&path).unwrap();
        // Seven, so that every byte is hit, each at another bit.
        let step = if may_be_inert {
            1
        } else if everything() {
            7
        } else {
            997
        };
        let mut unnoticed = Vec::new();
        for bit in (0..bytes.len() * 8).step_by(step) {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, changed).unwrap();
            if !refused() {
                assert!(may_be_inert && inert(), "{file}: bit {bit}");
                unnoticed.push(bit / 8);
            }
        }
        // Only within the words before the digest, which then count as any other comment.
        assert!(unnoticed.iter().all(|byte| (1..9).contains(byte)), "{file}: {unnoticed:?}");
        for length in (0..bytes.len()).step_by(step) {
            fs::write(&path, &bytes[..length]).unwrap();
            assert!(refused(), "{file} cut to {length}");
        }
        fs::write(&path, &bytes).unwrap();
    }
    assert!(inert(), "everything was put back");
    // The files exchanged, and the manifest of another model under this one's name.
    let (weights, toml) = (fs::read(place.model("tiny.gguf")).unwrap(), fs::read(place.model(MANIFEST)).unwrap());
    fs::write(place.model("tiny.gguf"), &toml).unwrap();
    assert!(refused());
    fs::write(place.model(MANIFEST), &weights).unwrap();
    assert!(refused());
    fs::write(place.model("tiny.gguf"), &weights).unwrap();
    fs::write(
        place.path("other.gguf"),
        Tiny::default().file(&[("llama.rope.freq_base", crate::weights::gguf::tests::Scalar::Float(5.0))]),
    )
    .unwrap();
    place.registry.import(&place.path("other.gguf"), &Import::default()).unwrap();
    fs::copy(place.registry.root().join("other").join(MANIFEST), place.model(MANIFEST)).unwrap();
    assert!(refused());
    fs::write(place.model(MANIFEST), &toml).unwrap();
    fs::copy(place.registry.root().join("other/other.gguf"), place.model("tiny.gguf")).unwrap();
    assert!(refused());
}

#[test]
fn a_file_changed_after_it_was_verified_is_never_read_as_if_it_were_not() {
    let place = Place::with_model();
    let mut file = place.registry.verify("tiny").unwrap().first(FileKind::Weights).unwrap();
    let path = place.model("tiny.gguf");
    let mut bytes = fs::read(&path).unwrap();
    bytes[100] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let refusal = file.read_all(1 << 30).unwrap_err().to_string();
    assert!(refusal.contains("changed while"), "{refusal}");
    fs::write(&path, b"").unwrap();
    let mut file = file.clone();
    assert!(file.read_all(1 << 30).is_err());
}

#[test]
fn links_missing_files_and_files_that_nobody_listed_are_refused() {
    let place = Place::with_model();
    fs::write(place.model("extra.py"), "import os").unwrap();
    assert!(words(place.registry.verify("tiny")).contains("not listed"));
    fs::remove_file(place.model("extra.py")).unwrap();
    symlink("/etc/passwd", place.model("link")).unwrap();
    assert!(words(place.registry.verify("tiny")).contains("link"));
    fs::remove_file(place.model("link")).unwrap();
    fs::rename(place.model("tiny.gguf"), place.path("moved")).unwrap();
    assert!(words(place.registry.verify("tiny")).contains("tiny.gguf"));
    symlink(place.path("moved"), place.model("tiny.gguf")).unwrap();
    assert!(words(place.registry.verify("tiny")).contains("link"));
}

#[test]
fn a_manifest_that_is_not_one_is_listed_with_the_reason() {
    let place = Place::with_model();
    let path = place.model(MANIFEST);
    let text = fs::read_to_string(&path).unwrap();
    for (from, to) in [("path = \"tiny.gguf\"", "path = \"../tiny.gguf\""), ("name = \"tiny\"", "name = \"other\"")] {
        fs::write(&path, text.replace(from, to)).unwrap();
        assert!(matches!(place.registry.verify("tiny"), Err(RegistryError::Manifest { .. })), "{to}");
        assert!(place.registry.list().unwrap()[0].manifest.is_err());
    }
    fs::remove_file(&path).unwrap();
    symlink("/dev/zero", &path).unwrap();
    assert!(place.registry.show("tiny").is_err());
}

#[test]
fn names_that_lead_elsewhere_are_unknown() {
    let place = Place::with_model();
    for name in ["../models/tiny", "", ".", "..", ".unfinished-x", "Tiny", "a/b"] {
        assert!(matches!(place.registry.show(name), Err(RegistryError::Unknown { .. })), "{name}");
        assert!(place.registry.remove(name).is_err());
    }
}

#[test]
fn a_bundle_carries_a_model_to_another_registry() {
    let (from, to) = (Place::with_model(), Place::new());
    let bundle = from.path("tiny.tar");
    from.registry.export("tiny", &bundle).unwrap();
    let manifest = to.registry.import(&bundle, &Import::default()).unwrap();
    assert_eq!(manifest.identity(), from.registry.show("tiny").unwrap().identity());
    to.registry.verify("tiny").unwrap();
    // The same again is no error, another model of that name is.
    to.registry.import(&bundle, &Import::default()).unwrap();
    fs::write(
        to.path("tiny.gguf"),
        Tiny::default().file(&[("llama.rope.freq_base", crate::weights::gguf::tests::Scalar::Float(5.0))]),
    )
    .unwrap();
    let other = to.registry.import(&to.path("tiny.gguf"), &Import::default());
    assert!(matches!(other, Err(RegistryError::Exists { .. })), "{other:?}");
}

#[test]
fn a_damaged_bundle_leaves_nothing_behind() {
    let (from, to) = (Place::with_model(), Place::new());
    let bundle = from.path("tiny.tar");
    from.registry.export("tiny", &bundle).unwrap();
    let bytes = fs::read(&bundle).unwrap();
    for at in [10, 700, 1600, bytes.len() / 2] {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        fs::write(to.path("bad.tar"), changed).unwrap();
        assert!(to.registry.import(&to.path("bad.tar"), &Import::default()).is_err(), "byte {at}");
    }
    fs::write(to.path("bad.tar"), &bytes[..bytes.len() / 2]).unwrap();
    assert!(to.registry.import(&to.path("bad.tar"), &Import::default()).is_err());
    assert_eq!(fs::read_dir(to.registry.root()).unwrap().count(), 0);
}

#[test]
fn a_bundle_may_hold_no_link_and_nothing_unlisted() {
    let (from, to) = (Place::with_model(), Place::new());
    let text = fs::read(from.model(MANIFEST)).unwrap();
    let build = |name: &str, kind: tar::EntryType| {
        let mut archive = tar::Builder::new(Vec::new());
        for (path, kind, data) in [(MANIFEST, tar::EntryType::Regular, text.as_slice()), (name, kind, b"".as_slice())] {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(kind);
            header.set_size(data.len() as u64);
            if kind == tar::EntryType::Symlink {
                header.set_link_name("/etc/passwd").unwrap();
            }
            // Written by hand: the library itself refuses a path with `..`.
            header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_cksum();
            archive.append(&header, data).unwrap();
        }
        archive.into_inner().unwrap()
    };
    for (name, kind, word) in [
        ("tiny.gguf", tar::EntryType::Symlink, "link"),
        ("../../escape", tar::EntryType::Regular, "does not list"),
        ("other", tar::EntryType::Regular, "does not list"),
        ("tiny.gguf", tar::EntryType::Regular, "not as long"),
    ] {
        fs::write(to.path("bad.tar"), build(name, kind)).unwrap();
        let refusal = words(to.registry.import(&to.path("bad.tar"), &Import::default()));
        assert!(refusal.contains(word), "{name}: {refusal}");
    }
    assert!(!to.path("escape").exists());
}

#[test]
fn what_cannot_be_imported_is_refused_with_the_reason() {
    let place = Place::new();
    for (name, bytes, word) in [
        ("pytorch_model.bin", b"\x80\x02".as_slice(), "pickle"),
        ("model.safetensors", b"".as_slice(), "config.json"),
        ("notes.txt", b"hello".as_slice(), ".gguf"),
        ("broken.gguf", b"GGUF\x03\0\0\0".as_slice(), "header"),
        ("noise.gguf", b"not a model at all, really not".as_slice(), "not a GGUF"),
    ] {
        fs::write(place.path(name), bytes).unwrap();
        let refusal = words(place.registry.import(&place.path(name), &Import::default()));
        assert!(refusal.contains(word), "{name}: {refusal}");
    }
    let folder = place.path("folder");
    fs::create_dir(&folder).unwrap();
    assert!(words(place.registry.import(&folder, &Import::default())).contains("no .safetensors"));
    fs::write(folder.join("pytorch_model.bin"), b"x").unwrap();
    assert!(words(place.registry.import(&folder, &Import::default())).contains("pickle"));
    symlink("/etc/passwd", folder.join("model.safetensors")).unwrap();
    assert!(words(place.registry.import(&folder, &Import::default())).contains("leads out"));
    assert_eq!(fs::read_dir(place.registry.root()).unwrap().count(), 0);
}

#[test]
fn the_cache_of_hugging_faces_tools_is_imported_through_its_links() {
    let place = Place::new();
    let cache = place.path("models--someone--Tiny-Model");
    let snapshot = cache.join("snapshots/abc123");
    for folder in [&snapshot, &cache.join("blobs"), &cache.join("refs")] {
        fs::create_dir_all(folder).unwrap();
    }
    fs::write(cache.join("refs/main"), "abc123").unwrap();
    fs::write(cache.join("blobs/1"), Tiny::default().file(&[])).unwrap();
    symlink("../../blobs/1", snapshot.join("tiny-model.Q8.gguf")).unwrap();
    let manifest = place.registry.import(&cache, &Import::default()).unwrap();
    assert_eq!(manifest.name, "tiny-model.q8");
    assert!(
        !fs::symlink_metadata(place.registry.root().join("tiny-model.q8/tiny-model.Q8.gguf")).unwrap().is_symlink()
    );
}
