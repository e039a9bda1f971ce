//! The site's own documents: parsed, cut into passages, indexed by meaning and by words, searched within a scope.
//!
//! **What it is not:** it generates nothing, decides nobody's rights and keeps no audit log. Who may read what arrives
//! as a [`Scope`]; what was read is recorded by the caller. It opens no file but those that it is told to ingest, and
//! no network at all.
//!
//! ```ignore
//! use cloister_knowledge::{CollectionSpec, Library, Mode, Query, Scope};
//! let library = Library::open(connect, embed, clock, random)?;
//! library.create(CollectionSpec { id: "procedures".parse()?, title: "Procedures".into() })?;
//! library.sync(&"procedures".parse()?, folder, &parser, &mut |_| {})?;
//! let scope = Scope::new(vec!["procedures".parse()?], vec!["staff".parse()?], now);
//! let found = library.search(&scope, &Query { text: "how early may a patient refill".into(), top: 5, mode: Mode::Hybrid })?;
//! ```
//!
//! # Why
//! - The encrypted database is the only truth. Text, words (FTS5) and vectors of a document are written in one
//!   transaction, so that no crash can leave index and database disagreeing; what is held in memory is rebuilt from it.
//! - No index file lies on disk. An approximate index (usearch) is built in memory where a collection outgrows exact
//!   search, because a file that is mapped and followed by pointer is a memory-safety boundary, and a copy of text.
//! - A version row never changes: every change is a new row under a number that is never used again. So an index in
//!   memory, here or in another process, learns what changed by comparing sets of numbers.
//! - The schema keeps its own ledger (`knowledge_schema`) and leaves `user_version` alone: the tenant's database is
//!   shared with other rooms, and one number cannot serve two of them.

mod chunk;
mod draft;
mod embed;
pub mod evaluate;
mod index;
mod inspect;
mod library;
pub mod parse;
mod query;
mod retrieve;
mod scope;
mod store;
#[cfg(test)]
mod testing;

pub use draft::MetadataError;
pub use embed::{Embed, EmbedError, EmbedIdentity};
pub use inspect::{Inspect, Suspect};
pub use library::{
    Collection, CollectionError, CollectionSpec, Content, DocumentText, DocumentVersion, FileReport, Holding,
    IndexModel, IngestError, Ingested, Library, ListedDocument, MaintainError, Outcome, Problem, Progress, Removed,
    Report, SearchError, Skipped, Submission, SyncError, Verification, folder,
};
pub use query::{Found, Mode, PairMatch, PairRef, Passage, Query, Strength, Word};
pub use scope::Scope;
pub use store::{Connect, StoreError};
