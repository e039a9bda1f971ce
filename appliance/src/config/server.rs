//! `[server]`, `[tls]` and `[limits]`: the edge.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::edge::names::is_name;

/// `[server]`: the listener. A socket handed over by systemd takes the place of `listen` and `port`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// The address to listen on. Default: `0.0.0.0`, every IPv4 address of the machine.
    pub listen: IpAddr,
    /// The port. 0 takes a free one. Default: 8443.
    pub port: u16,
    /// Connections open at once; more wait to be accepted. Default: 1024.
    pub max_connections: usize,
    /// Connections that one address may have open; more are closed at once, so that no address takes all of them. Raise it
    /// behind a proxy. Default: 256.
    pub max_connections_per_source: usize,
    /// Requests worked on at once; more are answered 503 with `Retry-After`. Default: 256.
    pub max_in_flight: usize,
    /// Seconds that a TLS handshake may take. Default: 10.
    pub handshake_timeout_seconds: u64,
    /// Seconds until the head of a request must have arrived, and that an idle connection is kept. Default: 10.
    pub header_timeout_seconds: u64,
    /// Seconds without a byte of a request's body, or without room for a byte of the answer, until the connection is closed.
    /// Default: 30.
    pub idle_timeout_seconds: u64,
    /// Bytes that the body of a request may have. Default: 16 MiB.
    pub body_limit_bytes: usize,
    /// Seconds that running requests are given to end when the server stops. Default: 30.
    pub drain_timeout_seconds: u64,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            port: 8443,
            max_connections: 1024,
            max_connections_per_source: 256,
            max_in_flight: 256,
            handshake_timeout_seconds: 10,
            header_timeout_seconds: 10,
            idle_timeout_seconds: 30,
            body_limit_bytes: 16 * 1024 * 1024,
            drain_timeout_seconds: 30,
        }
    }
}

impl Server {
    /// Address and port.
    pub const fn address(&self) -> SocketAddr {
        SocketAddr::new(self.listen, self.port)
    }

    /// How long a TLS handshake may take.
    pub const fn handshake_timeout(&self) -> Duration {
        Duration::from_secs(self.handshake_timeout_seconds)
    }

    /// How long the head of a request may take.
    pub const fn header_timeout(&self) -> Duration {
        Duration::from_secs(self.header_timeout_seconds)
    }

    /// How long a body may stand still.
    pub const fn idle_timeout(&self) -> Duration {
        Duration::from_secs(self.idle_timeout_seconds)
    }

    /// How long running requests are given when the server stops.
    pub const fn drain_timeout(&self) -> Duration {
        Duration::from_secs(self.drain_timeout_seconds)
    }

    pub(super) const fn contradiction(&self) -> Option<(&'static str, &'static str)> {
        const NOT_ZERO: &str = "must be at least 1";
        if self.max_connections == 0 {
            Some(("server.max_connections", NOT_ZERO))
        } else if self.max_connections_per_source == 0 {
            Some(("server.max_connections_per_source", NOT_ZERO))
        } else if self.max_in_flight == 0 {
            Some(("server.max_in_flight", NOT_ZERO))
        } else if self.handshake_timeout_seconds == 0 {
            Some(("server.handshake_timeout_seconds", NOT_ZERO))
        } else if self.header_timeout_seconds == 0 {
            Some(("server.header_timeout_seconds", NOT_ZERO))
        } else if self.idle_timeout_seconds == 0 {
            Some(("server.idle_timeout_seconds", NOT_ZERO))
        } else if self.body_limit_bytes == 0 {
            Some(("server.body_limit_bytes", NOT_ZERO))
        } else {
            None
        }
    }
}

/// `[tls]`: the certificate. Without one of the site's own, a local certificate authority makes and renews it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// The site's own certificate with its chain, PEM. Default: one from the local authority.
    pub certificate: Option<PathBuf>,
    /// The key of the site's own certificate, PEM, mode 0600. Default: one from the local authority.
    pub key: Option<PathBuf>,
    /// Host names and addresses that the local authority puts in the certificate, beside `localhost`, the host's own name
    /// and the addresses it has. Default: none.
    pub names: Vec<String>,
}

impl Tls {
    pub(super) fn contradiction(&self) -> Option<(&'static str, &'static str)> {
        if !self.names.iter().all(|name| is_name(name)) {
            return Some(("tls.names", "may hold host names and addresses only"));
        }
        match (&self.certificate, &self.key) {
            (Some(_), None) => Some(("tls.certificate", "needs `tls.key` beside it")),
            (None, Some(_)) => Some(("tls.key", "needs `tls.certificate` beside it")),
            _ => None,
        }
    }
}

/// `[limits]`: what one caller may ask of the machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Requests a minute that one account may make in the long run. Default: 6000, which a runaway program
    /// exceeds and a busy one does not; what the models can bear is the business of their queues.
    pub requests_per_minute: u32,
    /// Requests that one account may make at once after a pause. Default: 600.
    pub burst: u32,
    /// Refused sign-ins a minute from one address before more are answered 429 and no longer logged one by one.
    /// Default: 20.
    pub refusals_per_minute: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { requests_per_minute: 6000, burst: 600, refusals_per_minute: 20 }
    }
}

impl Limits {
    pub(super) const fn contradiction(&self) -> Option<(&'static str, &'static str)> {
        const NOT_ZERO: &str = "must be at least 1";
        if self.requests_per_minute == 0 {
            Some(("limits.requests_per_minute", NOT_ZERO))
        } else if self.burst == 0 {
            Some(("limits.burst", NOT_ZERO))
        } else if self.refusals_per_minute == 0 {
            Some(("limits.refusals_per_minute", NOT_ZERO))
        } else {
            None
        }
    }
}
