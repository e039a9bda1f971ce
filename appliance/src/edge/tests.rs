//! The edge as a caller sees it: real sockets, real TLS.

use cloister_terms::Role;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::{
    rig::{Reply, Rig, SOON},
    router::Access,
};
use crate::config;

mod certificates;
mod log;
mod stop;

fn rig() -> Rig {
    Rig::new(&config::Limits::default())
}

fn quick() -> config::Server {
    config::Server { header_timeout_seconds: 1, idle_timeout_seconds: 1, ..config::Server::default() }
}

#[tokio::test]
async fn a_request_is_answered_over_tls_with_an_id_and_hard_headers() {
    let rig = rig();
    let served = rig.serve(config::Server::default()).await;
    let reply = served.post("/api/echo", &rig.key(Role::Agent), r#"{"a":1}"#).await;
    assert_eq!((reply.status, reply.body.as_str()), (200, r#"{"a":1}"#));
    assert_eq!(reply.header("x-request-id").unwrap().len(), 32);
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "deny"),
        ("cache-control", "no-store"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ("referrer-policy", "no-referrer"),
    ] {
        assert_eq!(reply.header(name), Some(value), "{name}");
    }
    assert_eq!(rig.records(), ["ask", "done"]);
}

#[tokio::test]
async fn a_given_request_id_comes_back_and_stands_on_the_record() {
    let rig = rig();
    let served = rig.serve(config::Server::default()).await;
    let id = "0123456789abcdef0123456789abcdef";
    let key = rig.key(Role::Operator);
    let head = format!("GET /metrics HTTP/1.1\nx-request-id: {id}\nx-api-key: {}", key.expose());
    assert_eq!(served.ask(&head, "").await.header("x-request-id"), Some(id));
    let record = &rig.audit.since(0, 1).unwrap()[0];
    let cloister_governance::audit::Body::Intent(intent) = &record.body else { panic!() };
    assert_eq!(intent.request.to_string(), id);
    let other = served.ask("GET /livez HTTP/1.1\nx-request-id: jane roe", "").await;
    assert!(!other.head.contains("jane"), "free text is not taken over");
}

#[tokio::test]
async fn tls_1_2_is_refused() {
    let rig = rig();
    let served = rig.serve(config::Server::default()).await;
    // The client library that is built here knows 1.3 alone, as the server does: an old hello is sent by hand.
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(&client_hello_1_2()).await.unwrap();
    let mut answer = Vec::new();
    timeout(SOON, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    // Alert (21), fatal (2), protocol_version (70); RFC 8446, section 6.
    assert_eq!(answer, [21, 3, 3, 0, 2, 2, 70]);
}

/// The least hello of TLS 1.2: one cipher suite of its day, and no `supported_versions`.
fn client_hello_1_2() -> Vec<u8> {
    let extensions = [
        &[0x00, 0x0A, 0x00, 0x04, 0x00, 0x02, 0x00, 0x17][..], // supported_groups: secp256r1
        &[0x00, 0x0D, 0x00, 0x04, 0x00, 0x02, 0x04, 0x03],     // signature_algorithms: ecdsa_secp256r1_sha256
    ]
    .concat();
    let mut body = vec![3, 3];
    body.extend([7; 32]); // random
    body.push(0); // no session
    body.extend([0, 2, 0xC0, 0x2B, 1, 0]); // TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, no compression
    body.extend((extensions.len() as u16).to_be_bytes());
    body.extend(extensions);
    let mut handshake = vec![1, 0];
    handshake.extend((body.len() as u16).to_be_bytes());
    handshake.extend(body);
    let mut record = vec![22, 3, 1];
    record.extend((handshake.len() as u16).to_be_bytes());
    record.extend(handshake);
    record
}

#[tokio::test]
async fn the_certificate_can_be_changed_while_serving() {
    let rig = rig();
    let served = rig.serve(config::Server::default()).await;
    let before = served.connect().await.get_ref().1.peer_certificates().unwrap()[0].clone();
    std::fs::remove_file(rig.folder.path().join("tls/server.pem")).unwrap();
    assert!(served.certificate.reload().is_err(), "what is not there cannot be used");
    assert_eq!(served.connect().await.get_ref().1.peer_certificates().unwrap()[0], before, "the old one stays");
    let names = super::names::of_this_host(&[]);
    super::authority::ensure(&rig.folder.path().join("tls"), &names, rig.now()).unwrap();
    served.certificate.reload().unwrap();
    assert_ne!(served.connect().await.get_ref().1.peer_certificates().unwrap()[0], before);
}

#[tokio::test]
async fn errors_take_the_form_of_the_face_that_was_called() {
    let rig = rig();
    let served = rig.serve(config::Server::default()).await;
    let native = served.get("/api/nothing-here", None).await;
    assert_eq!((native.status, native.header("content-type")), (404, Some("application/problem+json")));
    assert_eq!(native.json()["code"], "not_found");
    assert_eq!(native.json()["request_id"], native.header("x-request-id").unwrap());
    let openai = served.get("/v1/nothing-here", None).await;
    assert_eq!((openai.status, openai.header("content-type")), (404, Some("application/json")));
    assert_eq!(openai.json()["error"]["type"], "invalid_request_error");
    assert_eq!(openai.json()["error"]["code"], "not_found");
    assert_eq!(served.get("/api/echo", None).await.status, 405);
}

#[tokio::test]
async fn what_is_wrong_with_a_body_is_said_without_quoting_it() {
    let rig = rig();
    let served = rig.serve(config::Server::default()).await;
    let reply = served.post("/v1/echo", &rig.key(Role::Agent), "{\"name\": Jane Roe}").await;
    assert_eq!((reply.status, reply.json()["error"]["code"].as_str()), (400, Some("invalid_body")));
    assert!(reply.body.contains("line 1, column 10") && !reply.body.contains("Jane"), "{}", reply.body);
    let key = rig.key(Role::Agent);
    let head = format!("POST /api/echo HTTP/1.1\nx-api-key: {}\ncontent-type: text/plain", key.expose());
    assert_eq!(served.ask(&head, "{}").await.status, 415);
    assert!(rig.records().is_empty(), "no work was begun");
}

#[tokio::test]
async fn a_body_above_the_limit_is_refused_declared_or_not() {
    let rig = rig();
    let served = rig.serve(config::Server { body_limit_bytes: 100, ..config::Server::default() }).await;
    let key = rig.key(Role::Agent);
    let long = format!("\"{}\"", "x".repeat(200));
    let declared = served.post("/api/echo", &key, &long).await;
    assert_eq!((declared.status, declared.json()["code"].as_str()), (413, Some("body_too_large")));
    let head = format!(
        "POST /api/echo HTTP/1.1\nx-api-key: {}\ncontent-type: application/json\ntransfer-encoding: chunked",
        key.expose()
    );
    let mut stream = served.connect().await;
    let request = format!(
        "{}\r\nhost: localhost\r\nconnection: close\r\n\r\nca\r\n{long}\r\n0\r\n\r\n",
        head.replace('\n', "\r\n")
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let chunked = Reply::read(&mut stream).await;
    assert_eq!((chunked.status, chunked.json()["code"].as_str()), (413, Some("body_too_large")));
    assert_eq!(served.post("/api/echo", &key, "{}").await.status, 200);
}

#[tokio::test]
async fn a_caller_who_is_slow_with_the_head_is_cut_off() {
    let rig = rig();
    let served = rig.serve(quick()).await;
    let mut stream = served.connect().await;
    stream.write_all(b"GET /livez HTTP/1.1\r\nhost: loc").await.unwrap();
    let mut answer = Vec::new();
    // The test waits for the server to close; nothing else ends the read.
    let _ = timeout(SOON, stream.read_to_end(&mut answer)).await.expect("the connection stays open");
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let rig = rig();
    let served = rig.serve(quick()).await;
    let mut stream = served.connect().await;
    stream.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = timeout(SOON, stream.read_to_end(&mut answer)).await.expect("the connection stays open");
    assert!(answer.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn a_caller_who_never_speaks_tls_is_cut_off() {
    let rig = rig();
    let served = rig.serve(config::Server { handshake_timeout_seconds: 1, ..config::Server::default() }).await;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    let mut answer = Vec::new();
    let _ = timeout(SOON, stream.read_to_end(&mut answer)).await.expect("the connection stays open");
}

#[tokio::test]
async fn a_body_that_stands_still_is_cut_off() {
    let rig = rig();
    let served = rig.serve(quick()).await;
    let key = rig.key(Role::Agent);
    let mut stream = served.connect().await;
    let head = format!(
        "POST /api/echo HTTP/1.1\r\nhost: localhost\r\nx-api-key: {}\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{{\"a\"",
        key.expose()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let reply = timeout(SOON, Reply::read(&mut stream)).await.expect("the connection stays open");
    assert_eq!((reply.status, reply.json()["code"].as_str()), (408, Some("body_too_slow")));
}

#[tokio::test]
async fn a_caller_who_does_not_read_is_cut_off() {
    let rig = rig();
    let served = rig.serve(quick()).await;
    let mut stream = served.connect().await;
    stream.write_all(b"GET /large HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    // Nothing is read until the server has given up, which its own log of requests shows.
    let metrics = rig.shared.metrics.clone();
    let gave_up = async {
        while !metrics.render().contains("path=\"/large\"") {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, gave_up).await.expect("the server waits for ever");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.len() < 64 * 1024 * 1024);
}

#[tokio::test]
async fn when_the_caller_leaves_the_handler_is_dropped_and_recorded_as_abandoned() {
    let mut rig = rig();
    let served = rig.serve(config::Server::default()).await;
    let key = rig.key(Role::Agent);
    let mut stream = served.connect().await;
    let head = format!("GET /api/hang/7 HTTP/1.1\r\nhost: localhost\r\nx-api-key: {}\r\n\r\n", key.expose());
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut handler = timeout(SOON, rig.begun.recv()).await.unwrap().unwrap();
    drop(stream);
    timeout(SOON, handler.closed()).await.expect("the handler goes on without its caller");
    rig.audit.flush().await.unwrap();
    assert_eq!(rig.records(), ["ask", "abandoned"]);
}

#[tokio::test]
async fn a_panic_is_a_500_that_tells_nothing_and_the_server_lives() {
    let rig = rig();
    let served = rig.serve(config::Server::default()).await;
    let key = rig.key(Role::Agent);
    let reply = served.get("/api/panic", Some(&key)).await;
    assert_eq!((reply.status, reply.json()["code"].as_str()), (500, Some("internal")));
    assert!(!reply.body.contains("canary"));
    rig.audit.flush().await.unwrap();
    assert_eq!(rig.records(), ["ask", "abandoned"]);
    assert_eq!(served.get("/livez", None).await.status, 200);
}

#[tokio::test]
async fn a_handler_that_answers_without_a_record_is_answered_for() {
    let rig = rig();
    let served = rig.serve(config::Server::default()).await;
    let key = rig.key(Role::Agent);
    for path in ["/api/ungoverned", "/api/undeclared"] {
        let reply = served.get(path, Some(&key)).await;
        assert_eq!(reply.status, 500, "{path}");
        assert!(!reply.body.contains("secret"), "{path}");
    }
    assert!(rig.records().is_empty());
}

#[tokio::test]
async fn every_route_is_governed_or_says_why_it_is_open() {
    let routes = Rig::routes();
    let open: Vec<_> = routes.list().iter().filter(|route| matches!(route.access, Access::Open(_))).collect();
    assert_eq!(open.iter().map(|route| route.path).collect::<Vec<_>>(), ["/livez", "/readyz", "/large"]);
    let json = serde_json::to_value(routes.list().iter().map(AsRef::as_ref).collect::<Vec<_>>()).unwrap();
    assert_eq!(
        json[2],
        serde_json::json!({"method": "GET", "path": "/metrics", "access": {"governed": ["read_metrics"]}})
    );
}

#[tokio::test]
async fn when_there_is_no_room_work_is_refused_and_probes_are_answered() {
    let mut rig = rig();
    let served = rig.serve(config::Server { max_in_flight: 1, ..config::Server::default() }).await;
    let key = rig.key(Role::Agent);
    let mut stream = served.connect().await;
    let head = format!(
        "GET /api/hang/7 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nx-api-key: {}\r\n\r\n",
        key.expose()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let handler = timeout(SOON, rig.begun.recv()).await.unwrap().unwrap();
    let refused = served.post("/v1/echo", &key, "{}").await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert_eq!(served.get("/livez", None).await.status, 200);
    handler.send(()).unwrap();
    assert_eq!(Reply::read(&mut stream).await.status, 200);
    assert_eq!(served.post("/v1/echo", &key, "{}").await.status, 200, "room came back");
}

#[tokio::test]
async fn one_address_cannot_take_every_connection() {
    let rig = rig();
    let served = rig.serve(config::Server { max_connections_per_source: 2, ..config::Server::default() }).await;
    let (_a, _b) = (served.connect().await, served.connect().await);
    let mut third = TcpStream::connect(served.address).await.unwrap();
    let mut answer = Vec::new();
    let _ = timeout(SOON, third.read_to_end(&mut answer)).await.expect("the third connection is held");
    assert!(answer.is_empty());
}

#[tokio::test]
async fn an_account_that_asks_too_often_is_told_when_to_come_back() {
    let rig = Rig::new(&config::Limits { requests_per_minute: 1, burst: 2, ..config::Limits::default() });
    let served = rig.serve(config::Server::default()).await;
    let (key, other) = (rig.key(Role::Agent), rig.key(Role::Agent));
    assert_eq!(served.post("/v1/echo", &key, "{}").await.status, 200);
    assert_eq!(served.post("/v1/echo", &key, "{}").await.status, 200);
    let refused = served.post("/v1/echo", &key, "{}").await;
    assert_eq!((refused.status, refused.json()["error"]["code"].as_str()), (429, Some("rate_limited")));
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(served.post("/v1/echo", &other, "{}").await.status, 200);
}

#[tokio::test]
async fn every_bad_key_gets_the_same_401_and_too_many_get_429() {
    let rig = Rig::new(&config::Limits { refusals_per_minute: 3, ..config::Limits::default() });
    let served = rig.serve(config::Server::default()).await;
    let good = rig.key(Role::Agent);
    let revoked = rig.key(Role::Agent);
    let account = revoked.expose().split('_').nth(1).unwrap().parse().unwrap();
    rig.accounts.revoke(&account).unwrap();
    let unknown = "clk_000000000000_0000000000000000000000000000000000000000000";
    let mut bodies = Vec::new();
    for key in [unknown, revoked.expose(), "nonsense"] {
        let reply = served.ask(&format!("GET /api/ungoverned HTTP/1.1\nx-api-key: {key}"), "").await;
        assert_eq!((reply.status, reply.header("www-authenticate")), (401, Some("bearer")));
        let mut body = reply.json();
        body["request_id"] = serde_json::Value::Null;
        bodies.push(body);
    }
    assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]), "{bodies:?}");
    assert_eq!(served.get("/api/ungoverned", None).await.status, 429);
    assert_eq!(served.post("/api/echo", &good, "{}").await.status, 200, "a right key is let in all the same");
}

#[tokio::test]
async fn a_denial_is_a_403_in_words_and_is_recorded() {
    let rig = rig();
    let served = rig.serve(config::Server::default()).await;
    let reply = served.post("/api/echo", &rig.key(Role::Operator), "{}").await;
    assert_eq!((reply.status, reply.json()["code"].as_str()), (403, Some("role_not_allowed")));
    assert_eq!(reply.json()["detail"], "the role `operator` does not include `ask`");
    assert_eq!(rig.records(), ["ask", "denied"]);
}

#[tokio::test]
async fn without_an_audit_log_no_work_is_done() {
    let rig = rig();
    let served = rig.serve(config::Server::default()).await;
    let key = rig.key(Role::Agent);
    assert_eq!(served.get("/readyz", None).await.status, 200);
    rig.store.audit().connect().unwrap().execute_batch("DROP TABLE records").unwrap();
    for _ in 0..2 {
        let reply = served.post("/api/echo", &key, r#"{"canary":1}"#).await;
        assert_eq!((reply.status, reply.json()["code"].as_str()), (503, Some("audit_unavailable")));
        assert!(!reply.body.contains("canary"));
    }
    let ready = served.get("/readyz", None).await;
    assert_eq!(ready.status, 503);
    assert_eq!(
        ready.json()["checks"][1],
        serde_json::json!({"name": "audit", "ok": false, "problem": "the audit log refuses work"})
    );
    assert_eq!(served.get("/livez", None).await.status, 200);
}

#[tokio::test]
async fn metrics_are_for_those_who_may_read_them_and_name_nobody() {
    let rig = rig();
    let served = rig.serve(config::Server::default()).await;
    let (agent, operator) = (rig.key(Role::Agent), rig.key(Role::Operator));
    served.get("/api/hidden-canary?name=canary", Some(&agent)).await;
    assert_eq!(served.get("/metrics", None).await.status, 401);
    assert_eq!(served.get("/metrics", Some(&agent)).await.status, 403);
    let reply = served.get("/metrics", Some(&operator)).await;
    assert!(
        reply.body.contains("cloister_http_requests_total{method=\"GET\",path=\"unmatched\",status=\"4xx\"} 1"),
        "{}",
        reply.body
    );
    assert!(reply.body.contains("cloister_http_request_duration_seconds_bucket"));
    assert!(!reply.body.contains("canary") && !reply.body.contains("larkfield") && !reply.body.contains("desk"));
    let names = reply.body.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    for name in names {
        let unit = ["_seconds", "_bytes", "_total", "_ratio"].iter().any(|unit| name.ends_with(unit));
        assert!(name.starts_with("cloister_") && unit, "{name}");
    }
}
