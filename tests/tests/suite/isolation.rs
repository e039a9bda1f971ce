//! Nothing leaves: the server answers on a socket it inherited, inside a network namespace that has no route.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use cloister_tests::everything;
use serde_json::json;

use super::site::program;

/// Binds the socket as systemd would, then becomes the server inside an empty network namespace, same process id.
const LAUNCH: &str = r#"
import os, socket, sys
listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
listener.bind(("127.0.0.1", 0))
listener.listen(64)
print(listener.getsockname()[1], flush=True)
if listener.fileno() != 3:
    os.dup2(listener.fileno(), 3, inheritable=True)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execvp("unshare", ["unshare", "--net", *sys.argv[1:]])
"#;

#[test]
fn the_server_answers_from_a_network_namespace_without_a_route() {
    if !everything("the_server_answers_from_a_network_namespace_without_a_route (needs root)") {
        return;
    }
    let site = program().site();
    let under_test = env!("CARGO_BIN_EXE_cloister-under-test");
    let mut child = Command::new("python3")
        .args(["-c", LAUNCH, under_test, "serve", "--config", &site.config()])
        .env("CLOISTER_TEST_LEASH", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let port: u16 = lines.next().unwrap().unwrap().parse().unwrap();
    let ready = lines.map_while(Result::ok).any(|line| line.starts_with("listening on https://"));
    assert!(ready, "the server did not become ready");
    // The first line, where there is one, names the columns.
    let routes = fs::read_to_string(format!("/proc/{}/net/route", child.id())).unwrap();
    assert_eq!(routes.lines().skip(1).collect::<Vec<_>>(), Vec::<&str>::new(), "the namespace has a route");
    let server = cloister_tests::Server::adopt(child, ([127, 0, 0, 1], port).into(), &site);
    let agent = cloister_tests::Client::new(&server, site.key("agent"));
    let reply = agent.post("/api/ask", &json!({ "question": "How do I transfer a prescription to another pharmacy?" }));
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(!reply.json()["citations"].as_array().unwrap().is_empty());
}
