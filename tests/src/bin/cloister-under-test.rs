//! The program as it ships, on a leash: it ends when the test that started it does.
//!
//! Three faults can be put into it, which the program itself does not have: `CLOISTER_TEST_PANIC` names a file whose words
//! a thread panics with as soon as it is there; `CLOISTER_TEST_LEAK` one whose bytes are written to the log and to a
//! temporary file each time that it is there, as a careless change would; and with `CLOISTER_TEST_PANIC_ROUTE` the router
//! has a route more, whose handler panics with the words that it is sent.

use std::{
    convert::Infallible,
    fs,
    io::{Read, Write},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    extract::{Path, State},
    response::Response,
};
use cloister::{
    api,
    edge::{
        problem::Problem,
        router::{Routes, Verb},
    },
    governed::{Call, Refusal, governed},
    identity::Caller,
    wiring::App,
};
use cloister_governance::{audit::Outcome, policy::Resource};
use cloister_terms::Action;

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
    match std::env::var_os("CLOISTER_TEST_PANIC_ROUTE") {
        Some(_) => cloister::run_serving(std::env::args_os(), with_a_handler_that_panics),
        None => cloister::run(std::env::args_os()),
    }
}

fn with_a_handler_that_panics() -> Routes<Arc<App>> {
    api::every_route().route(Verb::Post, "/api/panic/{place}", Action::Ask, panics)
}

/// Panics with what it is sent: in the `handler`, in a `task` whose panic the handler then trips over, or in the `reply`
/// after its first byte.
#[expect(clippy::panic, clippy::unwrap_used, reason = "what a panic says must stand nowhere; a test looks")]
async fn panics(
    State(app): State<Arc<App>>,
    Path(place): Path<String>,
    caller: Caller,
    sent: Bytes,
) -> Result<Response, Problem> {
    let tenant = caller.principal().tenant.clone().ok_or_else(Problem::internal)?;
    let words = String::from_utf8_lossy(&sent).into_owned();
    let call = Call::new(Action::Ask, Resource::Tenant(tenant));
    let replied = governed(&app.gate, &caller, call, async move |_permit| {
        let body = match place.as_str() {
            "task" => tokio::task::spawn_blocking(move || -> Body { panic!("{words}") }).await.unwrap(),
            "reply" => {
                let first = Ok::<_, Infallible>(Bytes::from_static(b"so far so good"));
                let parts = [Some(first), None].into_iter();
                Body::from_stream(futures_util::stream::iter(parts.map(move |part| match part {
                    Some(part) => part,
                    None => panic!("{words}"),
                })))
            }
            _ => panic!("{words}"),
        };
        Ok::<_, Refusal>((Response::new(body), Outcome::done()))
    });
    Ok(replied.await?)
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
