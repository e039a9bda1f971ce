//! Placeholders: the same throughout a session, and turned back for whoever may, on record.

use std::sync::Arc;

use axum::http::StatusCode;
use cloister_governance::{
    audit::Body,
    policy::{Policy, Rules, Source},
};
use cloister_terms::{Action, Role};
use jiff::SignedDuration;
use serde_json::json;

use super::site::{Reply, Site};
use crate::{
    capture::retention,
    config::{Config, Tenant, Vault},
    pipeline::scripted::Script,
    session::HEADER,
};

/// A site whose own policy lets reviewers turn placeholders back, and whose tenants keep them for so many days.
fn site(days: u32) -> Site {
    let text = "@id(\"reviewers-reidentify\") @why(\"For a test.\") permit(principal in Role::\"reviewer\",
        action == Action::\"reidentify\", resource);";
    let rules = Rules::with(&[Source { name: "site.cedar".to_owned(), text: text.to_owned() }]).unwrap();
    let tenant = Tenant { assistant: Some("pharmacy".to_owned()), vault: Vault { days }, ..Tenant::default() };
    let tenants = [("larkfield".parse().unwrap(), tenant)].into_iter().collect();
    let says = Script::Say(vec!["Opened insulin pens keep for 28 days.".to_owned()]);
    Site::configured(Config { tenants, ..Config::default() }, Policy::of(rules), vec![says])
}

/// Asks in a session, a new one where there is none; what the model was told, and the session.
async fn ask(site: &Site, session: Option<&str>, question: &str) -> (String, String) {
    let before = site.model.heard().len();
    let mut body = json!({"question": format!("{question} How long do opened insulin pens keep at room temperature?")});
    if let Some(session) = session {
        body["session"] = json!(session);
    }
    let reply = site.post(Role::Agent, "/api/ask", &body).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
    let told = site.model.heard().into_iter().skip(before).map(|(text, ..)| text).collect();
    (told, reply.headers[HEADER].to_str().unwrap().to_owned())
}

async fn back(site: &Site, role: Role, session: &str, text: &str) -> Reply {
    site.post(role, &format!("/api/sessions/{session}/reidentify"), &json!({ "text": text })).await
}

#[tokio::test]
async fn a_person_has_one_placeholder_throughout_a_session_and_another_person_another() {
    let site = site(1);
    let (told, session) = ask(&site, None, "Ms. Ana Quartzmann asks.").await;
    assert!(told.contains("[NAME-1] asks"), "{told}");
    let (told, _) = ask(&site, Some(&session), "Mr. Ben Ostrovar asks.").await;
    assert!(told.contains("[NAME-2] asks"), "{told}");
    let (told, _) = ask(&site, Some(&session), "Ms. Ana Quartzmann asks.").await;
    assert!(told.contains("[NAME-1] asks"), "{told}");
    let (told, _) = ask(&site, None, "Mr. Ben Ostrovar asks.").await;
    assert!(told.contains("[NAME-1] asks"), "another session counts for itself: {told}");
}

#[tokio::test]
async fn placeholders_are_turned_back_for_whoever_may_and_that_is_on_record_without_the_text() {
    let site = site(1);
    let (_, session) = ask(&site, None, "Ms. Ana Quartzmann, MRN 4471902, asks.").await;
    let text = "Dear [NAME-1] ([MRN-1]), see [NAME-9] and [1].";
    let reply = back(&site, Role::Reviewer, &session, text).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
    let reply = reply.json();
    let restored = reply["text"].as_str().unwrap();
    assert!(restored.contains("Ana Quartzmann (4471902), see [NAME-9] and [1]."), "{restored}");
    assert_eq!(reply["restored"], 2);
    for role in [Role::Agent, Role::Service, Role::Compliance, Role::Administrator] {
        let refused = back(&site, role, &session, text).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{role}");
        assert!(!refused.text.contains("Quartzmann"), "{}", refused.text);
    }
    site.app.gate.audit.flush().await.unwrap();
    let records = site.app.gate.audit.since(0, 1000).unwrap();
    let told = format!("{records:?}");
    assert!(!told.contains("Quartzmann") && !told.contains("4471902"), "{told}");
    let (mut asked, mut done) = (0, Vec::new());
    for record in records {
        match record.body {
            Body::Intent(intent) if intent.action == Action::Reidentify => {
                assert_eq!(intent.session.map(|session| session.to_string()).as_ref(), Some(&session));
                asked += 1;
            }
            Body::Outcome(outcome) if outcome.code.as_deref() == Some("reidentified") => done.push(outcome.counts),
            _ => {}
        }
    }
    let [counts] = done.as_slice() else { panic!("{done:?}") };
    assert_eq!((asked, counts["restored"], counts["MEDICAL_RECORD_NUMBER"], counts["NAME"]), (5, 2, 1, 1));
}

