//! The port through which the pipeline reaches a tenant's documents. `wiring` adapts the library; tests hold a shelf.

use cloister_knowledge::{Found, PairMatch, Query, Scope};
use cloister_terms::CollectionId;

use super::stop::Stop;

/// A tenant's documents. Every call blocks: databases and embedding stand behind it.
pub trait Knowledge: Send + Sync {
    /// The collections there are, readable or not.
    ///
    /// # Errors
    /// [`Stop::Failed`] when the store fails.
    fn collections(&self) -> Result<Vec<CollectionId>, Stop>;

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

/// Runs `work` where blocking is allowed.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Stop> + Send + 'static,
) -> Result<T, Stop> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(fault) => Err(Stop::internal("running a blocking task", fault)),
    }
}
