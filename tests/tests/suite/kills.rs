//! The whole service killed without warning, again and again, while eight clients write over HTTPS and a command ingests:
//! what was acknowledged is there after the next start, the start is clean, and store, index and audit log agree.
//!
//! What was acknowledged is kept in this process, outside of the service. Each kill checks what is new since the one
//! before, so that two hundred take a hundred times as long as two.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufRead, BufReader},
    process::{Child, Output, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use cloister_tests::{Client, Reply, Server, Site};
use serde_json::{Value, json};

use super::{
    revoking::person,
    site::{Over, program},
};

/// How many times the service is killed; `CLOISTER_KILLS=200` for the long run.
fn kills() -> usize {
    std::env::var("CLOISTER_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(4)
}

const CLIENTS: usize = 8;

/// Kills that share a collection: verifying one is as long as the collection.
const KILLS_A_COLLECTION: usize = 10;

/// Documents that one command ingests.
const DOCUMENTS: usize = 6;

const QUESTIONS: [&str; 3] = [
    "At what temperature must vaccines be stored?",
    "How do I transfer a prescription to another pharmacy?",
    "What happens when a medicine is recalled?",
];

/// Something that the service said it had done.
enum Acknowledged {
    /// A request, with the action that it was and the session that it belonged to.
    Request { request: String, action: &'static str, session: Option<String> },
    /// A document, by its name.
    Document(String),
    /// An account, by its key.
    Account(String),
}

/// One life of the service, from its start to its kill.
struct Life<'a> {
    site: &'a Site,
    client: Client,
    collection: String,
    number: usize,
    /// Set just before the kill: from then on, and not before, a request may fail.
    over: AtomicBool,
    /// The command that is running beside the server.
    command: Mutex<Option<Child>>,
}

/// What came back.
struct Answered {
    action: &'static str,
    /// 0 where the answer is not there in full.
    status: u16,
    request: Option<String>,
    session: Option<String>,
}

impl Answered {
    fn of(action: &'static str, reply: &Reply) -> Self {
        let header = |name| reply.header(name).map(str::to_owned);
        Self { action, status: reply.status, request: header("x-request-id"), session: header("cloister-session") }
    }
}

impl Life<'_> {
    /// One of the eight clients: asks, in one piece or streamed, searches, and ends its session, over and over.
    fn ask(&self, client: usize, said: &Sender<Acknowledged>) {
        let mut session: Option<String> = None;
        for number in client.. {
            if self.over.load(Ordering::Acquire) {
                return;
            }
            let question = QUESTIONS[number % QUESTIONS.len()];
            let within = session.as_ref().map(|id| format!("Cloister-Session: {id}\r\n")).unwrap_or_default();
            let answered = match number % 5 {
                0..=1 => self.asked(&json!({"question": question, "session": session}), &within),
                2 => self.streamed(&json!({"question": question, "session": session, "stream": true})),
                3 => self.searched(question, &within),
                _ => match session.take() {
                    Some(over) => self.ended(&over),
                    None => continue,
                },
            };
            let Answered { action, status, request, session: new } = answered;
            let Some(request) = request.filter(|_| matches!(status, 200 | 204)) else {
                return assert!(self.over.load(Ordering::Acquire), "{action} failed before the kill: {status}");
            };
            if action != "end_session" {
                assert!(session.is_none() || new == session, "another session than was named");
                session.clone_from(&new);
            }
            let _nobody_listens_after_the_kill = said.send(Acknowledged::Request { request, action, session: new });
        }
    }

    fn asked(&self, body: &Value, within: &str) -> Answered {
        let headers = format!("Content-Type: application/json\r\n{within}");
        Answered::of("ask", &self.client.send("POST", "/api/ask", &headers, body.to_string().as_bytes()))
    }

    /// Acknowledged with its last event, not with its first.
    fn streamed(&self, body: &Value) -> Answered {
        let nothing = Answered { action: "ask", status: 0, request: None, session: None };
        let Ok(mut stream) = self.client.stream("/api/ask", body) else { return nothing };
        let header = |name| stream.header(name).map(str::to_owned);
        let (request, session) = (header("x-request-id"), header("cloister-session"));
        let mut whole = stream.status != 200;
        while let Some(line) = stream.line() {
            whole |= line == "event: answer";
        }
        Answered { status: if whole { stream.status } else { 0 }, request, session, ..nothing }
    }

    fn searched(&self, query: &str, within: &str) -> Answered {
        let headers = format!("Content-Type: application/json\r\n{within}");
        let body = json!({ "query": query }).to_string();
        let path = "/api/collections/procedures/search";
        Answered::of("search", &self.client.send("POST", path, &headers, body.as_bytes()))
    }

    fn ended(&self, session: &str) -> Answered {
        let reply = self.client.send("DELETE", &format!("/api/sessions/{session}"), "", b"");
        Answered { session: Some(session.to_owned()), ..Answered::of("end_session", &reply) }
    }

    /// Ingests new documents and issues accounts, by one command after the other.
    fn work(&self, said: &Sender<Acknowledged>) {
        let folder = tempfile::tempdir().unwrap();
        for run in 0.. {
            for n in 0..DOCUMENTS {
                let name = format!("bulletin-{}-{run}-{n}.md", self.number);
                fs::write(folder.path().join(name), format!("# Bulletin {n}\n\nShelf {run} of {}.\n", self.number))
                    .unwrap();
            }
            let path = folder.path().to_str().unwrap();
            let ingested = self.run(&["kb", "ingest", self.collection.as_str(), path, "--json"], &mut |line| {
                let event: Value = serde_json::from_str(line).unwrap_or_default();
                if event["outcome"] == "added" {
                    let name = event["name"].as_str().unwrap().to_owned();
                    let _nobody_listens_after_the_kill = said.send(Acknowledged::Document(name));
                }
            });
            let (name, key) = (format!("till-{}-{run}", self.number), folder.path().join("key"));
            let _the_last_one = fs::remove_file(&key);
            let path = key.to_str().unwrap();
            let issue =
                ["account", "issue", name.as_str(), "--role", "agent", "--tenant", "pharmacy", "--key-file", path];
            let issued = ingested && self.run(&issue, &mut |_| {});
            if !issued {
                return assert!(self.over.load(Ordering::Acquire), "a command failed before the kill");
            }
            let key = fs::read_to_string(&key).unwrap().trim().to_owned();
            let _nobody_listens_after_the_kill = said.send(Acknowledged::Account(key));
            for entry in fs::read_dir(folder.path()).unwrap() {
                fs::remove_file(entry.unwrap().path()).unwrap();
            }
        }
    }

    /// Runs a command, which the kill ends too. Whether it succeeded.
    fn run(&self, arguments: &[&str], line: &mut dyn FnMut(&str)) -> bool {
        let mut command = self.site.program().command();
        command.args(arguments).args(["--config", &self.site.config()]).stdout(Stdio::piped()).stderr(Stdio::null());
        let stdout = {
            let mut running = self.command.lock().unwrap();
            if self.over.load(Ordering::Acquire) {
                return false;
            }
            let child = running.insert(command.spawn().unwrap());
            child.stdout.take().unwrap()
        };
        BufReader::new(stdout).lines().map_while(Result::ok).for_each(|said| line(&said));
        let child = self.command.lock().unwrap().take();
        child.is_some_and(|mut child| child.wait().unwrap().success())
    }

    /// Kills server and command at once.
    fn kill(&self, server: Server) {
        self.over.store(true, Ordering::Release);
        if let Some(child) = self.command.lock().unwrap().as_mut() {
            let _ended_by_itself = child.kill();
        }
        drop(server);
    }
}

/// Everything that was acknowledged and is not yet looked for.
#[derive(Default)]
struct Record {
    requests: BTreeMap<String, (&'static str, Option<String>)>,
    documents: BTreeSet<String>,
    accounts: Vec<String>,
}

impl Record {
    fn note(&mut self, acknowledged: Acknowledged) {
        match acknowledged {
            Acknowledged::Request { request, action, session } => {
                assert!(self.requests.insert(request, (action, session)).is_none(), "two requests with one id");
            }
            Acknowledged::Document(name) => assert!(self.documents.insert(name)),
            Acknowledged::Account(key) => self.accounts.push(key),
        }
    }

    /// Notes what is said until `kill` is due: every other one after so many requests, the others after the first document
    /// or account; and then some microseconds later.
    fn listen(&mut self, said: &Receiver<Acknowledged>, kill: usize) {
        // Spread by fixed multipliers, not by chance alone.
        let requests = 1 + (kill * 0x9E37) % 160;
        let until = Instant::now() + Duration::from_secs(300);
        loop {
            match said.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(acknowledged) => self.note(acknowledged),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => panic!("nothing is acknowledged"),
            }
            let due = match kill % 4 {
                1 => !self.documents.is_empty(),
                3 => !self.accounts.is_empty(),
                _ => self.requests.len() >= requests,
            };
            if due {
                break;
            }
        }
        thread::park_timeout(Duration::from_micros(kill as u64 * 937 % 20_000));
    }
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Runs a command that must succeed. Its standard output.
fn run(site: &Site, arguments: &[&str]) -> String {
    let output = site.run(arguments.iter().copied());
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// The records above `after`, read from the log itself. Returns the number of the last, and how many entries were cut off.
fn audited(site: &Site, after: u64, record: &Record) -> (u64, usize) {
    let exported = run(site, &["audit", "export", "--after", &after.to_string()]);
    let (mut last, mut intents, mut outcomes) = (after, BTreeMap::new(), BTreeMap::new());
    for line in exported.lines() {
        let mut one: Value = serde_json::from_str(line).unwrap();
        assert_eq!(one["sequence"], last + 1, "records are numbered without gaps");
        last += 1;
        let entry = one["entry"].as_str().unwrap().to_owned();
        if one["intent"].is_object() {
            intents.insert(entry, one["intent"].take());
        } else {
            outcomes.insert(entry, one["outcome"]["kind"].as_str().unwrap().to_owned());
        }
    }
    let mut requests = BTreeMap::new();
    for (entry, intent) in &intents {
        let outcome = outcomes.get(entry).map(String::as_str);
        // The command that exports has not ended yet.
        assert!(outcome.is_some() || intent["action"] == "read_audit", "an entry was left open: {intent}");
        requests.insert(intent["request"].as_str().unwrap(), (intent, outcome));
    }
    for (request, (action, session)) in &record.requests {
        let Some((intent, outcome)) = requests.get(request.as_str()) else {
            panic!("{action} {request} was acknowledged and is not on the record");
        };
        assert_eq!((intent["action"].as_str(), *outcome), (Some(*action), Some("done")), "{request}");
        assert_eq!(intent["session"].as_str(), session.as_deref(), "{action} {request}");
    }
    (last, outcomes.values().filter(|kind| *kind == "interrupted").count())
}

/// The names of the documents of a collection, which agrees with its index.
fn verified(site: &Site, collection: &str) -> BTreeSet<String> {
    run(site, &["kb", "verify", collection]);
    let shown: Value = serde_json::from_str(&run(site, &["kb", "show", collection, "--json"])).unwrap();
    shown["documents"].as_array().unwrap().iter().map(|d| d["name"].as_str().unwrap().to_owned()).collect()
}

/// Errors that the server logged. A start after a kill is clean: there are none.
fn errors(log: &str) -> Vec<&str> {
    log.lines().filter(|line| line.contains("\"level\":\"ERROR\"")).collect()
}

#[test]
fn killing_the_whole_service_under_eight_writers_loses_nothing_that_it_acknowledged() {
    let begun = Instant::now();
    let site = program().site();
    let settings =
        ["answer.composed=false", "models.generate=''", "limits.requests_per_minute=1000000", "limits.burst=1000000"];
    let mut server = site.serve_with(&settings);
    let mut signed_in = person(&site, &server, "a.lopez");
    let (mut after, mut interrupted, mut requests, mut accounts, mut cut_commands) = (0, 0, 0, 0, 0);
    let mut documents: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for kill in 0..kills() {
        let collection = format!("bulletins-{}", kill / KILLS_A_COLLECTION);
        if kill % KILLS_A_COLLECTION == 0 {
            run(&site, &["kb", "create", &collection]);
        }
        let life = Life {
            site: &site,
            client: Client::new(&server, site.key("agent")),
            collection: collection.clone(),
            number: kill,
            over: AtomicBool::new(false),
            command: Mutex::default(),
        };
        let mut record = Record::default();
        thread::scope(|scope| {
            let _over = Over(&life.over);
            let (say, said) = mpsc::channel();
            for client in 0..CLIENTS {
                let (life, say) = (&life, say.clone());
                scope.spawn(move || life.ask(client, &say));
            }
            scope.spawn(|| {
                let say = say;
                life.work(&say);
            });
            record.listen(&said, kill);
            cut_commands += u32::from(life.command.lock().unwrap().is_some());
            life.kill(server);
            // What it had said before it died, and was not noted yet, was acknowledged too.
            said.iter().for_each(|acknowledged| record.note(acknowledged));
        });

        server = site.serve_with(&settings);
        let client = Client::new(&server, site.key("agent"));
        assert_eq!(client.get("/readyz").status, 200, "after kill {kill}");
        assert_eq!(errors(&server.logged()), Vec::<&str>::new(), "after kill {kill}");
        let (last, cut) = audited(&site, after, &record);
        run(&site, &["audit", "verify"]);
        (after, interrupted) = (last, interrupted + cut);
        for key in &record.accounts {
            assert_eq!(client.with_key(key.as_str()).get("/api/collections").status, 200, "an account is lost");
        }
        let acknowledged = documents.entry(collection.clone()).or_default();
        acknowledged.append(&mut record.documents);
        let present = verified(&site, &collection);
        let lost: Vec<_> = acknowledged.difference(&present).collect();
        assert!(lost.is_empty(), "after kill {kill}: acknowledged and gone: {lost:?}");
        signed_in = signed_in.at(&server);
        assert_eq!(signed_in.get("/api/sign-in").status, 200, "after kill {kill}: a sign-in is lost");
        (requests, accounts) = (requests + record.requests.len(), accounts + record.accounts.len());
        if (kill + 1) % 10 == 0 {
            println!(
                "{} kills, {:?}: {requests} requests, {} documents, {accounts} accounts acknowledged, none lost; \
                 {interrupted} entries cut off, {cut_commands} commands cut short, {after} records",
                kill + 1,
                begun.elapsed(),
                documents.values().map(BTreeSet::len).sum::<usize>(),
            );
        }
    }
    // A sign-out that was acknowledged holds, and so does everything from the beginning.
    assert_eq!(signed_in.send("POST", "/api/sign-out", "", b"").status, 200);
    drop(server);
    let server = site.serve_with(&settings);
    assert_eq!(signed_in.at(&server).get("/api/sign-in").status, 401, "a sign-out is lost");
    run(&site, &["audit", "search", "--limit", "1"]);
    run(&site, &["audit", "verify"]);
    run(&site, &["kb", "verify"]);
    for (collection, acknowledged) in &documents {
        assert!(acknowledged.is_subset(&verified(&site, collection)), "{collection}");
    }
    let documents: usize = documents.values().map(BTreeSet::len).sum();
    println!(
        "{} kills in {:?}: {requests} requests, {documents} documents, {accounts} accounts acknowledged, none lost; \
         {interrupted} entries cut off, {cut_commands} commands cut short, {after} records",
        kills(),
        begun.elapsed(),
    );
    assert!(requests > kills() && documents > 0 && interrupted > 0 && cut_commands > 0, "the test shows little");
}
