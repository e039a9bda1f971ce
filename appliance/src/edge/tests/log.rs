//! The request log.

use std::{
    io,
    sync::{Arc, Mutex},
};

use tracing_subscriber::fmt::MakeWriter;

use super::*;
use crate::edge::request_log::json_lines;

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl io::Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Kept {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn a_request_is_one_line_of_json_without_anything_of_the_patients() {
    let kept = Kept::default();
    // One thread: the default of this thread sees every task of the test.
    let _guard = tracing::subscriber::set_default(json_lines("debug", kept.clone()));
    let mut rig = rig();
    let served = rig.serve(config::Server::default()).await;
    let key = rig.key(Role::Agent);
    let account = rig.accounts.list().unwrap()[0].principal.account.to_string();
    let mut stream = served.connect().await;
    let head = format!(
        "GET /api/hang/canary-path?q=canary-query HTTP/1.1\r\nhost: canary-host\r\nreferer: canary\r\nx-api-key: {}\r\nx-request-id: canary\r\n\r\n",
        key.expose()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut handler = timeout(SOON, rig.begun.recv()).await.unwrap().unwrap();
    drop(stream);
    handler.closed().await;
    served.post("/api/echo", &key, "{\"canary\": canary}").await;
    served.get("/api/canary", Some(&key)).await;
    served.get("/api/panic", Some(&key)).await;
    served.ask("GET /api/echo HTTP/1.1\nx-api-key: clk_canary", "").await;
    drop(rig);

    let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
    assert!(!text.contains("canary"), "{text}");
    assert!(!text.contains(key.expose()));
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let requests: Vec<_> = lines.iter().filter(|line| line["target"] == "request").collect();
    let summary: Vec<_> =
        requests.iter().map(|line| (line["path"].as_str().unwrap(), line["status"].as_u64().unwrap())).collect();
    assert_eq!(
        summary,
        [("/api/hang/{id}", 499), ("/api/echo", 400), ("unmatched", 404), ("/api/panic", 500), ("/api/echo", 405)]
    );
    assert_eq!(requests[0]["account"], account);
    assert_eq!(requests[0]["method"], "GET");
    assert!(requests[0]["ms"].is_u64() && requests[0]["request_id"].as_str().unwrap().len() == 32);
}
