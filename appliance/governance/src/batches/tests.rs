use cloister_terms::{FixedClock, Role};

use super::*;
use crate::{
    accounts::{Accounts, AuthenticateError, NewAccount, Refusal},
    policy::{Decision, Policy, Principal, Resource},
    testing::{Seeded, clock, store},
};

const CANARY: &str = r#"{"custom_id": "1", "body": {"input": "Zorvekquan Drelmib"}}"#;

struct Place {
    batches: Batches,
    accounts: Accounts,
    store: Store,
    clock: Arc<FixedClock>,
    _folder: tempfile::TempDir,
}

fn tenant(name: &str) -> TenantId {
    name.parse().unwrap()
}

/// Room for 1,000 bytes an account, for 30 days.
fn place() -> Place {
    let (folder, store) = store();
    store.create_tenant(&tenant("a")).unwrap();
    let clock = clock();
    let accounts = Accounts::open(&store.fleet(), clock.clone(), Arc::new(Seeded::new(3))).unwrap();
    let batches = opened(&store, &clock, 4);
    Place { batches, accounts, store, clock, _folder: folder }
}

fn opened(store: &Store, clock: &Arc<FixedClock>, seed: u64) -> Batches {
    let room = Room { days: 30, bytes: 1000 };
    Batches::of(store, &tenant("a"), room, clock.clone(), Arc::new(Seeded::new(seed)))
}

impl Place {
    /// A program of the tenant.
    fn program(&self) -> Principal {
        let new = NewAccount::of("program", Role::Service).within(tenant("a"));
        let (_, key) = self.accounts.issue(new).unwrap();
        self.accounts.authenticate(key.expose()).unwrap()
    }

    /// A batch of so many lines.
    fn started(&self, of: &Principal, lines: u32) -> Batch {
        let run = permit(of, Action::RunBatch, "a");
        let text = format!("{CANARY}\n").repeat(lines as usize);
        let file = self.batches.put_file(&run, Phi::new("r.jsonl".to_owned()), text.as_bytes()).unwrap();
        self.batches.create(&run, new(file.id, lines)).unwrap().unwrap()
    }
}

fn new(input: FileId, total: u32) -> NewBatch {
    let endpoint = "/v1/embeddings".to_owned();
    NewBatch {
        input,
        endpoint,
        metadata: Phi::new([("a".to_owned(), "b".to_owned())].into()),
        total,
        complaints: vec![],
    }
}

fn permit(of: &Principal, action: Action, on: &str) -> Permit {
    match Policy::built_in().decide(of, action, &Resource::Tenant(tenant(on))) {
        Decision::Permit(permit) => permit,
        Decision::Deny { reason, .. } => panic!("{reason}"),
    }
}

fn reply(line: u32, answered: bool) -> Reply {
    Reply { line, answered, text: Phi::new(format!("reply {line}")) }
}

#[test]
fn a_batch_that_a_stop_interrupts_is_taken_up_where_it_stood() {
    let place = place();
    let program = place.program();
    let batch = place.started(&program, 3);
    place.batches.reply(batch.id, &reply(2, true)).unwrap();
    let batches = opened(&place.store, &place.clock, 5);
    assert_eq!(batches.due().unwrap(), [batch.id]);
    let work = batches.work(batch.id).unwrap().unwrap();
    assert_eq!((work.id, work.replied), (batch.id, Lines::from([2])));
    assert_eq!(work.requests.unwrap().expose().len(), 3 * (CANARY.len() + 1));
    assert_eq!(work.standing.account(), &program.account);
    batches.reply(batch.id, &reply(2, false)).unwrap();
    batches.reply(batch.id, &reply(1, false)).unwrap();
    batches.reply(batch.id, &reply(3, true)).unwrap();
    batches.finish(batch.id, Ended::Completed, &[]).unwrap();
    assert_eq!((batches.due().unwrap(), batches.work(batch.id).unwrap()), (vec![], None));

    let reads = permit(&program, Action::ReadBatch, "a");
    let ended = batches.read(&reads, batch.id).unwrap().unwrap();
    assert_eq!((ended.state, ended.counts), (State::Completed, Counts { total: 3, completed: 2, failed: 1 }));
    let text = |file: Option<FileId>| {
        String::from_utf8(batches.content(&reads, file.unwrap()).unwrap().unwrap().into_exposed()).unwrap()
    };
    assert_eq!(text(ended.output), "reply 2\nreply 3\n", "in the order of the lines, the first reply of each");
    assert_eq!(text(ended.errors), "reply 1\n");
    assert_eq!(ended.metadata.expose()["a"], "b");
}

