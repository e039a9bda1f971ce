//! `cloister audit export` and `cloister audit prove`.

use std::{
    fs::OpenOptions,
    io::{self, BufWriter, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use anyhow::Context;
use cloister_governance::audit::{Events, Outcome, Reader};
use cloister_terms::Action;

use super::{Export, Format, Proven, say};
use crate::cli::site::Desk;

pub(super) fn run(desk: &Desk, export: &Export) -> anyhow::Result<()> {
    let reader = Reader::of(&desk.store);
    desk.govern_audit(Action::ReadAudit, || {
        let mut to: Box<dyn Write> = match &export.to {
            Some(path) => Box::new(BufWriter::new(new_file(path)?)),
            None => Box::new(BufWriter::new(io::stdout().lock())),
        };
        let mut lines = 0_u64;
        let mut events = Events::default();
        reader.records(export.after, |leaf, record| {
            match export.format {
                Format::Ndjson => to.write_all(leaf)?,
                Format::Fhir => match events.record(record) {
                    Some(event) => to.write_all(event.to_string().as_bytes())?,
                    None => return Ok(()),
                },
            }
            lines += 1;
            to.write_all(b"\n")
        })?;
        for event in events.unfinished() {
            lines += 1;
            writeln!(to, "{event}")?;
        }
        to.flush()?;
        Ok(((), Outcome::done().with_code("export").with_count("lines", lines)))
    })
}

pub(super) fn prove(desk: &Desk, what: &Proven) -> anyhow::Result<()> {
    let reader = Reader::of(&desk.store);
    let proof = desk.govern_audit(Action::ReadAudit, || {
        let proof = match what {
            Proven::Record { sequence, checkpoint, leaf } => {
                let proof = reader.prove_record(*sequence, *checkpoint)?;
                if let Some(path) = leaf {
                    new_file(path)?.write_all(&proof.leaf).with_context(|| format!("writing {}", path.display()))?;
                }
                proof.to_string()
            }
            Proven::Consistency { earlier, later } => reader.prove_consistency(*earlier, *later)?.to_string(),
        };
        Ok((proof, Outcome::done().with_code("proof")))
    })?;
    say(&proof);
    Ok(())
}

/// A file that was not there, for its owner alone.
fn new_file(path: &Path) -> anyhow::Result<std::fs::File> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.with_context(|| format!("making {}", path.display()))
}
