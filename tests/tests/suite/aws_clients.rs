//! AWS's own client, unmodified, against the server.

use std::process::Command;

use cloister_tests::everything;

use super::{
    openai_clients::{cache, succeed},
    site::shared,
};

const PYTHON: &str = include_str!("../../fixtures/boto3_client.py");

#[test]
fn awss_client_for_python_retrieves_generates_converses_and_guards_and_is_refused_what_it_may_not() {
    if !everything(
        "awss_client_for_python_retrieves_generates_converses_and_guards_and_is_refused_what_it_may_not (needs PyPI)",
    ) {
        return;
    }
    let (site, server) = shared();
    let run = |arguments: &[&str]| {
        let output = site.run(arguments.iter().copied());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let issued = run(&["account", "issue", "prototype", "--role", "service", "--tenant", "pharmacy"]);
    let account = issued.split(':').next().unwrap();
    let credentials = site.path().join("aws-credentials");
    run(&["account", "access-key", account, "--key-file", &credentials.display().to_string()]);

    let python = cache().join("boto3/bin/python");
    if !python.exists() {
        succeed(Command::new("python3").args(["-m", "venv"]).arg(cache().join("boto3")));
    }
    succeed(Command::new(&python).args(["-m", "pip", "install", "-q", "boto3==1.44.8"]));
    let endpoint = format!("https://localhost:{}", server.address.port());
    let printed = succeed(
        Command::new(&python)
            .args(["-c", PYTHON, &endpoint, "procedures", "pharmacy", "smollm2-135m-instruct"])
            .env("AWS_SHARED_CREDENTIALS_FILE", &credentials)
            .env("AWS_CA_BUNDLE", site.path().join("tls/ca.pem"))
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env_remove("AWS_ACCESS_KEY_ID")
            .env_remove("AWS_PROFILE"),
    );
    for done in ["refused", "conversed", "guarded"] {
        assert!(printed.contains(&format!("\"{done}\": true")), "{printed}");
    }
}
