//! The documents of a collection: listed, read, deleted.

use std::collections::HashMap;

use cloister_terms::{AccessLabel, CollectionId, DocumentId};
use jiff::Timestamp;
use jiff::civil::Date;
use rusqlite::{Connection, OptionalExtension, params};

use super::{CollectionError, Library};
use crate::Scope;
use crate::index::force::{Visible, in_force};
use crate::index::version;
use crate::store::collections::{self, CollectionRow};
use crate::store::{Doing, StoreError, versions};

/// A document with its versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedDocument {
    /// The same for all its versions.
    pub id: DocumentId,
    /// Newest first.
    pub versions: Vec<DocumentVersion>,
}

/// A version of a document, without its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentVersion {
    /// Its number.
    pub version: String,
    /// The file that it came from.
    pub name: String,
    /// Its title, or the file's name where it has none.
    pub title: String,
    /// What a reader must hold.
    pub label: AccessLabel,
    /// First day on which it holds.
    pub effective: Option<Date>,
    /// First day on which it no longer holds.
    pub expires: Option<Date>,
    /// Whether it is the version that is searched today, by the site's calendar.
    pub in_force: bool,
    /// What kind of file it was.
    pub format: String,
    /// Number of passages.
    pub passages: usize,
    /// When it was ingested.
    pub ingested: Timestamp,
}

/// A version that was deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// The file that it came from.
    pub name: String,
    /// Of which document.
    pub document: DocumentId,
    /// Its number.
    pub version: String,
}

/// A version's whole text.
#[derive(Clone, PartialEq, Eq)]
pub struct DocumentText {
    /// Its number.
    pub version: String,
    /// Its title, or the file's name where it has none.
    pub title: String,
    /// The file that it came from.
    pub name: String,
    /// The text that passages count their characters in.
    pub text: String,
}

impl Library {
    /// The documents of a collection by the name of their newest version's file.
    ///
    /// # Errors
    /// [`CollectionError::Unknown`] where there is no such collection.
    pub fn documents(&self, collection: &CollectionId) -> Result<Vec<ListedDocument>, CollectionError> {
        let today = self.clock.now().to_zoned(self.zone.clone()).date();
        self.store.read(|db| {
            let row = found(db, collection)?;
            let versions = version::load_all(db, row.key)?;
            let in_force: Vec<i64> =
                in_force(versions.values().map(AsRef::as_ref), today).map(|version| version.key).collect();
            let mut documents: Vec<ListedDocument> = Vec::new();
            let mut places: HashMap<DocumentId, usize> = HashMap::new();
            for (key, id, listed) in listed(db, row.key)? {
                let at = *places.entry(id).or_insert_with(|| {
                    documents.push(ListedDocument { id, versions: Vec::new() });
                    documents.len() - 1
                });
                if let Some(document) = documents.get_mut(at) {
                    document.versions.push(DocumentVersion { in_force: in_force.contains(&key), ..listed });
                }
            }
            let name = |document: &ListedDocument| document.versions.first().map(|version| version.name.clone());
            documents.sort_by_cached_key(name);
            Ok(documents)
        })
    }

    /// A document's text: of the version asked for, retired ones included so that an old citation can be read, else of
    /// the one in force. `None` where the scope does not show it.
    ///
    /// # Errors
    /// Only where the database fails; a collection that is not there shows nothing.
    pub fn document_text(
        &self,
        scope: &Scope,
        document: DocumentId,
        version: Option<&str>,
    ) -> Result<Option<DocumentText>, StoreError> {
        self.store.read(|db| {
            for id in scope.collections() {
                let Some(row) = collections::find(db, id)? else { continue };
                let text = match version {
                    Some(number) => numbered(db, &row, scope, scope.day(&self.zone), (document, number))?,
                    None => in_force_text(db, &row, scope, scope.day(&self.zone), document)?,
                };
                if text.is_some() {
                    return Ok(text);
                }
            }
            Ok(None)
        })
    }

    /// Deletes a document with all its versions and texts: gone from results at once. Returns whether there was one.
    ///
    /// # Errors
    /// [`CollectionError::Unknown`] where there is no such collection.
    pub fn delete_document(&self, collection: &CollectionId, document: DocumentId) -> Result<bool, CollectionError> {
        self.store.write(|db| {
            let row = found(db, collection)?;
            Ok(versions::remove_document(db, row.key, document)?.is_some())
        })
    }

