//! Versions of a guardrail, from the file to its being in force, by the real commands.

use super::{
    policy::hang_up,
    site::{identifiers_suite, program, said, write},
};

const GATE: &str = "[metrics.\"identifiers/recall\"]\nleast = 0.9\n";

#[test]
fn a_guardrail_that_lets_identifiers_through_is_refused_and_one_that_masks_them_comes_into_force_and_can_be_taken_back()
{
    let site = program().site();
    let folder = tempfile::tempdir().unwrap();
    let suite = identifiers_suite(folder.path());
    let gate = write(folder.path(), "gate.toml", GATE);
    let weak = write(folder.path(), "weak.toml", "version = 1\ndefault = \"NONE\"\n");
    let good = write(folder.path(), "good.toml", "version = 1\n[words]\nwords = [\"off the record\"]\n");
    let better = write(folder.path(), "better.toml", "version = 1\n[words]\nwords = [\"off the books\"]\n");

    let measured = |number: &str| {
        let out = folder.path().join(format!("out-{number}"));
        let shown = out.display().to_string();
        let run = site.run(["eval", "run", &suite, "--guardrail", number, "--out", &shown]);
        assert!(run.status.success(), "{}", said(&run));
        out.join("RESULT.json").display().to_string()
    };
    let version =
        |arguments: &[&str]| site.run(["guardrail", "version"].iter().chain(arguments).copied().collect::<Vec<_>>());
    let activate = |number: &str, result: &str| version(&["activate", number, "--gate", &gate, "--result", result]);

    for (file, number) in [(&weak, "version 1"), (&good, "version 2"), (&better, "version 3")] {
        let published = version(&["publish", file]);
        assert!(published.status.success() && said(&published).contains(number), "{}", said(&published));
    }
    let refused = activate("1", &measured("1"));
    assert!(!refused.status.success() && said(&refused).contains("the gate does not hold"), "{}", said(&refused));
    let of_another = activate("3", &measured("2"));
    assert!(!of_another.status.success() && said(&of_another).contains("pharmacy:2"), "{}", said(&of_another));
    let none = version(&["roll-back"]);
    assert!(!none.status.success() && said(&none).contains("no other version"), "{}", said(&none));

    let result = folder.path().join("out-2/RESULT.json").display().to_string();
    for (number, result) in [("2", result), ("3", measured("3"))] {
        let passed = activate(number, &result);
        assert!(passed.status.success(), "{}", said(&passed));
    }
    let differ = version(&["diff", "2", "3"]);
    assert_eq!(differ.status.code(), Some(3));
    assert!(said(&differ).contains("- words = [\"off the record\"]"), "{}", said(&differ));
    let back = version(&["roll-back"]);
    assert!(back.status.success() && said(&back).contains("version 2"), "{}", said(&back));

    let server = site.serve();
    let client = cloister_tests::Client::new(&server, site.key("agent"));
    let asked = client.post("/api/ask", &serde_json::json!({"question": "Off the record, when do you open?"}));
    assert_eq!((asked.status, asked.json()["code"].as_str()), (422, Some("content_filter")), "{}", asked.text());
    let service = client.with_key(site.key("service"));
    let listed = service.get("/api/guardrails").json();
    assert_eq!(listed["in_force"]["version"], "2", "{listed}");
    assert_eq!(listed["versions"].as_array().unwrap().len(), 3, "{listed}");

    // What is put in force afterwards holds from the signal on, for answers and for searches.
    let result = folder.path().join("out-3/RESULT.json").display().to_string();
    let passed = activate("3", &result);
    assert!(passed.status.success() && said(&passed).contains("reload"), "{}", said(&passed));
    let search = || {
        let query = serde_json::json!({"query": "off the books, which vaccines are there"});
        client.post("/api/collections/procedures/search", &query).status
    };
    assert_eq!(search(), 200);
    hang_up(&server, || search() == 422);
    assert_eq!(service.get("/api/guardrails").json()["in_force"]["version"], "3");
}
