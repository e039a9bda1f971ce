use std::os::unix::fs::PermissionsExt as _;

use cloister_governance::{accounts::Unreviewed, keys::MasterKey, store::Store};

use super::*;
use crate::edge::{authority, names, rig::Seeded};

const ROUTE: &str = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n";

struct Bed {
    folder: tempfile::TempDir,
    config: Config,
}

fn now() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

/// A healthy site.
fn bed() -> Bed {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o700)).unwrap();
    let mut config = Config::default();
    config.data.folder = data;
    config.server.listen = "127.0.0.1".parse().unwrap();
    config.server.port = 0;
    let key = MasterKey::load_or_create(&config.master_key(), &Seeded::new(1)).unwrap();
    Store::open(&config.store_folder(), key, std::sync::Arc::new(Seeded::new(2))).unwrap();
    authority::ensure(&config.tls_folder(), &names::of_this_host(&[]), now()).unwrap();
    std::fs::create_dir_all(folder.path().join("proc/net")).unwrap();
    std::fs::write(folder.path().join("proc/meminfo"), "MemTotal: 9 kB\nMemAvailable:   16777216 kB\n").unwrap();
    std::fs::write(folder.path().join("proc/net/route"), ROUTE).unwrap();
    Bed { folder, config }
}

impl Bed {
    fn examine(&self) -> Vec<Finding> {
        let machine = Machine { proc: self.folder.path().join("proc") };
        examine(&self.config, &machine, now(), &|_| vec![Finding::good("models", "all there")])
    }

    fn find(&self, code: &str) -> Finding {
        self.examine().into_iter().find(|finding| finding.code == code).unwrap()
    }

    fn proc(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join("proc").join(name), text).unwrap();
    }
}

#[test]
fn a_healthy_site_has_nothing_to_mend_but_the_key_that_lies_in_a_file() {
    let findings = bed().examine();
    // How full the disk of the machine is that runs this test is not the site's fault.
    let faults: Vec<_> =
        findings.iter().filter(|finding| finding.state > State::Note && finding.code != "disk").collect();
    let (file, faults): (Vec<_>, Vec<_>) = faults.into_iter().partition(|finding| finding.code == "master_key");
    assert!(matches!(file.as_slice(), [warned] if warned.state == State::Warning), "a key in a file is for trying");
    assert!(faults.is_empty(), "{faults:?}");
    let codes: Vec<_> = findings.iter().map(|finding| finding.code).collect();
    assert_eq!(
        codes,
        [
            "cpu",
            "memory",
            "swap",
            "disk",
            "data_folder",
            "master_key",
            "store",
            "break_glass",
            "certificate",
            "models",
            "listener",
            "egress"
        ]
    );
}

#[test]
fn every_fault_has_something_to_do_about_it() {
    type Fault = (&'static str, State, fn(&mut Bed));
    let faults: [Fault; 13] = [
        ("memory", State::Bad, |bed| bed.proc("meminfo", "MemAvailable: 1024 kB\n")),
        ("memory", State::Warning, |bed| bed.proc("meminfo", "MemAvailable: 3145728 kB\n")),
        ("swap", State::Warning, |bed| bed.proc("meminfo", "MemAvailable: 9000000 kB\nSwapTotal: 1024 kB\n")),
        ("store", State::Bad, |bed| {
            std::fs::remove_file(bed.config.master_key()).unwrap();
            MasterKey::load_or_create(&bed.config.master_key(), &Seeded::new(2)).unwrap();
        }),
        ("data_folder", State::Bad, |bed| mode(&bed.config.data.folder, 0o755)),
        ("data_folder", State::Bad, |bed| bed.config.data.folder = bed.folder.path().join("proc/meminfo")),
        ("master_key", State::Bad, |bed| mode(&bed.config.master_key(), 0o644)),
        ("master_key", State::Bad, |bed| std::fs::write(bed.config.master_key(), "no key").unwrap()),
        ("certificate", State::Bad, |bed| std::fs::write(bed.config.tls_folder().join("server.pem"), "torn").unwrap()),
        ("certificate", State::Warning, |bed| certificate_of(bed, "2024-12-15T00:00:00Z")),
        ("certificate", State::Bad, |bed| certificate_of(bed, "2023-01-01T00:00:00Z")),
        ("certificate", State::Bad, |bed| {
            bed.config.tls.certificate = Some("/nowhere/site.pem".into());
            bed.config.tls.key = Some("/nowhere/site.key".into());
        }),
        // An address of the documentation range (RFC 5737), which no machine has.
        ("listener", State::Bad, |bed| bed.config.server.listen = "192.0.2.1".parse().unwrap()),
    ];
    for (code, state, fault) in faults {
        let mut bed = bed();
        fault(&mut bed);
        let finding = bed.find(code);
        assert_eq!(finding.state, state, "{finding:?}");
        assert!(!finding.mend.is_empty(), "{finding:?}");
        assert!(worst(&bed.examine()) >= state);
    }
}

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn certificate_of(bed: &Bed, made: &str) {
    let folder = bed.config.tls_folder();
    std::fs::remove_dir_all(&folder).unwrap();
    authority::ensure(&folder, &names::of_this_host(&[]), made.parse().unwrap()).unwrap();
}

#[test]
fn emergencies_that_wait_to_be_signed_off_are_told_with_the_oldest() {
    let oldest = "2026-03-01T08:30:00Z".parse().unwrap();
    let finding = files::emergencies(Unreviewed { waiting: 2, oldest: Some(oldest) });
    assert_eq!((finding.code, finding.state), ("break_glass", State::Warning));
    assert!(finding.found.starts_with("2 ") && finding.found.ends_with("2026-03-01T08:30:00Z"), "{finding:?}");
    assert!(finding.mend.contains("cloister break-glass list"), "{finding:?}");
    assert_eq!(files::emergencies(Unreviewed::default()).state, State::Good);
}

#[test]
fn a_taken_port_and_a_route_out_are_told() {
    let mut bed = bed();
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    bed.config.server.port = other.local_addr().unwrap().port();
    assert_eq!(bed.find("listener").state, State::Warning);
    bed.proc("net/route", &format!("{ROUTE}eth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"));
    assert_eq!(bed.find("egress").state, State::Note);
    bed.proc("net/route", &format!("{ROUTE}eth0\t0000000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"));
    assert_eq!(bed.find("egress").state, State::Good, "a route to the neighbours alone is none out");
}

#[test]
fn looking_makes_nothing() {
    let mut bed = bed();
    bed.config.data.folder = bed.folder.path().join("not-there");
    assert!(bed.examine().iter().all(|finding| finding.state < State::Bad || finding.code == "disk"));
    assert!(!bed.config.data.folder.exists());
}
