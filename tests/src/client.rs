//! A blocking client for tests: one TLS connection, one request.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use serde_json::Value;

use crate::Server;

/// Who calls, and where.
#[derive(Debug, Clone)]
pub struct Client {
    address: SocketAddr,
    /// The header lines that say who calls.
    shows: String,
    tls: Arc<ClientConfig>,
}

/// A reply, read to its end.
#[derive(Debug)]
pub struct Reply {
    /// The HTTP status; 0 where the connection ended before one came.
    pub status: u16,
    /// Header lines, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, chunks joined.
    pub body: Vec<u8>,
}

impl Reply {
    /// The body as JSON.
    ///
    /// # Panics
    /// If it is not; the body is in the message.
    #[expect(clippy::panic, reason = "a test that reads another reply than it expects has failed")]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// A reply whose body is still coming. Dropping it closes the connection.
pub struct Stream {
    /// The HTTP status.
    pub status: u16,
    headers: Vec<(String, String)>,
    reader: BufReader<StreamOwned<ClientConnection, TcpStream>>,
}

impl Stream {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The next line of the body that is not a chunk's length; `None` at the end.
    pub fn line(&mut self) -> Option<String> {
        loop {
            let mut line = String::new();
            let read = self.reader.read_line(&mut line).ok()?;
            if read == 0 {
                return None;
            }
            let line = line.trim_end();
            let is_length = !line.is_empty() && line.bytes().all(|b| b.is_ascii_hexdigit());
            if line == "0" {
                return None;
            }
            if !is_length && !line.is_empty() {
                return Some(line.to_owned());
            }
        }
    }
}

impl Client {
    /// A client that trusts the server's own authority and presents `key`.
    ///
    /// # Panics
    /// If the authority's certificate cannot be read.
    #[expect(clippy::expect_used, reason = "a test without a certificate has failed")]
    pub fn new(server: &Server, key: impl Into<String>) -> Self {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(&server.authority).expect("the authority's certificate") {
            roots.add(certificate.expect("a certificate in PEM")).expect("a valid certificate");
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { address: server.address, shows: bearer(&key.into()), tls: Arc::new(tls) }
    }

    /// The same client with another key.
    pub fn with_key(&self, key: impl Into<String>) -> Self {
        Self { shows: bearer(&key.into()), ..self.clone() }
    }

    /// A browser on the server's own page, with the cookie of a sign-in and what goes with it, both empty before one.
    pub fn browser(&self, cookie: &str, csrf: &str) -> Self {
        let cookie = if cookie.is_empty() { String::new() } else { format!("Cookie: {cookie}\r\n") };
        Self { shows: format!("{cookie}Cloister-Csrf: {csrf}\r\nSec-Fetch-Site: same-origin\r\n"), ..self.clone() }
    }

    /// The same client for another server of the same site.
    pub fn at(&self, server: &Server) -> Self {
        Self { address: server.address, ..self.clone() }
    }

    /// GET `path`.
    pub fn get(&self, path: &str) -> Reply {
        self.request("GET", path, None)
    }

    /// POST `body` to `path`.
    pub fn post(&self, path: &str, body: &Value) -> Reply {
        self.request("POST", path, Some(body))
    }

    /// Any request, read to the end of the reply.
    pub fn request(&self, method: &str, path: &str, body: Option<&Value>) -> Reply {
        match self.open(method, path, body) {
            Ok(stream) => stream.whole(),
            Err(_) => Reply { status: 0, headers: Vec::new(), body: Vec::new() },
        }
    }

    /// Any request, as bytes: `headers` are lines that end in CRLF. A client whose key is empty shows none, as a browser.
    pub fn send(&self, method: &str, target: &str, headers: &str, body: &[u8]) -> Reply {
        let head = format!(
            "{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{}{headers}Content-Length: {}\r\n\r\n",
            self.shows,
            body.len()
        );
        let bytes = [head.as_bytes(), body].concat();
        self.connect()
            .and_then(|mut stream| {
                // A refusal may come before the body is sent in full.
                let _refused = stream.write_all(&bytes).and_then(|()| stream.flush());
                Stream::begin(stream)
            })
            .map_or_else(|_| Reply { status: 0, headers: Vec::new(), body: Vec::new() }, Stream::whole)
    }

    /// Begins a POST that never ends, and returns whatever the server says to that before it hangs up.
    pub fn stall(&self, path: &str, part: &[u8]) -> Vec<u8> {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\n{}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.shows,
            part.len() + 100
        );
        let mut said = Vec::new();
        if let Ok(mut stream) = self.connect() {
            let _hung_up = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(part));
            let _cut_short = stream.flush().and_then(|()| stream.read_to_end(&mut said).map(drop));
        }
        said
    }

    /// Sends what is no HTTP, and hangs up.
    pub fn blurt(&self, bytes: &[u8]) {
        if let Ok(mut stream) = self.connect() {
            let _refused = stream.write_all(bytes).and_then(|()| stream.flush());
        }
    }

    /// A POST whose reply is read line by line.
    ///
    /// # Errors
    /// When the connection cannot be made or ends before the headers.
    pub fn stream(&self, path: &str, body: &Value) -> std::io::Result<Stream> {
        self.open("POST", path, Some(body))
    }

    #[expect(clippy::expect_used, reason = "a fixed name and a fixed configuration")]
    fn connect(&self) -> std::io::Result<StreamOwned<ClientConnection, TcpStream>> {
        let name = ServerName::try_from("localhost").expect("a valid name");
        let connection = ClientConnection::new(self.tls.clone(), name).expect("a client connection");
        let socket = TcpStream::connect_timeout(&self.address, Duration::from_secs(10))?;
        socket.set_read_timeout(Some(Duration::from_secs(180)))?;
        Ok(StreamOwned::new(connection, socket))
    }

    fn open(&self, method: &str, path: &str, body: Option<&Value>) -> std::io::Result<Stream> {
        let mut stream = self.connect()?;
        let body = body.map(Value::to_string).unwrap_or_default();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{}Content-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.shows,
            body.len()
        )?;
        stream.flush()?;
        Stream::begin(stream)
    }
}

impl Stream {
    /// Reads the head of a reply.
    fn begin(stream: StreamOwned<ClientConnection, TcpStream>) -> std::io::Result<Self> {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':') {
                headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
        }
        Ok(Self { status, headers, reader })
    }

    /// The reply, read to its end.
    fn whole(mut self) -> Reply {
        let mut raw = Vec::new();
        let _cut_short = self.reader.read_to_end(&mut raw);
        let chunked = self.headers.iter().any(|(n, v)| n == "transfer-encoding" && v == "chunked");
        let body = if chunked { joined(&raw) } else { raw };
        Reply { status: self.status, headers: self.headers, body }
    }
}

fn bearer(key: &str) -> String {
    if key.is_empty() { String::new() } else { format!("Authorization: Bearer {key}\r\n") }
}

fn joined(mut raw: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = raw.windows(2).position(|w| w == b"\r\n") {
        let (length, rest) = raw.split_at(end);
        let rest = rest.get(2..).unwrap_or_default();
        let length =
            std::str::from_utf8(length).ok().and_then(|l| usize::from_str_radix(l.trim(), 16).ok()).unwrap_or(0);
        if length == 0 {
            break;
        }
        body.extend_from_slice(rest.get(..length).unwrap_or(rest));
        raw = rest.get(length + 2..).unwrap_or_default();
    }
    body
}
