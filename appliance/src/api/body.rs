//! The JSON body of a request, read so that no error repeats it.

use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use serde::de::DeserializeOwned;

use crate::{
    edge::{body::whole, problem::Problem},
    pipeline::Stop,
    wiring::App,
};

/// A body read as JSON, whatever its content type says: some clients name none.
#[derive(Debug)]
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &Arc<App>) -> Result<Self, Problem> {
        let bytes = whole(request).await?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| Stop::invalid(None, described(&error)).into())
    }
}

/// What is wrong, by place and kind. Only messages that name a field of ours are passed on: the others quote the body.
fn described(error: &serde_json::Error) -> String {
    let place = format!("line {}, column {}", error.line(), error.column());
    if !error.is_data() {
        return format!("the body is not JSON ({place})");
    }
    let text = error.to_string();
    let missing = text.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
    match missing {
        Some(field) => format!("`{field}` is missing"),
        None => format!("a field has a type or value that this route does not take ({place}): see /api/docs"),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Sample {
        #[expect(dead_code, reason = "only read")]
        question: String,
        #[expect(dead_code, reason = "only read")]
        top: Option<usize>,
    }

    #[test]
    fn an_error_names_the_field_or_the_place_and_never_the_content() {
        let told = |body: &str| described(&serde_json::from_str::<Sample>(body).unwrap_err());
        assert_eq!(told(r#"{"top": 1}"#), "`question` is missing");
        for body in [r#"{"question": "x", "top": "Jane Roe"}"#, r#"{"question": {"Jane Roe": 1}}"#, r#"{"Jane Roe"#] {
            assert!(!told(body).contains("Jane"), "{}", told(body));
        }
    }
}
