//! The cookie of a person who is signed in, and what keeps other sites from using it.
//!
//! `__Host-` binds the cookie to this very host, `SameSite=Strict` to our own pages. Neither tells apart two services on
//! two ports of one host, and old browsers know neither. So a request with the cookie that is not a plain read must also
//! come from our own origin, by `Sec-Fetch-Site` or `Origin`, and repeat in a header what only our own page was told:
//! the value that signing in returns as `csrf`.

use aws_lc_rs::{constant_time, hmac};
use cloister_governance::accounts::Token;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use crate::edge::problem::Problem;

/// The cookie's name.
const NAME: &str = "__Host-cloister";
/// The header that shows that a request comes from our own page.
pub(crate) const CSRF: &str = "cloister-csrf";

/// The token in the cookie. Of two cookies with the name neither counts: which one is ours cannot be known.
pub(crate) fn token(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let pairs = cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut ours = pairs.filter(|(name, _)| *name == NAME).map(|(_, value)| value);
    let first = ours.next()?;
    ours.next().is_none().then_some(first)
}

/// Sets the cookie. It lasts as long as the browser does, and the server ends it sooner.
pub(crate) fn set(token: &Token) -> Option<HeaderValue> {
    let text = format!("{NAME}={}; Path=/; Secure; HttpOnly; SameSite=Strict", token.expose());
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Takes the cookie back.
pub(crate) fn clear() -> HeaderValue {
    HeaderValue::from_static("__Host-cloister=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0")
}

/// What our own page repeats in the header [`CSRF`]. It follows from the token and tells nothing of it.
pub(crate) fn csrf(token: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, token.as_bytes());
    hex::encode(hmac::sign(&key, b"cloister csrf").as_ref())
}

/// Whether the cookie may be used for this request.
pub(super) fn may(method: &Method, headers: &HeaderMap, token: &str) -> bool {
    if method.is_safe() {
        return !from_elsewhere(headers);
    }
    let given = headers.get(CSRF).map(HeaderValue::as_bytes).unwrap_or_default();
    same_origin(headers) && constant_time::verify_slices_are_equal(given, csrf(token).as_bytes()).is_ok()
}

/// Whether the browser says that our own page asks. Without a word of the browser it does not.
fn same_origin(headers: &HeaderMap) -> bool {
    match headers.get("sec-fetch-site") {
        Some(site) => site == "same-origin",
        None => own_origin(headers).unwrap_or(false),
    }
}

/// Whether the browser says that another page asks. No word is none against it: a program sends none.
pub(super) fn from_elsewhere(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none");
    site || own_origin(headers) == Some(false)
}

/// Whether `Origin` names this host; none where there is no `Origin`.
fn own_origin(headers: &HeaderMap) -> Option<bool> {
    let origin = headers.get(header::ORIGIN)?.to_str().unwrap_or_default();
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    Some(host.is_some() && origin.strip_prefix("https://") == host)
}

/// 403: the request was made by another page, or without what our own page sends.
pub(super) fn cross_site() -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "cross_site",
        "Not from our own page",
        "a signed-in browser may change things only from our own page, with the header `Cloister-Csrf` that signing in returned",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    #[test]
    fn the_token_is_found_among_cookies_and_of_two_neither_counts() {
        assert_eq!(token(&headers(&[("cookie", "a=b; __Host-cloister=x; c=d")])), Some("x"));
        assert_eq!(token(&headers(&[("cookie", "a=b")])), None);
        assert_eq!(token(&headers(&[("cookie", "__Host-cloister=x; __Host-cloister=y")])), None);
        assert_eq!(token(&headers(&[("cookie", "cloister=x")])), None);
    }

    #[test]
    fn a_change_needs_our_own_page_and_the_header_that_only_it_knows() {
        let right = csrf("x");
        let from = |pairs: &[(&'static str, &str)]| may(&Method::POST, &headers(pairs), "x");
        assert!(from(&[("sec-fetch-site", "same-origin"), ("cloister-csrf", &right)]));
        assert!(from(&[("origin", "https://rx:8443"), ("host", "rx:8443"), ("cloister-csrf", &right)]));
        for wrong in [
            &[("cloister-csrf", right.as_str())][..],
            &[("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "same-origin"), ("cloister-csrf", "")],
            &[("sec-fetch-site", "same-origin"), ("cloister-csrf", &csrf("y"))],
            &[("sec-fetch-site", "same-site"), ("cloister-csrf", &right)],
            &[("sec-fetch-site", "cross-site"), ("cloister-csrf", &right)],
            &[("sec-fetch-site", "none"), ("cloister-csrf", &right)],
            &[("origin", "https://rx:9443"), ("host", "rx:8443"), ("cloister-csrf", &right)],
            &[("origin", "http://rx:8443"), ("host", "rx:8443"), ("cloister-csrf", &right)],
            &[("origin", "null"), ("host", "rx:8443"), ("cloister-csrf", &right)],
            &[("origin", "https://rx:8443"), ("cloister-csrf", &right)],
        ] {
            assert!(!from(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn a_read_is_refused_when_another_page_makes_it() {
        let read = |pairs: &[(&'static str, &str)]| may(&Method::GET, &headers(pairs), "x");
        assert!(read(&[]) && read(&[("sec-fetch-site", "none")]) && read(&[("sec-fetch-site", "same-origin")]));
        assert!(!read(&[("sec-fetch-site", "cross-site")]) && !read(&[("sec-fetch-site", "same-site")]));
        assert!(!read(&[("origin", "https://evil"), ("host", "rx")]));
    }
}
