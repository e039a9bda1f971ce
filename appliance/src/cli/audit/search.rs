//! `cloister audit search`.

use cloister_governance::audit::{COLUMNS, Found, Outcome, Reader};
use cloister_terms::Action;
use serde_json::{Map, Value};

use super::{Search, say};
use crate::cli::{site::Desk, table};

pub(super) fn columns() {
    let mut table = table::plain(["column", "holds"]);
    for (name, holds) in COLUMNS {
        table.add_row([*name, *holds]);
    }
    say(&format!("{table}\n"));
}

pub(super) fn run(desk: &Desk, search: &Search) -> anyhow::Result<()> {
    let reader = Reader::of(&desk.store);
    let found = desk.govern_audit(Action::ReadAudit, || {
        let found = match &search.statement {
            Some(statement) => reader.query(statement, search.limit)?,
            None => reader.search(&search.filter(), search.limit)?,
        };
        let rows = u64::try_from(found.rows.len()).unwrap_or(u64::MAX);
        Ok((found, Outcome::done().with_code("search").with_count("rows", rows)))
    })?;
    if search.json {
        for row in objects(&found) {
            say(&format!("{row}\n"));
        }
    } else {
        say(&format!("{}\n", shown(&found, search.statement.is_none())));
    }
    if found.more {
        advise(&format!("there are more than {} rows: give --limit, or narrow the search", search.limit));
    }
    Ok(())
}

fn objects(found: &Found) -> impl Iterator<Item = Value> + '_ {
    found.rows.iter().map(|row| {
        let pairs = found.columns.iter().cloned().zip(row.iter().cloned());
        Value::Object(pairs.collect::<Map<_, _>>())
    })
}

/// As a table. Of a plain search only the columns that fit a line.
fn shown(found: &Found, plain: bool) -> String {
    const NARROW: &[&str] = &["sequence", "at", "name", "role", "action", "tenant", "session", "outcome", "code"];
    let columns: Vec<usize> = (0..found.columns.len())
        .filter(|at| !plain || found.columns.get(*at).is_some_and(|name| NARROW.contains(&name.as_str())))
        .collect();
    let mut table = table::plain::<0>([]);
    table.set_header(columns.iter().filter_map(|at| found.columns.get(*at)));
    for row in &found.rows {
        table.add_row(columns.iter().filter_map(|at| row.get(*at)).map(|value| match value {
            Value::Null => "-".to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }));
    }
    table.to_string()
}

#[expect(clippy::print_stderr, reason = "advice goes to standard error")]
fn advise(text: &str) {
    eprintln!("{text}");
}
