//! The program `cloister`: its arguments go to the library, nothing else happens here.

use std::process::ExitCode;

fn main() -> ExitCode {
    cloister::run(std::env::args_os())
}
