//! House rules as tests: the arrows between crates, the length of files, the crate headers, README's map of the rooms,
//! and that the program links no HTTP client.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "every function here is a part of a test"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Lines of code a file may have, its unit tests not counted, outside kernels and tables.
const LONGEST_FILE: usize = 500;

/// Which room may depend on which: `terms <- {governance, guardrails, knowledge} <- appliance -> models`; `tests` and
/// `benches` stand on top; `models` knows nobody.
const ARROWS: &[(&str, &[&str])] = &[
    ("appliance/terms", &[]),
    ("appliance/governance", &["cloister-terms"]),
    ("appliance/guardrails", &["cloister-terms"]),
    ("knowledge", &["cloister-terms"]),
    ("models", &[]),
    ("models/fetch", &["cloister-models"]),
    (
        "appliance",
        &["cloister-governance", "cloister-guardrails", "cloister-knowledge", "cloister-models", "cloister-terms"],
    ),
    (
        "benches",
        &[
            "cloister",
            "cloister-governance",
            "cloister-guardrails",
            "cloister-knowledge",
            "cloister-models",
            "cloister-terms",
        ],
    ),
    (
        "tests",
        &[
            "cloister",
            "cloister-governance",
            "cloister-guardrails",
            "cloister-knowledge",
            "cloister-models",
            "cloister-terms",
        ],
    ),
];

fn root() -> PathBuf {
    std::path::PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).parent().unwrap().to_owned()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn manifest(folder: &str) -> toml::Table {
    read(&root().join(folder).join("Cargo.toml")).parse().unwrap()
}

fn rust_files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> =
        ["appliance", "models", "knowledge", "benches", "tests"].iter().map(|f| root().join(f)).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("fixtures") && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn every_member_of_the_workspace_has_its_arrows_here() {
    let workspace = manifest(".");
    let members: BTreeSet<&str> =
        workspace["workspace"]["members"].as_array().unwrap().iter().map(|m| m.as_str().unwrap()).collect();
    assert_eq!(members, ARROWS.iter().map(|(folder, _)| *folder).collect());
}

#[test]
fn a_crate_depends_only_on_the_rooms_its_arrows_name() {
    for (folder, allowed) in ARROWS {
        let manifest = manifest(folder);
        for section in ["dependencies", "build-dependencies"] {
            let Some(dependencies) = manifest.get(section).and_then(|d| d.as_table()) else { continue };
            for name in dependencies.keys().filter(|name| name.starts_with("cloister")) {
                assert!(allowed.contains(&name.as_str()), "{folder} must not depend on {name}");
            }
        }
    }
}

#[test]
fn no_file_outgrows_the_limit() {
    let mut long = BTreeMap::new();
    for path in rust_files() {
        let shown = path.strip_prefix(root()).unwrap().display().to_string();
        let is_test = shown.contains("/tests/") || shown.ends_with("tests.rs");
        if is_test || shown.contains("/kernel/") || shown.contains("/tables/") {
            continue;
        }
        let text = read(&path);
        let code = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap().lines().count();
        if code > LONGEST_FILE {
            long.insert(shown, code);
        }
    }
    assert!(long.is_empty(), "longer than {LONGEST_FILE} lines: {long:?}");
}

#[test]
fn every_library_says_what_it_is_what_it_is_not_and_why() {
    for (folder, _) in ARROWS {
        let library = root().join(folder).join("src/lib.rs");
        if !library.exists() {
            continue;
        }
        let text = read(&library);
        let header: String = text.lines().take_while(|line| line.starts_with("//!")).collect::<Vec<_>>().join("\n");
        for part in ["//! ```", "**What it is not", "# Why"] {
            assert!(header.contains(part), "{folder}/src/lib.rs: its header lacks `{part}`");
        }
    }
}

#[test]
fn modules_are_nouns_of_the_field() {
    for path in rust_files() {
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let vague = ["utils", "util", "common", "helper", "helpers", "manager", "misc", "mod"];
        assert!(!vague.contains(&stem), "{}: name it for what it holds", path.display());
    }
}

#[test]
fn unsafe_code_is_allowed_only_in_kernels_and_mapped_weights() {
    for path in rust_files() {
        let shown = path.strip_prefix(root()).unwrap().display().to_string();
        let may = shown.starts_with("models/src/kernel")
            || shown == "models/src/weights.rs"
            || shown == "models/src/weights/mapped.rs";
        let text = read(&path);
        let waives = text.lines().any(|line| {
            let line = line.trim_start();
            (line.starts_with("#[allow(") || line.starts_with("#![allow(") || line.starts_with("#[expect("))
                && line.contains(concat!("unsafe", "_code"))
        });
        assert!(may || !waives, "{shown} waives the lint against unsafe code");
    }
}

#[test]
fn the_map_of_the_rooms_in_the_readme_names_every_crate() {
    let readme = read(&root().join("README.md"));
    for (folder, _) in ARROWS {
        assert!(readme.contains(&format!("{folder}/")), "README.md: the map lacks {folder}/");
    }
    for line in readme.lines().filter_map(|line| line.strip_prefix("| `")) {
        let Some((path, _)) = line.split_once('`') else { continue };
        if path.ends_with('/') || path.ends_with(".rs") {
            assert!(root().join(path).exists(), "README.md: the map names {path}, which is not there");
        }
    }
}

#[test]
fn nothing_but_the_commands_that_ask_a_server_opens_a_connection_to_an_address() {
    let opens = ["TcpStream::connect", "TcpSocket::new", "lookup_host", "to_socket_addrs"];
    let tests = |path: &str| path.contains("/tests") || path.ends_with("/edge/rig.rs");
    let mut opening: Vec<String> = rust_files()
        .iter()
        .map(|path| path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned())
        .filter(|path| !path.starts_with("tests/") && !path.starts_with("benches/") && !tests(path))
        .filter(|path| opens.iter().any(|open| read(&root().join(path)).contains(open)))
        .collect();
    opening.sort();
    assert_eq!(opening, ["appliance/src/cli/client.rs"]);
}

#[test]
fn the_program_links_no_http_client() {
    let tree = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO"))
            .args(["tree", "--locked", "--offline", "-p", "cloister", "-e"])
            .args(arguments)
            .current_dir(root())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let crates = tree(&["normal", "--prefix", "none"]);
    let linked: BTreeSet<&str> = crates.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(linked.contains("hyper"), "the check reads the tree of another program");
    for client in
        ["reqwest", "ureq", "isahc", "curl", "attohttpc", "hf-hub", "hyper-rustls", "awc", "minreq", "surf", "tonic"]
    {
        assert!(!linked.contains(client), "{client} is linked");
    }
    // hyper's own client speaks over a connection that it is handed, as to the relay's socket, and opens none. What would
    // look names up and open some is hyper-util's.
    let features = tree(&["features", "-i", "hyper-util", "--depth", "1"]);
    assert!(!features.contains("feature \"client"), "hyper-util is built with a client: {features}");
}
