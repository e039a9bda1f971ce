//! A run: every item of a suite tried on a site, kept as it comes, and told at the end.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context, bail};
use cloister_governance::{
    approvals::{Approvals, Evaluation},
    audit::{Model, Outcome},
};
use futures_util::stream::{self, StreamExt};
use serde_json::json;

use super::{
    gate::Gate,
    journal::Journal,
    measure,
    report::{junit, page},
    result::{self, FORMAT, Run, System, Tried, TriedPart, figures, sha256},
    site::Site,
    suite::Suite,
};
use crate::governed::governed;

/// The files of a run.
const RESULT: &str = "RESULT.json";
const JUNIT: &str = "junit.xml";
const PAGE: &str = "report.html";

/// How a suite is run.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder of what comes of it.
    pub out: PathBuf,
    /// Whether to go on with a run that was interrupted.
    pub resume: bool,
    /// The seed of samples and intervals. The suite must have been read with it.
    pub seed: u64,
}

/// Runs a suite on a site, and writes RESULT.json, junit.xml and report.html. `progress` is told each item's end. The result's hash is kept in
/// the site's database, so that a gate knows it for this site's own.
///
/// # Errors
/// When policy denies it, the folder holds a result already, or something cannot be read or written. What was measured until then is kept.
pub async fn run(
    site: &Site,
    suite: &Suite,
    gate: Option<&Gate>,
    options: &Options,
    progress: &mut dyn FnMut(),
) -> anyhow::Result<Run> {
    if options.out.join(RESULT).exists() {
        bail!("{} holds a result already: name another folder by --out", options.out.display());
    }
    let caller = site.evaluator();
    governed(&site.app().gate, &caller, site.call(), async |_permit| {
        let run = tried(site, suite, options, progress).await?;
        let items = u64::try_from(run.records.len()).unwrap_or(u64::MAX);
        let mut outcome = Outcome::done().with_code("evaluated").with_count("items", items);
        for model in run.system.generate.iter().chain([&run.system.embed]) {
            outcome = outcome.with_model(Model { name: model.name.clone(), sha256: model.sha256.clone() });
        }
        keep(site, &run, gate, &options.out)?;
        Ok::<_, anyhow::Error>((run, outcome))
    })
    .await
}

/// Tries what is not in the journal yet, and makes the figures.
async fn tried(site: &Site, suite: &Suite, options: &Options, progress: &mut dyn FnMut()) -> anyhow::Result<Run> {
    let system = site.system()?;
    let (began, begun) = (Instant::now(), site.app().clock.now().to_string());
    let mut journal = Journal::open(&options.out, &head(suite, &system, options.seed)?, options.resume)?;
    let mut parts = Vec::new();
    for part in &suite.parts {
        let ids = measure::ids(part);
        parts.push(TriedPart { id: part.id.clone(), kind: part.kind, items: ids.len() });
        let mut todo = Vec::new();
        for (at, id) in ids.iter().enumerate() {
            if journal.holds(&part.id, id) {
                progress();
            } else {
                todo.push(at);
            }
        }
        let at_once = measure::at_once(part.kind);
        let mut under_way = stream::iter(todo).map(|at| measure::measure(site, part, at)).buffer_unordered(at_once);
        while let Some(record) = under_way.next().await {
            if let Some(record) = record? {
                journal.add(record)?;
            }
            progress();
        }
    }
    let records = journal.records();
    let suite = Tried { name: suite.name.clone(), about: suite.about.clone(), sha256: suite.sha256.clone(), parts };
    let metrics = figures(&suite.parts, &records, options.seed);
    let seconds = began.elapsed().as_secs_f64();
    Ok(Run { format: FORMAT, suite, system, seed: options.seed, begun, seconds, metrics, records })
}

/// What a run is of: one line, the first of its journal.
fn head(suite: &Suite, system: &System, seed: u64) -> anyhow::Result<String> {
    Ok(json!({ "format": FORMAT, "suite": suite.sha256, "seed": seed, "system": serde_json::to_value(system)? })
        .to_string())
}

/// Writes what came of it, and keeps in the database that it came of here.
fn keep(site: &Site, run: &Run, gate: Option<&Gate>, out: &Path) -> anyhow::Result<()> {
    let ruling = gate.map(|gate| gate.judge(run));
    let judged = gate.zip(ruling.as_ref());
    let mut bytes = serde_json::to_vec(run).context("writing the result down")?;
    bytes.push(b'\n');
    result::put(&out.join(PAGE), page(run, judged).as_bytes())?;
    result::put(&out.join(JUNIT), junit(run, judged).as_bytes())?;
    let approvals = Approvals::open(&site.app().store.fleet())?;
    let model = run.system.generate.as_ref().map(|model| (model.name.clone(), model.sha256.clone()));
    let made = Evaluation { result: sha256(&bytes), suite: run.suite.sha256.clone(), model };
    approvals.record(&made, site.app().clock.as_ref())?;
    result::put(&out.join(RESULT), &bytes)?;
    Journal::forget(out)
}
