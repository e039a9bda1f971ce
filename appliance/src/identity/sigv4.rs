//! AWS Signature Version 4: requests of AWS's own clients, signed with an access key that was issued here.
//!
//! Source of the method: AWS, *Create a signed AWS API request* (IAM User Guide). Held to it here: the host, the date and
//! the whole body are signed, the date is within five minutes of the clock, and the scope names the service that the
//! route belongs to. Signatures in the query and unsigned or chunked bodies are refused.

use aws_lc_rs::{digest, hmac};
use http::{HeaderMap, Method, Uri, header};
use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};
use zeroize::Zeroizing;

/// The word that begins such an `Authorization` header.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// How far the date of a request may be from the clock, as at AWS.
const SKEW: SignedDuration = SignedDuration::from_mins(5);
/// The services of the routes here. `bedrock` is what AWS's clients sign for both of its run-time endpoints.
const SERVICES: [&str; 2] = ["bedrock", "bedrock-agent-runtime"];

/// Whether the request is signed in this way.
pub(super) fn signed(headers: &HeaderMap) -> bool {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    value.is_some_and(|value| value.split(' ').next() == Some(ALGORITHM))
}

/// What a signed request claims, and what its signature must be over.
#[derive(Debug)]
pub(super) struct Claim {
    /// The access key that is said to have signed.
    pub(super) key: String,
    /// When it is said to have been.
    pub(super) at: Timestamp,
    scope: Scope,
    to_sign: String,
    signature: Vec<u8>,
}

/// The credential's scope: `20261126/us-east-1/bedrock/aws4_request`.
#[derive(Debug)]
struct Scope {
    date: String,
    region: String,
    service: String,
}

impl Claim {
    /// Reads a signed request. None where it is not in the form that the source prescribes.
    pub(super) fn read(method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Option<Self> {
        let authorization = one(headers, header::AUTHORIZATION.as_str())?;
        let (algorithm, fields) = authorization.split_once(' ')?;
        let field = |name: &str| {
            let mut values = fields.split(',').filter_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='));
            values.next().filter(|_| values.next().is_none())
        };
        let mut credential = field("Credential")?.splitn(2, '/');
        let key = credential.next().filter(|key| (1..=128).contains(&key.len()))?.to_owned();
        let scope_text = credential.next()?;
        let parts: [&str; 4] = scope_text.split('/').collect::<Vec<_>>().try_into().ok()?;
        let [date, region, service, end] = parts;
        let amz_date = one(headers, "x-amz-date")?;
        let at = DateTime::strptime("%Y%m%dT%H%M%SZ", amz_date).ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp();
        let well = algorithm == ALGORITHM
            && end == "aws4_request"
            && SERVICES.contains(&service)
            && amz_date.get(..8) == Some(date)
            && !headers.contains_key("x-amz-security-token");
        if !well {
            return None;
        }
        let hash = hex::encode(digest::digest(&digest::SHA256, body));
        // Where the client says what the body's hash is, it is the body's: `UNSIGNED-PAYLOAD` is none.
        if headers.contains_key("x-amz-content-sha256") && one(headers, "x-amz-content-sha256")? != hash {
            return None;
        }
        let names = field("SignedHeaders")?;
        let canonical = [
            method.as_str(),
            &path(uri.path()),
            &query(uri.query().unwrap_or_default()),
            &signed_headers(names, headers)?,
            names,
            &hash,
        ]
        .join("\n");
        let hash = hex::encode(digest::digest(&digest::SHA256, canonical.as_bytes()));
        let to_sign = [ALGORITHM, amz_date, scope_text, &hash].join("\n");
        let signature = hex::decode(field("Signature")?).ok()?;
        let scope = Scope { date: date.to_owned(), region: region.to_owned(), service: service.to_owned() };
        Some(Self { key, at, scope, to_sign, signature })
    }

    /// Whether `secret` made the signature. Takes as long for a wrong one.
    pub(super) fn by(&self, secret: &str) -> bool {
        hmac::verify(&self.key_of(secret), self.to_sign.as_bytes(), &self.signature).is_ok()
    }

    /// The key that a secret signs with in this scope.
    fn key_of(&self, secret: &str) -> hmac::Key {
        let first = Zeroizing::new(format!("AWS4{secret}"));
        let Scope { date, region, service } = &self.scope;
        let mut key = hmac::Key::new(hmac::HMAC_SHA256, first.as_bytes());
        for part in [date.as_str(), region, service, "aws4_request"] {
            key = hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref());
        }
        key
    }

    /// Whether the request is of now.
    pub(super) fn is_current(&self, now: Timestamp) -> bool {
        now.duration_since(self.at).abs() <= SKEW
    }
}

/// A header that is there once.
fn one<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).into_iter();
    let first = values.next()?;
    if values.next().is_some() { None } else { first.to_str().ok() }
}

/// The signed headers with their values, each on a line. The host and the date must be among them.
fn signed_headers(names: &str, headers: &HeaderMap) -> Option<String> {
    let list: Vec<&str> = names.split(';').collect();
    let sorted = list.is_sorted_by(|a, b| a < b);
    let lower = list.iter().all(|name| !name.bytes().any(|byte| byte.is_ascii_uppercase()));
    if !(sorted && lower && list.contains(&"host") && list.contains(&"x-amz-date")) {
        return None;
    }
    list.into_iter()
        .map(|name| {
            let values: Vec<String> = headers
                .get_all(name)
                .into_iter()
                .map(|value| value.to_str().map(|text| text.split_whitespace().collect::<Vec<_>>().join(" ")))
                .collect::<Result<_, _>>()
                .ok()?;
            (!values.is_empty()).then(|| format!("{name}:{}\n", values.join(",")))
        })
        .collect()
}

