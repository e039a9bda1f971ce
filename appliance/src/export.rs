//! A de-identified export: texts from which identifiers were taken out, with a statement of what may be left in them.
//!
//! ```text
//! FOLDER/texts.jsonl     {"number", "kind": "document" or "capture", "parts": [{"role", "text"}]}, a line each
//! FOLDER/STATEMENT.md    what was done, what was found, what was measured, and what is not claimed
//! ```
//!
//! **What it is not:** an expert's determination (45 CFR 164.514(b)(1)), nor a proof. It does what Safe Harbor asks as far as the detector
//! finds what it asks for, and says by measured figures how far that is.
//!
//! # Why
//! - **Whatever may be an identifier is masked**, as in captures: a text for training loses little by a word too few.
//! - **Numbers in place of ids.** The id of a capture leads to its session and its account, a file's name to whoever named it. Neither is
//!   written, nor any time.
//! - **No figure that this site did not measure.** Without a result of its own, on the guardrail that holds, nothing is exported.
//! - **All or nothing.** The folder appears when everything is written and on record; half an export would lack its statement.
//! - **No text leads to another.** Placeholders are counted anew in each, and captures stand in no order of time.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::{self, File, OpenOptions, Permissions},
    io::{self, BufWriter, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use cloister_governance::captures::{Content, Excerpt, Turn};
use cloister_guardrails::{
    detect::Detector,
    redact::{self, Placeholders},
};
use cloister_terms::{Phi, Random};
use serde_json::json;

use crate::{
    capture::redaction::redacted,
    evaluation::result::{Figure, Run},
};

/// The measured figures that a statement rests on.
const RECALL: &str = "identifiers/recall";
const RECALL_FULL: &str = "identifiers/recall_full";

/// What a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A document of a collection.
    Document,
    /// A sealed capture of a question and what came of it.
    Capture,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Document => "document",
            Self::Capture => "capture",
        }
    }
}

/// How much went out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Documents.
    pub documents: u64,
    /// Captures.
    pub captures: u64,
    /// Captures that were left out because they are raw.
    pub raw: u64,
    /// Identifiers that were replaced, by what placeholders of their kind are called.
    pub replaced: BTreeMap<&'static str, u64>,
}

impl Counts {
    /// All identifiers that were replaced.
    pub fn identifiers(&self) -> u64 {
        self.replaced.values().sum()
    }
}

/// An export that is being written.
pub struct Export {
    folder: tempfile::TempDir,
    out: PathBuf,
    texts: BufWriter<File>,
    counts: Counts,
}

