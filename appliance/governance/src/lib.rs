//! The room that decides and remembers: keys, the encrypted store, accounts, policy, the audit log, sealed captures and
//! the vault of placeholders.
//!
//! **What it is not:** it knows no HTTP and answers no question. It says who a caller is, whether an action may
//! happen, and writes down that it did. The appliance's `governed` wrapper puts the three together for every route.
//!
//! ```
//! # use std::sync::Arc;
//! # use cloister_governance::{accounts::{Accounts, NewAccount}, keys::MasterKey, policy::{Decision, Policy, Resource}, store::Store};
//! # use cloister_terms::{Action, FixedClock, Random, Role};
//! # struct Counting(std::sync::atomic::AtomicU8);
//! # impl Random for Counting {
//! #     fn fill(&self, bytes: &mut [u8]) {
//! #         bytes.fill_with(|| self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
//! #     }
//! # }
//! # let folder = tempfile::tempdir()?;
//! # let random: Arc<dyn Random> = Arc::new(Counting(0.into()));
//! # let clock = Arc::new(FixedClock::at("2026-01-01T00:00:00Z".parse()?));
//! let key = MasterKey::load_or_create(&folder.path().join("master.key"), random.as_ref())?;
//! let store = Store::open(&folder.path().join("data"), key, random.clone())?;
//! let tenant = "larkfield".parse()?;
//! store.create_tenant(&tenant)?;
//!
//! let accounts = Accounts::open(&store.fleet(), clock, random)?;
//! let (_, secret) = accounts.issue(NewAccount::of("desk", Role::Agent).within(tenant.clone()))?;
//! let desk = accounts.authenticate(secret.expose())?;
//!
//! let policy = Policy::built_in();
//! assert!(matches!(policy.decide(&desk, Action::Ask, &Resource::Tenant(tenant.clone())), Decision::Permit(_)));
//! assert!(matches!(policy.decide(&desk, Action::ReadAudit, &Resource::Tenant(tenant)), Decision::Deny { .. }));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Why
//! - **One database per tenant, one for the fleet, one for the audit log**, each under a random key of its own that the
//!   master key wraps: a tenant's file copied over another's does not open, and destroying one key destroys one tenant.
//! - **A [`policy::Permit`] has private fields.** Work that needs permission takes a permit, so that work without a
//!   decision does not compile.
//! - **An [`audit::Entry`] is a value that cannot be forgotten**: it is durable before work starts, and dropping it
//!   without an outcome records `abandoned`.
//! - **What may be text in an audit record is a short, closed list**: names that an administrator chose, ids, hashes and
//!   versions. Codes and counters are `&'static str`, so that no patient text can become one.
//! - **An audit record is kept as the exact bytes that were written**: they are the leaves of a Merkle tree, whose signed
//!   checkpoints and proofs others can check with tools that are not ours.

pub mod accounts;
pub mod approvals;
pub mod audit;
pub mod batches;
pub mod captures;
pub mod declarations;
pub mod guardrails;
pub mod keys;
pub mod policy;
pub mod store;
pub mod vault;

#[cfg(test)]
mod testing;
