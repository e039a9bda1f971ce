//! The report as a table for people who read text.

use std::fmt::Write as _;

use super::{Report, figure};

/// The report in Markdown: a table with the machine in every row.
#[must_use]
pub fn text(report: &Report) -> String {
    let mut out = format!("# Measured with Cloister, {}\n\n", report.begun);
    out.push_str("| workload | measure | median | least to greatest | unit | rounds | machine | load before |\n");
    out.push_str("|---|---|---:|---:|---|---:|---|---:|\n");
    for row in &report.rows {
        let (least, greatest) = row.range();
        let cells = [
            row.workload.clone(),
            row.measure.clone(),
            figure(row.median()),
            format!("{} to {}", figure(least), figure(greatest)),
            row.unit.clone(),
            row.rounds.len().to_string(),
            row.machine.line(),
            format!("{:.2}", row.machine.load),
        ];
        let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample;

    #[test]
    fn every_row_names_its_machine() {
        let text = super::text(&sample());
        let rows: Vec<&str> = text.lines().filter(|line| line.contains("tokens/s") || line.contains(" ms ")).collect();
        assert_eq!(rows.len(), 3, "{text}");
        assert!(rows.iter().all(|row| row.contains("2 threads") && row.matches('|').count() == 9), "{text}");
        assert!(rows[0].contains("| prompt | speed | 500 | 490 to 510 | tokens/s | 3 |"), "{text}");
    }
}
