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

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead as _, BufReader},
        process::{Command, Stdio},
    };

    use super::*;

    const CHILD: &str = "CLOISTER_TEST_INHERIT";

    /// Runs in a child of the test below: it says which socket it would serve on.
    #[tokio::test]
    #[allow(clippy::print_stdout, reason = "the parent reads what this child prints")]
    async fn child_says_where_it_listens() {
        if std::env::var_os(CHILD).is_none() {
            return;
        }
        let settings = config::Server { port: 0, ..config::Server::default() };
        println!("listening {}", listener(&settings).unwrap().local_addr().unwrap());
    }

    #[test]
    fn a_socket_that_was_handed_over_takes_the_place_of_the_configured_one() {
        // What a service manager does: the socket as descriptor 3, its number and the process in the environment.
        const HAND_OVER: &str = "
import os, socket, sys
socket_ = socket.create_server(('127.0.0.1', 0))
print('bound', '%s:%d' % socket_.getsockname(), flush=True)
os.dup2(socket_.fileno(), 3)
# Said apart: when it is descriptor 3 already, dup2 does nothing and it would close at exec.
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[1], sys.argv[1:])
";
        let mut child = Command::new("python3")
            .args(["-c", HAND_OVER])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "edge::listen::tests::child_says_where_it_listens", "--nocapture"])
            .env(CHILD, "1")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said: Vec<String> = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap).collect();
        assert!(child.wait().unwrap().success(), "{said:?}");
        let word =
            |name: &str| said.iter().find_map(|line| line.split_once(name).map(|(_, rest)| rest.trim().to_owned()));
        assert!(word("bound ").is_some(), "{said:?}");
        assert_eq!(word("listening "), word("bound "));
    }

    #[test]
    fn an_address_that_is_taken_is_refused_by_name() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        assert!(bind(address).unwrap_err().to_string().contains(&address.to_string()));
    }
}
