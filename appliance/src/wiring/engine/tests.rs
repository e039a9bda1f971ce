use std::{path::Path, sync::Mutex};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::UnixListener,
};

use super::*;
use crate::pipeline::model::{ChatMessage, ChatRole, Priority, Sampling};

/// What an engine does with one request.
#[derive(Clone)]
enum Play {
    /// Answers with this status and nothing else.
    Status(u16),
    /// Streams these events, each in a packet of its own, and closes.
    Stream(Vec<String>),
    /// Streams these and says nothing more.
    Hang(Vec<String>),
    /// Says something that is no HTTP.
    Babble,
}

fn piece(text: &str) -> String {
    json!({"choices": [{"delta": {"content": text}, "finish_reason": null}]}).to_string()
}

fn end(reason: &str) -> String {
    json!({"choices": [{"delta": {}, "finish_reason": reason}]}).to_string()
}

/// What came to an engine: the path and the body of each request, and whether a connection was closed early.
#[derive(Default)]
struct Came {
    requests: Mutex<Vec<(String, Value)>>,
    closed: tokio::sync::Notify,
}

/// An engine at a socket in a folder of its own, which plays one part for every request.
struct Rig {
    folder: tempfile::TempDir,
    came: Arc<Came>,
    _serving: JoinSet<()>,
}

impl Rig {
    fn new(play: &Play) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("engine.sock")).unwrap();
        let (came, play) = (Arc::new(Came::default()), play.clone());
        let mut serving = JoinSet::new();
        let all = Arc::clone(&came);
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, play.clone(), Arc::clone(&all)));
            }
        });
        Self { folder, came, _serving: serving }
    }

    fn engine(&self, at_once: usize) -> Engine {
        engine(&self.folder.path().join("engine.sock"), at_once)
    }
}

fn engine(socket: &Path, at_once: usize) -> Engine {
    let config = config::Engine { socket: socket.to_owned(), model: "llama".to_owned(), context_tokens: 2048, at_once };
    Engine::new(&config, Metrics::new())
}

