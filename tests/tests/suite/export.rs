//! A de-identified export, by the real command: refused until the site says who may and has measured, and then without a name.

use std::fs;

use cloister_tests::Client;
use serde_json::json;

use super::site::{identifiers_suite, program, said, write};

const PERMIT: &str = "@id(\"compliance-exports\") @why(\"For a study that the board approved.\")
    permit(principal in Role::\"compliance\", action == Action::\"export_deidentified\", resource);\n";

#[test]
fn texts_go_out_once_the_site_permits_it_and_has_measured_and_hold_no_identifier() {
    let site = program().site();
    let folder = tempfile::tempdir().unwrap();
    let patient = write(folder.path(), "log.md", "# Log\n\nThe patient Ana Quartzmann, MRN 4471902, called at noon.\n");
    let taken = site.run(["kb", "ingest", "procedures", &patient]);
    assert!(taken.status.success(), "{}", said(&taken));
    let untitled = write(folder.path(), "Quartzmann_Ana_1953.txt", "Opened pens were returned by the ward.\n");
    let taken = site.run(["kb", "ingest", "procedures", &untitled]);
    assert!(taken.status.success(), "{}", said(&taken));
    let server = site.serve();
    let asked = "May Mr. Ben Ostrovar, MRN 5583011, refill a controlled medication two days early?";
    let answered = Client::new(&server, site.key("agent")).post("/api/ask", &json!({ "question": asked }));
    assert_eq!(answered.status, 200, "{}", answered.text());
    drop(server);
    let suite = identifiers_suite(folder.path());
    let measured = folder.path().join("measured");
    let run = site.run(["eval", "run", &suite, "--out", measured.to_str().unwrap()]);
    assert!(run.status.success(), "{}", said(&run));
    let result = measured.join("RESULT.json");
    let policies = folder.path().join("policies");
    fs::create_dir(&policies).unwrap();
    write(&policies, "site.cedar", PERMIT);
    let (setting, out) = (format!("policy.folder={}", policies.display()), folder.path().join("export"));
    let export = |result: &str, more: &[&str]| {
        let mut arguments = vec!["export", "--collection", "procedures", "--captures", "--result", result, "--out"];
        arguments.push(out.to_str().unwrap());
        arguments.extend(more);
        site.run(arguments)
    };
    let permitted = ["--set", setting.as_str()];

    let refused = export(result.to_str().unwrap(), &[]);
    assert!(!refused.status.success() && said(&refused).contains("export_deidentified"), "{}", said(&refused));
    let altered = fs::read_to_string(&result).unwrap().replacen("\"seed\"", " \"seed\"", 1);
    let altered = write(folder.path(), "ALTERED.json", &altered);
    let refused = export(&altered, &permitted);
    assert!(!refused.status.success() && said(&refused).contains("not measured on this site"), "{}", said(&refused));
    assert!(!out.exists(), "what is refused leaves nothing");

    let done = export(result.to_str().unwrap(), &permitted);
    assert!(done.status.success(), "{}", said(&done));
    let texts = fs::read_to_string(out.join("texts.jsonl")).unwrap();
    assert!(texts.contains("called at noon") && texts.contains("[MRN-1]"), "{texts}");
    assert!(texts.contains("refill a controlled medication") && said(&done).contains(" 1 captures"), "{}", said(&done));
    assert!(!texts.contains("Ostrovar") && !texts.contains("5583011"), "{texts}");
    assert!(!texts.contains("Quartzmann") && !texts.contains("4471902") && !texts.contains("log.md"), "{texts}");
    let statement = fs::read_to_string(out.join("STATEMENT.md")).unwrap();
    assert!(statement.contains("What is not claimed") && statement.contains("found whole"), "{statement}");
    let recorded = site.run(["audit", "search", "--action", "export_deidentified", "--json"]);
    let recorded = said(&recorded);
    assert!(
        recorded.contains("exported") && recorded.contains("\"documents\"") && !recorded.contains("Quartzmann"),
        "{recorded}"
    );
}