#[tokio::test]
async fn what_is_over_is_not_turned_back_and_is_removed_on_record() {
    let site = site(1);
    let (_, session) = ask(&site, None, "Ms. Ana Quartzmann asks.").await;
    site.clock.advance(SignedDuration::from_hours(25));
    assert_eq!(back(&site, Role::Reviewer, &session, "[NAME-1]").await.status, StatusCode::NOT_FOUND);
    let vault = site.app.vault(&"larkfield".parse().unwrap()).unwrap();
    // That of the question, and what its capture masks besides.
    let kept = vault.expired().unwrap();
    assert!(kept > 0);
    let app = Arc::clone(&site.app);
    tokio::task::spawn_blocking(move || retention::purge(&app)).await.unwrap();
    assert_eq!(vault.expired().unwrap(), 0);
    let purged = site.outcomes().await.pop().unwrap();
    assert_eq!((purged.code.as_deref(), purged.counts["placeholders"]), (Some("purged"), kept));
}

#[tokio::test]
async fn without_a_vault_nothing_is_kept_and_nothing_turned_back() {
    let site = site(0);
    let (_, session) = ask(&site, None, "Ms. Ana Quartzmann asks.").await;
    let (told, _) = ask(&site, Some(&session), "Mr. Ben Ostrovar asks.").await;
    assert!(told.contains("[NAME-1] asks"), "{told}");
    assert_eq!(back(&site, Role::Reviewer, &session, "[NAME-1]").await.status, StatusCode::NOT_FOUND);
    assert_eq!(site.app.vault(&"larkfield".parse().unwrap()).unwrap().expired().unwrap(), 0);
}

#[tokio::test]
async fn a_session_of_another_tenant_and_none_at_all_are_as_good_as_absent() {
    let site = site(1);
    let (_, session) = ask(&site, None, "Ms. Ana Quartzmann asks.").await;
    let elsewhere = format!("/api/sessions/{session}/reidentify?tenant=riverside");
    let refused = site.post(Role::Reviewer, &elsewhere, &json!({"text": "[NAME-1]"})).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.text);
    for none in ["0".repeat(32), "nonsense".to_owned()] {
        assert_eq!(back(&site, Role::Reviewer, &none, "[NAME-1]").await.status, StatusCode::NOT_FOUND, "{none}");
    }
}

#[tokio::test]
async fn a_capture_says_the_same_of_a_person_as_the_session_does() {
    let site = site(1);
    let (_, session) = ask(&site, None, "Ms. Ana Quartzmann asks.").await;
    ask(&site, Some(&session), "Mr. Ben Ostrovar asks.").await;
    let listed = site.get(Role::Compliance, &format!("/api/captures?tenant=larkfield&session={session}")).await.json();
    let captures: Vec<String> =
        listed["captures"].as_array().unwrap().iter().map(|c| c["capture"].as_str().unwrap().to_owned()).collect();
    assert_eq!(captures.len(), 2, "{listed}");
    for (capture, name) in captures.iter().zip(["Ben Ostrovar", "Ana Quartzmann"]) {
        let shown = site.get(Role::Compliance, &format!("/api/captures/{capture}?tenant=larkfield")).await.json();
        let asked = shown["asked"][0]["text"].as_str().unwrap();
        assert!(!asked.contains(name) && asked.contains("[NAME-"), "{asked}");
        let restored = back(&site, Role::Reviewer, &session, asked).await.json();
        assert!(restored["text"].as_str().unwrap().contains(name), "{restored}");
    }
}

#[test]
#[should_panic(expected = "one placeholder could then stand for two people")]
fn a_session_that_outlasts_its_placeholders_is_refused_at_the_start() {
    let mut config = Config::default();
    config.session.longest_hours = 25;
    let tenant = Tenant { vault: Vault { days: 1 }, ..Tenant::default() };
    config.tenants.insert("larkfield".parse().unwrap(), tenant);
    Site::configured(config, Policy::built_in(), Vec::new());
}
