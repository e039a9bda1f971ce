//! The uses of keys, each a record of the audit log.

use std::sync::PoisonError;

use cloister_terms::{Action, RequestId, Role};

use super::{Store, StoreError};
use crate::{
    accounts::AccountId,
    audit::{AuditError, Intent, Log, Outcome, Who},
    keys::KeyName,
};

/// A data key was unwrapped.
#[derive(Debug, Clone)]
pub(super) struct KeyUse {
    pub(super) name: KeyName,
    pub(super) version: u32,
}

/// Where uses are recorded.
pub(super) struct Recorder {
    log: Log,
    policy: String,
}

impl Store {
    /// Records the keys that were unwrapped to open the log itself, and from now on each one before it is used. `policy`
    /// is the version of the rules in force. Panics inside an asynchronous task.
    ///
    /// # Errors
    /// When a record cannot be made durable.
    pub fn record_key_uses(&self, log: &Log, policy: &str) -> Result<(), StoreError> {
        let recorder = self.0.recorder.get_or_init(|| Recorder { log: log.clone(), policy: policy.to_owned() });
        let mut unrecorded = self.0.unrecorded.lock().unwrap_or_else(PoisonError::into_inner);
        for used in unrecorded.iter() {
            self.record(recorder, used)?;
        }
        unrecorded.clear();
        Ok(())
    }

    /// Leaves it to `other`, which is the same store opened anew, to record the keys that were unwrapped here without a log.
    pub fn leave_key_uses_to(&self, other: &Self) {
        let mine = std::mem::take(&mut *self.0.unrecorded.lock().unwrap_or_else(PoisonError::into_inner));
        other.0.unrecorded.lock().unwrap_or_else(PoisonError::into_inner).extend(mine);
    }

    pub(super) fn used(&self, used: KeyUse) -> Result<(), StoreError> {
        match self.0.recorder.get() {
            Some(recorder) => Ok(self.record(recorder, &used)?),
            None => {
                self.0.unrecorded.lock().unwrap_or_else(PoisonError::into_inner).push(used);
                Ok(())
            }
        }
    }

    fn record(&self, recorder: &Recorder, used: &KeyUse) -> Result<(), AuditError> {
        let entry = recorder.log.intent_blocking(Intent {
            // The program itself, not the person who started it: it needs the key whoever calls.
            who: Who { account: AccountId::local(), name: "cloister".to_owned(), role: Role::Service },
            action: Action::UseKey,
            purpose: None,
            tenant: used.name.of_tenant().cloned(),
            collections: Vec::new(),
            session: None,
            emergency: None,
            capture: None,
            request: RequestId::random(self.0.random.as_ref()),
            policy: recorder.policy.clone(),
            policies: Vec::new(),
        })?;
        let unwrapped = Outcome::done().with_code(used.name.purpose().as_str());
        entry.complete_blocking(unwrapped.with_count("version", u64::from(used.version)))
    }
}
