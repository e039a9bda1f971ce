//! The program as it ships, on a leash: it ends when the test that started it does.
//!
//! Two faults can be put into it, which the program itself does not have: `CLOISTER_TEST_PANIC` names a file whose words
//! a thread panics with as soon as it is there, and `CLOISTER_TEST_LEAK` one whose bytes are written to the log and to
//! a temporary file each time that it is there, as a careless change would.

use std::{
    fs,
    io::{Read, Write},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

fn main() -> ExitCode {
    if std::env::var_os("CLOISTER_TEST_LEASH").is_some() {
        std::thread::spawn(|| {
            let mut held = Vec::new();
            let _ends_with_the_test = std::io::stdin().read_to_end(&mut held);
            std::process::exit(70);
        });
    }
    if let Some(file) = std::env::var_os("CLOISTER_TEST_PANIC") {
        std::thread::spawn(|| panic_with(file.into()));
    }
    if let Some(file) = std::env::var_os("CLOISTER_TEST_LEAK") {
        std::thread::spawn(|| leak(file.into()));
    }
    cloister::run(std::env::args_os())
}

#[expect(clippy::panic, reason = "what a panic says must stand nowhere; a test looks")]
fn panic_with(file: PathBuf) {
    loop {
        if let Ok(words) = fs::read_to_string(&file) {
            panic!("{words}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn leak(file: PathBuf) {
    loop {
        if let Ok(words) = fs::read(&file) {
            let _logged = std::io::stderr().write_all(&words);
            let _kept = fs::write(std::env::temp_dir().join("careless"), &words);
            let _done = fs::remove_file(&file);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}
