//! Backups of a real site: made, wiped, brought back, and gone back to after an upgrade.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
    time::Instant,
};

use cloister::{config::Config, wiring};
use cloister_tests::{Client, Site};
use serde_json::{Value, json};

use super::{
    keys::{answers, json_of, run, text},
    site::program,
};

/// Where a rehearsal keeps what is not on the machine that is lost: the backup, the bundle and its shares.
struct Safe(tempfile::TempDir);

impl Safe {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn files(&self, folder: &str, kind: &str) -> Vec<String> {
        let paths = fs::read_dir(self.0.path().join(folder)).unwrap().map(|entry| entry.unwrap().path());
        let mut paths: Vec<String> = paths.map(|path| path.display().to_string()).collect();
        paths.retain(|path| path.contains(kind));
        paths.sort();
        paths
    }

    /// Restores the backup of that name with the bundle in `folder` and `shares` of its shares.
    fn restore(&self, site: &Site, backup: &str, folder: &str, shares: usize) -> Output {
        let (backup, bundle) = (self.path(backup), self.files(folder, ".bundle").remove(0));
        let all = self.files(folder, ".share-");
        assert_eq!(all.len(), 5);
        let shares = all.iter().take(shares).flat_map(|share| ["--share", share.as_str()]);
        site.run(["backup", "restore", backup.as_str(), "--bundle", bundle.as_str()].into_iter().chain(shares))
    }
}

/// Takes away all that a new machine does not have. The clients keep their keys.
fn wipe(site: &Site) {
    for entry in fs::read_dir(site.path()).unwrap() {
        let path = entry.unwrap().path();
        match path.file_name().unwrap().to_str().unwrap() {
            "accounts" | "server.log" => {}
            _ if path.is_dir() => fs::remove_dir_all(&path).unwrap(),
            _ => fs::remove_file(&path).unwrap(),
        }
    }
}

/// Gives the site a policy of its own: nobody searches.
fn with_a_policy(site: &Site) -> PathBuf {
    let folder = site.path().join("etc/policies");
    fs::create_dir_all(&folder).unwrap();
    let policy = "@id(\"no-search\")\n@why(\"Nobody searches.\")\n\
        forbid(principal, action == Action::\"search\", resource);\n";
    fs::write(folder.join("10-search.cedar"), policy).unwrap();
    let config = fs::read_to_string(site.config()).unwrap();
    let named = toml::Value::from(folder.to_str().unwrap());
    fs::write(site.config(), format!("{config}\n[policy]\nfolder = {named}\n")).unwrap();
    folder
}

fn search(client: &Client) -> u16 {
    client.post("/api/collections/procedures/search", &json!({"query": "vaccine"})).status
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let done = work();
    println!("{what}: {:?}", began.elapsed());
    done
}

#[test]
fn a_site_that_was_wiped_comes_back_with_its_answers_its_policies_and_a_log_that_verifies() {
    let site = program().site();
    let safe = Safe::new();
    let policies = with_a_policy(&site);
    let server = site.serve();
    let agent = Client::new(&server, site.key("agent"));
    let before = answers(&agent);
    assert_eq!(search(&agent), 403);
    let authority = fs::read(&server.authority).unwrap();
    run(&site, &["key", "export", "--to", &safe.path("recovery")]);
    let backup = safe.path("site.backup");
    let made = timed("backup beside a server", || json_of(&site, &["backup", "create", &backup, "--json"]));
    assert_eq!(made["key"], "site/backup 1");
    for part in
        ["store/tenants/pharmacy/tenant.db", "policy.folder/10-search.cedar", "cloister.toml", "tls/authority.pem"]
    {
        assert!(made["parts"][part].as_u64().unwrap() > 0, "{part}: {made}");
    }
    println!("bytes in it: {}", made["parts"].as_object().unwrap().values().filter_map(Value::as_u64).sum::<u64>());
    drop(server);
    let verified = timed("verify", || run(&site, &["backup", "verify", &backup]));
    assert!(verified.contains("policy.folder/10-search.cedar"), "{verified}");
    let (config, policy) = (fs::read(site.config()).unwrap(), fs::read(policies.join("10-search.cedar")).unwrap());

    wipe(&site);
    let too_few = safe.restore(&site, "site.backup", "recovery", 2);
    assert_eq!(too_few.status.code(), Some(1), "{}", text(&too_few));
    assert!(text(&too_few).contains("2 different shares were given, and 3 are needed"), "{}", text(&too_few));
    let restored = timed("restore", || safe.restore(&site, "site.backup", "recovery", 3));
    assert_eq!(restored.status.code(), Some(0), "{}", text(&restored));
    assert_eq!(fs::read(site.config()).unwrap(), config);
    assert_eq!(fs::read(policies.join("10-search.cedar")).unwrap(), policy);
    timed("audit verify", || run(&site, &["audit", "verify"]));
    let server = timed("start", || site.serve());
    assert_eq!(fs::read(&server.authority).unwrap(), authority, "clients trust it as before");
    let agent = Client::new(&server, site.key("agent"));
    assert_eq!(answers(&agent), before);
    assert_eq!(search(&agent), 403, "the site's own policy is in force again");
    let again = safe.restore(&site, "site.backup", "recovery", 3);
    assert_eq!(again.status.code(), Some(1), "a store that is there is not restored over: {}", text(&again));
}

