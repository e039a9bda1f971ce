//! The official OpenAI clients, unmodified, against the server.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use cloister_tests::{Client, Server, Site, everything};

use super::site::program;

const PYTHON: &str = include_str!("../../fixtures/openai_client.py");
const JAVASCRIPT: &str = include_str!("../../fixtures/openai_client.mjs");

fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn cache() -> PathBuf {
    cloister_models::cache_dir().join("test-clients")
}

fn arguments(site: &Site, server: &Server) -> [String; 5] {
    [
        format!("https://localhost:{}/v1", server.address.port()),
        site.key("service"),
        "pharmacy".to_owned(),
        "smollm2-135m-instruct".to_owned(),
        "all-minilm-l6-v2".to_owned(),
    ]
}

/// The value of a metric without labels, in what `/metrics` said.
fn metric(text: &str, name: &str) -> f64 {
    let line = text.lines().find(|line| line.split(' ').next() == Some(name));
    line.unwrap_or_else(|| panic!("/metrics lacks {name}")).split(' ').nth(1).unwrap().parse().unwrap()
}

fn generations(operator: &Client) -> f64 {
    let text = operator.get("/metrics").text();
    metric(&text, "cloister_generations_running") + metric(&text, "cloister_generations_waiting")
}

fn nothing_is_left_running(operator: &Client) {
    let until = Instant::now() + Duration::from_secs(5);
    while generations(operator) > 0.0 {
        assert!(Instant::now() < until, "an abandoned generation is still running");
    }
    assert!(
        metric(&operator.get("/metrics").text(), "cloister_generations_cancelled_total") >= 2.0,
        "both tries were cancelled"
    );
}

/// Runs `client`, which asks one thing at a time, and returns the most generations that ran or waited at once meanwhile.
/// An abandoned one that went on would be seen beside the try after it, which lasts for seconds.
fn most_at_once(operator: &Client, client: impl FnOnce()) -> f64 {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut most = 0.0_f64;
            while !over.load(Ordering::Acquire) {
                most = most.max(generations(operator));
                std::thread::sleep(Duration::from_millis(50));
            }
            most
        });
        // Also where the client fails: the watch must end for the failure to be told.
        let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(client));
        over.store(true, Ordering::Release);
        let most = watch.join().unwrap();
        ran.unwrap_or_else(|failure| std::panic::resume_unwind(failure));
        most
    })
}

#[test]
fn the_openai_clients_for_python_and_javascript_work_unmodified() {
    if !everything("the_openai_clients_for_python_and_javascript_work_unmodified (needs PyPI, npm and Node)") {
        return;
    }
    // A server of its own: nobody else's generations are counted.
    let site = program().site();
    let server = site.serve();
    let operator = Client::new(&server, site.key("operator"));
    let authority = site.path().join("tls/ca.pem");

    let python = cache().join("python/bin/python");
    if !python.exists() {
        succeed(Command::new("python3").args(["-m", "venv"]).arg(cache().join("python")));
    }
    succeed(Command::new(&python).args(["-m", "pip", "install", "-q", "openai==3.51.0"]));
    let most = most_at_once(&operator, || {
        let mut client = Command::new(&python);
        client.args(["-c", PYTHON]).args(arguments(&site, &server)).env("SSL_CERT_FILE", &authority);
        let printed = succeed(&mut client);
        assert!(printed.contains("\"timed_out\": true"), "{printed}");
    });
    assert!((0.5..1.5).contains(&most), "{most} generations at once");
    nothing_is_left_running(&operator);

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
    let most = most_at_once(&operator, || {
        let mut client = Command::new("node");
        succeed(client.arg(&script).args(arguments(&site, &server)).env("NODE_EXTRA_CA_CERTS", &authority));
    });
    assert!((0.5..1.5).contains(&most), "{most} generations at once");
    nothing_is_left_running(&operator);
}
