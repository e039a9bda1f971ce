//! Batches at work: files of requests, each line a request of its own, worked through behind whatever people wait for.
//!
//! A line goes through the route that it names as if its caller had called it then: decided by policy, recorded, screened,
//! answered, its answer checked. Its place in the models' queues is behind interactive work.
//!
//! **What it is not:** a way around anything. What may be read, and what a batch leaves, is decided by
//! `governance::batches`; this room only does the lines.
//!
//! # Why
//! - **The route's own handler answers a line**, so that no check is forgotten in a second copy of the way.
//! - **Who handed a batch in is looked up again for each line**: what was taken from them since holds at once.
//! - **A queue that is full is waited for, longer each time**, because nobody looks at a batch: a try that is refused is a
//!   record in the audit log.
//! - **The oldest batch of each account at a time**: no account waits for another's.

use std::{collections::HashSet, sync::Arc, time::Duration};

use axum::http::StatusCode;
use cloister_governance::{
    accounts::AuthenticateError,
    audit::Outcome,
    batches::{BatchError, Batches, Ended, Reply, State, Work},
    policy::Resource,
};
use cloister_terms::{Action, BatchId, Phi, RequestId, Role, TenantId};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};
use tokio::{
    sync::{Notify, Semaphore, mpsc},
    time::{interval, sleep},
};

use crate::{
    api::openai::line,
    governed::{Call, governed_blocking},
    identity::Caller,
    pipeline::Stop,
    wiring::App,
};

mod requests;

pub(crate) use requests::{ENDPOINTS, Request, read};

/// Lines of one batch, and of all together, that are under way at once.
const OF_ONE: usize = 4;
const OF_ALL: usize = 8;
/// How often it is looked whether something is to be done that rang no bell: what is over, or failed and is tried again.
const ROUND: Duration = Duration::from_secs(60);
/// How long a line waits at least, and at most, before it is asked again of what was busy.
const WAIT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// A tenant's batches, and the bell for whoever works them through. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Desk {
    /// The batches.
    pub batches: Batches,
    bell: Arc<Notify>,
}

impl Desk {
    /// A desk for these.
    pub fn new(batches: Batches) -> Self {
        Self { batches, bell: Arc::default() }
    }

    /// Says that there is something to do.
    pub fn ring(&self) {
        self.bell.notify_one();
    }
}

/// Works through the batches of every tenant, for ever.
pub async fn keep(app: Arc<App>) {
    let room = Arc::new(Semaphore::new(OF_ALL));
    let tenants = app.tenants.keys().map(|tenant| of_tenant(Arc::clone(&app), tenant.clone(), Arc::clone(&room)));
    futures_util::future::join_all(tenants).await;
}

async fn of_tenant(app: Arc<App>, tenant: TenantId, room: Arc<Semaphore>) {
    let Some(desk) = app.tenants.get(&tenant).map(|tenant| tenant.desk.clone()) else { return };
    let (ended, mut ends) = mpsc::unbounded_channel();
    let (mut under_way, mut round) = (HashSet::<BatchId>::new(), interval(ROUND));
    loop {
        tokio::select! {
            _ = round.tick() => purge(&app, &desk).await,
            () = desk.bell.notified() => {}
            Some(batch) = ends.recv() => { under_way.remove(&batch); }
        }
        let due = on(&desk, |batches| batches.due()).await;
        for batch in due.unwrap_or_else(|error| failed(&tenant, &error)) {
            if under_way.insert(batch) {
                let (app, desk, room, ended) = (Arc::clone(&app), desk.clone(), Arc::clone(&room), ended.clone());
                let tenant = tenant.clone();
                tokio::spawn(async move {
                    let through = tokio::spawn(through(app, desk, batch, room)).await;
                    match through {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => {
                            let () = failed(&tenant, &error);
                            sleep(ROUND).await;
                        }
                        // The hook has logged the panic.
                        Err(_) => sleep(ROUND).await,
                    }
                    let _nobody_waits = ended.send(batch);
                });
            }
        }
    }
}

/// What cannot be done now is tried again in the next round.
fn failed<T: Default>(tenant: &TenantId, error: &BatchError) -> T {
    tracing::error!(%tenant, error = error as &dyn std::error::Error, "batches cannot be worked through");
    T::default()
}

/// Works one batch through, from where it stands.
pub(crate) async fn through(app: Arc<App>, desk: Desk, batch: BatchId, room: Arc<Semaphore>) -> Result<(), BatchError> {
    let Some(work) = on(&desk, move |batches| batches.work(batch)).await? else { return Ok(()) };
    let requests = work.requests.as_ref().map(|bytes| read(bytes.expose(), &work.endpoint).requests);
    let requests = requests.unwrap_or_default();
    let work = Arc::new(Work { requests: None, ..work });
    let left: Vec<Request> = requests.into_iter().filter(|request| !work.replied.contains(&request.line)).collect();
    let tries: Vec<Option<Request>> = stream::iter(left)
        .map(|request| {
            let (app, desk, work, room) = (Arc::clone(&app), desk.clone(), Arc::clone(&work), Arc::clone(&room));
            // A line that panics fails alone.
            let asked = request.clone();
            let answered = tokio::spawn(async move { answered(&app, &desk, &work, &asked, &room).await });
            async move {
                match answered.await {
                    Ok(Ok(true)) => Ok(None),
                    Ok(Ok(false)) | Err(_) => Ok(Some(request)),
                    Ok(Err(error)) => Err(error),
                }
            }
        })
        .buffered(OF_ONE)
        .try_collect()
        .await?;
    let unanswered: Vec<Request> = tries.into_iter().flatten().collect();
    let ended = match on(&desk, move |batches| batches.state(batch)).await? {
        Some(State::Cancelling) => Ended::Cancelled,
        _ if unanswered.is_empty() => Ended::Completed,
        _ if app.clock.now() >= work.expires => Ended::Expired,
        // Lines that broke while they were worked on.
        _ => Ended::Completed,
    };
    let replies: Vec<Reply> = unanswered.iter().map(|request| request.unanswered(ended)).collect();
    on(&desk, move |batches| batches.finish(batch, ended, &replies)).await?;
    tracing::info!(tenant = %desk.batches.tenant(), %batch, ended = ?ended, "a batch has ended");
    Ok(())
}

