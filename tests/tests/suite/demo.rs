//! The first of README's two commands, as a newcomer runs it.

use super::site::program;

#[test]
fn the_demo_answers_two_questions_with_citations_declines_the_third_and_starts_again_on_what_it_made() {
    let folder = tempfile::tempdir().unwrap();
    let shown = folder.path().display().to_string();
    let first = program().run(["demo", "--dir", &shown, "--port", "0", "--exit"]);
    let printed = String::from_utf8_lossy(&first.stdout).into_owned();
    assert!(first.status.success(), "{printed}\n{}", String::from_utf8_lossy(&first.stderr));
    for lane in ["verified", "composed", "abstain"] {
        // As the line under an answer has it, not as a complaint about another lane.
        assert!(
            printed.lines().any(|line| line.starts_with(&format!("{lane} \u{b7} "))),
            "no answer by the lane {lane}: {printed}"
        );
    }
    assert!(printed.contains("curl"), "{printed}");
    let key = std::fs::read_to_string(folder.path().join("accounts/agent.key")).unwrap();
    assert!(!printed.contains(key.trim()), "the key itself stays in its file");

    let again = program().run(["demo", "--dir", &shown, "--port", "0", "--exit"]);
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
    assert_eq!(
        std::fs::read_to_string(folder.path().join("accounts/agent.key")).unwrap(),
        key,
        "it makes no second key"
    );
}
