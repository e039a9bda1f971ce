//! The listening socket: handed over by systemd, or bound here.

use std::net::SocketAddr;

use crate::config;

/// Why there is no socket to listen on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address cannot be bound.
    #[error("{address} cannot be listened on: free it, or set `server.listen` and `server.port`")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The socket that systemd handed over is no TCP listener.
    #[error("the socket that systemd handed over cannot be used: it must be one TCP stream socket")]
    Inherited(#[source] std::io::Error),
}

/// The socket that systemd handed over, if it did; else one bound to `settings`.
///
/// A handed-over socket goes on accepting when the process stands in a network namespace without a route, which is how
/// the service runs.
pub fn listener(settings: &config::Server) -> Result<tokio::net::TcpListener, ListenError> {
    let inherited = listenfd::ListenFd::from_env().take_tcp_listener(0).map_err(ListenError::Inherited)?;
    if let Some(socket) = inherited {
        socket.set_nonblocking(true).map_err(ListenError::Inherited)?;
        return tokio::net::TcpListener::from_std(socket).map_err(ListenError::Inherited);
    }
    bind(settings.address())
}

/// A socket bound to `address`.
pub fn bind(address: SocketAddr) -> Result<tokio::net::TcpListener, ListenError> {
    let failed = |source| ListenError::Bind { address, source };
    let socket = std::net::TcpListener::bind(address).map_err(failed)?;
    socket.set_nonblocking(true).map_err(failed)?;
    tokio::net::TcpListener::from_std(socket).map_err(failed)
}
