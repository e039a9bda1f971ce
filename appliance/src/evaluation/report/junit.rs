//! The result in JUnit's form: a suite for each part, a case for each figure, and a failure where the gate does not hold.

use std::fmt::Write as _;

use super::{
    Judged,
    words::{escape, range, value},
};
use crate::evaluation::result::Run;

/// The result as JUnit's XML. A figure that no gate asks about passes with its value as output.
#[must_use]
pub fn junit(run: &Run, judged: Judged<'_>) -> String {
    let broken = |name: &str| {
        let lines = judged.map(|(_, ruling)| ruling.lines.as_slice()).unwrap_or_default();
        let lines = lines.iter().filter(|line| line.metric == name && !line.holds);
        lines.map(|line| format!("asked {}, found {}", line.asked, line.found)).collect::<Vec<_>>()
    };
    let mut suites = String::new();
    let (mut tests, mut failures) = (0, 0);
    for part in &run.suite.parts {
        let prefix = format!("{}/", part.id);
        let (mut cases, mut count, mut failed) = (String::new(), 0, 0);
        for figure in run.metrics.iter().filter(|figure| figure.name.starts_with(&prefix)) {
            let why = broken(&figure.name);
            let told =
                format!("{} ({})", value(figure.interval.value, figure.unit), range(figure.interval, figure.unit));
            let failure = if why.is_empty() {
                String::new()
            } else {
                failed += 1;
                format!("<failure message=\"{}\"/>", escape(&why.join("; ")))
            };
            count += 1;
            let _ = writeln!(
                cases,
                "    <testcase classname=\"{}\" name=\"{}\">{failure}<system-out>{}</system-out></testcase>",
                escape(&part.id),
                escape(&figure.name),
                escape(&told)
            );
        }
        let _ = writeln!(
            suites,
            "  <testsuite name=\"{}\" tests=\"{count}\" failures=\"{failed}\">\n{cases}  </testsuite>",
            escape(&part.id)
        );
        tests += count;
        failures += failed;
    }
    // What the gate asks and the result does not have belongs to no part.
    let absent: Vec<_> = judged
        .map(|(_, ruling)| {
            ruling.lines.iter().filter(|line| !line.holds && run.figure(&line.metric).is_none()).collect()
        })
        .unwrap_or_default();
    if !absent.is_empty() {
        let count = absent.len();
        let _ = writeln!(suites, "  <testsuite name=\"gate\" tests=\"{count}\" failures=\"{count}\">");
        for line in absent {
            let why = format!("asked {}, found {}", line.asked, line.found);
            let _ = writeln!(
                suites,
                "    <testcase classname=\"gate\" name=\"{}\"><failure message=\"{}\"/></testcase>",
                escape(&line.metric),
                escape(&why)
            );
        }
        suites.push_str("  </testsuite>\n");
        tests += count;
        failures += count;
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"{}\" tests=\"{tests}\" failures=\"{failures}\" time=\"{:.1}\">\n{suites}</testsuites>\n",
        escape(&run.suite.name),
        run.seconds
    )
}
