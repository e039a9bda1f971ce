//! A small site for tests: the real edge, store, accounts, policy and audit log, with handlers that misbehave on demand.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::extract::{FromRef, State};
use bytes::Bytes;
use cloister_governance::{
    accounts::{Accounts, NewAccount, Secret},
    audit::{self, Outcome},
    keys::MasterKey,
    policy::{Policy, Resource},
    store::Store,
};
use cloister_terms::{Action, FixedClock, Random, Role, TenantId};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    Edge, authority, body, health, listen,
    metrics::Metrics,
    names,
    problem::Problem,
    router::{Routes, Verb},
    server::Server,
    tls,
};
use crate::{
    config,
    governed::{Call, Gate, Refusal, governed},
    identity::{Caller, Identity},
    session::Sessions,
};

/// Repeatable random bytes (SplitMix64).
pub(crate) struct Seeded(AtomicU64);

impl Seeded {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }
}

impl Random for Seeded {
    fn fill(&self, bytes: &mut [u8]) {
        for byte in bytes {
            let mut z = self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            *byte = ((z ^ (z >> 31)) & 0xFF) as u8;
        }
    }
}

#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) gate: Gate,
    pub(crate) identity: Identity,
    pub(crate) metrics: Metrics,
    readiness: health::Readiness,
    /// Where a hanging handler says that it has begun.
    begun: mpsc::UnboundedSender<oneshot::Sender<()>>,
}

macro_rules! part {
    ($type:ty, $field:ident) => {
        impl FromRef<Shared> for $type {
            fn from_ref(shared: &Shared) -> Self {
                shared.$field.clone()
            }
        }
    };
}
part!(Gate, gate);
part!(Identity, identity);
part!(Metrics, metrics);
part!(health::Readiness, readiness);

pub(crate) struct Rig {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) accounts: Accounts,
    pub(crate) audit: audit::Log,
    pub(crate) store: Store,
    /// Where the authority of clients is, if a test puts one there before serving.
    pub(crate) clients: std::path::PathBuf,
    pub(crate) shared: Shared,
    /// One sender for each hanging handler that has begun: sending lets it end, and it is closed when the handler is dropped.
    pub(crate) begun: mpsc::UnboundedReceiver<oneshot::Sender<()>>,
    random: Arc<dyn Random>,
}

impl Rig {
    pub(crate) fn new(limits: &config::Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let random: Arc<dyn Random> = Arc::new(Seeded::new(11));
        let clock = Arc::new(FixedClock::at("2026-01-01T00:00:00Z".parse().unwrap()));
        let key = MasterKey::load_or_create(&folder.path().join("master.key"), random.as_ref()).unwrap();
        let store = Store::open(&folder.path().join("store"), key, Arc::clone(&random)).unwrap();
        let accounts = Accounts::open(&store.fleet(), clock.clone(), random.clone()).unwrap();
        let audit = audit::Log::open(&store.audit(), clock.clone(), random.clone()).unwrap();
        let metrics = Metrics::new();
        let (begun_sender, begun) = mpsc::unbounded_channel();
        let readiness =
            health::Readiness::new(vec![health::Check::store(accounts.clone()), health::Check::audit(audit.clone())]);
        let gate = Gate { policy: Policy::built_in(), audit: audit.clone() };
        let clients = folder.path().join("clients.pem");
        let certificates = config::ClientCertificates { authority: clients.clone(), labels: Vec::new() };
        let config = config::Config {
            limits: limits.clone(),
            client_certificates: Some(certificates),
            ..config::Config::default()
        };
        let sessions = Sessions::new(&config.session, clock.clone(), random.clone());
        let shared = Shared {
            identity: Identity::new(accounts.clone(), gate.clone(), &config, sessions, clock.clone(), metrics.clone()),
            gate,
            metrics,
            readiness,
            begun: begun_sender,
        };
        Self { folder, accounts, audit, store, clients, shared, begun, random }
    }

    pub(crate) fn tenant() -> TenantId {
        "larkfield".parse().unwrap()
    }

    pub(crate) fn key(&self, role: Role) -> Secret {
        self.accounts.issue(NewAccount::of("desk", role).within(Self::tenant())).unwrap().1
    }

    /// Every record's kind of entry, in order: an action for an intent, an outcome's kind for an outcome.
    pub(crate) fn records(&self) -> Vec<String> {
        let records = self.audit.since(0, usize::MAX).unwrap();
        let word = |record: audit::Record| match record.body {
            audit::Body::Intent(intent) => intent.action.to_string(),
            audit::Body::Outcome(outcome) => outcome.kind.as_str().to_owned(),
        };
        records.into_iter().map(word).collect()
    }

    pub(crate) fn routes() -> Routes<Shared> {
        health::routes()
            .route(Verb::Post, "/api/echo", Action::Ask, echo)
            .route(Verb::Post, "/v1/echo", Action::Ask, echo)
            .route(Verb::Get, "/api/hang/{id}", Action::Ask, hang)
            .route(Verb::Get, "/api/panic", Action::Ask, panics)
            .route(Verb::Get, "/api/ungoverned", Action::Ask, async |_caller: Caller| "secret\n")
            .route(Verb::Get, "/api/undeclared", Action::Search, undeclared)
            .open_route(Verb::Get, "/large", "a test", large)
    }

