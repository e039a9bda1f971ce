//! Accounts as their administrator keeps them, at the machine.

use std::{fs, path::Path};

use super::site::program;

/// Runs a command on the site in `folder`: its exit code, and all that it said.
fn run(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let setting = format!("data.folder={}", toml::Value::from(folder.join("data").to_str().unwrap()));
    let output = program().run(arguments.iter().copied().chain(["--set", &setting, "--set", "tenants.ward={}"]));
    let told = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (output.status.code(), told)
}

fn done(folder: &Path, arguments: &[&str]) -> String {
    let (code, told) = run(folder, arguments);
    assert_eq!(code, Some(0), "{arguments:?}: {told}");
    told
}

#[test]
fn an_administrator_is_named_unlocked_and_reset_and_a_slip_disables_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let site = folder.path();
    let (code, told) = run(site, &["init", "--administrator", "A Lopez"]);
    assert_eq!((code, site.join("data").exists()), (Some(2), false), "{told}");
    assert!(told.contains("lower-case"), "{told}");
    let told = done(site, &["init", "--administrator", "a.lopez"]);
    assert!(told.contains("`a.lopez`"), "{told}");

    // Twelve letters, as an account's id has.
    let (code, told) = run(site, &["account", "disable", "admnistrator"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("--vouched") && told.contains("account list"), "{told}");
    done(site, &["account", "disable", "admnistrator", "--vouched"]);
    done(site, &["account", "enable", "admnistrator"]);
    let (code, told) = run(site, &["account", "disable", "jane roe", "--vouched"]);
    assert_eq!(code, Some(1), "{told}");
    done(site, &["account", "disable", "A.Lopez"]);
    assert!(done(site, &["account", "list"]).contains("disabled"));
    done(site, &["account", "enable", "A.Lopez"]);
    assert!(done(site, &["account", "unlock", "A.Lopez"]).contains("unlocked"));

    let file = site.join("aws").display().to_string();
    done(site, &["account", "access-key", "A.Lopez", "--action", "search", "--action", "ask", "--key-file", &file]);
    let kept = fs::read_to_string(&file).unwrap();
    let id = kept.lines().find_map(|line| line.strip_prefix("aws_access_key_id = ")).unwrap();
    let listed = done(site, &["account", "list"]);
    assert!(listed.contains(&format!("{id}(ask,search)")), "{listed}");
    let secret = site.join("secret").display().to_string();
    done(site, &["account", "reset", "A.Lopez", "--secret-file", &secret]);
    let listed = done(site, &["account", "list"]);
    assert!(!listed.contains(id), "a reset stops the keys too: {listed}");

    let key = site.join("kiosk.key").display().to_string();
    let issue = ["account", "issue", "kiosk", "--role", "service", "--tenant", "ward", "--action", "ask"];
    done(site, &[&issue[..], &["--key-file", &key]].concat());
    let listed = done(site, &["account", "list"]);
    let kiosk = listed.lines().find(|line| line.contains("kiosk")).unwrap();
    assert!(kiosk.split_whitespace().any(|word| word == "ask"), "{kiosk}");
    let (code, told) = run(site, &["account", "issue", "x", "--role", "operator", "--action", "fly"]);
    assert_eq!(code, Some(2), "{told}");

    let recorded = done(site, &["audit", "search", "--action", "manage_accounts", "--json"]);
    for code in ["unlocked", "disabled", "reset", "access_key_issued", "failed"] {
        assert!(recorded.contains(&format!("\"{code}\"")), "{code}: {recorded}");
    }
}
