//! From an item to its record, one file for each kind of part.

mod answering;
mod attacking;
mod grounding;
mod identifying;
mod redacting;
mod searching;

use super::{
    record::Record,
    site::Site,
    suite::{Items, Kind, Part},
};

/// Ids of a part's items, in order.
pub(super) fn ids(part: &Part) -> Vec<&str> {
    match &part.items {
        Items::Questions(items) => items.iter().map(|item| item.id.as_str()).collect(),
        Items::Judged(items) => items.iter().map(|item| item.id.as_str()).collect(),
        Items::Labelled(items) => items.iter().map(|item| item.id.as_str()).collect(),
        Items::Attacks(items) => items.iter().map(|item| item.id.as_str()).collect(),
        Items::Requests(items) => items.iter().map(|item| item.id.as_str()).collect(),
        Items::Identified(items) => items.iter().map(|item| item.id.as_str()).collect(),
    }
}

/// How many of a part's items may be under way at once. A model reads several prompts in the time of one; times are measured alone.
pub(super) const fn at_once(kind: Kind) -> usize {
    match kind {
        Kind::Latency => 1,
        Kind::Lanes | Kind::Redaction => 4,
        Kind::Retrieval | Kind::Grounding | Kind::Identifiers | Kind::Attacks | Kind::OverRefusal => 2,
    }
}

/// Measures one item of a part.
///
/// # Errors
/// When the item cannot be tried at all; one that is tried and fails has a record that says so.
pub(super) async fn measure(site: &Site, part: &Part, at: usize) -> anyhow::Result<Option<Record>> {
    let id = part.id.as_str();
    Ok(match &part.items {
        Items::Questions(items) => match (items.get(at), part.kind) {
            (Some(item), Kind::Retrieval) => Some(searching::measure(site, id, item).await?),
            (Some(item), Kind::Latency) => Some(answering::time(site, id, item).await?),
            (Some(item), _) => Some(answering::measure(site, id, item).await?),
            (None, _) => None,
        },
        Items::Judged(items) => match items.get(at) {
            Some(item) => Some(grounding::measure(site, id, item).await?),
            None => None,
        },
        Items::Labelled(items) => items.get(at).map(|item| identifying::measure(site, id, item)),
        Items::Attacks(items) => match items.get(at) {
            Some(item) => Some(attacking::attack(site, id, item).await?),
            None => None,
        },
        Items::Requests(items) => match items.get(at) {
            Some(item) => Some(attacking::request(site, id, item).await?),
            None => None,
        },
        Items::Identified(items) => match items.get(at) {
            Some(item) => Some(redacting::measure(site, id, item).await?),
            None => None,
        },
    })
}
