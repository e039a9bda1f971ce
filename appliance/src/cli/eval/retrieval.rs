//! `cloister eval retrieval`: ranks documents for questions whose answers are known.

use std::{
    collections::BTreeMap,
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use cloister_knowledge::{
    Embed, Library, Mode, Progress,
    evaluate::{self, Document, Question, Run},
};
use serde::Deserialize;

use super::figures::{Figures, Gold};
use crate::{
    cli::{progress, site, table},
    wiring,
};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Questions, one {"id", "question", "gold": [ids] or {id: grade}} a line; an empty gold is a question without answer
    #[arg(long, value_name = "FILE")]
    gold: PathBuf,
    /// Documents, one {"id", "title", "text"} or {"id", "question", "answer"} a line; of a pair the answer is searched
    #[arg(long, value_name = "FILE")]
    docs: PathBuf,
    /// Where the ranking goes, one {"id", "ranked", "abstained"} a line; with `--mode all` the other two modes go beside it
    #[arg(long, value_name = "FILE")]
    ranked: PathBuf,
    /// By what documents are found
    #[arg(long, value_enum, default_value_t = By::Hybrid)]
    mode: By,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    /// Words and meaning together
    Hybrid,
    /// Words alone
    Words,
    /// Meaning alone
    Meaning,
    /// Each of the three
    All,
}

impl By {
    const fn modes(self) -> &'static [Mode] {
        match self {
            Self::Hybrid => &[Mode::Hybrid],
            Self::Words => &[Mode::Words],
            Self::Meaning => &[Mode::Meaning],
            Self::All => &[Mode::Hybrid, Mode::Words, Mode::Meaning],
        }
    }
}

pub(super) fn run(site: &site::Arguments, wanted: &Arguments) -> anyhow::Result<ExitCode> {
    let config = site.load()?.config;
    let embed = wiring::embedding(&config, wiring::INGEST_PATIENCE)?;
    retrieval(wanted, Arc::new(embed))
}

fn retrieval(wanted: &Arguments, embed: Arc<dyn Embed>) -> anyhow::Result<ExitCode> {
    let questions: Vec<Question> = lines(&wanted.gold)?;
    let gold: Vec<Gold> = lines(&wanted.gold)?;
    let documents: Vec<Document> = lines(&wanted.docs)?;
    if questions.is_empty() || documents.is_empty() {
        bail!("there is nothing to measure: a file holds no line");
    }
    let (clock, random) = (wiring::clock(), wiring::random());
    let folder = tempfile::tempdir().context("a folder for the throw-away collection cannot be made")?;
    let connect = evaluate::throw_away(folder.path(), random.as_ref());
    let library = Library::open(connect, embed, Arc::clone(&clock), random)?;
    ingest(&library, documents)?;
    let mut shown =
        table::plain(["mode", "ndcg@10", "recall@1", "recall@5", "recall@10", "mrr", "n", "abstained", "p50", "p99"]);
    for mode in wanted.mode.modes() {
        let run = evaluate::rank(&library, &questions, *mode, clock.now())?;
        let path = beside(&wanted.ranked, *mode, wanted.mode);
        write(&path, &run)?;
        shown.add_row(row(&run, &gold));
    }
    super::say(&shown.to_string());
    Ok(ExitCode::SUCCESS)
}

fn lines<T: for<'de> Deserialize<'de>>(path: &Path) -> anyhow::Result<Vec<T>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    evaluate::read_lines(&text).with_context(|| format!("{} is not as it must be", path.display()))
}

fn ingest(library: &Library, documents: Vec<Document>) -> anyhow::Result<()> {
    let bar = progress::count(documents.len() as u64);
    let report = evaluate::ingest(library, documents, &mut |progress| {
        if let Progress::File { .. } = progress {
            bar.inc(1);
        }
    })?;
    bar.finish_and_clear();
    if let Some((name, error)) = report.failed().next() {
        bail!("{} documents cannot be ingested, `{name}` for example: {error}", report.failed().count());
    }
    Ok(())
}

/// The file of one mode: the one that was named, or with all of them its name with the mode before the extension.
fn beside(ranked: &Path, mode: Mode, wanted: By) -> PathBuf {
    let word = match mode {
        Mode::Words if wanted == By::All => "words",
        Mode::Meaning if wanted == By::All => "meaning",
        Mode::Hybrid | Mode::Words | Mode::Meaning => return ranked.to_owned(),
    };
    let extension =
        ranked.extension().map(|end| end.to_string_lossy().into_owned()).unwrap_or_else(|| "jsonl".to_owned());
    ranked.with_extension(format!("{word}.{extension}"))
}

fn write(path: &Path, run: &Run) -> anyhow::Result<()> {
    let unwritable = || format!("{} cannot be written", path.display());
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).with_context(unwritable)?);
    for line in &run.lines {
        serde_json::to_writer(&mut file, line).with_context(unwritable)?;
        file.write_all(b"\n").with_context(unwritable)?;
    }
    file.flush().with_context(unwritable)
}

fn row(run: &Run, gold: &[Gold]) -> Vec<String> {
    let ranked: BTreeMap<&str, _> = run.lines.iter().map(|line| (line.id.as_str(), line)).collect();
    let figures = Figures::of(gold, |id| ranked.get(id).map(|line| (line.ranked.as_slice(), line.abstained)));
    let share = |value: f64| format!("{value:.3}");
    let abstained = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), share);
    let mut times = run.times.clone();
    times.sort_unstable();
    let mode = match run.mode {
        Mode::Hybrid => "hybrid",
        Mode::Words => "words",
        Mode::Meaning => "meaning",
    };
    let wrong_and_right = match run.mode {
        Mode::Hybrid => {
            format!("{} of answerable, {} of the rest", abstained(figures.answerable), abstained(figures.unanswerable))
        }
        Mode::Words | Mode::Meaning => "-".to_owned(),
    };
    vec![
        mode.to_owned(),
        share(figures.ndcg),
        share(figures.recall_1),
        share(figures.recall_5),
        share(figures.recall_10),
        share(figures.mrr),
        figures.answerable_items.to_string(),
        wrong_and_right,
        percentile(&times, 50),
        percentile(&times, 99),
    ]
}

fn percentile(sorted: &[Duration], percent: usize) -> String {
    let at = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(at).map_or_else(String::new, |time| format!("{:.1} ms", time.as_secs_f64() * 1e3))
}
