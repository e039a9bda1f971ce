//! The port through which the pipeline reaches a tenant's documents. `wiring` adapts the library; tests hold a shelf.

use cloister_knowledge::{DocumentText, Found, Holding, PairMatch, Query, Scope};
use cloister_terms::{AccessLabel, CollectionId, DocumentId};
use jiff::{Timestamp, civil::Date};

use super::stop::Stop;

/// A tenant's documents. Every call blocks: databases and embedding stand behind it.
pub trait Knowledge: Send + Sync {
    /// The collections there are, readable or not.
    ///
    /// # Errors
    /// [`Stop::Failed`] when the store fails.
    fn collections(&self) -> Result<Vec<CollectionId>, Stop>;

    /// What each of them holds for a reader with these labels.
    ///
    /// # Errors
    /// [`Stop::Failed`] when the store fails.
    fn holdings(&self, labels: &[AccessLabel]) -> Result<Vec<Holding>, Stop>;

    /// The documents of one collection, newest version first within each.
    ///
    /// # Errors
    /// [`Stop::Failed`] when the store fails or there is no such collection.
    fn documents(&self, collection: &CollectionId) -> Result<Vec<Listed>, Stop>;

    /// A document's text: of the version named, else of the one in force. `None` where the scope does not show it.
    ///
    /// # Errors
    /// [`Stop::Failed`] when the store fails.
    fn text(&self, scope: &Scope, document: DocumentId, version: Option<&str>) -> Result<Option<DocumentText>, Stop>;

    /// Curated pairs whose question is like `question`, the likest first.
    ///
    /// # Errors
    /// [`Stop::Failed`] when the store or the embedding model fails or is busy.
    fn match_pairs(&self, scope: &Scope, question: &str) -> Result<Vec<PairMatch>, Stop>;

    /// Passages that fit a query, the best first.
    ///
    /// # Errors
    /// [`Stop::Failed`] when the store or the embedding model fails or is busy.
    fn search(&self, scope: &Scope, query: &Query) -> Result<Found, Stop>;
}

/// One version of a document, without its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The document, across its versions.
    pub document: DocumentId,
    /// Its version.
    pub version: String,
    /// The file that it came from.
    pub name: String,
    /// Its title.
    pub title: String,
    /// What a reader must hold to see it.
    pub label: AccessLabel,
    /// First day on which it holds.
    pub effective: Option<Date>,
    /// First day on which it no longer holds.
    pub expires: Option<Date>,
    /// Whether it is what a search sees today.
    pub in_force: bool,
    /// When it was ingested.
    pub ingested: Timestamp,
}

/// Runs `work` where blocking is allowed.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Stop> + Send + 'static,
) -> Result<T, Stop> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        // A panic's own words may quote what was worked on: they go nowhere.
        Err(fault) => {
            let how = if fault.is_panic() { "it panicked" } else { "it was cancelled" };
            Err(Stop::internal("running a blocking task", std::io::Error::other(how)))
        }
    }
}
