//! The walls around the parsing child, tried from both sides.
//!
//! This binary is its own child, so it brings its own `main`: started as `parse-worker` it parses; started as one of
//! the `probe-*` children it tries, from inside the walls, what an exploited parser would try. Everything else is the
//! small part of the test runner's protocol that `cargo test` and nextest use.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::panic, reason = "a test with a runner of its own")]

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use cloister_knowledge::parse::{InProcess, Limits, Parse, ParseError, Sandbox, Source, child};

const TESTS: [(&str, fn()); 9] = [
    ("a_document_comes_out_of_the_child_as_it_would_here", a_document_comes_out_of_the_child_as_it_would_here),
    ("the_child_can_open_no_file_and_start_nothing", the_child_can_open_no_file_and_start_nothing),
    ("a_child_that_opens_a_socket_dies", a_child_that_opens_a_socket_dies),
    ("a_file_that_needs_too_much_memory_fails_alone", a_file_that_needs_too_much_memory_fails_alone),
    ("a_pdf_that_unpacks_to_gigabytes_fails_alone", a_pdf_that_unpacks_to_gigabytes_fails_alone),
    ("a_child_that_never_answers_is_killed_in_time", a_child_that_never_answers_is_killed_in_time),
    (
        "a_parser_that_never_ends_is_stopped_by_its_processor_time",
        a_parser_that_never_ends_is_stopped_by_its_processor_time,
    ),
    ("an_answer_that_contradicts_itself_is_not_believed", an_answer_that_contradicts_itself_is_not_believed),
    ("a_program_that_is_no_parser_is_reported_as_such", a_program_that_is_no_parser_is_reported_as_such),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("parse-worker") => return child::main(io::stdin(), io::stdout()),
        Some("probe-files") => return child::main(Probe::new(try_files), io::stdout()),
        Some("probe-socket") => return child::main(Probe::new(try_socket), io::stdout()),
        Some("probe-loop") => return child::main(Probe::new(never_end), io::stdout()),
        Some("lie") => return lie(),
        _ => {}
    }
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let filters: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |name: &str| {
        filters.is_empty()
            || filters.iter().any(|filter| if has("--exact") { name == *filter } else { name.contains(*filter) })
    };
    if has("--list") {
        TESTS.iter().filter(|_| !has("--ignored")).for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let failed = TESTS.iter().filter(|(name, _)| wanted(name) && !has("--ignored")).filter(|(name, test)| {
        let passed = std::panic::catch_unwind(test).is_ok();
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        !passed
    });
    if failed.count() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Standard input that, once the child is confined and asks for the file, does something else first and hands over what
/// came of it as the text of the file.
struct Probe {
    ready: io::Cursor<Vec<u8>>,
    attempt: Option<fn() -> String>,
}

impl Probe {
    fn new(attempt: fn() -> String) -> Self {
        // The header is a length of four bytes and as many bytes as that; what is read after it is read confined.
        let mut header = vec![0; 4];
        io::stdin().read_exact(&mut header).unwrap();
        let length = u32::from_be_bytes(header.as_slice().try_into().unwrap());
        io::stdin().take(length.into()).read_to_end(&mut header).unwrap();
        Self { ready: io::Cursor::new(header), attempt: Some(attempt) }
    }
}

impl Read for Probe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.ready.read(buffer)?;
        match self.attempt.take_if(|_| count == 0) {
            Some(attempt) => {
                self.ready = io::Cursor::new(attempt().into_bytes());
                self.ready.read(buffer)
            }
            None => Ok(count),
        }
    }
}

fn try_files() -> String {
    let says = |what: &str, worked: bool| format!("{what} {}. ", if worked { "worked" } else { "was denied" });
    [
        says("open", std::fs::File::open("/proc/self/status").is_ok()),
        says("create", std::fs::File::create(std::env::temp_dir().join("cloister-probe")).is_ok()),
        says("list", std::fs::read_dir("/").is_ok()),
        says("start", std::process::Command::new("/bin/true").status().is_ok()),
        says("thread", std::thread::Builder::new().spawn(|| {}).is_ok()),
    ]
    .concat()
}

fn try_socket() -> String {
    format!("{:?}", std::net::UdpSocket::bind("127.0.0.1:0"))
}

fn never_end() -> String {
    loop {
        std::hint::spin_loop();
    }
}

