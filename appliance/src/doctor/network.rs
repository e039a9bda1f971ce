//! The port to listen on, and whether there is a way out.

use std::net::TcpListener;

use super::{Finding, Machine};
use crate::config;

pub(super) fn listener(settings: &config::Server) -> Finding {
    let address = settings.address();
    match TcpListener::bind(address) {
        Ok(_) => Finding::good("listener", format!("{address} is free")),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => Finding::warning(
            "listener",
            format!("{address} is taken: by Cloister, if it runs"),
            "stop the other program, or set `server.port`",
        ),
        Err(error) => Finding::bad(
            "listener",
            format!("{address} cannot be listened on: {error}"),
            "set `server.listen` to an address of this machine and `server.port` to one that is permitted",
        ),
    }
}

/// Read from the kernel's tables; nothing is sent to find out.
pub(super) fn egress(machine: &Machine) -> Finding {
    let read = |name: &str| std::fs::read_to_string(machine.proc.join("net").join(name)).unwrap_or_default();
    let outward = default_v4(&read("route")) || default_v6(&read("ipv6_route"));
    if outward {
        Finding::note(
            "egress",
            "this process has a route out. As a service it runs in a namespace that has none (`PrivateNetwork=yes`)",
        )
    } else {
        Finding::good("egress", "there is no route out")
    }
}

/// `Iface Destination Gateway Flags ... Mask`: a destination and a mask of zero.
fn default_v4(table: &str) -> bool {
    table.lines().skip(1).any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields.get(1) == Some(&"00000000") && fields.get(7) == Some(&"00000000")
    })
}

/// `destination length source length next-hop ... device`: a destination of length zero that is not the loopback's
/// "unreachable" entry.
fn default_v6(table: &str) -> bool {
    table.lines().any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields.get(1) == Some(&"00") && fields.get(9).is_some_and(|device| *device != "lo")
    })
}
