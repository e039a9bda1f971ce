//! Who acts, what they do, and what for.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(#[$meta:meta])* $type:ident { $($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $type { $($(#[$doc])* #[serde(rename = $word)] $variant),+ }

        impl $type {
            /// Every one there is, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word that configuration, audit and pages use.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words!(
    /// What a caller is to the site. A role grants actions through policy and nothing by itself.
    Role {
        /// Asks, reads, edits and sends answers.
        Agent = "agent",
        /// Signs off what was held for review.
        Reviewer = "reviewer",
        /// Keeps collections and curated pairs.
        KnowledgeManager = "knowledge_manager",
        /// Reads and keeps the audit log.
        Compliance = "compliance",
        /// Keeps the machine running; cannot read questions, answers or documents.
        Operator = "operator",
        /// Keeps accounts and tenants.
        Administrator = "administrator",
        /// A program that calls the API: assistants, raw models and embeddings.
        Service = "service",
    }
);

words!(
    /// What is being done. Every route and every command is one of these.
    Action {
        /// Ask an assistant; the answer passes every check.
        Ask = "ask",
        /// Search collections and read passages.
        Search = "search",
        /// Generate text with a raw model, outside the answer pipeline.
        Generate = "generate",
        /// Compute embeddings.
        Embed = "embed",
        /// Order documents by relevance.
        Rerank = "rerank",
        /// Hand in a file of requests to be worked through, call it off, remove it.
        RunBatch = "run_batch",
        /// List one's own batches and their files, and read what came of them.
        ReadBatch = "read_batch",
        /// Hold a text of one's own against the tenant's guardrail.
        ApplyGuardrail = "apply_guardrail",
        /// Read the versions of a tenant's guardrail.
        ReadGuardrails = "read_guardrails",
        /// Publish a version of a tenant's guardrail, put it in force, take it back.
        ManageGuardrails = "manage_guardrails",
        /// List the models and assistants.
        ListModels = "list_models",
        /// List the collections and their documents.
        ListCollections = "list_collections",
        /// Read a document's text.
        ReadDocument = "read_document",
        /// Create or delete a collection.
        ManageCollection = "manage_collection",
        /// Add, replace or delete documents.
        ManageDocuments = "manage_documents",
        /// Verify or rebuild an index.
        MaintainIndex = "maintain_index",
        /// Import, verify or remove a model.
        ManageModels = "manage_models",
        /// Issue, list or revoke accounts.
        ManageAccounts = "manage_accounts",
        /// Read the site's policies again.
        ManagePolicy = "manage_policy",
        /// Read the audit log.
        ReadAudit = "read_audit",
        /// Make a checkpoint of the audit log, change its key, rebuild its index.
        ManageAudit = "manage_audit",
        /// List the captures of a tenant: when, in which session, how it ended. No text.
        ListCaptures = "list_captures",
        /// Read a capture from which identifiers were taken out.
        ReadCapture = "read_capture",
        /// Read a capture as it was said, identifiers and all.
        ReadRawCapture = "read_raw_capture",
        /// Turn the placeholders of a session back into what they stand for.
        Reidentify = "reidentify",
        /// Write out texts from which identifiers were taken, for study or training.
        ExportDeidentified = "export_deidentified",
        /// Remove captures, and what placeholders stand for, whose time is over.
        ManageCaptures = "manage_captures",
        /// Show, replace, destroy or export the keys of the site.
        ManageKeys = "manage_keys",
        /// Stand up, list or destroy tenants.
        ManageTenants = "manage_tenants",
        /// Make, verify or restore backups.
        ManageBackups = "manage_backups",
        /// Unwrap a data key: done by the program itself, and granted to nobody.
        UseKey = "use_key",
        /// Read health and metrics.
        ReadMetrics = "read_metrics",
        /// Measure quality on a question set.
        Evaluate = "evaluate",
        /// Show who one is. Also what a refused key, cookie, token or signature is recorded as.
        SignIn = "sign_in",
        /// Be signed in no longer.
        SignOut = "sign_out",
        /// End an interaction of one's own.
        EndSession = "end_session",
        /// Open emergency access for oneself, see it, end it.
        BreakGlass = "break_glass",
        /// Read why emergency access was opened and what was done under it, and sign it off.
        ReviewBreakGlass = "review_break_glass",
    }
);

words!(
    /// What the information is used for, in HIPAA's words.
    Purpose {
        /// Care of a patient.
        Treatment = "treatment",
        /// Claims and coverage.
        Payment = "payment",
        /// Running the site: customer care, quality, training.
        Operations = "operations",
    }
);

words!(
    /// What somebody opens emergency access for.
    EmergencyGround {
        /// A patient would come to harm by waiting.
        PatientSafety = "patient_safety",
        /// Whoever or whatever usually grants access cannot be reached.
        SystemDown = "system_down",
        /// A disaster, or a ward that takes over for another.
        Disaster = "disaster",
        /// Something else, which the words of the reason say.
        Other = "other",
    }
);

words!(
    /// What a reviewer finds of an emergency access.
    EmergencyVerdict {
        /// The reason bore it, and what was read.
        Justified = "justified",
        /// It did not: the site's own procedure follows.
        NotJustified = "not_justified",
    }
);

/// A word that names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a role: use agent, reviewer, knowledge_manager, compliance, operator, administrator or service")]
pub struct ParseRoleError(String);

impl FromStr for Role {
    type Err = ParseRoleError;
    fn from_str(given: &str) -> Result<Self, ParseRoleError> {
        Self::ALL.iter().copied().find(|role| role.as_str() == given).ok_or_else(|| ParseRoleError(given.to_owned()))
    }
}
