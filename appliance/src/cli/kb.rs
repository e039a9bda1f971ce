//! `cloister kb`: the collections of a tenant. It works on the encrypted database itself, beside a running server or
//! without one; a server sees each change at its next search.

use std::{path::PathBuf, process::ExitCode};

use anyhow::bail;
use clap::{Args, Subcommand};
use cloister_governance::audit::{Document, Outcome};
use cloister_knowledge::{Collection, CollectionSpec, DocumentVersion, Mode, Problem, Query, Scope};
use cloister_terms::{AccessLabel, Action, CollectionId, DocumentId, TenantId};
use serde_json::json;

use super::{
    progress,
    site::{self, Desk},
    table,
};

mod ingest;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    site: site::Arguments,
    /// The tenant; the only one there is, if none is named
    #[arg(long, global = true)]
    tenant: Option<TenantId>,
    /// JSON lines instead of text
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make an empty collection
    Create {
        /// Its name
        collection: CollectionId,
        /// Its title
        #[arg(long)]
        title: Option<String>,
    },
    /// Add or replace documents: files, or folders with all that is in them
    ///
    /// A folder's `metadata.toml` says what its files do not say themselves: `[defaults]` for all of them,
    /// `[files."path/within/the/folder.pdf"]` for one, each with `key = "value"` as for --meta.
    Ingest {
        /// The collection
        collection: CollectionId,
        /// Files and folders
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        /// Metadata for each of them, `key=value`: title, document, version, effective, expires, access, owner
        #[arg(long = "meta", value_parser = key_value)]
        metadata: Vec<(String, String)>,
    },
    /// Make a collection equal to a folder: what is new is added, what changed replaced, what is gone deleted
    ///
    /// The folder's `metadata.toml` says what its files do not say themselves, as for `ingest`.
    Sync {
        /// The collection
        collection: CollectionId,
        /// The folder
        folder: PathBuf,
        /// Again after so many seconds, until stopped
        #[arg(long, value_name = "SECONDS")]
        every: Option<u64>,
    },
    /// List the collections
    List,
    /// Show a collection's documents and index
    Show {
        /// The collection
        collection: CollectionId,
    },
    /// Search a collection, as an answer would
    Search {
        /// The collection
        collection: CollectionId,
        /// What for
        query: String,
        /// At most so many passages
        #[arg(long, default_value_t = 5)]
        top: usize,
        /// Access labels of the reader
        #[arg(long = "label", default_values = ["all", "staff"])]
        labels: Vec<AccessLabel>,
    },
    /// Delete a document, or the whole collection
    Delete {
        /// The collection
        collection: CollectionId,
        /// The document's file name; without one, `--all` deletes the collection
        name: Option<String>,
        /// Delete the whole collection
        #[arg(long)]
        all: bool,
    },
    /// Compare database and indexes; exit code 3 where they disagree
    Verify {
        /// The collection; all of them if none is named
        collection: Option<CollectionId>,
    },
    /// Make the indexes again from the documents in the database
    Rebuild {
        /// The collection
        collection: CollectionId,
        /// Compute the vectors again with the configured embedding model and switch to them at once
        #[arg(long)]
        embed: bool,
    },
}

fn key_value(given: &str) -> Result<(String, String), String> {
    let (key, value) = given.split_once('=').ok_or_else(|| format!("`{given}` is not `key=value`"))?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let desk = Desk::open(&arguments.site)?;
    let tenant = desk.tenant(arguments.tenant)?;
    let json = arguments.json;
    match arguments.verb {
        Verb::Create { collection, title } => create(&desk, &tenant, collection, title),
        Verb::Ingest { collection, paths, metadata } => {
            ingest::files(&desk, &tenant, &collection, &paths, &metadata.into_iter().collect(), json)
        }
        Verb::Sync { collection, folder, every } => ingest::folder(&desk, &tenant, &collection, &folder, every, json),
        Verb::List => list(&desk, &tenant, json),
        Verb::Show { collection } => show(&desk, &tenant, &collection, json),
        Verb::Search { collection, query, top, labels } => {
            let scope = Scope::new(vec![collection.clone()], labels, desk.clock.now());
            search(&desk, &tenant, &collection, &scope, Query { text: query, top, mode: Mode::Hybrid }, json)
        }
        Verb::Delete { collection, name, all } => delete(&desk, &tenant, &collection, name, all),
        Verb::Verify { collection } => verify(&desk, &tenant, collection),
        Verb::Rebuild { collection, embed } => rebuild(&desk, &tenant, &collection, embed),
    }
}

