//! Tokens of a real OpenID provider (npm `oidc-provider`) against the server, whose keys come from a file.

use std::{fs, process::Command};

use cloister_tests::{Client, everything};
use serde_json::Value;

use super::{
    openai_clients::{cache, succeed},
    site::program,
};

const PROVIDER: &str = include_str!("../../fixtures/oidc_provider.mjs");

#[test]
fn a_token_of_a_real_provider_is_accepted_and_refused_when_expired_foreign_unsigned_altered_or_for_another_audience() {
    if !everything(
        "a_token_of_a_real_provider_is_accepted_and_refused_when_expired_foreign_unsigned_altered_or_for_another_audience (needs npm and Node)",
    ) {
        return;
    }
    let folder = cache().join("oidc");
    fs::create_dir_all(&folder).unwrap();
    if !folder.join("node_modules/oidc-provider").exists() {
        let install = ["install", "--no-audit", "--no-fund", "--silent", "oidc-provider@9.13.3"];
        succeed(Command::new("npm").args(install).current_dir(&folder));
    }
    let script = folder.join("provider.mjs");
    fs::write(&script, PROVIDER).unwrap();
    let printed = succeed(Command::new("node").arg(&script).current_dir(&folder));
    let printed: Value = serde_json::from_str(printed.lines().last().unwrap()).unwrap();

    let site = program().site();
    let keys = site.path().join("oidc-keys.json");
    fs::write(&keys, printed["keys"].to_string()).unwrap();
    let section = format!(
        "\n[oidc]\nissuer = {}\naudience = \"cloister\"\nalgorithm = \"RS256\"\nkeys = \"{}\"\n\
         [[oidc.groups]]\ngroup = \"rx-managers\"\nrole = \"knowledge_manager\"\ntenant = \"pharmacy\"\n\
         [[oidc.groups]]\ngroup = \"rx-agents\"\nrole = \"agent\"\ntenant = \"pharmacy\"\nlabels = [\"all\", \"staff\"]\n",
        printed["issuer"],
        keys.display()
    );
    let config = fs::read_to_string(site.config()).unwrap() + &section;
    fs::write(site.config(), config).unwrap();
    let server = site.serve();
    let status = |token: &str| Client::new(&server, token).get("/api/collections").status;
    let token = |name: &str| printed["tokens"][name].as_str().unwrap().to_owned();
    assert_eq!(status(&token("right")), 200, "{}", server.logged());
    for wrong in ["expired", "foreign", "unsigned", "altered", "other_audience"] {
        assert_eq!(status(&token(wrong)), 401, "{wrong}");
    }
    let log = server.logged();
    for code in ["token_expired", "token_signature_wrong", "token_malformed", "token_for_another_audience"] {
        assert!(log.contains(code), "{code}: {log}");
    }
    assert!(!log.contains(&token("right")), "no token stands in the log");

    fs::write(&keys, printed["foreign_keys"].to_string()).unwrap();
    assert_eq!(status(&token("right")), 401, "the provider has changed its keys");
    fs::write(&keys, printed["keys"].to_string()).unwrap();
    assert_eq!(status(&token("right")), 200, "and back, without a restart");
}
