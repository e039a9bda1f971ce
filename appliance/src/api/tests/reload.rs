//! A tenant's guardrail and roster on reload: what holds changes without a restart, or stays as it was.

use std::{fs, path::Path};

use axum::http::StatusCode;
use cloister_governance::{
    audit::{Body, OutcomeKind},
    guardrails::{Guardrails, Passed},
    policy::Policy,
};
use cloister_terms::{Action, Role, TenantId};
use serde_json::json;

use super::site::Site;
use crate::{
    config::{Config, Tenant},
    evaluation::result::sha256,
};

const NO_TRAVEL: &str = "version = 1\n[words]\nwords = [\"travel\"]\ninput = true\noutput = true\n";

fn site(folder: &Path) -> Site {
    let (guardrail, roster) = (folder.join("guardrail.toml"), folder.join("roster.jsonl"));
    fs::write(&guardrail, "version = 1\n").unwrap();
    fs::write(&roster, "").unwrap();
    let tenant = Tenant {
        guardrail: Some(guardrail),
        roster: Some(roster),
        assistant: Some("pharmacy".to_owned()),
        ..Tenant::default()
    };
    let tenants = [(larkfield(), tenant)].into_iter().collect();
    Site::configured(Config { tenants, ..Config::default() }, Policy::built_in(), Vec::new())
}

fn larkfield() -> TenantId {
    "larkfield".parse().unwrap()
}

async fn asks_about_travel(site: &Site) -> StatusCode {
    site.post(Role::Agent, "/api/ask", &json!({"question": "May I travel with insulin pens?"})).await.status
}

fn version(site: &Site) -> String {
    site.app.ports(&larkfield()).unwrap().guardrail.version().to_owned()
}

#[tokio::test]
async fn a_reload_puts_the_guardrail_s_file_in_force_and_keeps_the_old_one_where_the_new_cannot_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let site = site(folder.path());
    fs::write(folder.path().join("guardrail.toml"), NO_TRAVEL).unwrap();
    assert_eq!(asks_about_travel(&site).await, StatusCode::OK, "nothing changes without a reload");
    site.app.reload_guardrails().await;
    assert_eq!(asks_about_travel(&site).await, StatusCode::UNPROCESSABLE_ENTITY);
    for unusable in ["version = 1\n[[topics]]\n", "version = 1\n[[entities]]\ntype = \"CAT\"\naction = \"NONE\"\n"] {
        fs::write(folder.path().join("guardrail.toml"), unusable).unwrap();
        site.app.reload_guardrails().await;
        assert_eq!(asks_about_travel(&site).await, StatusCode::UNPROCESSABLE_ENTITY, "what was in force stays");
    }
    let counted = site.app.metrics.render();
    // Riverside's is read again each time; nothing of it is wrong.
    for (result, times) in [("reloaded", 4), ("invalid", 2)] {
        let expected = format!("cloister_guardrail_reloads_total{{result=\"{result}\"}} {times}");
        assert!(counted.contains(&expected), "{counted}");
    }
}

#[tokio::test]
async fn a_version_that_is_activated_or_gone_back_from_holds_from_the_reload_on() {
    let folder = tempfile::tempdir().unwrap();
    let site = site(folder.path());
    let guardrails = Guardrails::open(&site.app.store.fleet()).unwrap();
    let (clock, passed) = (site.app.clock.as_ref(), Passed { result: "r".to_owned(), gate: "g".to_owned() });
    for text in ["version = 1\n# first\n", NO_TRAVEL] {
        let number = guardrails.publish(&larkfield(), text, &sha256(text.as_bytes()), clock).unwrap();
        guardrails.activate(&larkfield(), number, &passed, clock).unwrap();
        site.app.reload_guardrails().await;
        assert_eq!(version(&site), number.to_string());
    }
    assert_eq!(asks_about_travel(&site).await, StatusCode::UNPROCESSABLE_ENTITY);
    let blocked = site.outcomes().await.pop().unwrap();
    assert_eq!(blocked.guardrail.unwrap().version, "2", "the record names the version that acted");
    guardrails.roll_back(&larkfield(), clock).unwrap();
    assert_eq!(version(&site), "2", "nothing changes without a reload");
    site.app.reload_guardrails().await;
    assert_eq!((version(&site).as_str(), asks_about_travel(&site).await), ("1", StatusCode::OK));
}

#[tokio::test]
async fn a_name_that_joins_the_roster_is_masked_from_the_reload_on() {
    let folder = tempfile::tempdir().unwrap();
    let site = site(folder.path());
    let masks = || site.app.ports(&larkfield()).unwrap().identifiers.stopped("does zzyxx quartzmann keep pens").len();
    assert_eq!(masks(), 0);
    let roster = "{\"kind\": \"NAME\", \"text\": \"Zzyxx Quartzmann\"}\n";
    fs::write(folder.path().join("roster.jsonl"), roster).unwrap();
    site.app.reload_guardrails().await;
    assert_eq!(masks(), 1);
    fs::write(folder.path().join("roster.jsonl"), format!("{roster}{{\"kind\": \"CAT\"}}\n")).unwrap();
    site.app.reload_guardrails().await;
    assert_eq!(masks(), 1, "a roster that cannot be read masks nobody less");
}

#[tokio::test]
async fn a_reload_is_recorded_for_each_tenant_with_the_version_it_ended_with() {
    let folder = tempfile::tempdir().unwrap();
    let site = site(folder.path());
    fs::remove_file(folder.path().join("guardrail.toml")).unwrap();
    site.app.reload_guardrails().await;
    site.app.gate.audit.flush().await.unwrap();
    let (mut tenants, mut ends) = (Vec::new(), Vec::new());
    for record in site.app.gate.audit.since(0, 100).unwrap() {
        match record.body {
            Body::Intent(intent) => {
                assert_eq!(intent.action, Action::ManageGuardrails);
                tenants.push(intent.tenant.unwrap().to_string());
            }
            Body::Outcome(outcome) => {
                ends.push((outcome.kind, outcome.code.unwrap(), outcome.guardrail.map(|held| held.version)));
            }
        }
    }
    assert_eq!(tenants, ["larkfield", "riverside"]);
    let failed = (OutcomeKind::Failed, "guardrail_invalid".to_owned(), None);
    assert_eq!(ends, [failed, (OutcomeKind::Done, "reloaded".to_owned(), Some("built-in".to_owned()))]);
}