/// The path as it was sent, encoded once more, as the source has it for every service but S3.
fn path(sent: &str) -> String {
    sent.bytes().fold(String::with_capacity(sent.len()), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/') {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
        text
    })
}

/// The query's parameters in order, each with its `=`.
fn query(sent: &str) -> String {
    let mut pairs: Vec<(&str, &str)> = sent
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .collect();
    pairs.sort_unstable();
    let pairs: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

/// The `Authorization` header with which `secret` signs a request that has every other header already.
#[cfg(test)]
pub(crate) fn authorization(id: &str, secret: &str, request: &http::request::Parts, body: &[u8]) -> String {
    let day = request.headers["x-amz-date"].to_str().unwrap()[..8].to_owned();
    let with = |signature: &str| {
        format!(
            "{ALGORITHM} Credential={id}/{day}/us-east-1/bedrock/aws4_request, SignedHeaders=host;x-amz-date, \
             Signature={signature}"
        )
    };
    let mut headers = request.headers.clone();
    headers.insert(header::AUTHORIZATION, with("00").parse().unwrap());
    let claim = Claim::read(&request.method, &request.uri, &headers, body).unwrap();
    with(&hex::encode(hmac::sign(&claim.key_of(secret), claim.to_sign.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// AWS's published example: the secret, and the request `GET /` at its example host.
    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), http::HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    fn authorization(signature: &str) -> String {
        format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/bedrock/aws4_request, \
             SignedHeaders=host;x-amz-date, Signature={signature}"
        )
    }

    fn claim(path: &str, pairs: &[(&'static str, &str)], body: &[u8]) -> Option<Claim> {
        Claim::read(&Method::POST, &path.parse().unwrap(), &headers(pairs), body)
    }

    const HOST: (&str, &str) = ("host", "localhost:8443");
    const DATE: (&str, &str) = ("x-amz-date", "20150830T123600Z");

    /// The signature that botocore 1.44 makes for this request (`SigV4Auth.add_auth`, 2015-08-30T12:36:00Z).
    const BOTOCORE: &str = "5580669d1730d2994fa84d309482cbe34de3443a779734cbf8ba499c043fbc4b";

    #[test]
    fn the_signature_of_awss_own_client_is_recognised_and_nothing_near_it() {
        let (path, body) = ("/knowledgebases/pro%20cedures/retrieve", br#"{"retrievalQuery": {"text": "x"}}"#);
        let right = authorization(BOTOCORE);
        let right = claim(path, &[HOST, DATE, ("authorization", &right)], body).unwrap();
        assert_eq!(right.key, "AKIDEXAMPLE");
        assert!(right.by(SECRET) && !right.by("another") && !right.by(""));
        let other = authorization(BOTOCORE);
        let by = |path, pairs: &[(&'static str, &str)], body: &[u8]| {
            claim(path, pairs, body).is_some_and(|claim| claim.by(SECRET))
        };
        let sent = ("authorization", other.as_str());
        assert!(!by(path, &[HOST, DATE, sent], br#"{"retrievalQuery": {"text": "y"}}"#), "another body");
        assert!(!by("/knowledgebases/other/retrieve", &[HOST, DATE, sent], body), "another path");
        assert!(!by(path, &[("host", "elsewhere"), DATE, sent], body), "another host");
        assert!(!by(path, &[HOST, ("x-amz-date", "20150830T123601Z"), sent], body), "another time");
        assert!(!by(&format!("{path}?a=b"), &[HOST, DATE, sent], body), "another query");
    }

    #[test]
    fn a_request_is_current_for_five_minutes_either_way() {
        let right = authorization("00");
        let claim = claim("/", &[HOST, DATE, ("authorization", &right)], b"").unwrap();
        let at = |seconds| claim.at + SignedDuration::from_secs(seconds);
        assert!(claim.is_current(at(300)) && claim.is_current(at(-300)));
        assert!(!claim.is_current(at(301)) && !claim.is_current(at(-301)));
    }

    #[test]
    fn a_signature_that_leaves_something_out_is_none() {
        let right = authorization("00");
        let read = |pairs: &[(&'static str, &str)]| claim("/", pairs, b"").is_some();
        assert!(read(&[HOST, DATE, ("authorization", &right)]));
        assert!(!read(&[DATE, ("authorization", &right)]), "no host");
        assert!(!read(&[HOST, ("authorization", &right)]), "no date");
        assert!(!read(&[HOST, ("x-amz-date", "20150831T000000Z"), ("authorization", &right)]), "another day");
        assert!(!read(&[HOST, DATE, ("x-amz-content-sha256", "UNSIGNED-PAYLOAD"), ("authorization", &right)]));
        assert!(!read(&[HOST, DATE, ("x-amz-security-token", "x"), ("authorization", &right)]));
        for (from, to) in [
            ("host;x-amz-date", "x-amz-date"),
            ("host;x-amz-date", "host"),
            ("host;x-amz-date", "x-amz-date;host"),
            ("host;x-amz-date", "Host;x-amz-date"),
            ("/bedrock/", "/s3/"),
            ("aws4_request", "aws4_other"),
            ("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"),
            ("Signature=00", "Signature=xyz"),
            (", Signature=00", ""),
        ] {
            let wrong = right.replace(from, to);
            assert_ne!(wrong, right);
            assert!(!read(&[HOST, DATE, ("authorization", &wrong)]), "{to}");
        }
    }
}