async fn serve(stream: UnixStream, play: Play, came: Arc<Came>) {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    let (mut path, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        read.read_line(&mut line).await.unwrap();
        if let Some(rest) = line.strip_prefix("POST ") {
            path = rest.split(' ').next().unwrap().to_owned();
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    read.read_exact(&mut body).await.unwrap();
    came.requests.lock().unwrap().push((path, serde_json::from_slice(&body).unwrap()));
    let (events, hangs) = match play {
        Play::Babble => {
            write.write_all(b"what?\r\n\r\n").await.unwrap();
            return;
        }
        Play::Status(status) => {
            let told = format!("HTTP/1.1 {status} Odd\r\ncontent-length: 8\r\n\r\nAna Cruz");
            write.write_all(told.as_bytes()).await.unwrap();
            return;
        }
        Play::Stream(events) => (events, false),
        Play::Hang(events) => (events, true),
    };
    write.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n").await.unwrap();
    for event in events {
        write.write_all(format!("data: {event}\n\n").as_bytes()).await.unwrap();
        write.flush().await.unwrap();
    }
    if hangs {
        // The end of what can be read is the other side's leaving.
        let mut rest = Vec::new();
        let _left = read.read_to_end(&mut rest).await;
        came.closed.notify_one();
    }
}

fn request(prompt: PromptText) -> GenerateRequest {
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    GenerateRequest { prompt, sampling: Sampling::greedy(32), deadline, salt: 7, priority: Priority::Interactive }
}

fn question() -> GenerateRequest {
    let said = |role, content: &str| ChatMessage { role, content: content.to_owned() };
    request(PromptText::Chat(vec![said(ChatRole::System, "Be brief."), said(ChatRole::User, "How cold?")]))
}

/// Everything that comes of a request, in words.
async fn all(engine: &Engine, request: GenerateRequest) -> Vec<String> {
    let shown = |event| match event {
        Event::Started { .. } => "started".to_owned(),
        Event::Text(text) => text,
        Event::Finished { reason, usage } => {
            format!("{reason:?} {} {}", usage.prompt_tokens, usage.completion_tokens)
        }
        Event::Failed(error) => format!("{error:?}"),
    };
    engine.generate(request).unwrap().map(shown).collect().await
}

#[tokio::test]
async fn an_engines_text_comes_piece_by_piece_with_its_own_count_of_tokens() {
    let used = json!({"choices": [], "usage": {"prompt_tokens": 20, "completion_tokens": 5}}).to_string();
    let play = Play::Stream(vec![piece("2 to "), piece("8 °C"), end("stop"), used, "[DONE]".to_owned()]);
    let rig = Rig::new(&play);
    let heard = all(&rig.engine(1), question()).await;
    assert_eq!(heard, ["started", "2 to ", "8 °C", "Stop 20 5"]);
    let (path, body) = rig.came.requests.lock().unwrap().remove(0);
    assert_eq!(path, "/v1/chat/completions");
    assert_eq!(body["messages"][1], json!({"role": "user", "content": "How cold?"}));
    assert_eq!((&body["model"], &body["temperature"], &body["top_k"]), (&json!("llama"), &json!(0.0), &json!(-1)));
    assert_eq!((&body["max_tokens"], &body["cache_salt"]), (&json!(32), &json!("0000000000000007")));
}

#[tokio::test]
async fn a_plain_prompt_goes_to_the_other_completions_and_its_stop_strings_with_it() {
    let play = Play::Stream(vec![json!({"choices": [{"text": " cold", "finish_reason": "length"}]}).to_string()]);
    let rig = Rig::new(&play);
    let mut request = request(PromptText::Plain("Keep it".to_owned()));
    request.sampling.stop = vec!["\n".to_owned()];
    request.sampling.seed = Some(u64::MAX);
    // It says no usage: the prompt's is estimated, a piece counts as a token.
    assert_eq!(all(&rig.engine(1), request).await, ["started", " cold", "Length 3 1"]);
    let (path, body) = rig.came.requests.lock().unwrap().remove(0);
    assert_eq!((path.as_str(), &body["prompt"], &body["stop"]), ("/v1/completions", &json!("Keep it"), &json!(["\n"])));
    assert_eq!(body["seed"], json!(0x7fff_ffff));
}

#[tokio::test]
async fn what_an_engine_does_wrong_fails_the_generation_and_is_not_repeated() {
    let cut = Play::Stream(vec![piece("2 to ")]);
    let done = Play::Stream(vec![piece("2 to "), "[DONE]".to_owned()]);
    let odd = Play::Stream(vec!["Ana Cruz".to_owned()]);
    for (play, says) in [
        (Play::Status(500), "Failed(\"the engine answered with status 500\")"),
        (Play::Status(400), "Refused(\"the engine refused it with status 400\")"),
        (Play::Status(503), "Busy { retry_after: 1s }"),
        (Play::Babble, "Failed"),
        (cut, "Failed(\"the engine: the stream ended before the text did\")"),
        (done, "Failed(\"the engine: it was done without having said why\")"),
        (odd, "Failed(\"the engine: a piece of its stream is not as it must be\")"),
    ] {
        let heard = all(&Rig::new(&play).engine(1), question()).await;
        let last = heard.last().unwrap();
        assert!(last.starts_with(says), "{last}");
        assert!(!heard.concat().contains("Ana"), "{heard:?}");
    }
    let nowhere = engine(Path::new("/nonexistent/engine.sock"), 1);
    let heard = all(&nowhere, question()).await.concat();
    assert!(heard.starts_with("Unreachable(\"nobody listens"), "{heard}");
    assert!(nowhere.reachable().is_err());
}

#[tokio::test]
async fn a_caller_who_leaves_is_seen_by_the_engine_and_gives_its_place_back() {
    let rig = Rig::new(&Play::Hang(vec![piece("2 ")]));
    let engine = rig.engine(1);
    let mut events = engine.generate(question()).unwrap();
    assert!(matches!(events.next().await, Some(Event::Started { .. })));
    assert!(matches!(events.next().await, Some(Event::Text(_))));
    assert!(matches!(engine.generate(question()), Err(GenerateError::Busy { .. })), "the one place is taken");
    drop(events);
    rig.came.closed.notified().await;
    let again = engine.generate(question());
    assert!(again.is_ok(), "the place was not given back");
}

#[tokio::test]
async fn a_deadline_ends_what_was_begun_and_fails_what_was_not() {
    let rig = Rig::new(&Play::Hang(vec![piece("2 ")]));
    let soon = |mut request: GenerateRequest| {
        request.deadline = std::time::Instant::now() + Duration::from_millis(300);
        request
    };
    let heard = all(&rig.engine(1), soon(question())).await;
    assert_eq!(heard.last().unwrap(), "Deadline 6 1");
    let silent = Rig::new(&Play::Hang(Vec::new()));
    assert_eq!(all(&silent.engine(1), soon(question())).await.last().unwrap(), "Deadline");
}

#[tokio::test]
async fn a_prompt_that_does_not_fit_is_refused_before_anything_is_sent() {
    let rig = Rig::new(&Play::Status(200));
    let long = request(PromptText::Plain("word ".repeat(2000)));
    assert!(matches!(rig.engine(1).generate(long), Err(GenerateError::TooLong { tokens: 3334, limit: 2016 })));
    assert!(rig.came.requests.lock().unwrap().is_empty());
}
