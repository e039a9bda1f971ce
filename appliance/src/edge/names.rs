//! The names and addresses under which this machine can be called.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// `localhost` and its addresses, the host's name, the addresses of its interfaces, and those that are `configured`.
///
/// In a network namespace of its own the process sees none of the host's addresses: there they must be configured.
pub fn of_this_host(configured: &[String]) -> BTreeSet<String> {
    let mut names =
        BTreeSet::from(["localhost".to_owned(), Ipv4Addr::LOCALHOST.to_string(), Ipv6Addr::LOCALHOST.to_string()]);
    names.extend(sysinfo::System::host_name().ok().map(|name| name.to_ascii_lowercase()).filter(|name| is_name(name)));
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    names.extend(ipv4(&read("/proc/net/fib_trie")).into_iter().map(|address| address.to_string()));
    names.extend(ipv6(&read("/proc/net/if_inet6")).into_iter().map(|address| address.to_string()));
    names.extend(configured.iter().map(|name| name.trim().to_ascii_lowercase()));
    names
}

/// Whether `name` can stand in a certificate: an address, or a host name of letters, digits, hyphens and dots.
pub fn is_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.parse::<IpAddr>().is_ok()
        || (name.len() <= 253 && name.strip_prefix("*.").unwrap_or(name).split('.').all(label))
}

/// The machine's own addresses in the kernel's routing trie: each `/32 host LOCAL` belongs to the address line above it.
fn ipv4(trie: &str) -> Vec<Ipv4Addr> {
    let mut last = None;
    let mut found = BTreeSet::new();
    for line in trie.lines() {
        if let Some((_, address)) = line.split_once("|-- ") {
            last = address.trim().parse::<Ipv4Addr>().ok();
        } else if line.contains("/32 host LOCAL") {
            found.extend(last);
        }
    }
    found.into_iter().filter(|address| !address.is_loopback()).collect()
}

/// The machine's own addresses that reach further than their link: 32 hexadecimal digits, index, prefix, scope, flags, name.
fn ipv6(table: &str) -> Vec<Ipv6Addr> {
    let mut found = Vec::new();
    for line in table.lines() {
        let mut fields = line.split_whitespace();
        let (address, scope) = (fields.next(), fields.nth(2));
        if let (Some(address), Some("00")) = (address.and_then(|digits| u128::from_str_radix(digits, 16).ok()), scope) {
            found.push(Ipv6Addr::from(address));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_tables_are_read() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 10.0.0.0\n        /24 link UNICAST\n     |-- 10.0.0.7\n        /32 host LOCAL\n     |-- 127.0.0.1\n        /32 host LOCAL\n";
        assert_eq!(ipv4(trie), [Ipv4Addr::new(10, 0, 0, 7)]);
        let table =
            "fe800000000000000000000000000001 02 40 20 80 eth0\nfd000000000000000000000000000007 02 40 00 80 eth0\n";
        assert_eq!(ipv6(table), ["fd00::7".parse::<Ipv6Addr>().unwrap()]);
    }

    #[test]
    fn only_what_can_stand_in_a_certificate_is_a_name() {
        for name in ["pharmacy-7", "rx.hospital.example", "*.hospital.example", "10.0.0.7", "fd00::7"] {
            assert!(is_name(name), "{name}");
        }
        for other in ["", "a b", "a/b", "-a", "a..b", "a_b", "*.*.x"] {
            assert!(!is_name(other), "{other}");
        }
    }

    #[test]
    fn the_loopback_is_always_among_them() {
        let names = of_this_host(&["Rx.Hospital.Example".to_owned()]);
        for name in ["localhost", "127.0.0.1", "::1", "rx.hospital.example"] {
            assert!(names.contains(name), "{name}");
        }
    }
}