fn create(desk: &Desk, tenant: &TenantId, id: CollectionId, title: Option<String>) -> anyhow::Result<ExitCode> {
    let title = title.unwrap_or_else(|| id.to_string());
    desk.govern(Action::ManageCollection, tenant, Some(&id), || {
        desk.library(tenant)?.create(CollectionSpec { id: id.clone(), title })?;
        Ok(((), Outcome::done()))
    })?;
    say(&format!("created {id}"));
    Ok(ExitCode::SUCCESS)
}

fn list(desk: &Desk, tenant: &TenantId, json: bool) -> anyhow::Result<ExitCode> {
    let collections = desk.govern(Action::ListCollections, tenant, None, || {
        let collections = desk.library(tenant)?.collections()?;
        Ok((collections, Outcome::done()))
    })?;
    let mut table = table::plain(["collection", "title", "documents", "passages", "pairs", "model"]);
    for found in collections {
        if json {
            say(&described(&found).to_string());
        } else {
            let counts = [found.documents, found.passages, found.pairs].map(|n| n.to_string());
            table.add_row([found.id.to_string(), found.title].into_iter().chain(counts).chain([found.model.name]));
        }
    }
    if !json {
        say(&table.to_string());
    }
    Ok(ExitCode::SUCCESS)
}

fn described(collection: &Collection) -> serde_json::Value {
    json!({
        "collection": collection.id, "title": collection.title, "documents": collection.documents,
        "passages": collection.passages, "pairs": collection.pairs,
        "model": { "name": collection.model.name, "sha256": collection.model.sha256 },
        "building": collection.building.as_ref().map(|model| &model.name),
    })
}

fn listed(id: DocumentId, version: &DocumentVersion) -> serde_json::Value {
    json!({
        "document": id, "name": version.name, "title": version.title, "version": version.version, "label": version.label,
        "effective": version.effective, "expires": version.expires, "in_force": version.in_force,
        "format": version.format, "passages": version.passages, "ingested": version.ingested,
    })
}

fn show(desk: &Desk, tenant: &TenantId, id: &CollectionId, json: bool) -> anyhow::Result<ExitCode> {
    let (collection, documents) = desk.govern(Action::ListCollections, tenant, Some(id), || {
        let library = desk.library(tenant)?;
        Ok(((library.show(id)?, library.documents(id)?), Outcome::done()))
    })?;
    if json {
        let versions =
            documents.iter().flat_map(|document| document.versions.iter().map(|version| (document.id, version)));
        let versions: Vec<_> = versions.map(|(id, version)| listed(id, version)).collect();
        say(&json!({ "collection": described(&collection), "documents": versions }).to_string());
        return Ok(ExitCode::SUCCESS);
    }
    say(&format!(
        "{} ({}): {} documents, {} passages, {} pairs, indexed with {}",
        collection.id,
        collection.title,
        collection.documents,
        collection.passages,
        collection.pairs,
        collection.model.name
    ));
    let mut table = table::plain(["name", "title", "version", "effective", "state", "label"]);
    for version in documents.into_iter().flat_map(|document| document.versions) {
        let effective = version.effective.map(|date| date.to_string()).unwrap_or_default();
        let state = if version.in_force { "in force" } else { "not in force" };
        let label = version.label.to_string();
        table.add_row([version.name, version.title, version.version, effective, state.to_owned(), label]);
    }
    say(&table.to_string());
    Ok(ExitCode::SUCCESS)
}