impl Export {
    /// Begins one that will be `out`, which must not be there yet.
    ///
    /// # Errors
    /// When it is there, or nothing can be written beside it.
    pub fn begin(out: &Path) -> anyhow::Result<Self> {
        if out.exists() {
            bail!("{} is there already: name a folder that is not", out.display());
        }
        let beside = out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = tempfile::Builder::new()
            .prefix(".cloister-export-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(beside);
        let folder = folder.with_context(|| format!("{} cannot be written to", beside.display()))?;
        let texts = create(&folder.path().join("texts.jsonl")).context("the texts cannot be written")?;
        Ok(Self { folder, out: out.to_owned(), texts: BufWriter::new(texts), counts: Counts::default() })
    }

    /// Adds a text of several parts, which are one as far as placeholders go.
    ///
    /// # Errors
    /// When it cannot be redacted or written: the export is then not made.
    pub fn add(
        &mut self,
        kind: Kind,
        content: Content,
        detector: &Detector,
        random: &dyn Random,
    ) -> anyhow::Result<()> {
        let number = self.counts.documents + self.counts.captures + 1;
        let mut placeholders = Placeholders::default();
        let content = renumbered(content, &mut placeholders, random);
        let content = redacted(content, detector, &mut placeholders, random)
            .with_context(|| format!("text {number} cannot be redacted, so nothing is exported"))?;
        let asked = content.asked.iter().map(|turn| (turn.role.as_str(), turn.text.expose().as_str()));
        let evidence = content.evidence.iter().map(|excerpt| ("evidence", excerpt.text.expose().as_str()));
        let answered = content.answered.iter().map(|text| ("assistant", text.expose().as_str()));
        let parts: Vec<(&str, &str)> = asked.chain(evidence).chain(answered).collect();
        for (_, text) in &parts {
            for kind in redact::placeholders_in(text) {
                *self.counts.replaced.entry(kind).or_default() += 1;
            }
        }
        let parts: Vec<_> = parts.iter().map(|(role, text)| json!({"role": role, "text": text})).collect();
        let line = json!({"number": number, "kind": kind.as_str(), "parts": parts});
        writeln!(self.texts, "{line}").context("a text cannot be written")?;
        match kind {
            Kind::Document => self.counts.documents += 1,
            Kind::Capture => self.counts.captures += 1,
        }
        Ok(())
    }

    /// Counts a raw capture, which is left out.
    pub const fn leave_out(&mut self) {
        self.counts.raw += 1;
    }

    /// Writes the statement. What was written is not in its place before [`Staged::release`].
    ///
    /// # Errors
    /// When there is no text, or something cannot be written.
    pub fn finish(mut self, about: &About<'_>) -> anyhow::Result<Staged> {
        if self.counts.documents + self.counts.captures == 0 {
            bail!("there is nothing to export: see the collections, the labels and the captures that were named");
        }
        self.texts.flush().and_then(|()| self.texts.get_ref().sync_all()).context("the texts cannot be written")?;
        let mut statement = create(&self.folder.path().join("STATEMENT.md"))?;
        statement.write_all(about.statement(&self.counts).as_bytes())?;
        statement.sync_all()?;
        Ok(Staged { folder: self.folder, out: self.out, counts: self.counts })
    }
}

/// An export that is whole and not yet in its place: it is put there when it is on record.
pub struct Staged {
    folder: tempfile::TempDir,
    out: PathBuf,
    counts: Counts,
}

impl Staged {
    /// How much it is.
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Puts the folder in its place.
    ///
    /// # Errors
    /// When it cannot be made there; nothing is left then.
    pub fn release(self) -> anyhow::Result<Counts> {
        fs::rename(self.folder.path(), &self.out).with_context(|| format!("{} cannot be made", self.out.display()))?;
        // It is there under another name: nothing is left to remove.
        let _moved = self.folder.keep();
        Ok(self.counts)
    }
}

/// A file that is its owner's alone.
fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// A content with its placeholders numbered anew: those of a capture are its session's, and would tell which texts belong together.
fn renumbered(content: Content, placeholders: &mut Placeholders, random: &dyn Random) -> Content {
    let Content { asked, evidence, answered } = content;
    let mut anew = |text: &Phi<String>| Phi::new(redact::renumbered(text.expose(), placeholders, random));
    Content {
        asked: asked.into_iter().map(|turn| Turn { text: anew(&turn.text), ..turn }).collect(),
        evidence: evidence.into_iter().map(|excerpt| Excerpt { text: anew(&excerpt.text), ..excerpt }).collect(),
        answered: answered.as_ref().map(anew),
    }
}

/// What a statement says besides the counts.
pub struct About<'a> {
    /// The tenant.
    pub tenant: &'a str,
    /// The guardrail whose roster and patterns found identifiers, with its version.
    pub guardrail: &'a str,
    /// The day.
    pub day: &'a str,
    /// What this site measured.
    pub measured: &'a Run,
    /// SHA-256 of the file that says so.
    pub result: &'a str,
}

