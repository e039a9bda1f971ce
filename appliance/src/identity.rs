//! Who is calling.

use std::sync::Arc;

use axum::{extract::FromRequestParts, http::request::Parts};
use cloister_governance::policy::Principal;
use cloister_terms::RequestId;

use crate::{edge::problem::Problem, pipeline::Stop, wiring::App};

/// A caller whose credential was accepted. It permits nothing by itself.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who it is.
    pub principal: Principal,
    /// The request that it makes.
    pub request: RequestId,
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let request = parts.extensions.get::<RequestId>().copied().unwrap_or_else(|| RequestId::random(&*app.random));
        let given = parts.headers.get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let principal = given.and_then(|secret| app.accounts.authenticate(secret).ok());
        match principal {
            Some(principal) => Ok(Self { principal, request }),
            None => Err(Problem::at(parts.uri.path(), Stop::unauthenticated())),
        }
    }
}
