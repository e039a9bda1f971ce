//! One site and one server that the scenarios which change nothing share.

use std::{
    fs,
    path::Path,
    process::Output,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use cloister_tests::{Client, Program, Server, Site};

/// Everything that a command said.
pub(crate) fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Writes a file, and returns its path for a command line.
pub(crate) fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// A suite of the first texts of our own suite of identifiers, in `folder`.
pub(crate) fn identifiers_suite(folder: &Path) -> String {
    const TEXTS: &str = include_str!("../../suites/larkfield/identifiers.jsonl");
    write(folder, "texts.jsonl", &TEXTS.lines().take(40).collect::<Vec<_>>().join("\n"));
    let suite =
        "name = \"s\"\nabout = \"s\"\n[[part]]\nid = \"identifiers\"\nkind = \"identifiers\"\nfile = \"texts.jsonl\"\n";
    write(folder, "suite.toml", suite)
}

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
