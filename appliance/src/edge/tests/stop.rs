//! An orderly stop.

use super::*;

#[tokio::test]
async fn a_running_request_is_let_to_end_and_no_new_one_begins() {
    let mut rig = rig();
    let mut served = rig.serve(config::Server::default()).await;
    let key = rig.key(Role::Agent);
    let mut stream = served.connect().await;
    let head = format!("GET /api/hang/7 HTTP/1.1\r\nhost: localhost\r\nx-api-key: {}\r\n\r\n", key.expose());
    stream.write_all(head.as_bytes()).await.unwrap();
    let handler = timeout(SOON, rig.begun.recv()).await.unwrap().unwrap();
    let mut idle = served.connect().await;
    served.stop.take().unwrap().send(()).unwrap();
    let mut answer = Vec::new();
    let _ = timeout(SOON, idle.read_to_end(&mut answer)).await.expect("an idle connection is kept");
    assert!(TcpStream::connect(served.address).await.is_err(), "the door is closed");
    handler.send(()).unwrap();
    let reply = Reply::read(&mut stream).await;
    assert_eq!(reply.status, 200);
    timeout(SOON, &mut served.task).await.expect("the server does not stop").unwrap();
    assert_eq!(rig.records(), ["ask", "done"]);
}

#[tokio::test]
async fn what_does_not_end_in_time_is_cut_off_and_recorded() {
    let mut rig = rig();
    let mut served = rig.serve(config::Server { drain_timeout_seconds: 0, ..config::Server::default() }).await;
    let key = rig.key(Role::Agent);
    let mut stream = served.connect().await;
    let head = format!("GET /api/hang/7 HTTP/1.1\r\nhost: localhost\r\nx-api-key: {}\r\n\r\n", key.expose());
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut handler = timeout(SOON, rig.begun.recv()).await.unwrap().unwrap();
    served.stop.take().unwrap().send(()).unwrap();
    timeout(SOON, &mut served.task).await.expect("the server does not stop").unwrap();
    timeout(SOON, handler.closed()).await.unwrap();
    rig.audit.flush().await.unwrap();
    assert_eq!(rig.records(), ["ask", "abandoned"]);
}