    pub(crate) async fn serve(&self, settings: config::Server) -> Served {
        let names = names::of_this_host(&[]);
        let issued = authority::ensure(&self.folder.path().join("tls"), &names, self.now()).unwrap();
        let certificate = tls::Certificate::load(&issued.server, &issued.server).unwrap();
        let listener = listen::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let metrics = self.shared.metrics.clone();
        let router = Self::routes().into_router(self.shared.clone());
        let router = Edge::new(&settings, metrics.clone(), self.random.clone()).guard(router);
        let clients = self.clients.is_file().then_some(self.clients.as_path());
        let tls = tls::server_config(certificate.clone(), clients).unwrap();
        let server = Server::new(listener, tls, settings, router, metrics);
        let address = server.address().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(server.run(async move {
            let _ = stopped.await;
        }));
        Served { address, authority: issued.authority, certificate, stop: Some(stop), task }
    }

    /// The real time: certificates are checked by clients who have no other.
    #[expect(clippy::disallowed_methods, reason = "a TLS client checks the certificate against the real time")]
    pub(crate) fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::now()
    }
}

pub(crate) struct Served {
    pub(crate) address: std::net::SocketAddr,
    pub(crate) authority: std::path::PathBuf,
    pub(crate) certificate: Arc<tls::Certificate>,
    pub(crate) stop: Option<oneshot::Sender<()>>,
    pub(crate) task: JoinHandle<()>,
}

impl Served {
    pub(crate) fn connector(&self, versions: &[&'static rustls::SupportedProtocolVersion]) -> TlsConnector {
        use rustls_pki_types::pem::PemObject as _;
        let mut roots = rustls::RootCertStore::empty();
        roots.add(rustls_pki_types::CertificateDer::from_pem_file(&self.authority).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        TlsConnector::from(Arc::new(config))
    }

    pub(crate) async fn connect(&self) -> TlsStream<TcpStream> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let name = rustls_pki_types::ServerName::try_from("localhost").unwrap();
        self.connector(&[&rustls::version::TLS13]).connect(name, stream).await.unwrap()
    }

    /// Sends `head` (lines without the last blank one) and `body`, and reads until the server closes.
    pub(crate) async fn ask(&self, head: &str, body: &str) -> Reply {
        let mut stream = self.connect().await;
        let head = head.replace('\n', "\r\n");
        let length = if body.is_empty() { String::new() } else { format!("content-length: {}\r\n", body.len()) };
        let request = format!("{head}\r\nhost: localhost\r\nconnection: close\r\n{length}\r\n{body}");
        // A refusal may come before the body is sent in full.
        let _ = stream.write_all(request.as_bytes()).await;
        Reply::read(&mut stream).await
    }

    pub(crate) async fn get(&self, path: &str, key: Option<&Secret>) -> Reply {
        let key = key.map(|key| format!("\nauthorization: Bearer {}", key.expose())).unwrap_or_default();
        self.ask(&format!("GET {path} HTTP/1.1{key}"), "").await
    }

    pub(crate) async fn post(&self, path: &str, key: &Secret, body: &str) -> Reply {
        let head = format!("POST {path} HTTP/1.1\nx-api-key: {}\ncontent-type: application/json", key.expose());
        self.ask(&head, body).await
    }
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) async fn read(stream: &mut TlsStream<TcpStream>) -> Self {
        let mut bytes = Vec::new();
        // The server may close without TLS's goodbye when it gives up on a caller.
        let _ = stream.read_to_end(&mut bytes).await;
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Self { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

fn ask() -> Call {
    Call::new(Action::Ask, Resource::Tenant(Rig::tenant()))
}

async fn echo(
    State(gate): State<Gate>,
    caller: Caller,
    body::Json(value): body::Json<serde_json::Value>,
) -> Result<axum::Json<serde_json::Value>, Problem> {
    let work = async |_permit| Ok::<_, Refusal>((axum::Json(value), Outcome::done()));
    Ok(governed(&gate, &caller, ask(), work).await?)
}

async fn hang(State(shared): State<Shared>, caller: Caller) -> Result<(), Problem> {
    governed(&shared.gate, &caller, ask(), async |_permit| {
        let (release, released) = oneshot::channel();
        shared.begun.send(release).unwrap();
        // Ends when the test lets it, and never otherwise.
        let _ = released.await;
        Ok::<_, Refusal>(((), Outcome::done()))
    })
    .await?;
    Ok(())
}

/// 64 MiB in pieces, as a stream would send them: a body in one piece counts as sent when it is buffered.
async fn large() -> axum::body::Body {
    let piece = Ok::<_, std::convert::Infallible>(Bytes::from(vec![b'x'; 64 * 1024]));
    axum::body::Body::from_stream(futures_util::stream::iter(std::iter::repeat_n(piece, 1024)))
}

async fn panics(State(gate): State<Gate>, caller: Caller) -> Result<(), Problem> {
    governed(&gate, &caller, ask(), async |_permit| -> Result<((), Outcome), Refusal> { panic!("canary-in-a-panic") })
        .await?;
    Ok(())
}

async fn undeclared(State(gate): State<Gate>, caller: Caller) -> Result<&'static str, Problem> {
    Ok(governed(&gate, &caller, ask(), async |_permit| Ok::<_, Refusal>(("secret", Outcome::done()))).await?)
}

pub(crate) const SOON: Duration = Duration::from_secs(20);
