//! Routes, each with the action that it is.
//!
//! A route cannot be registered without an [`Action`], or a written reason why it needs none. A handler that answers
//! without having opened an audit entry is answered for: its response is replaced by a 500.

use std::sync::Arc;

use axum::{
    extract::Request,
    handler::Handler,
    middleware::Next,
    response::{IntoResponse, Response},
    routing::{MethodFilter, on},
};
use cloister_terms::Action;
use http::StatusCode;
use serde::Serialize;

use super::{context::Context, problem::Problem};

/// The methods that routes take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verb {
    /// Read. Also takes `HEAD`.
    Get,
    /// Do, or create.
    Post,
    /// Replace.
    Put,
    /// Change.
    Patch,
    /// Remove.
    Delete,
}

impl Verb {
    const fn filter(self) -> MethodFilter {
        match self {
            Self::Get => MethodFilter::GET,
            Self::Post => MethodFilter::POST,
            Self::Put => MethodFilter::PUT,
            Self::Patch => MethodFilter::PATCH,
            Self::Delete => MethodFilter::DELETE,
        }
    }
}

/// Who may call a route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Whoever policy permits one of these actions. More than one where the body decides which it is.
    Governed(Vec<Action>),
    /// Anyone, for this reason.
    Open(&'static str),
}

/// One action, or those of which the body names one.
impl From<Action> for Access {
    fn from(action: Action) -> Self {
        Self::Governed(vec![action])
    }
}

impl<const N: usize> From<[Action; N]> for Access {
    fn from(actions: [Action; N]) -> Self {
        Self::Governed(actions.to_vec())
    }
}

/// A route: for the tests that enumerate all of them, and for the API's description.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Route {
    /// The method.
    pub method: Verb,
    /// The path's template, `/api/collections/{id}/search`.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
}

impl Route {
    /// Whether the route was declared to do `action`.
    pub fn declares(&self, action: Action) -> bool {
        match &self.access {
            Access::Governed(actions) => actions.contains(&action),
            Access::Open(_) => false,
        }
    }
}

/// The routes of one room, or of all.
pub struct Routes<S> {
    router: axum::Router<S>,
    list: Vec<Arc<Route>>,
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// None yet.
    pub fn new() -> Self {
        Self { router: axum::Router::new(), list: Vec::new() }
    }

    /// A route that does `action`: one, or an array of those of which its body names one.
    #[must_use]
    pub fn route<H, T>(self, method: Verb, path: &'static str, action: impl Into<Access>, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        self.add(Route { method, path, access: action.into() }, handler)
    }

    /// A route that anyone may call. `reason` says why that is right.
    #[must_use]
    pub fn open_route<H, T>(self, method: Verb, path: &'static str, reason: &'static str, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        self.add(Route { method, path, access: Access::Open(reason) }, handler)
    }

    /// These and those.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.list.extend(other.list);
        Self { router: self.router.merge(other.router), list: self.list }
    }

    /// Every route, in the order of registration.
    pub fn list(&self) -> &[Arc<Route>] {
        &self.list
    }

    /// The router, for [`super::Edge::guard`].
    pub fn into_router(self, state: S) -> axum::Router {
        self.router.with_state(state)
    }

    fn add<H, T>(mut self, route: Route, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        let route = Arc::new(route);
        self.list.push(route.clone());
        let guard = axum::middleware::from_fn(move |request: Request, next: Next| watch(route.clone(), request, next));
        let (path, filter) =
            self.list.last().map_or(("", MethodFilter::GET), |route| (route.path, route.method.filter()));
        Self { router: self.router.route(path, on(filter, handler).layer(guard)), list: self.list }
    }
}

impl<S: Clone + Send + Sync + 'static> Default for Routes<S> {
    fn default() -> Self {
        Self::new()
    }
}

/// Tells the request which route took it, and lets nothing out of a governed route that was not recorded.
async fn watch(route: Arc<Route>, request: Request, next: Next) -> Response {
    let Some(context) = request.extensions().get::<Context>().cloned() else {
        tracing::error!(path = route.path, "a route was called without the edge around it");
        return Problem::internal().into_response();
    };
    context.routed(route.clone());
    let response = next.run(request).await;
    let answered = response.status() < StatusCode::BAD_REQUEST;
    if answered && matches!(route.access, Access::Governed(_)) && !context.is_governed() {
        tracing::error!(path = route.path, "a handler answered without an audit entry; its answer was withheld");
        return Problem::internal().into_response();
    }
    response
}
