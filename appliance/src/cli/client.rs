//! One HTTPS request to one address: what the commands that ask a server need of HTTP, and no more.
//!
//! **What it is not:** a general client. It follows no redirect, keeps no connection, knows no proxy and resolves only
//! the server that it was given. The program links no HTTP client crate, so that nothing in it can call out.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail};
use clap::Args;
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs, version::TLS13},
};
use zeroize::Zeroizing;

/// The largest reply that is taken: the file of a large batch.
const LARGEST_REPLY: usize = 1024 * 1024 * 1024;

/// Header lines that are taken.
const MOST_HEADERS: usize = 64;

/// Which server, and who asks it.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The server
    #[arg(long, value_name = "URL", default_value = "https://localhost:8443")]
    server: String,
    /// The authority that signed the server's certificate, PEM: the server's `tls/ca.pem`
    #[arg(long, value_name = "FILE")]
    ca: PathBuf,
    /// A file with an API key; better than `--key`, which other users of this machine can see
    #[arg(long, value_name = "FILE", conflicts_with = "key", required_unless_present = "key")]
    key_file: Option<PathBuf>,
    /// An API key
    #[arg(long)]
    key: Option<String>,
}

impl Arguments {
    /// The client that they describe.
    ///
    /// # Errors
    /// When the key or the authority's file cannot be read.
    pub(super) fn client(&self) -> anyhow::Result<Client> {
        let key = match (&self.key, &self.key_file) {
            (Some(key), _) => key.clone(),
            (None, Some(file)) => std::fs::read_to_string(file)
                .with_context(|| format!("the key cannot be read from {}", file.display()))?,
            (None, None) => bail!("no key was given: use --key-file"),
        };
        Client::new(&self.server, &self.ca, key.trim())
    }
}

/// A reply.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    /// What `Retry-After` says.
    pub(super) wait: Option<Duration>,
    pub(super) body: Vec<u8>,
}

/// A server, the authority that it is trusted by, and the key to show it.
pub(super) struct Client {
    host: String,
    port: u16,
    name: ServerName<'static>,
    tls: TlsConnector,
    key: Zeroizing<String>,
}

