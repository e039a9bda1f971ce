//! `cloister serve`: the server, until it is told to stop.

use std::{net::SocketAddr, process::ExitCode, sync::Arc};

use anyhow::Context;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::site;
use crate::{
    batch, capture,
    config::Config,
    edge::{Edge, authority, listen, names, renewal::Renewal, request_log, router::Routes, server::Server, tls},
    wiring::{self, App},
};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    site: site::Arguments,
    /// What to log, in the words of tracing-subscriber's filters
    #[arg(long, default_value = "info", value_name = "FILTER")]
    log: String,
}

pub(super) fn run(arguments: Arguments, routes: fn() -> Routes<Arc<App>>) -> anyhow::Result<ExitCode> {
    let config = arguments.site.load()?.config;
    log(&arguments.log)?;
    with(config, routes, async |_| Ok(None))
}

/// JSON lines on standard error, from here on. A panic is a line too: where it was, never what it said.
pub(super) fn log(filter: &str) -> anyhow::Result<()> {
    tracing::subscriber::set_global_default(request_log::json_lines(filter, std::io::stderr))
        .context("setting up the log")?;
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(|place| format!("{}:{}", place.file(), place.line()));
        tracing::error!(place = place.as_deref().unwrap_or("unknown"), "a thread panicked");
    }));
    Ok(())
}

/// A server that is ready.
pub(super) struct Running {
    address: SocketAddr,
}

impl Running {
    /// Where it listens.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Starts a server, does `meanwhile` beside it, then stops with the exit code that this gave, or goes on until a signal.
pub(super) fn with(
    config: Config,
    routes: fn() -> Routes<Arc<App>>,
    meanwhile: impl AsyncFnOnce(&Running) -> anyhow::Result<Option<ExitCode>>,
) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
    runtime.block_on(async {
        let certificate = certificate(&config)?;
        let app = Arc::new(tokio::task::block_in_place(|| App::start(config))?);
        let settings = app.config.server.clone();
        let edge = Edge::new(&settings, app.metrics.clone(), Arc::clone(&app.random));
        let router = edge.guard(routes().into_router(Arc::clone(&app)));
        let listener = listen::listener(&settings)?;
        let clients = app.config.client_certificates.as_ref().map(|settings| settings.authority.as_path());
        let tls = tls::server_config(Arc::clone(&certificate), clients)?;
        let server = Server::new(listener, tls, settings, router, app.metrics.clone());
        let running = Running { address: server.address()? };
        say(&format!("listening on https://{}", running.address));

        let reloading = Arc::clone(&app);
        let own = app.config.tls.certificate.is_some();
        let local = (!own).then(|| (app.config.tls_folder(), app.config.tls.names.clone()));
        let (metrics, clock) = (app.metrics.clone(), Arc::clone(&app.clock));
        let upkeep = tokio::spawn(Renewal { certificate: Arc::clone(&certificate), local, metrics, clock }.keep());
        let batches = tokio::spawn(batch::keep(Arc::clone(&app)));
        let retention = tokio::spawn(capture::retention::keep(Arc::clone(&app)));
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let served = tokio::spawn(server.run(async {
            tokio::select! {
                () = asked_to_stop(certificate, reloading) => {}
                _ = stopped => {}
            }
        }));
        let code = meanwhile(&running).await;
        if !matches!(code, Ok(None)) {
            let _ends_anyway = stop.send(());
        }
        served.await.context("the server ended badly")?;
        upkeep.abort();
        retention.abort();
        batches.abort();
        app.gate.audit.flush().await?;
        code.map(|code| code.unwrap_or(ExitCode::SUCCESS))
    })
}

/// The site's own certificate, or one of the local authority, made or renewed here.
fn certificate(config: &Config) -> anyhow::Result<Arc<tls::Certificate>> {
    if let (Some(chain), Some(key)) = (&config.tls.certificate, &config.tls.key) {
        return Ok(tls::Certificate::load(chain, key)?);
    }
    let issued =
        authority::ensure(&config.tls_folder(), &names::of_this_host(&config.tls.names), wiring::clock().now())?;
    Ok(tls::Certificate::load(&issued.server, &issued.server)?)
}

/// SIGTERM and SIGINT stop the server; SIGHUP makes it read its certificate, its policies, its guardrails and its rosters again.
async fn asked_to_stop(certificate: Arc<tls::Certificate>, app: Arc<App>) {
    let streams = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()), signal(SignalKind::hangup()));
    let (Ok(mut terminate), Ok(mut interrupt), Ok(mut hangup)) = streams else {
        // Without signals the service manager ends the process itself.
        tracing::error!("signals cannot be received");
        return std::future::pending().await;
    };
    let reloads = Arc::new(tokio::sync::Mutex::new(()));
    loop {
        tokio::select! {
            _ = terminate.recv() => return,
            _ = interrupt.recv() => return,
            _ = hangup.recv() => {
                match certificate.reload() {
                    Ok(()) => tracing::info!("the certificate was read again"),
                    Err(error) => tracing::error!(%error, "the certificate in use stays"),
                }
                // Beside the signals, since topics are embedded: who stops the server does not wait for that. One at a time.
                let (app, reloads) = (Arc::clone(&app), Arc::clone(&reloads));
                tokio::spawn(async move {
                    let _one_at_a_time = reloads.lock().await;
                    app.reload_policy().await;
                    app.reload_guardrails().await;
                });
            }
        }
    }
}

#[expect(clippy::print_stdout, reason = "whoever started the server waits for this line")]
fn say(text: &str) {
    println!("{text}");
}