#[test]
fn what_is_called_off_or_over_ends_with_what_there_is() {
    let place = place();
    let program = place.program();
    let (run, reads) = (permit(&program, Action::RunBatch, "a"), permit(&program, Action::ReadBatch, "a"));
    let batch = place.started(&program, 2);
    place.batches.reply(batch.id, &reply(1, true)).unwrap();
    assert_eq!(place.batches.cancel(&run, batch.id).unwrap().unwrap().state, State::Cancelling);
    assert_eq!(place.batches.state(batch.id).unwrap(), Some(State::Cancelling));
    place.batches.finish(batch.id, Ended::Cancelled, &[reply(2, false)]).unwrap();
    let ended = place.batches.read(&reads, batch.id).unwrap().unwrap();
    assert_eq!((ended.state, ended.counts.failed), (State::Cancelled, 1));
    assert!(ended.output.is_some() && ended.errors.is_some());
    assert_eq!(place.batches.cancel(&run, batch.id).unwrap().unwrap().state, State::Cancelled, "it has ended");
    place.batches.finish(batch.id, Ended::Expired, &[]).unwrap();
    assert_eq!(place.batches.state(batch.id).unwrap(), Some(State::Cancelled), "it ends once");
}

#[test]
fn batches_are_their_owners_alone() {
    let place = place();
    let (one, other) = (place.program(), place.program());
    let batch = place.started(&one, 1);
    let (run, reads) = (permit(&other, Action::RunBatch, "a"), permit(&other, Action::ReadBatch, "a"));
    assert_eq!(place.batches.files(&reads).unwrap(), []);
    assert_eq!(place.batches.list(&reads, None, 10).unwrap(), (vec![], false));
    assert_eq!(place.batches.read(&reads, batch.id).unwrap(), None);
    assert_eq!(place.batches.content(&reads, batch.input).unwrap(), None);
    assert_eq!(place.batches.cancel(&run, batch.id).unwrap(), None);
    assert!(!place.batches.delete_file(&run, batch.input).unwrap());
    assert_eq!(place.batches.state(batch.id).unwrap(), Some(State::InProgress));
    place.store.create_tenant(&tenant("b")).unwrap();
    let theirs = Principal { tenant: Some(tenant("b")), ..other };
    for action in [Action::RunBatch, Action::ReadBatch] {
        let elsewhere = permit(&theirs, action, "b");
        assert!(matches!(place.batches.content(&elsewhere, batch.input), Err(BatchError::NotPermitted)));
    }
    assert!(matches!(place.batches.files(&run), Err(BatchError::NotPermitted)), "a permit is for its action");
}

#[test]
fn files_take_no_more_than_they_may_and_none_goes_while_it_is_needed() {
    let place = place();
    let program = place.program();
    let run = permit(&program, Action::RunBatch, "a");
    let batch = place.started(&program, 10);
    let more = place.batches.put_file(&run, Phi::new("m".to_owned()), &[b'x'; 500]);
    assert!(matches!(more, Err(BatchError::NoRoom { most: 1000 })), "{more:?}");
    assert!(matches!(place.batches.delete_file(&run, batch.input), Err(BatchError::InUse)));
    place.batches.finish(batch.id, Ended::Cancelled, &[]).unwrap();
    assert!(place.batches.delete_file(&run, batch.input).unwrap());
    assert_eq!(place.batches.create(&run, new(batch.input, 1)).unwrap(), None, "its file is gone");
    assert!(place.batches.put_file(&run, Phi::new("m".to_owned()), &[b'x'; 500]).is_ok());
}

