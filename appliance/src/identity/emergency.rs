//! Emergency access: opened, ended and signed off, and whoever keeps watch told at once.
//!
//! Told is: a line of the log at the level `ERROR`, target `break_glass`, and the counter `cloister_break_glass_total`. Both
//! say who, which and what for in ids and one word; the reason in words stays with the tenant.

use cloister_governance::{
    accounts::{EmergencyAccess, EmergencyError, EmergencyRequest},
    policy::Principal,
    store::Database,
};
use cloister_terms::{EmergencyId, EmergencyVerdict, Phi};

use super::Identity;

/// Counted by what happened.
const COUNTER: &str = "cloister_break_glass_total";

impl Identity {
    /// Opens emergency access for somebody whom policy permitted to, and tells whoever keeps watch. Blocks.
    pub(crate) fn open_emergency(
        &self,
        principal: &Principal,
        request: EmergencyRequest,
        database: &Database,
    ) -> Result<EmergencyAccess, EmergencyError> {
        let access = self.0.accounts.open_emergency(principal, request, database)?;
        self.0.metrics.count(COUNTER, 1, &[("event", "opened")]);
        tracing::error!(
            target: "break_glass",
            emergency = %access.id,
            account = %access.account,
            role = %access.role,
            tenant = %access.tenant,
            ground = %access.ground,
            until = %access.until,
            "emergency access was opened: review it with `cloister break-glass review`"
        );
        Ok(access)
    }

    /// Ends what somebody has open. Whether there was any. Blocks.
    pub(crate) fn end_emergency(&self, principal: &Principal) -> Result<bool, EmergencyError> {
        let ended = self.0.accounts.end_emergency(&principal.account)?;
        if ended {
            self.0.metrics.count(COUNTER, 1, &[("event", "ended")]);
            let emergency = principal.emergency.as_ref().map(|emergency| emergency.id.to_string());
            tracing::warn!(target: "break_glass", emergency, account = %principal.account, "emergency access was ended");
        }
        Ok(ended)
    }

    /// Signs one off. Blocks.
    pub(crate) fn review_emergency(
        &self,
        id: EmergencyId,
        reviewer: &Principal,
        verdict: EmergencyVerdict,
        note: Option<(Phi<String>, &Database)>,
    ) -> Result<(), EmergencyError> {
        self.0.accounts.review_emergency(id, reviewer, verdict, note)?;
        self.0.metrics.count(COUNTER, 1, &[("event", "reviewed")]);
        Ok(())
    }
}
