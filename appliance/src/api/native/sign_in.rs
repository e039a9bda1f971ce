//! `POST /api/sign-in`, `GET /api/sign-in` and `POST /api/sign-out`: persons, in a browser.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use cloister_governance::{
    accounts::{self, Admitted, Credentials},
    audit::Outcome,
    policy::Resource,
};
use cloister_terms::{Action, Role, TenantId};
use http::{HeaderMap, header};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use crate::{
    api::body::Short,
    governed::{Call, governed},
    identity::{Caller, NotSignedIn, Visitor, cookie},
    wiring::App,
};

/// What somebody shows.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignInRequest {
    /// The name that an administrator gave the account.
    name: String,
    /// The password, or the one-time secret.
    #[schema(value_type = String)]
    password: Hidden,
    /// The password to have from now on, at least 15 characters: needed with a one-time secret, possible at any time.
    #[schema(value_type = Option<String>)]
    new_password: Option<Hidden>,
    /// The second factor: the six digits that the authenticator app shows, or a recovery code.
    #[schema(value_type = Option<String>)]
    code: Option<Hidden>,
}

/// A secret in a body: zeroed when dropped.
#[derive(Deserialize)]
#[serde(from = "String")]
struct Hidden(Zeroizing<String>);

impl From<String> for Hidden {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

/// Signed in, or one step before.
#[derive(Serialize, ToSchema)]
pub struct SignInReply {
    /// Whether a cookie was set. If not, set up the second factor and sign in again with its code.
    signed_in: bool,
    /// Who it is.
    #[serde(flatten)]
    who: Option<SignedIn>,
    /// What goes into the authenticator app. Shown once.
    #[serde(skip_serializing_if = "Option::is_none")]
    second_factor: Option<SecondFactor>,
    /// Codes that each stand in for the second factor once. Shown once, when it was just set up.
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery_codes: Option<Vec<String>>,
}

/// What goes into an authenticator app.
#[derive(Serialize, ToSchema)]
pub struct SecondFactor {
    /// The secret in base 32, to type.
    secret: String,
    /// The same as an `otpauth:` address, for a QR code.
    address: String,
}

/// Who is signed in.
#[derive(Serialize, ToSchema)]
pub struct SignedIn {
    /// The account's id, as in the audit log.
    account: String,
    /// Its name.
    name: String,
    /// Its role.
    #[schema(value_type = String)]
    role: Role,
    /// Its tenant; none for accounts of the whole site.
    #[schema(value_type = Option<String>)]
    tenant: Option<TenantId>,
    /// What the header `Cloister-Csrf` of every request that changes something repeats.
    csrf: String,
    /// When they will be signed out if they do nothing.
    #[schema(value_type = String, format = DateTime)]
    idle_at: Timestamp,
    /// When they will be signed out whatever they do.
    #[schema(value_type = String, format = DateTime)]
    ends_at: Timestamp,
}

impl SignedIn {
    fn of(signed_in: accounts::SignIn, token: &str) -> Self {
        let principal = signed_in.principal;
        Self {
            account: principal.account.to_string(),
            name: principal.name,
            role: principal.role,
            tenant: principal.tenant,
            csrf: cookie::csrf(token),
            idle_at: signed_in.idle_at,
            ends_at: signed_in.ends_at,
        }
    }
}

fn call(action: Action) -> Call {
    Call::new(action, Resource::Appliance)
}

/// Sign in
#[utoipa::path(post, path = "/api/sign-in", tag = "native", security(()), request_body = SignInRequest,
    responses((status = 200, description = "Signed in, with a cookie; or the second factor to set up first", body = SignInReply),
        (status = 401, description = "Something is not right; which part is not said"),
        (status = 403, description = "A new password is needed"), (status = 429, description = "Too many tries")))]
pub(crate) async fn sign_in(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Short(request): Short<SignInRequest>,
) -> Result<Response, NotSignedIn> {
    let source = visitor.source();
    let caller = app.identity.claimed(visitor, &request.name).await?;
    let shown = Credentials {
        name: request.name,
        password: request.password.0,
        new_password: request.new_password.map(|hidden| hidden.0),
        code: request.code.map(|hidden| hidden.0),
        source,
    };
    governed(&app.gate, &caller, call(Action::SignIn), async |_permit| {
        match app.identity.sign_in(&caller, shown).await? {
            Admitted::In { token, recovery, .. } => {
                let signed_in = app.identity.signed_in(token.expose()).await?;
                let reply = SignInReply {
                    signed_in: true,
                    who: Some(SignedIn::of(signed_in, token.expose())),
                    second_factor: None,
                    recovery_codes: recovery.map(|codes| codes.expose().map(str::to_owned).collect()),
                };
                let cookie = cookie::set(&token).ok_or(NotSignedIn::Failed)?;
                let code = if reply.recovery_codes.is_some() { "second_factor_set_up" } else { "signed_in" };
                Ok((([(header::SET_COOKIE, cookie)], Json(reply)).into_response(), Outcome::done().with_code(code)))
            }
            Admitted::Enrol { enrolment, .. } => {
                let second_factor =
                    SecondFactor { secret: enrolment.secret().to_owned(), address: enrolment.address().to_string() };
                let reply = SignInReply {
                    signed_in: false,
                    who: None,
                    second_factor: Some(second_factor),
                    recovery_codes: None,
                };
                Ok((Json(reply).into_response(), Outcome::done().with_code("second_factor_needed")))
            }
        }
    })
    .await
}

/// Who is signed in
#[utoipa::path(get, path = "/api/sign-in", tag = "native",
    responses((status = 200, description = "Who is signed in with this cookie, and until when", body = SignedIn),
        (status = 400, description = "The request carries no cookie")))]
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    caller: Caller,
) -> Result<impl IntoResponse, NotSignedIn> {
    governed(&app.gate, &caller, call(Action::SignIn), async |_permit| {
        let token = cookie::token(&headers).ok_or(NotSignedIn::NoCookie)?;
        let signed_in = app.identity.signed_in(token).await?;
        Ok((Json(SignedIn::of(signed_in, token)), Outcome::done().with_code("shown")))
    })
    .await
}

/// Sign out
#[utoipa::path(post, path = "/api/sign-out", tag = "native",
    responses((status = 200, description = "Signed out; the cookie is taken back"),
        (status = 400, description = "The request carries no cookie")))]
pub(crate) async fn sign_out(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    caller: Caller,
) -> Result<impl IntoResponse, NotSignedIn> {
    governed(&app.gate, &caller, call(Action::SignOut), async |_permit| {
        let token = cookie::token(&headers).ok_or(NotSignedIn::NoCookie)?;
        app.identity.sign_out(token).await?;
        let reply = Json(serde_json::json!({"signed_in": false}));
        Ok((([(header::SET_COOKIE, cookie::clear())], reply), Outcome::done().with_code("signed_out")))
    })
    .await
}
