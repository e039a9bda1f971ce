//! Connections: accepted within limits, spoken to in TLS and HTTP/1.1, and ended in order.

use std::{
    collections::HashMap,
    convert::Infallible,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::body::Body;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use super::{
    context::{ClientCertificate, Peer},
    metrics::Metrics,
    notify,
    paced::Paced,
};
use crate::config;

/// Bytes that the head of a request may have.
const HEAD_LIMIT: usize = 32 * 1024;
/// Headers that a request may have.
const HEADERS_LIMIT: usize = 64;
/// How long to wait after the system refused to accept, out of file descriptors for example.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves a router over TLS.
pub struct Server {
    listener: TcpListener,
    tls: TlsAcceptor,
    settings: config::Server,
    router: axum::Router,
    metrics: Metrics,
}

impl Server {
    /// A server that has not begun to accept. `router` comes from [`super::Edge::guard`].
    pub fn new(
        listener: TcpListener,
        tls: Arc<rustls::ServerConfig>,
        settings: config::Server,
        router: axum::Router,
        metrics: Metrics,
    ) -> Self {
        Self { listener, tls: TlsAcceptor::from(tls), settings, router, metrics }
    }

    /// The address it listens on.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Accepts until `stop` is done, then lets running requests end within the drain time-out. Tells the service manager.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let (draining, drain) = watch::channel(false);
        let room = Arc::new(Semaphore::new(self.settings.max_connections));
        let sources = Sources::new(self.settings.max_connections_per_source);
        let mut connections = JoinSet::new();
        let upkeep = tokio::spawn(upkeep(self.metrics.clone()));
        notify::ready();
        let mut stop = std::pin::pin!(stop);
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut stop => break,
                accepted = accept(&self.listener, &room) => accepted,
            };
            while connections.try_join_next().is_some() {}
            let Some((stream, peer, permit)) = accepted else { continue };
            let Some(place) = sources.take(peer.ip()) else {
                self.metrics.count("cloister_connections_refused_total", 1, &[]);
                continue;
            };
            self.metrics.count("cloister_connections_total", 1, &[]);
            let connection = Connection {
                tls: self.tls.clone(),
                router: self.router.clone(),
                settings: self.settings.clone(),
                drain: drain.clone(),
                _held: (permit, place),
            };
            connections.spawn(connection.serve(stream, peer));
        }
        notify::stopping();
        drop(self.listener);
        let _ = draining.send(true);
        let drained = async { while connections.join_next().await.is_some() {} };
        if timeout(self.settings.drain_timeout(), drained).await.is_err() {
            tracing::warn!(connections = connections.len(), "the time to drain is over: what still runs is cut off");
            connections.shutdown().await;
        }
        upkeep.abort();
    }
}

/// A connection, once there is room for it. None if the system could not accept.
async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let permit = room.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, peer, permit)),
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

async fn upkeep(metrics: Metrics) {
    let fold = async {
        let mut beat = tokio::time::interval(notify::FOLD);
        loop {
            beat.tick().await;
            metrics.fold();
        }
    };
    tokio::select! {
        never = notify::watchdog() => match never {},
        () = fold => {}
    }
}

struct Connection {
    tls: TlsAcceptor,
    router: axum::Router,
    settings: config::Server,
    drain: watch::Receiver<bool>,
    _held: (OwnedSemaphorePermit, Place),
}

impl Connection {
    /// Speaks with one caller until either side ends it. When the caller is gone, so is the future that works for it.
    async fn serve(mut self, stream: TcpStream, peer: SocketAddr) {
        let _ = stream.set_nodelay(true);
        let stream = Paced::new(stream, self.settings.idle_timeout());
        let handshake = timeout(self.settings.handshake_timeout(), self.tls.accept(stream));
        let stream = tokio::select! {
            done = handshake => match done {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => return tracing::debug!(%error, "a TLS handshake failed"),
                Err(_) => return tracing::debug!("a TLS handshake took too long"),
            },
            () = draining(&mut self.drain) => return,
        };
        let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        let shown = shown.map(|certificate| ClientCertificate(certificate.as_ref().into()));
        let router = self.router;
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(Peer(peer));
            if let Some(shown) = shown.clone() {
                request.extensions_mut().insert(shown);
            }
            let router = router.clone();
            async move { Ok::<_, Infallible>(router.oneshot(request).await.unwrap_or_else(|never| match never {})) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.settings.header_timeout())
            .max_buf_size(HEAD_LIMIT)
            .max_headers(HEADERS_LIMIT)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = &mut connection => Some(ended),
            () = draining(&mut self.drain) => None,
        };
        let ended = match ended {
            Some(ended) => ended,
            None => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended early");
        }
    }
}

/// Done when the server has begun to stop, or is gone.
async fn draining(drain: &mut watch::Receiver<bool>) {
    let _ = drain.wait_for(|draining| *draining).await;
}

/// How many connections each address has open.
#[derive(Clone)]
struct Sources {
    most: usize,
    open: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Sources {
    fn new(most: usize) -> Self {
        Self { most, open: Arc::default() }
    }

    /// A place for one more connection from `source`; none if it has as many as it may.
    fn take(&self, source: IpAddr) -> Option<Place> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(source).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Place { source, sources: self.clone() })
    }
}

/// Given back when dropped.
struct Place {
    source: IpAddr,
    sources: Sources,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.sources.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.source);
            }
        }
    }
}
