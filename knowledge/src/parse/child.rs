//! The child's side of [`Sandbox`](super::Sandbox): a process that locks itself up, reads one file, parses it, answers.

mod confine;

use std::io::{Read, Write};
use std::process::ExitCode;

use super::sandbox::Confinement;
use super::wire::{self, Header, Reply};
use super::{InProcess, Parse, ParseError, Parsed, Source};

/// Parsers recurse over nested structure within bounds of their own; this is ample for those bounds.
const STACK_BYTES: usize = 64 << 20;

/// Runs the child: call this first thing in the hidden subcommand that [`Sandbox`](super::Sandbox) starts, before any
/// thread, runtime or file is opened. Nothing of the file is read before the process is confined.
///
/// Returns failure only where it could not answer at all; a file that cannot be parsed is an answer.
pub fn main(mut stdin: impl Read + Send + 'static, mut stdout: impl Write + Send + 'static) -> ExitCode {
    // A panic's message may quote the document, and standard error belongs to the server's log.
    std::panic::set_hook(Box::new(|_| {}));
    let Ok(header) = wire::read_header(&mut stdin) else { return ExitCode::FAILURE };
    let landlock = match confine::before_threads(&header.limits) {
        Ok(landlock) => landlock,
        Err(why) => return answer(&mut stdout, false, Err(ParseError::Worker { why })),
    };
    let work = move || {
        if let Err(why) = confine::for_good() {
            return answer(&mut stdout, landlock, Err(ParseError::Worker { why }));
        }
        let outcome = read_and_parse(&mut stdin, header);
        answer(&mut stdout, landlock, outcome)
    };
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(work);
    thread.map_or(ExitCode::FAILURE, |thread| thread.join().unwrap_or(ExitCode::FAILURE))
}

fn read_and_parse(stdin: &mut impl Read, header: Header) -> Result<Parsed, ParseError> {
    let Header { name, length, limits } = header;
    let mut bytes = Vec::new();
    let read = stdin.take(length.min(limits.input_bytes.saturating_add(1))).read_to_end(&mut bytes);
    if read.is_err() {
        return Err(ParseError::Worker { why: "the file did not arrive whole".into() });
    }
    InProcess::new(limits).parse(&Source { name, bytes })
}

fn answer(stdout: &mut impl Write, landlock: bool, outcome: Result<Parsed, ParseError>) -> ExitCode {
    let reply = Reply { confinement: Confinement { landlock }, outcome };
    if wire::write_reply(stdout, &reply).is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