impl Client {
    /// A client of `server`, an `https://` URL without a path. `authority` is a PEM file.
    pub(super) fn new(server: &str, authority: &Path, key: &str) -> anyhow::Result<Self> {
        let (host, port) = address(server)?;
        let name =
            ServerName::try_from(host.clone()).with_context(|| format!("`{host}` is not a host name or address"))?;
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            bail!("the key is not one: it reads `clk_...`");
        }
        let mut roots = RootCertStore::empty();
        let unreadable = || format!("the authority cannot be read from {}", authority.display());
        for certificate in CertificateDer::pem_file_iter(authority).with_context(unreadable)? {
            roots.add(certificate.with_context(unreadable)?).with_context(unreadable)?;
        }
        if roots.is_empty() {
            bail!("{} holds no certificate", authority.display());
        }
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let tls = TlsConnector::from(Arc::new(config));
        Ok(Self { host, port, name, tls, key: Zeroizing::new(key.to_owned()) })
    }

    /// Posts JSON and reads the reply to its end.
    pub(super) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Reply> {
        self.send("POST", path, "application/json", body.to_string().as_bytes()).await
    }

    /// Reads what stands at a path.
    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Reply> {
        self.send("GET", path, "application/json", b"").await
    }

    /// Sends a body of that kind and reads the reply to its end.
    pub(super) async fn send(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> anyhow::Result<Reply> {
        let (host, port) = (self.host.trim_start_matches('[').trim_end_matches(']'), self.port);
        let stream = TcpStream::connect((host, port))
            .await
            .with_context(|| format!("{host} port {port} cannot be reached: is the server running?"))?;
        stream.set_nodelay(true)?;
        let mut stream =
            self.tls.connect(self.name.clone(), stream).await.with_context(|| {
                format!("{host} is not trusted by the authority that --ca names, or speaks no TLS 1.3")
            })?;
        let head = Zeroizing::new(format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {key}\r\nContent-Type: {kind}\r\n\
             Accept: */*\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n",
            key = self.key.as_str(),
            length = body.len(),
        ));
        stream.write_all(head.as_bytes()).await.context("the request cannot be sent")?;
        stream.write_all(body).await.context("the request cannot be sent")?;
        stream.flush().await.context("the request cannot be sent")?;
        let mut received = Vec::new();
        let mut piece = vec![0; 16 * 1024];
        loop {
            let read = stream.read(&mut piece).await.context("the reply broke off")?;
            received.extend_from_slice(piece.get(..read).unwrap_or_default());
            if received.len() > LARGEST_REPLY {
                bail!("the reply is larger than {LARGEST_REPLY} bytes");
            }
            if read == 0 {
                return read_whole(&received)?.context("the reply broke off");
            }
            if let Some(reply) = read_whole(&received)? {
                return Ok(reply);
            }
        }
    }
}

/// Host and port of an `https://` URL.
fn address(server: &str) -> anyhow::Result<(String, u16)> {
    let rest = server.strip_prefix("https://").context("the server is named as https://HOST:PORT")?;
    let rest = rest.trim_end_matches('/');
    let in_brackets = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (host, port) = match in_brackets {
        Some((host, after)) => (host, after.strip_prefix(':')),
        None => rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map_or(Ok(443), str::parse).context("the server's port is not a number up to 65535")?;
    if host.is_empty() || host.contains(['/', '?', '#', '@']) {
        bail!("the server is named as https://HOST:PORT, without a path");
    }
    Ok((host.to_owned(), port))
}

/// The reply, if all of it has arrived.
fn read_whole(received: &[u8]) -> anyhow::Result<Option<Reply>> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut head = httparse::Response::new(&mut headers);
    let body = match head.parse(received).context("the reply is not HTTP")? {
        httparse::Status::Complete(length) => received.get(length..).unwrap_or_default(),
        httparse::Status::Partial => return Ok(None),
    };
    let status = head.code.context("the reply has no status")?;
    let value = |name: &str| {
        let header = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(header.value).ok()
    };
    let wait = value("retry-after").and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
    let whole = if value("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        chunks(body)?
    } else {
        let length: usize = value("content-length")
            .context("the reply has no length")?
            .parse()
            .context("the reply's length is no number")?;
        body.get(..length).map(<[u8]>::to_vec)
    };
    Ok(whole.map(|body| Reply { status, wait, body }))
}

/// The body that came in chunks, if the last has arrived.
fn chunks(mut body: &[u8]) -> anyhow::Result<Option<Vec<u8>>> {
    let mut whole = Vec::new();
    loop {
        let (from, size) = match httparse::parse_chunk_size(body) {
            Ok(httparse::Status::Complete((from, size))) => (from, usize::try_from(size)?),
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => bail!("the reply is not HTTP"),
        };
        if size == 0 {
            return Ok(Some(whole));
        }
        let end = from.checked_add(size).context("the reply is not HTTP")?;
        let Some(chunk) = body.get(from..end) else { return Ok(None) };
        whole.extend_from_slice(chunk);
        let Some(rest) = body.get(end + 2..) else { return Ok(None) };
        body = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_by_scheme_host_and_port() {
        assert_eq!(address("https://pharmacy.example:9443/").unwrap(), ("pharmacy.example".to_owned(), 9443));
        assert_eq!(address("https://[::1]:8443").unwrap(), ("::1".to_owned(), 8443));
        assert_eq!(address("https://10.0.0.7").unwrap(), ("10.0.0.7".to_owned(), 443));
        for bad in ["http://a", "a:1", "https://", "https://a:x", "https://a/b", "https://u@a"] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_reply_is_read_once_all_of_it_is_there() {
        let plain = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 3\r\nContent-Length: 5\r\n\r\nhello";
        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n";
        for (bytes, status, wait) in [(&plain[..], 429, Some(Duration::from_secs(3))), (&chunked[..], 200, None)] {
            let last = bytes.len() - if status == 200 { 4 } else { 0 };
            for end in 0..last {
                assert!(read_whole(&bytes[..end]).unwrap().is_none(), "{end}");
            }
            let reply = read_whole(bytes).unwrap().unwrap();
            assert_eq!((reply.status, reply.wait, reply.body.as_slice()), (status, wait, &b"hello"[..]));
        }
        assert!(read_whole(b"SSH-2.0-OpenSSH\r\n").is_err());
    }
}
