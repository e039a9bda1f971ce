//! The official OpenAI clients, unmodified, against the server.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use cloister_tests::{Client, Site, everything};

use super::site::{client, shared};

const PYTHON: &str = include_str!("../../fixtures/openai_client.py");
const JAVASCRIPT: &str = include_str!("../../fixtures/openai_client.mjs");

pub(super) fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

pub(super) fn cache() -> PathBuf {
    cloister_models::cache_dir().join("test-clients")
}

fn arguments(site: &Site) -> [String; 5] {
    let (_, server) = shared();
    [
        format!("https://localhost:{}/v1", server.address.port()),
        site.key("service"),
        "pharmacy".to_owned(),
        "smollm2-135m-instruct".to_owned(),
        "all-minilm-l6-v2".to_owned(),
    ]
}

/// The value of a metric without labels.
fn metric(operator: &Client, name: &str) -> f64 {
    let text = operator.get("/metrics").text();
    let line = text.lines().find(|line| line.split(' ').next() == Some(name));
    line.unwrap_or_else(|| panic!("/metrics lacks {name}")).split(' ').nth(1).unwrap().parse().unwrap()
}

fn nothing_is_left_running() {
    let operator = client("operator");
    let until = Instant::now() + Duration::from_secs(5);
    while metric(&operator, "cloister_generations_running") + metric(&operator, "cloister_generations_waiting") > 0.0 {
        assert!(Instant::now() < until, "an abandoned generation is still running");
    }
    assert!(metric(&operator, "cloister_generations_cancelled_total") >= 2.0, "both tries were cancelled");
}

#[test]
fn the_openai_clients_for_python_and_javascript_work_unmodified() {
    if !everything("the_openai_clients_for_python_and_javascript_work_unmodified (needs PyPI, npm and Node)") {
        return;
    }
    let (site, _) = shared();
    let authority = site.path().join("tls/ca.pem");

    let python = cache().join("python/bin/python");
    if !python.exists() {
        succeed(Command::new("python3").args(["-m", "venv"]).arg(cache().join("python")));
    }
    succeed(Command::new(&python).args(["-m", "pip", "install", "-q", "openai==3.51.0"]));
    let printed =
        succeed(Command::new(&python).args(["-c", PYTHON]).args(arguments(site)).env("SSL_CERT_FILE", &authority));
    assert!(printed.contains("\"timed_out\": true"), "{printed}");
    nothing_is_left_running();

    let folder = cache().join("javascript");
    std::fs::create_dir_all(&folder).unwrap();
    if !Path::new(&folder.join("node_modules/openai")).exists() {
        succeed(
            Command::new("npm")
                .args(["install", "--no-audit", "--no-fund", "--silent", "openai@7.55.0"])
                .current_dir(&folder),
        );
    }
    let script = folder.join("client.mjs");
    std::fs::write(&script, JAVASCRIPT).unwrap();
    succeed(Command::new("node").arg(&script).args(arguments(site)).env("NODE_EXTRA_CA_CERTS", &authority));
    nothing_is_left_running();
}
