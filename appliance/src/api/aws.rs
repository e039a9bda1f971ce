//! AWS's face: the shapes of its `bedrock-agent-runtime` and `bedrock-runtime`, so that a prototype written for the cloud runs
//! here by changing its endpoint. Requests are signed with an access key that was issued here.

pub mod converse;
pub(crate) mod eventstream;
pub mod generate;
pub mod guardrail;
pub mod retrieve;
