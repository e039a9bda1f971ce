//! One site and one server that the scenarios which change nothing share.

use std::sync::{
    OnceLock,
    atomic::{AtomicBool, Ordering},
};

use cloister_tests::{Client, Program, Server, Site};

/// The program under test.
pub(crate) fn program() -> Program {
    Program::new(env!("CARGO_BIN_EXE_cloister-under-test"))
}

/// Tells the threads of a test that it is over, however it ends: those that wait for one would otherwise wait for ever.
pub(crate) struct Over<'a>(pub(crate) &'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// A site and its server, started at the first use; both end with this test process.
pub(crate) fn shared() -> &'static (Site, Server) {
    static SHARED: OnceLock<(Site, Server)> = OnceLock::new();
    SHARED.get_or_init(|| {
        let site = program().site();
        let server = site.serve();
        (site, server)
    })
}

/// A client of the shared server, with the key of the demo account of that role.
pub(crate) fn client(role: &str) -> Client {
    let (site, server) = shared();
    Client::new(server, site.key(role))
}
