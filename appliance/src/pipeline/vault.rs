//! The placeholders of a session between the tenant's vault and what masks with them.

use cloister_governance::{
    policy::Permit,
    vault::{Entry, Vault, VaultError},
};
use cloister_guardrails::{
    detect::Kind,
    redact::{Placeholder, Placeholders},
};
use cloister_terms::SessionId;

use super::stop::Stop;

/// Masks with the placeholders that the session has, and keeps what it then has besides. Blocks.
///
/// # Errors
/// [`Stop::Failed`] where that cannot be kept: a question whose placeholders might be somebody else's is not asked.
pub(crate) fn keep<T>(vault: &Vault, session: SessionId, mask: impl FnOnce(&mut Placeholders) -> T) -> Result<T, Stop> {
    let masked = vault.keep(session, |entries| {
        let known = entries.len();
        let kept: Vec<Placeholder> = entries.iter().filter_map(placeholder).collect();
        // One that this release cannot read has a number that must not be given again: nothing is masked.
        if kept.len() < known {
            return (None, entries);
        }
        let mut placeholders = Placeholders::from_entries(kept);
        let made = mask(&mut placeholders);
        let new = placeholders.entries().iter().skip(known).map(entry);
        (Some(made), entries.into_iter().chain(new).collect())
    });
    masked.map_err(failed)?.ok_or_else(|| unread("a kind of identifier in it is not known"))
}

/// What the placeholders of a session stand for; none where the vault has nothing of it. Blocks.
///
/// # Errors
/// [`Stop::Failed`] where the permit is not for that, or the vault cannot be read.
pub(crate) fn opened(vault: &Vault, permit: &Permit, session: SessionId) -> Result<Option<Placeholders>, Stop> {
    let entries = vault.read(permit, session).map_err(failed)?;
    let kept: Vec<Placeholder> = entries.iter().filter_map(placeholder).collect();
    Ok((!kept.is_empty()).then(|| Placeholders::from_entries(kept)))
}

fn placeholder(entry: &Entry) -> Option<Placeholder> {
    let kind = Kind::ALL.iter().copied().find(|kind| kind.word() == entry.kind)?;
    Some(Placeholder { kind, number: entry.number, token: entry.token, original: entry.original.clone() })
}

fn entry(placeholder: &Placeholder) -> Entry {
    let Placeholder { kind, number, token, original } = placeholder.clone();
    Entry { kind: kind.word().to_owned(), number, token, original }
}

fn failed(error: VaultError) -> Stop {
    Stop::internal("keeping placeholders", error)
}

fn unread(why: &'static str) -> Stop {
    Stop::internal("reading the vault", std::io::Error::other(why))
}