impl About<'_> {
    fn statement(&self, counts: &Counts) -> String {
        let Self { tenant, guardrail, day, measured, result } = self;
        let Counts { documents, captures, raw, .. } = counts;
        let mut text = format!(
            "# What may be left in this export\n\n\
             Made on {day} by Cloister {version} for the tenant `{tenant}`: {documents} documents and {captures} captures; \
             {raw} raw captures were left out.\n\n\
             ## What was done\n\n\
             Whatever the detector takes for one of the identifiers of 45 CFR 164.514(b)(2), with the roster and the patterns of the \
             guardrail `{guardrail}`, became a placeholder such as `[NAME-1]`, the same one within a text and counted anew in each. \
             Nothing in here leads back to what it stood for: its numbers are not those under which a vault of this site may keep it. \
             Texts have numbers of their own; ids, sessions, accounts and times are left out, and the names of files but for what a text says \
             itself.\n\n\
             ## What was found\n\n{found} identifiers:\n\n",
            version = env!("CARGO_PKG_VERSION"),
            found = counts.identifiers(),
        );
        for (kind, number) in &counts.replaced {
            let _infallible = writeln!(text, "- {kind}: {number}");
        }
        text.push_str("\n## What was measured\n\n");
        let suite = &measured.suite;
        let _infallible = writeln!(
            text,
            "On this site, with this guardrail, on the suite `{}` (SHA-256 {}; result {result}). Whether the roster is still the one of \
             that day was not compared.\n",
            suite.name, suite.sha256,
        );
        for (name, says) in [(RECALL, "identifiers of which any part was found"), (RECALL_FULL, "found whole")] {
            if let Some(Figure { interval, items, .. }) = measured.figure(name) {
                let _infallible = writeln!(
                    text,
                    "- {says}: {:.3} (95 in 100: {:.3} to {:.3}) of {items}",
                    interval.value, interval.low, interval.high
                );
            }
        }
        let _infallible = writeln!(text, "\n{}", expected(measured, counts.identifiers()));
        text.push_str(
            "\n## What is not claimed\n\n\
             - The figures are of the suite's texts and not of these. Real notes are found less well than texts that were made for it: \
             measure on some of your own, and read a sample before this goes to anyone.\n\
             - No expert has determined that the risk is very small (45 CFR 164.514(b)(1)); this is what one would begin with.\n\
             - What is no identifier by itself stands: a rare disease, an unusual event, a year, a job. Together they may name somebody \
             whom the recipient knows of.\n",
        );
        text
    }
}

/// That a result says how well identifiers are found.
///
/// # Errors
/// When it does not.
pub fn measures_identifiers(run: &Run) -> anyhow::Result<()> {
    run.figure(RECALL).map(drop).context("the result has no `identifiers/recall`: measure a suite with such a part")
}