/// A child whose answer points outside its own text.
fn lie() -> ExitCode {
    let _ = Probe::new(String::new);
    let reply = r#"{"confinement":{"landlock":true},"outcome":{"Ok":{"title":null,"text":"short","blocks":[
        {"kind":"paragraph","start":0,"end":99,"page":null,"headings":[]}],"pairs":[],"metadata":{},"format":"text",
        "pages":null,"warnings":[]}}}"#;
    let mut out = io::stdout();
    out.write_all(&u32::try_from(reply.len()).unwrap().to_be_bytes()).unwrap();
    out.write_all(reply.as_bytes()).unwrap();
    ExitCode::SUCCESS
}

fn limits(seconds: u64) -> Limits {
    Limits { seconds, memory_bytes: 512 << 20, ..Limits::default() }
}

fn sandbox(child: &str, limits: Limits) -> Sandbox {
    Sandbox::new(std::env::current_exe().unwrap(), vec![child.into()], limits)
}

fn source(name: &str, bytes: impl Into<Vec<u8>>) -> Source {
    Source { name: name.into(), bytes: bytes.into() }
}

fn fixture(name: &str) -> Source {
    let path =
        std::path::PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("tests/fixtures").join(name);
    source(name, std::fs::read(path).unwrap())
}

fn a_document_comes_out_of_the_child_as_it_would_here() {
    let sandbox = sandbox("parse-worker", Limits::default());
    for name in ["policy.docx", "formulary.xlsx", "returns.pdf", "locked.pdf", "scan.pdf"] {
        assert_eq!(sandbox.parse(&fixture(name)), InProcess::default().parse(&fixture(name)), "{name}");
    }
    sandbox.probe().unwrap();
}

fn the_child_can_open_no_file_and_start_nothing() {
    let parsed = sandbox("probe-files", limits(10)).parse(&source("a.txt", [b' '; 400])).unwrap();
    assert_eq!(
        parsed.text,
        "open was denied. create was denied. list was denied. start was denied. thread was denied."
    );
}

fn a_child_that_opens_a_socket_dies() {
    let error = sandbox("probe-socket", limits(10)).parse(&source("a.txt", [b' '; 400])).unwrap_err();
    assert_eq!(error, ParseError::Crashed { how: "it attempted a forbidden system call".into() });
}

fn a_file_that_needs_too_much_memory_fails_alone() {
    let html = "<p>a</p>".repeat(3 << 20);
    let error = sandbox("parse-worker", limits(60)).parse(&source("a.html", html)).unwrap_err();
    assert_eq!(error, ParseError::OutOfMemory { bytes: 512 << 20 });
}

fn a_pdf_that_unpacks_to_gigabytes_fails_alone() {
    let outcome = sandbox("parse-worker", limits(20)).parse(&fixture("bomb.pdf"));
    let refused = matches!(
        outcome,
        Err(ParseError::OutOfMemory { .. }
            | ParseError::TimedOut { .. }
            | ParseError::NoText { .. }
            | ParseError::Damaged { .. })
    );
    assert!(refused, "{outcome:?}");
}

fn a_child_that_never_answers_is_killed_in_time() {
    let started = Instant::now();
    let sleeper = Sandbox::new(PathBuf::from("/bin/sleep"), vec!["600".into()], limits(1));
    assert_eq!(sleeper.parse(&source("a.txt", "x")), Err(ParseError::TimedOut { seconds: 1 }));
    assert!(started.elapsed() < Duration::from_secs(20));
}

fn a_parser_that_never_ends_is_stopped_by_its_processor_time() {
    let outcome = sandbox("probe-loop", limits(1)).parse(&source("a.txt", "x"));
    assert_eq!(outcome, Err(ParseError::TimedOut { seconds: 1 }));
}

fn an_answer_that_contradicts_itself_is_not_believed() {
    let error = sandbox("lie", limits(10)).parse(&source("a.txt", "x")).unwrap_err();
    assert_eq!(error, ParseError::Crashed { how: "its answer contradicts itself".into() });
}

fn a_program_that_is_no_parser_is_reported_as_such() {
    for program in ["/bin/true", "/bin/false", "/bin/cat", "/nowhere/at/all"] {
        let outcome = Sandbox::new(PathBuf::from(program), Vec::new(), limits(5)).parse(&source("a.txt", "x"));
        assert!(matches!(outcome, Err(ParseError::Worker { .. })), "{program}: {outcome:?}");
    }
}