fn search(
    desk: &Desk,
    tenant: &TenantId,
    id: &CollectionId,
    scope: &Scope,
    query: Query,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let found = desk.govern(Action::Search, tenant, Some(id), || {
        let found = desk.library(tenant)?.search(scope, &query)?;
        let outcome = Outcome::done().with_count("passages", found.passages.len() as u64);
        Ok((found, outcome))
    })?;
    for (rank, passage) in found.passages.iter().enumerate() {
        if json {
            say(&json!({
                "name": passage.name, "title": passage.title, "version": passage.version, "headings": passage.headings,
                "page": passage.page, "start": passage.start, "end": passage.end, "text": passage.text, "score": passage.score,
            })
            .to_string());
        } else {
            let place = passage.page.map(|page| format!(", page {page}")).unwrap_or_default();
            say(&format!(
                "{}. {} — {}{place}  ({:.3})",
                rank + 1,
                passage.name,
                passage.headings.join(" > "),
                passage.score
            ));
            say(&format!("   {}\n", passage.text.replace('\n', "\n   ")));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn delete(
    desk: &Desk,
    tenant: &TenantId,
    id: &CollectionId,
    name: Option<String>,
    all: bool,
) -> anyhow::Result<ExitCode> {
    match (name, all) {
        (Some(name), false) => {
            desk.govern(Action::ManageDocuments, tenant, Some(id), || {
                let deleted = desk.library(tenant)?.delete_file(id, &name)?;
                if deleted.is_empty() {
                    bail!("the collection `{id}` has no document `{name}`: see `cloister kb show {id}`");
                }
                let outcome = Outcome::done().with_count("documents", deleted.len() as u64);
                let named = deleted.into_iter().map(|gone| Document {
                    collection: id.clone(),
                    document: gone.document,
                    version: gone.version,
                });
                Ok(((), named.fold(outcome, Outcome::with_document)))
            })?;
            say(&format!("deleted {name} from {id}"));
        }
        (None, true) => {
            desk.govern(Action::ManageCollection, tenant, Some(id), || {
                desk.library(tenant)?.delete(id)?;
                Ok(((), Outcome::done()))
            })?;
            say(&format!("deleted the collection {id}"));
        }
        _ => bail!("name either a document or `--all`"),
    }
    Ok(ExitCode::SUCCESS)
}

fn verify(desk: &Desk, tenant: &TenantId, id: Option<CollectionId>) -> anyhow::Result<ExitCode> {
    let problems = desk.govern(Action::MaintainIndex, tenant, id.as_ref(), || {
        let library = desk.library(tenant)?;
        let ids = match id.clone() {
            Some(id) => vec![id],
            None => library.collections()?.into_iter().map(|collection| collection.id).collect(),
        };
        let mut problems = Vec::new();
        for id in ids {
            let checked = library.verify(&id)?;
            say(&format!(
                "{id}: {} versions, {} passages, {} vectors checked",
                checked.versions, checked.passages, checked.vectors
            ));
            problems.extend(checked.problems.into_iter().map(described_problem));
        }
        let outcome = Outcome::done().with_count("problems", problems.len() as u64);
        Ok((problems, outcome))
    })?;
    for problem in &problems {
        say(&format!("PROBLEM {problem}"));
    }
    say(if problems.is_empty() {
        "database and indexes agree"
    } else {
        "mend it with `cloister kb rebuild COLLECTION`"
    });
    Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(3) })
}

fn described_problem(problem: Problem) -> String {
    let document = problem.document.map(|id| format!(", document {id}")).unwrap_or_default();
    format!("{}{document}: {}", problem.collection, problem.what)
}

fn rebuild(desk: &Desk, tenant: &TenantId, id: &CollectionId, embed: bool) -> anyhow::Result<ExitCode> {
    desk.govern(Action::MaintainIndex, tenant, Some(id), || {
        let library = desk.library(tenant)?;
        let bar = progress::count(0);
        bar.set_message(format!("rebuilding {id}"));
        let mut step = |done: usize, total: usize| {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        };
        if embed {
            library.reembed(id, &mut step)?
        } else {
            library.rebuild(id, &mut step)?
        };
        bar.finish_and_clear();
        Ok(((), Outcome::done()))
    })?;
    say(&format!("rebuilt {id}"));
    Ok(ExitCode::SUCCESS)
}

#[expect(clippy::print_stdout, reason = "what a command was asked for goes to standard output")]
fn say(text: &str) {
    println!("{text}");
}

/// What went wrong and will be tried again.
#[expect(clippy::print_stderr, reason = "advice goes to standard error")]
fn complain(text: &str) {
    eprintln!("{text}");
}