    /// Deletes every version that came from a file of this name. Returns those that were current.
    ///
    /// # Errors
    /// [`CollectionError::Unknown`] where there is no such collection.
    pub fn delete_file(&self, collection: &CollectionId, name: &str) -> Result<Vec<Removed>, CollectionError> {
        self.store.write(|db| {
            let row = found(db, collection)?;
            Ok(versions::remove_name(db, row.key, name)?)
        })
    }
}

fn found(db: &Connection, id: &CollectionId) -> Result<CollectionRow, CollectionError> {
    collections::find(db, id)?.ok_or_else(|| CollectionError::Unknown(id.clone()))
}

/// All versions of a collection, newest first.
fn listed(db: &Connection, collection: i64) -> Result<Vec<(i64, DocumentId, DocumentVersion)>, StoreError> {
    let mut statement = db
        .prepare_cached(
            "SELECT v.key, d.id, v.version, v.name, coalesce(v.title, v.name), v.label, v.effective, v.expires,
               v.format, (SELECT count(*) FROM chunks c WHERE c.version = v.key), v.ingested
             FROM versions v JOIN documents d ON d.key = v.document WHERE v.collection = ?1 ORDER BY v.key DESC",
        )
        .doing("list the documents")?;
    let rows = statement
        .query_map([collection], |row| {
            let texts: [String; 7] =
                [row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(8)?, row.get(10)?];
            Ok((row.get(0)?, texts, row.get(6)?, row.get(7)?, row.get::<_, i64>(9)?))
        })
        .doing("list the documents")?;
    rows.map(|row| {
        let (key, [id, version, name, title, label, format, ingested], effective, expires, passages) =
            row.doing("list the documents")?;
        let listed = DocumentVersion {
            version,
            name,
            title,
            label: label.try_into().map_err(|_| StoreError::Damaged { what: "an access label" })?,
            effective: versions::day(effective)?,
            expires: versions::day(expires)?,
            in_force: false,
            format,
            passages: usize::try_from(passages).unwrap_or(0),
            ingested: ingested.parse().map_err(|_| StoreError::Damaged { what: "when a document was ingested" })?,
        };
        Ok((key, versions::document_id(&id)?, listed))
    })
    .collect()
}

/// The version in force, where the scope shows all of it.
fn in_force_text(
    db: &Connection,
    row: &CollectionRow,
    scope: &Scope,
    day: Date,
    document: DocumentId,
) -> Result<Option<DocumentText>, StoreError> {
    let versions = version::load_all(db, row.key)?;
    let visible = Visible::new(&versions, scope, day);
    let shown = versions.values().find(|version| {
        version.id == document && visible.version(version.key).is_some() && visible.shows_whole(version)
    });
    shown.map_or(Ok(None), |version| text(db, version.key))
}

/// The newest version of that number, where the scope shows all of it but for its being out of force.
fn numbered(
    db: &Connection,
    row: &CollectionRow,
    scope: &Scope,
    day: Date,
    (document, number): (DocumentId, &str),
) -> Result<Option<DocumentText>, StoreError> {
    let found: Option<i64> = db
        .prepare_cached(
            "SELECT v.key FROM versions v JOIN documents d ON d.key = v.document
             WHERE v.collection = ?1 AND d.id = ?2 AND v.version = ?3 ORDER BY v.key DESC LIMIT 1",
        )
        .and_then(|mut statement| {
            statement.query_row(params![row.key, document.to_string(), number], |row| row.get(0)).optional()
        })
        .doing("find a document")?;
    let Some(key) = found else { return Ok(None) };
    let version = version::load(db, key)?;
    let has_begun = version.effective.is_none_or(|first| first <= day);
    let none = HashMap::new();
    let is_shown =
        has_begun && scope.labels().contains(&version.label) && Visible::new(&none, scope, day).shows_whole(&version);
    if is_shown { text(db, key) } else { Ok(None) }
}

fn text(db: &Connection, key: i64) -> Result<Option<DocumentText>, StoreError> {
    db.prepare_cached("SELECT version, coalesce(title, name), name, text FROM versions WHERE key = ?1")
        .and_then(|mut statement| {
            statement
                .query_row([key], |row| {
                    Ok(DocumentText { version: row.get(0)?, title: row.get(1)?, name: row.get(2)?, text: row.get(3)? })
                })
                .optional()
        })
        .doing("read a document")
}
