//! A tenant's library as the port that the pipeline owns.

use std::sync::Arc;

use cloister_knowledge::{
    CollectionError, DocumentText, Found, Holding, Library, PairMatch, Query, Scope, SearchError,
};
use cloister_terms::{AccessLabel, CollectionId, DocumentId};

use crate::pipeline::{Failure, Knowledge, Stop, knowledge::Listed};

/// The library of one tenant behind the pipeline's port.
#[derive(Clone)]
pub struct Shelf(pub Arc<Library>);

impl Knowledge for Shelf {
    fn collections(&self) -> Result<Vec<CollectionId>, Stop> {
        let collections = self.0.collections().map_err(|fault| Stop::internal("listing the collections", fault))?;
        Ok(collections.into_iter().map(|collection| collection.id).collect())
    }

    fn holdings(&self, labels: &[AccessLabel]) -> Result<Vec<Holding>, Stop> {
        self.0.holdings(labels).map_err(|fault| Stop::internal("listing the collections", fault))
    }

    fn documents(&self, collection: &CollectionId) -> Result<Vec<Listed>, Stop> {
        let documents = self.0.documents(collection).map_err(|fault| match fault {
            CollectionError::Unknown(id) => Stop::not_found(format!("collection `{id}`")),
            fault => Stop::internal("listing the documents", fault),
        })?;
        let versions = documents.into_iter().flat_map(|document| {
            document.versions.into_iter().map(move |v| Listed {
                document: document.id,
                version: v.version,
                name: v.name,
                title: v.title,
                label: v.label,
                effective: v.effective,
                expires: v.expires,
                in_force: v.in_force,
                ingested: v.ingested,
            })
        });
        Ok(versions.collect())
    }

    fn text(&self, scope: &Scope, document: DocumentId, version: Option<&str>) -> Result<Option<DocumentText>, Stop> {
        self.0.document_text(scope, document, version).map_err(|fault| Stop::internal("reading a document", fault))
    }

    fn match_pairs(&self, scope: &Scope, question: &str) -> Result<Vec<PairMatch>, Stop> {
        self.0.match_pairs(scope, question).map_err(stopped)
    }

    fn search(&self, scope: &Scope, query: &Query) -> Result<Found, Stop> {
        self.0.search(scope, query).map_err(stopped)
    }
}

/// A failed search as an early end.
pub fn stopped(error: SearchError) -> Stop {
    match error {
        SearchError::Busy { retry_after } => Stop::busy("embedding", retry_after),
        SearchError::UnknownCollection(id) => Stop::not_found(format!("collection `{id}`")),
        SearchError::ModelMismatch { mend, .. } => {
            Failure::Unavailable { what: "the index of this collection".to_owned(), mend }.into()
        }
        fault => Stop::internal("searching", fault),
    }
}