#[test]
fn what_does_not_come_back_or_not_to_its_place_is_named_and_the_site_starts_without_it() {
    let site = program().site();
    let safe = Safe::new();
    let policies = with_a_policy(&site);
    run(&site, &["backup", "create", &safe.path("site.backup")]);
    let replaced = run(&site, &["key", "rotate", "--tenant", "pharmacy"]);
    assert!(replaced.contains("make a new backup first"), "{replaced}");
    run(&site, &["key", "export", "--to", &safe.path("recovery")]);
    let verified = site.run(["backup", "verify", safe.path("site.backup").as_str()]);
    assert_eq!(verified.status.code(), Some(3), "{}", text(&verified));
    assert!(text(&verified).contains("version 2 of its key"), "{}", text(&verified));

    let config = fs::read_to_string(site.config()).unwrap();
    wipe(&site);
    // The new machine has a policy of that name already, and a configuration that says more.
    fs::create_dir_all(&policies).unwrap();
    fs::write(policies.join("10-search.cedar"), "// None.\n").unwrap();
    fs::write(site.config(), format!("{config}\n[session]\nidle_minutes = 20\n")).unwrap();
    let restored = safe.restore(&site, "site.backup", "recovery", 3);
    assert_eq!(restored.status.code(), Some(3), "{}", text(&restored));
    let told = text(&restored);
    for part in [
        "store/tenants/pharmacy/tenant.db was left out: version 2 of its key",
        "10-search.cedar is another",
        "cloister.toml is another",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let aside = site.path().join("restored");
    assert!(fs::read_to_string(aside.join("policy.folder/10-search.cedar")).unwrap().contains("no-search"));
    assert_eq!(fs::read_to_string(aside.join("cloister.toml")).unwrap(), config);
    run(&site, &["audit", "verify"]);
    let server = site.serve();
    let shut_out = Client::new(&server, site.key("agent")).get("/api/collections").status;
    assert_eq!(shut_out, 401, "nobody of a tenant that is gone finds themselves in a new one of its name");
}

#[test]
fn after_an_upgrade_a_site_goes_back_with_one_command_to_how_this_release_left_it() {
    let site = program().site();
    let server = site.serve();
    let before = answers(&Client::new(&server, site.key("agent")));
    drop(server);
    let nothing = site.run(["backup", "rollback"]);
    assert_eq!(nothing.status.code(), Some(1), "{}", text(&nothing));
    assert!(text(&nothing).contains("nothing to go back to"), "{}", text(&nothing));
    {
        // What a newer release does with a site: a backup, and then forms that this one does not know.
        let config = Config::load(Some(Path::new(&site.config())), &[]).unwrap().config;
        let store = wiring::store(&config).unwrap();
        store.taken_over_by("99.0.0", &site.path().join("backups"), wiring::clock().now()).unwrap();
        store.fleet().connect().unwrap().execute_batch("PRAGMA user_version = 99").unwrap();
        let tenant = store.tenant(&"pharmacy".parse().unwrap()).unwrap().connect().unwrap();
        tenant.execute_batch("UPDATE knowledge_schema SET steps = 99").unwrap();
    }
    let refused = site.run(["serve", "--set", "server.port=0"]);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    assert!(text(&refused).contains("cloister backup rollback"), "{}", text(&refused));
    let back = timed("rollback", || run(&site, &["backup", "rollback"]));
    assert!(back.contains("store-before-rollback-"), "{back}");
    run(&site, &["audit", "verify"]);
    let server = site.serve();
    assert_eq!(answers(&Client::new(&server, site.key("agent"))), before);
    let sql = "SELECT count(*) AS n FROM audit WHERE code IN ('rollback_begun', 'rolled_back')";
    let recorded: Value = serde_json::from_str(&run(&site, &["audit", "search", sql, "--json"])).unwrap();
    assert_eq!(recorded["n"], 2, "{recorded}");
    let again = site.run(["backup", "rollback"]);
    assert!(text(&again).contains("nothing to go back to"), "{}", text(&again));
}
