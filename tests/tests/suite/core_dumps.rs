//! A crash of the server, or of the child that parses, leaves nothing behind: no core dump, and no last words of a patient.

use std::{
    fs,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use cloister_tests::{Canaries, Client, Server, identifiers};
use serde_json::json;

use super::site::program;

/// As large a core dump as whoever runs the tests may have.
const AS_LARGE_AS_MAY_BE: &str = "ulimit -c \"$(ulimit -H -c)\"";

/// Whether a process that crashes in `folder` leaves a core dump on this machine, which is taken away.
fn dumps(folder: &Path) -> bool {
    let crash = format!("{AS_LARGE_AS_MAY_BE}; kill -s ABRT $$");
    let crashed = Command::new("sh").args(["-c", &crash]).current_dir(folder).stderr(Stdio::null()).status().unwrap();
    assert_eq!(crashed.signal(), Some(6));
    for entry in fs::read_dir(folder).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    crashed.core_dumped()
}

fn limit(process: u32) -> Option<String> {
    let limits = fs::read_to_string(format!("/proc/{process}/limits")).ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max core file size"))?;
    Some(line.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
}

/// Gives a process back the room for a core dump, as root can. Whether that was possible.
fn room_for_a_dump(process: u32) -> bool {
    let raised = Command::new("prlimit").args(["--core=unlimited:unlimited", "--pid", &process.to_string()]).output();
    raised.is_ok_and(|output| output.status.success())
}

/// Callers who send patients' identifiers all the time, until the server is gone. `meanwhile` gets it while it works.
fn in_the_middle_of_work<T>(server: Server, key: &str, meanwhile: impl FnOnce(Server) -> T) -> T {
    let client = Client::new(&server, key);
    let (over, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for caller in 0..4 {
            let (client, over, asked) = (&client, &over, &asked);
            scope.spawn(move || {
                for identifier in identifiers().iter().cycle().skip(caller) {
                    let question = format!("May {identifier} keep insulin pens at room temperature?");
                    let reply = client.post("/api/ask", &json!({ "question": question }));
                    if over.load(Ordering::Acquire) || reply.status == 0 {
                        return;
                    }
                    asked.fetch_add(1, Ordering::Release);
                }
            });
        }
        let begun = Instant::now();
        while asked.load(Ordering::Acquire) < 20 && begun.elapsed() < Duration::from_secs(120) {
            thread::yield_now();
        }
        let ended = meanwhile(server);
        over.store(true, Ordering::Release);
        assert!(asked.load(Ordering::Acquire) >= 20, "hardly a question was in its memory");
        ended
    })
}

#[test]
fn a_server_that_crashes_in_the_middle_of_work_leaves_no_core_dump_and_no_words() {
    let canaries = Canaries::new();
    let site = program().site();
    let (folder, temporary) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let machine_dumps = dumps(folder.path());
    for (signal, number, raise) in [("ABRT", 6, false), ("SEGV", 11, true)] {
        let mut command = program().command_after(AS_LARGE_AS_MAY_BE);
        command.args(["serve", "--log", "trace", "--set", "answer.composed=false"]);
        command.current_dir(folder.path()).env("TMPDIR", temporary.path());
        let server = site.started(command);
        assert_eq!(limit(server.id()).as_deref(), Some("0 0"), "the limit of core dumps");
        // Where even the limit is taken back, the kernel still is told that this process is not to be dumped.
        let raised = raise && room_for_a_dump(server.id());
        let status = in_the_middle_of_work(server, &site.key("agent"), |server| server.ended_by(signal));
        assert_eq!((status.signal(), status.core_dumped()), (Some(number), false), "SIG{signal}");
        println!("SIG{signal}: no core dump; this machine makes them: {machine_dumps}; the limit was raised: {raised}");
    }
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.is_empty(), "left behind by a crash: {left:?}");
    let mut leaks = canaries.search("the log", &fs::read(site.path().join("server.log")).unwrap());
    for folder in [site.path(), temporary.path()] {
        leaks.extend(canaries.search_folder(folder).1);
    }
    assert_eq!(leaks, []);
}

#[test]
fn a_parsing_child_that_crashes_leaves_no_core_dump() {
    let folder = tempfile::tempdir().unwrap();
    let machine_dumps = dumps(folder.path());
    let mut command = program().command_after(AS_LARGE_AS_MAY_BE);
    // On no leash: its standard input is the document's.
    command.arg("parse-worker").env_remove("CLOISTER_TEST_LEASH").current_dir(folder.path());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    while limit(child.id()).as_deref() != Some("0 0") {
        assert!(begun.elapsed() < Duration::from_secs(60), "its limit of core dumps is {:?}", limit(child.id()));
        thread::yield_now();
    }
    let raised = room_for_a_dump(child.id());
    assert!(Command::new("kill").args(["-s", "ABRT", &child.id().to_string()]).status().unwrap().success());
    let status = child.wait().unwrap();
    assert_eq!((status.signal(), status.core_dumped()), (Some(6), false));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "a crash left a file behind");
    println!("the machine dumps: {machine_dumps}; the limit was raised from outside before: {raised}");
}