/// How many identifiers are left if these texts are like the suite's: of those that are there a share was found, so that `found` stand
/// for `found / share`.
fn expected(run: &Run, found: u64) -> String {
    let Some(Figure { interval, .. }) = run.figure(RECALL) else { return String::new() };
    #[expect(clippy::cast_precision_loss, reason = "counts of identifiers are small")]
    let left = |share: f64| found as f64 * (1.0 - share) / share;
    if found == 0 {
        return "None was found here, of which these figures say nothing.".to_owned();
    }
    if interval.low <= 0.0 {
        return "By the lower end of that any number may be left.".to_owned();
    }
    format!(
        "If these texts were like the suite's, of {found} found about {:.0} more would be left in them ({:.0} to {:.0}).",
        left(interval.value).ceil(),
        left(interval.high).floor(),
        left(interval.low).ceil(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::rig::Seeded;

    /// A result with this recall and nothing else that a statement reads.
    fn measured(value: f64, low: f64, high: f64) -> Run {
        let figure = json!({"name": RECALL, "interval": {"value": value, "low": low, "high": high}, "items": 500,
            "better": "higher", "unit": "share"});
        let named = json!({"name": "e", "sha256": "0"});
        let system = json!({"program": "1", "tenant": "a", "embed": named, "generate": null, "guardrail": null,
            "settings": "0", "collections": []});
        let suite = json!({"name": "larkfield", "about": "", "sha256": "5a", "parts": []});
        serde_json::from_value(
            json!({"format": 1, "suite": suite, "system": system, "seed": 1, "begun": "", "seconds": 1.0,
            "metrics": [figure], "records": []}),
        )
        .unwrap()
    }

    fn content(text: &str) -> Content {
        let asked = vec![Turn { role: "text".to_owned(), text: Phi::new(text.to_owned()) }];
        Content { asked, ..Content::default() }
    }

    fn about<'a>(measured: &'a Run) -> About<'a> {
        About { tenant: "a", guardrail: "a:built-in", day: "2026-03-01", measured, result: "7b" }
    }

    #[test]
    fn texts_go_out_without_identifiers_and_the_statement_counts_them() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let (detector, random) = (Detector::default(), Seeded::new(1));
        let mut export = Export::begin(&out).unwrap();
        let captured = "[NAME-17] asks for Ms. Bea Ostrovar.";
        for text in ["Ms. Ana Quartzmann, MRN 4471902, called. Ms. Ana Quartzmann left.", "Pens keep for 28 days."] {
            export.add(Kind::Document, content(text), &detector, &random).unwrap();
        }
        export.add(Kind::Capture, content(captured), &detector, &random).unwrap();
        export.leave_out();
        let run = measured(0.9, 0.8, 0.95);
        let staged = export.finish(&about(&run)).unwrap();
        assert!(!out.exists(), "it is in its place once it is on record");
        let counts = staged.release().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(
            (mode(&out), mode(&out.join("texts.jsonl")), mode(&out.join("STATEMENT.md"))),
            (0o700, 0o600, 0o600)
        );
        assert_eq!((counts.documents, counts.captures, counts.raw), (2, 1, 1));
        assert_eq!(counts.replaced, BTreeMap::from([("MRN", 1), ("NAME", 4)]));
        let texts = fs::read_to_string(out.join("texts.jsonl")).unwrap();
        assert_eq!(texts.lines().count(), 3);
        assert!(texts.contains("[NAME-1] asks for") && texts.contains("[NAME-2]"), "two people: {texts}");
        assert!(!texts.contains("Quartzmann") && !texts.contains("4471902") && texts.contains("28 days"), "{texts}");
        let statement = fs::read_to_string(out.join("STATEMENT.md")).unwrap();
        for part in ["2 documents and 1 captures; 1 raw", "5 identifiers", "- NAME: 4", "0.900", "result 7b"] {
            assert!(statement.contains(part), "{part}: {statement}");
        }
        assert!(!statement.contains("Quartzmann"));
    }

    #[test]
    fn what_may_be_left_follows_from_the_share_that_was_found() {
        // Of 90 found at 0.9 there were 100.
        let said = expected(&measured(0.9, 0.75, 0.99), 90);
        assert!(said.contains("of 90 found about 10 more") && said.contains("(0 to 30)"), "{said}");
        assert!(expected(&measured(0.9, 0.0, 1.0), 90).contains("any number"));
        assert!(expected(&measured(0.9, 0.8, 1.0), 0).contains("say nothing"));
    }

    #[test]
    fn an_export_that_does_not_come_to_its_end_leaves_nothing_and_none_goes_over_another() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let (detector, random) = (Detector::default(), Seeded::new(1));
        let mut export = Export::begin(&out).unwrap();
        export.add(Kind::Document, content("A text."), &detector, &random).unwrap();
        drop(export);
        let empty = Export::begin(&out).unwrap().finish(&about(&measured(0.9, 0.8, 1.0)));
        assert!(empty.err().unwrap().to_string().contains("nothing to export"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "neither texts nor a folder");
        fs::create_dir(&out).unwrap();
        assert!(Export::begin(&out).err().unwrap().to_string().contains("is there already"));
    }
}
