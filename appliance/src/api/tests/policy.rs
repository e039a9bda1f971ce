//! The site's own policies, at start and on reload.

use std::{fs, path::Path};

use axum::http::StatusCode;
use cloister_governance::audit::{Body as Written, OutcomeKind};
use cloister_terms::{Action, Role};
use serde_json::json;

use super::site::Site;
use crate::{
    config::{self, Config},
    pipeline::scripted::Script,
    wiring,
};

const NO_SEARCH: &str = "@id(\"no-search\")\n@why(\"Nobody searches while the index is checked.\")\n\
    forbid(principal, action == Action::\"search\", resource);\n";

fn settings(folder: &Path, shadow: Option<&Path>) -> config::Policy {
    // A folder without any file is refused: it may have lost those that forbid.
    if folder.exists() {
        fs::write(folder.join("none.cedar"), "// No policy of the site's own yet.\n").unwrap();
    }
    config::Policy { folder: Some(folder.to_owned()), shadow: shadow.map(Path::to_owned) }
}

fn site(policy: config::Policy) -> Site {
    let held = wiring::policy(&policy, None).unwrap();
    Site::configured(Config { policy, ..Config::default() }, held, vec![Script::Say(vec!["x".to_owned()])])
}

async fn search(site: &Site) -> StatusCode {
    site.post(Role::Agent, "/api/collections/procedures/search", &json!({"query": "insulin"})).await.status
}

#[tokio::test]
async fn a_reload_puts_a_valid_set_in_force_and_keeps_the_old_one_where_the_new_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let site = site(settings(folder.path(), None));
    assert_eq!(search(&site).await, StatusCode::OK);
    fs::write(folder.path().join("a.cedar"), NO_SEARCH).unwrap();
    assert_eq!(search(&site).await, StatusCode::OK, "nothing changes without a reload");
    site.app.reload_policy().await;
    assert_eq!(search(&site).await, StatusCode::FORBIDDEN);
    let held = site.app.gate.policy.rules().version().to_owned();
    fs::write(folder.path().join("a.cedar"), "permit(principal").unwrap();
    site.app.reload_policy().await;
    assert_eq!(search(&site).await, StatusCode::FORBIDDEN, "the set in force stays");
    assert_eq!(site.app.gate.policy.rules().version(), held);
    let counted = site.app.metrics.render();
    for result in ["reloaded", "invalid"] {
        assert!(counted.contains(&format!("cloister_policy_reloads_total{{result=\"{result}\"}} 1")), "{counted}");
    }
}

#[tokio::test]
async fn a_reload_is_recorded_with_how_it_ended() {
    let folder = tempfile::tempdir().unwrap();
    let site = site(settings(folder.path(), None));
    site.app.reload_policy().await;
    fs::write(folder.path().join("a.cedar"), "permit(principal").unwrap();
    site.app.reload_policy().await;
    site.app.gate.audit.flush().await.unwrap();
    let mut seen = Vec::new();
    for record in site.app.gate.audit.since(0, 100).unwrap() {
        match record.body {
            Written::Intent(intent) => assert_eq!(intent.action, Action::ManagePolicy),
            Written::Outcome(outcome) => seen.push((outcome.kind, outcome.code.unwrap())),
        }
    }
    let expected = [(OutcomeKind::Done, "reloaded".to_owned()), (OutcomeKind::Failed, "policies_invalid".to_owned())];
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_set_on_trial_is_counted_where_it_differs_and_changes_no_answer() {
    let (folder, trial) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(trial.path().join("a.cedar"), NO_SEARCH).unwrap();
    let metrics = crate::edge::metrics::Metrics::new();
    let policy = settings(folder.path(), Some(trial.path()));
    let held = wiring::policy(&policy, Some(&metrics)).unwrap();
    let scripts = vec![Script::Say(vec!["x".to_owned()])];
    let site = Site::configured(Config { policy, ..Config::default() }, held, scripts);
    assert_eq!(search(&site).await, StatusCode::OK);
    assert!(site.get(Role::Agent, "/api/collections").await.status.is_success());
    let counted = metrics.render();
    let expected = "cloister_policy_shadow_differences_total{change=\"would_deny\"} 1";
    assert!(counted.contains(expected), "{counted}");
}

#[test]
fn there_is_no_start_without_a_valid_set() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.cedar"), "permit(principal").unwrap();
    let error = wiring::policy(&settings(folder.path(), None), None).unwrap_err();
    assert!(format!("{error:#}").contains("a.cedar:1: "), "{error:#}");
    let absent = wiring::policy(&settings(&folder.path().join("absent"), None), None).unwrap_err();
    assert!(format!("{absent:#}").contains("cannot be read"), "{absent:#}");
}