/// Answers one line and keeps its reply. False where the batch ended before it could be.
async fn answered(
    app: &Arc<App>,
    desk: &Desk,
    work: &Work,
    request: &Request,
    room: &Semaphore,
) -> Result<bool, BatchError> {
    let mut wait = WAIT.0;
    loop {
        let Ok(_room) = room.acquire().await else { return Ok(false) };
        let batch = work.id;
        let state = on(desk, move |batches| batches.state(batch)).await?;
        if state != Some(State::InProgress) || app.clock.now() >= work.expires {
            return Ok(false);
        }
        let id = RequestId::random(app.random.as_ref());
        let line::Answer { status, body, retry_after } = match acting(app, work, id).await {
            Ok(caller) => line::answer(app, caller, &work.endpoint, request.body.expose()).await,
            Err(stop) => line::refused(stop, id).await,
        };
        if let Some(least) = retry_after {
            drop(_room);
            sleep(wait.max(least).min(WAIT.1)).await;
            wait = (wait * 2).min(WAIT.1);
            continue;
        }
        let answered = status == StatusCode::OK;
        app.metrics.count("cloister_batch_requests_total", 1, &[("answered", if answered { "true" } else { "false" })]);
        let reply = request.reply(id, status, body);
        on(desk, move |batches| batches.reply(batch, &reply)).await?;
        return Ok(true);
    }
}

/// Whoever handed the batch in, as they are now.
async fn acting(app: &Arc<App>, work: &Work, request: RequestId) -> Result<Caller, Stop> {
    let (accounts, standing) = (app.identity.accounts().clone(), work.standing.clone());
    let principal = tokio::task::spawn_blocking(move || accounts.acting(&standing)).await;
    match principal {
        Ok(Ok(principal)) => Ok(Caller::acting(principal, request)),
        Ok(Err(AuthenticateError::Refused(_))) => Err(Stop::unauthenticated()),
        Ok(Err(AuthenticateError::Failed(error))) => Err(Stop::internal("asking for a batch's owner", error)),
        Err(error) => Err(Stop::internal("asking for a batch's owner", error)),
    }
}

/// Removes what is over, on record. Nothing is recorded where nothing is.
async fn purge(app: &Arc<App>, desk: &Desk) {
    let (app, of) = (Arc::clone(app), desk.clone());
    let purged = tokio::task::spawn_blocking(move || {
        if !of.batches.expired()? {
            return Ok(());
        }
        let tenant = of.batches.tenant().clone();
        let caller = Caller::local(Role::Service, Some(tenant.clone()), RequestId::random(app.random.as_ref()));
        let call = Call::new(Action::RunBatch, Resource::Tenant(tenant));
        governed_blocking(&app.gate, &caller, call, |_| {
            let removed = of.batches.purge()?;
            Ok::<_, anyhow::Error>(((), Outcome::done().with_code("batches_purged").with_count("files", removed)))
        })
    });
    if let Ok(Err(error)) = purged.await {
        tracing::error!(tenant = %desk.batches.tenant(), error = %error, "batches whose time is over were not removed");
    }
}

/// Work on the batches where blocking is allowed.
async fn on<T: Send + 'static>(
    desk: &Desk,
    work: impl FnOnce(&Batches) -> Result<T, BatchError> + Send + 'static,
) -> Result<T, BatchError> {
    let batches = desk.batches.clone();
    tokio::task::spawn_blocking(move || work(&batches)).await.unwrap_or(Err(BatchError::Closed))
}

impl Request {
    fn reply(&self, id: RequestId, status: StatusCode, body: Value) -> Reply {
        let response = json!({"status_code": status.as_u16(), "request_id": id, "body": body});
        self.told(status == StatusCode::OK, &format!("batch_req_{id}"), response, Value::Null)
    }

    fn unanswered(&self, ended: Ended) -> Reply {
        let (code, message) = match ended {
            Ended::Expired => ("batch_expired", "the batch's time was over before this request was answered"),
            Ended::Cancelled => ("batch_cancelled", "the batch was cancelled before this request was answered"),
            Ended::Completed => ("internal", "the server failed on this request; its log has the cause"),
        };
        self.told(false, &format!("batch_req_{}", self.line), Value::Null, json!({"code": code, "message": message}))
    }

    fn told(&self, answered: bool, id: &str, response: Value, error: Value) -> Reply {
        let line = json!({"id": id, "custom_id": self.custom_id.expose(), "response": response, "error": error});
        Reply { line: self.line, answered, text: Phi::new(line.to_string()) }
    }
}
