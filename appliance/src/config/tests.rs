use super::*;

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cloister.toml");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

fn complaint(text: &str, sets: &[&str]) -> Complaint {
    let (_folder, path) = file(text);
    let sets: Vec<String> = sets.iter().map(ToString::to_string).collect();
    match Config::load(Some(&path), &sets) {
        Err(ConfigError::Wrong(complaint)) => *complaint,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_empty_file_is_all_defaults() {
    let (_folder, path) = file("");
    let loaded = Config::load(Some(&path), &[]).unwrap();
    assert_eq!(loaded.config, Config::default());
    assert_eq!(loaded.config.server.port, 8443);
    assert!(loaded.settings().iter().all(|setting| setting.origin == Origin::Default));
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_the_nearest_known_one() {
    let complaint = complaint("[server]\nlisten = \"127.0.0.1\"\nprot = 1\n", &[]);
    assert_eq!(complaint.line(), Some(3));
    assert_eq!(complaint.hint(), Some("did you mean `port`?"));
    assert!(complaint.to_string().starts_with("unknown field `prot`"));
}

#[test]
fn an_unknown_section_is_refused_with_the_nearest_known_one() {
    let complaint = complaint("[sever]\nport = 1\n", &[]);
    assert_eq!((complaint.line(), complaint.hint()), (Some(1), Some("did you mean `server`?")));
}

#[test]
fn an_unknown_key_that_is_near_nothing_gets_no_guess() {
    assert_eq!(complaint("[server]\nzzzzzzzzzz = 1\n", &[]).hint(), None);
}

#[test]
fn a_value_of_the_wrong_kind_is_refused_at_its_line() {
    assert_eq!(complaint("[server]\n\nport = \"high\"\n", &[]).line(), Some(3));
    assert_eq!(complaint("[server]\nport = 70000\n", &[]).line(), Some(2));
    assert_eq!(complaint("[server\n", &[]).line(), Some(1));
    assert_eq!(complaint("[tenants.\"Not A Name\"]\n", &[]).line(), Some(1));
}

#[test]
fn the_command_line_wins_over_the_file_and_the_file_over_the_defaults() {
    let (_folder, path) = file("[server]\nport = 1\nmax_connections = 2\n");
    let sets = ["server.port=3".to_owned(), "data.folder=/srv/cloister".to_owned()];
    let loaded = Config::load(Some(&path), &sets).unwrap();
    assert_eq!((loaded.config.server.port, loaded.config.server.max_connections), (3, 2));
    assert_eq!(loaded.config.data.folder, Path::new("/srv/cloister"));
    assert_eq!(loaded.origin("server.port"), Origin::Set);
    assert_eq!(loaded.origin("server.max_connections"), Origin::File { path, line: 3 });
    assert_eq!(loaded.origin("server.listen"), Origin::Default);
}

#[test]
fn a_wrong_set_is_refused_by_its_own_name() {
    for (set, help) in [("server.prot=1", Some("did you mean `port`?")), ("server.port=high", None), ("port", None)] {
        let complaint = complaint("[server]\nport = 1\n", &[set]);
        assert_eq!(complaint.hint(), help, "{set}: {complaint}");
    }
    assert!(complaint("", &["server.port.x=1"]).to_string().contains("invalid type"), "a table is no port");
    assert!(complaint("[server]\nport = 1\n", &["server.port.x=1"]).to_string().contains("not a section"));
}

#[test]
fn values_that_contradict_each_other_are_refused_where_they_stand() {
    let complaint = complaint("[tls]\ncertificate = \"/etc/cloister/site.pem\"\n", &[]);
    assert_eq!(complaint.line(), Some(2));
    assert_eq!(complaint.to_string(), "`tls.certificate` needs `tls.key` beside it");
}

#[test]
fn a_time_zone_is_a_name_that_is_known() {
    let (_folder, path) = file("[site]\nzone = \"America/New_York\"\n");
    let site = Config::load(Some(&path), &[]).unwrap().config.site;
    assert_eq!(site.time_zone().iana_name(), Some("America/New_York"));
    let complaint = complaint("[site]\nzone = \"Eastern\"\n", &[]);
    assert_eq!(complaint.line(), Some(2));
    assert!(complaint.to_string().contains("`Eastern` is no time zone"), "{complaint}");
}

#[test]
fn every_bound_is_enforced() {
    for (set, key) in [
        ("server.max_connections=0", "server.max_connections"),
        ("server.body_limit_bytes=0", "server.body_limit_bytes"),
        ("limits.burst=0", "limits.burst"),
        ("sign_in.idle_minutes=61", "sign_in.idle_minutes"),
        ("sign_in.longest_hours=0", "sign_in.longest_hours"),
        ("audit.retention_years=5", "audit.retention_years"),
        ("models.embed=\"\"", "models.embed"),
        ("models.sequences=0", "models.sequences"),
        ("models.context_tokens=63", "models.context_tokens"),
        ("answer.evidence=1.5", "answer.evidence"),
        ("answer.same_question.words=nan", "answer.same_question.words"),
        ("answer.answers=1.1", "answer.answers"),
        ("answer.same_question.likely=1.1", "answer.same_question.likely"),
    ] {
        assert!(complaint("", &[set]).to_string().contains(key), "{set}");
    }
}

#[test]
fn show_lists_every_key_with_its_origin_also_what_is_unset() {
    let (_folder, path) = file("[tenants.larkfield]\ntitle = \"Larkfield\"\n");
    let settings = Config::load(Some(&path), &[]).unwrap().settings();
    let find = |key: &str| settings.iter().find(|setting| setting.key == key).unwrap();
    assert_eq!(find("tenants.larkfield.title").value.as_deref(), Some("\"Larkfield\""));
    assert_eq!(find("tenants.larkfield.title").origin, Origin::File { path: path.clone(), line: 2 });
    assert_eq!(find("keys.master").value, None);
    assert_eq!(find("server.port").value.as_deref(), Some("8443"));
}

#[test]
fn a_missing_file_is_an_error_not_the_defaults() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(Config::load(Some(&folder.path().join("none.toml")), &[]), Err(ConfigError::Unreadable { .. })));
}

#[test]
fn the_packaged_file_holds_the_defaults() {
    let packaged =
        std::path::PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("../systemd/cloister.toml");
    let loaded = Config::load(Some(&packaged), &[]).unwrap();
    assert_eq!(loaded.config, Config::default());
}

#[test]
fn a_tenants_captures_are_redacted_for_thirty_days_and_only_its_own_file_makes_them_raw() {
    let (_folder, path) = file("[tenants.a]\n[tenants.b.captures]\nmode = \"off\"\ndays = 7\nrequired = true\n");
    let tenants = Config::load(Some(&path), &[]).unwrap().config.tenants;
    let of = |name: &str| tenants[&name.parse::<cloister_terms::TenantId>().unwrap()].captures;
    assert_eq!(of("a"), Captures { mode: CaptureMode::Redacted, days: 30, required: false });
    assert_eq!(of("b"), Captures { mode: CaptureMode::Off, days: 7, required: true });
    let vault = complaint("[tenants.a.vault]\ndays = 2\n", &[]);
    assert!(vault.to_string().contains("cloister tenant apply"), "{vault}");
    let raw = complaint("[tenants.a.captures]\nmode = \"raw\"\n", &[]);
    assert!(raw.to_string().contains("tenant apply"), "{raw}");
    for (wrong, says) in
        [("days = 0", "1 to 3650"), ("days = 4000", "1 to 3650"), ("mod = \"off\"", "mod"), ("mode = \"x\"", "x")]
    {
        let refused = complaint(&format!("[tenants.a.captures]\n{wrong}\n"), &[]);
        assert!(refused.to_string().contains(says), "{refused}");
        assert_eq!(refused.line(), Some(2), "{wrong}");
    }
}
