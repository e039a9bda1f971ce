//! Parses in a child process, so that a hostile file fails alone.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::wire::{self, Header, Reply};
use super::{Limits, Parse, ParseError, Parsed, Source};

/// A child gets this much longer than its own limit of processor time before it is killed from outside.
const GRACE: Duration = Duration::from_secs(2);
/// How much of a child's last words is looked at. They are never kept: they may quote the document.
const LAST_WORDS: u64 = 4096;

/// Signals, as Linux numbers them on x86-64 and AArch64.
mod signal {
    pub(super) const ABORT: i32 = 6;
    pub(super) const KILL: i32 = 9;
    pub(super) const PROCESSOR_TIME: i32 = 24;
    pub(super) const FORBIDDEN_CALL: i32 = 31;
}

/// Which walls stand around the parsing child. Limits and the system-call filter always do; without them nothing is
/// parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// The kernel forbids it the whole file system, beyond the filter that forbids opening files.
    pub landlock: bool,
}

/// Parses each file in a fresh child process that has no files, no network and bounded memory and time.
#[derive(Debug, Clone)]
pub struct Sandbox {
    program: PathBuf,
    arguments: Vec<OsString>,
    limits: Limits,
}

impl Sandbox {
    /// Children are started as `program arguments...`, which must call [`child::main`](super::child::main).
    #[must_use]
    pub fn new(program: PathBuf, arguments: Vec<OsString>, limits: Limits) -> Self {
        Self { program, arguments, limits }
    }

    /// Starts a child on a harmless text and says which walls it has: for checks at start-up.
    ///
    /// # Errors
    /// [`ParseError::Worker`] where children cannot be started or confined here.
    pub fn probe(&self) -> Result<Confinement, ParseError> {
        let reply = self.run(&Source { name: "probe.txt".into(), bytes: b"probe".to_vec() })?;
        reply.outcome.map(|_| reply.confinement)
    }

    fn run(&self, source: &Source) -> Result<Reply, ParseError> {
        if source.bytes.len() as u64 > self.limits.input_bytes {
            return Err(ParseError::TooLarge { what: "the file in bytes".into(), limit: self.limits.input_bytes });
        }
        let started = Instant::now();
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| ParseError::Worker { why: format!("it cannot be started: {error}") })?;
        let deadline = started + Duration::from_secs(self.limits.seconds) + GRACE;
        let (Some(stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            end(&mut child);
            return Err(ParseError::Worker { why: "its pipes cannot be opened".into() });
        };
        thread::scope(|scope| {
            scope.spawn(|| send(stdin, source, self.limits));
            let last_words = scope.spawn(|| listen(stderr));
            let (sender, receiver) = mpsc::channel();
            let longest = wire::longest_reply(&self.limits);
            scope.spawn(move || {
                let mut stdout = stdout;
                // Nobody listens any more once the time is up.
                let _ = sender.send(wire::read_reply(&mut stdout, longest));
            });
            let reply = receiver.recv_timeout(deadline.saturating_duration_since(Instant::now()));
            // With an answer at hand the child has nothing left to do; without one it gets until the deadline to end.
            let status = if matches!(reply, Ok(Err(_))) { wait(&mut child, deadline) } else { None };
            let overdue = status.is_none() && !matches!(reply, Ok(Ok(_)));
            end(&mut child);
            let last_words = last_words.join().unwrap_or_default();
            match reply {
                Ok(Ok(reply)) => Ok(reply),
                _ if overdue => Err(ParseError::TimedOut { seconds: self.limits.seconds }),
                Ok(Err(error)) if error.kind() == io::ErrorKind::FileTooLarge => {
                    Err(ParseError::TooLarge { what: "the parsed document in bytes".into(), limit: longest })
                }
                Ok(Err(_)) | Err(_) => Err(self.cause(status, last_words)),
            }
        })
    }

    /// Why a child ended without an answer.
    fn cause(&self, status: Option<ExitStatus>, last_words: LastWords) -> ParseError {
        let crashed = |how: String| ParseError::Crashed { how };
        let Some(status) = status else { return crashed("it ended for an unknown reason".into()) };
        match (status.signal(), last_words) {
            (_, LastWords::OutOfMemory) => ParseError::OutOfMemory { bytes: self.limits.memory_bytes },
            (_, LastWords::StackOverflow) => crashed("its content is nested too deeply".into()),
            (Some(signal::KILL), _) => ParseError::OutOfMemory { bytes: self.limits.memory_bytes },
            (Some(signal::PROCESSOR_TIME), _) => ParseError::TimedOut { seconds: self.limits.seconds },
            (Some(signal::FORBIDDEN_CALL), _) => crashed("it attempted a forbidden system call".into()),
            (Some(signal::ABORT), _) => crashed("it aborted".into()),
            (Some(signal), _) => crashed(format!("signal {signal}")),
            (None, _) => {
                let code = status.code().unwrap_or(-1);
                ParseError::Worker {
                    why: format!("it ended with status {code} and no answer; is the program the right one?"),
                }
            }
        }
    }
}

impl Parse for Sandbox {
    fn input_bytes(&self) -> u64 {
        self.limits.input_bytes
    }

    fn parse(&self, source: &Source) -> Result<Parsed, ParseError> {
        let parsed = self.run(source)?.outcome?;
        if parsed.is_sound() {
            Ok(parsed)
        } else {
            Err(ParseError::Crashed { how: "its answer contradicts itself".into() })
        }
    }
}

/// Sends the file. A child that refuses it early closes its end, which is no error.
fn send(mut stdin: impl Write, source: &Source, limits: Limits) {
    let header = Header { name: source.name.clone(), length: source.bytes.len() as u64, limits };
    let _ = wire::write_header(&mut stdin, &header).and_then(|()| stdin.write_all(&source.bytes));
}

/// What the runtime says when it aborts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum LastWords {
    OutOfMemory,
    StackOverflow,
    #[default]
    Other,
}

/// Looks for the runtime's own messages and forgets everything else.
fn listen(mut stderr: impl Read) -> LastWords {
    let mut heard = Vec::new();
    let _ = (&mut stderr).take(LAST_WORDS).read_to_end(&mut heard);
    let _ = io::copy(&mut stderr, &mut io::sink());
    let heard = String::from_utf8_lossy(&heard);
    match () {
        () if heard.contains("memory allocation of") => LastWords::OutOfMemory,
        () if heard.contains("has overflowed its stack") => LastWords::StackOverflow,
        () => LastWords::Other,
    }
}

/// Waits for a child that has closed its output; it may still be on its way out.
fn wait(child: &mut Child, deadline: Instant) -> Option<ExitStatus> {
    let mut pause = Duration::from_millis(1);
    while Instant::now() < deadline {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) => thread::sleep(pause),
            Err(_) => return None,
        }
        pause = (pause * 2).min(Duration::from_millis(50));
    }
    None
}

/// Kills a child, if it still runs, and collects it.
fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}