#[test]
fn files_and_batches_end_by_themselves_but_for_one_that_goes_on() {
    let place = place();
    let program = place.program();
    let (run, reads) = (permit(&program, Action::RunBatch, "a"), permit(&program, Action::ReadBatch, "a"));
    let (over, open) = (place.started(&program, 1), place.started(&program, 1));
    place.batches.finish(over.id, Ended::Completed, &[reply(1, true)]).unwrap();
    assert!(!place.batches.expired().unwrap());
    place.clock.advance(SignedDuration::from_hours(24 * 30 + 1));
    assert_eq!(place.batches.files(&reads).unwrap(), [], "what is over is not shown even before it is gone");
    assert!(place.batches.expired().unwrap());
    assert_eq!(place.batches.purge().unwrap(), 2);
    assert_eq!(place.batches.read(&reads, over.id).unwrap(), None);
    assert!(place.batches.work(open.id).unwrap().unwrap().requests.is_some());
    place.batches.finish(open.id, Ended::Expired, &[]).unwrap();
    assert_eq!(place.batches.purge().unwrap(), 1);
    assert_eq!(place.batches.cancel(&run, open.id).unwrap(), None);
}

#[test]
fn the_oldest_batch_of_each_account_is_due_and_whatever_only_has_to_end() {
    let place = place();
    let (one, other) = (place.program(), place.program());
    let run = permit(&one, Action::RunBatch, "a");
    let batches: Vec<_> = [&one, &one, &one, &other].map(|of| place.started(of, 1).id).into();
    assert_eq!(place.batches.due().unwrap(), [batches[0], batches[3]]);
    place.batches.cancel(&run, batches[2]).unwrap();
    assert_eq!(place.batches.due().unwrap(), [batches[0], batches[2], batches[3]]);
    place.batches.finish(batches[0], Ended::Completed, &[]).unwrap();
    assert_eq!(place.batches.due().unwrap(), [batches[1], batches[2], batches[3]]);
    place.clock.advance(WINDOW);
    assert_eq!(place.batches.due().unwrap().len(), 3);
}

#[test]
fn an_account_has_no_more_open_batches_than_it_may() {
    let place = place();
    let program = place.program();
    let run = permit(&program, Action::RunBatch, "a");
    let first = place.started(&program, 1);
    for _ in 1..MOST_OPEN {
        place.batches.create(&run, new(first.input, 1)).unwrap().unwrap();
    }
    let more = place.batches.create(&run, new(first.input, 1));
    assert!(matches!(more, Err(BatchError::TooMany { most: MOST_OPEN, .. })), "{more:?}");
    place.batches.finish(first.id, Ended::Completed, &[]).unwrap();
    assert!(place.batches.create(&run, new(first.input, 1)).unwrap().is_some());
}

#[test]
fn a_file_stands_in_no_other_file_of_the_store() {
    let place = place();
    let batch = place.started(&place.program(), 1);
    for file in std::fs::read_dir(place.store.tenant_folder(&tenant("a"))).unwrap() {
        let path = file.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"Zorvek"), "{}", path.display());
    }
    assert!(!format!("{:?}", place.batches.work(batch.id).unwrap()).contains("Zorvek"));
}

#[test]
fn nothing_is_done_for_an_account_that_is_disabled_or_whose_keys_are_gone() {
    let place = place();
    let program = place.program();
    let limited = Principal { actions: Some([Action::RunBatch, Action::Embed].into()), ..program.clone() };
    let standing = Standing::from(&limited);
    let kept: Standing = serde_json::from_str(&serde_json::to_string(&standing).unwrap()).unwrap();
    assert_eq!(kept, standing);
    let acting = place.accounts.acting(&kept).unwrap();
    assert_eq!(acting, Principal { person: false, ..limited }, "what the key was limited to goes with it");
    let refused = |standing: &Standing| match place.accounts.acting(standing) {
        Err(AuthenticateError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    };
    place.accounts.disable(&program.account).unwrap();
    assert_eq!(refused(&standing), Refusal::Disabled);
    place.accounts.enable(&program.account).unwrap();
    place.accounts.revoke(&program.account).unwrap();
    assert_eq!(refused(&standing), Refusal::Revoked);
    place.accounts.issue_access_key(&program.account, None, None).unwrap();
    assert!(place.accounts.acting(&standing).is_ok(), "another key of it works");

    let vouched = Principal { account: AccountId::of_digest(&[7; 32]), ..program };
    assert_eq!(place.accounts.acting(&Standing::from(&vouched)).unwrap().account, vouched.account);
    place.accounts.bar(&vouched.account).unwrap();
    assert_eq!(refused(&Standing::from(&vouched)), Refusal::Disabled);
}
