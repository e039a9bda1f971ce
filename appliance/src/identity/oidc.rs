//! Bearer tokens of the hospital's own identity provider (OpenID Connect; JWT, RFC 7519).
//!
//! Issuer, audience and algorithm are pinned in the configuration; a token has no say in how it is checked. The keys come
//! from a file that IT puts there, because the server can fetch nothing; a new file is read as soon as it is there, and
//! one that cannot be read leaves the keys before it in use.
//!
//! **What it is not:** it does not sign anyone in at the provider and keeps no list of persons. Who they are and what
//! group they are in is the provider's word, for as long as the token holds and no longer than the site allows.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use aws_lc_rs::digest;
use cloister_governance::{
    accounts::AccountId,
    policy::{Principal, Readable},
};
use cloister_terms::Role;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{
    Algorithm, DecodingKey, Validation,
    errors::ErrorKind,
    jwk::{AlgorithmParameters, Jwk, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::config::{Group, Oidc, SignedWith};

/// How far the provider's clock may be from ours.
const SKEW: SignedDuration = SignedDuration::from_secs(60);
/// Characters of a person's name that are kept.
const NAME_LENGTH: usize = 64;
/// Bytes that a key file has at most.
const KEYS_LIMIT: u64 = 1024 * 1024;

/// The provider, and its keys as they were last read.
pub(super) struct Provider {
    settings: Oidc,
    validation: Validation,
    keys: Mutex<Keys>,
}

#[derive(Default)]
struct Keys {
    /// What the file was when it was read: inode, length, time of change in nanoseconds.
    file: Option<(u64, u64, i128)>,
    list: Arc<Vec<(Option<String>, DecodingKey)>>,
}

/// What is read of a token. The rest stays in `claims`.
#[derive(Deserialize)]
struct Token {
    iss: String,
    sub: String,
    exp: i64,
    iat: i64,
    nbf: Option<i64>,
    #[serde(flatten)]
    claims: Map<String, Value>,
}

impl Provider {
    pub(super) fn new(settings: Oidc) -> Self {
        let mut validation = Validation::new(algorithm(settings.algorithm));
        validation.set_issuer(&[&settings.issuer]);
        validation.set_audience(&[&settings.audience]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
        // By our own clock, below.
        validation.validate_exp = false;
        Self { settings, validation, keys: Mutex::default() }
    }

    /// Whose token it is. Reads the key file where it has changed, so call it where blocking is allowed.
    ///
    /// # Errors
    /// A stable word for the record.
    pub(super) fn principal(&self, token: &str, now: Timestamp) -> Result<Principal, &'static str> {
        let header = jsonwebtoken::decode_header(token).map_err(|error| code(error.kind()))?;
        let keys = self.keys();
        let named = |id: &Option<String>| header.kid.is_none() || *id == header.kid;
        let mut matching = keys.iter().filter(|(id, _)| named(id));
        let (Some((_, key)), None) = (matching.next(), matching.next()) else { return Err("token_key_unknown") };
        let token = jsonwebtoken::decode::<Token>(token, key, &self.validation);
        let token = token.map_err(|error| code(error.kind()))?.claims;
        self.is_current(&token, now)?;
        let group = self.group(&token.claims).ok_or("token_without_group")?;
        Ok(Principal {
            account: account(&token.iss, &token.sub),
            name: self.name(&token),
            person: group.role != Role::Service,
            collections: group
                .collections
                .as_ref()
                .map_or(Readable::All, |these| Readable::These(these.iter().cloned().collect())),
            labels: group.labels.iter().cloned().collect(),
            ..Principal::local(group.role, group.tenant.clone())
        })
    }

    fn is_current(&self, token: &Token, now: Timestamp) -> Result<(), &'static str> {
        let now = now.as_second();
        let (skew, longest) = (SKEW.as_secs(), i64::from(self.settings.longest_minutes) * 60);
        if token.exp <= now {
            Err("token_expired")
        } else if token.nbf.unwrap_or(token.iat).max(token.iat) > now.saturating_add(skew) {
            Err("token_not_yet_valid")
        } else if now.saturating_sub(token.iat) >= longest {
            Err("token_too_old")
        } else {
            Ok(())
        }
    }

    /// The first group of the configuration that the person is in.
    fn group(&self, claims: &Map<String, Value>) -> Option<&Group> {
        let own: BTreeSet<&str> = match claims.get(&self.settings.groups_claim)? {
            Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
            Value::String(one) => BTreeSet::from([one.as_str()]),
            _ => return None,
        };
        self.settings.groups.iter().find(|group| own.contains(group.group.as_str()))
    }

    fn name(&self, token: &Token) -> String {
        let given = token.claims.get(&self.settings.name_claim).and_then(Value::as_str).unwrap_or(&token.sub);
        given.chars().filter(|character| !character.is_control()).take(NAME_LENGTH).collect()
    }

    /// The keys, read anew where the file has changed.
    fn keys(&self) -> Arc<Vec<(Option<String>, DecodingKey)>> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.settings.keys.as_path();
        let file = fs::metadata(path).ok().map(|about| {
            let nanoseconds = i128::from(about.mtime()) * 1_000_000_000 + i128::from(about.mtime_nsec());
            (about.ino(), about.len(), nanoseconds)
        });
        if file.is_some() && file != keys.file {
            match read(path, self.validation.algorithms.first().copied().unwrap_or_default()) {
                Ok(list) => {
                    tracing::info!(keys = list.len(), "the identity provider's keys were read");
                    keys.list = Arc::new(list);
                }
                Err(error) => {
                    tracing::error!(path = %path.display(), error, "the identity provider's keys cannot be read: those before stay in use");
                }
            }
            // Said once for each state of the file.
            keys.file = file;
        }
        Arc::clone(&keys.list)
    }
}

/// The keys of a JWK set that sign by `algorithm`. Others are none of ours and are passed over.
fn read(path: &Path, algorithm: Algorithm) -> Result<Vec<(Option<String>, DecodingKey)>, &'static str> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<Value>,
    }
    if fs::metadata(path).map_or(0, |about| about.len()) > KEYS_LIMIT {
        return Err("it is larger than 1 MiB");
    }
    let text = fs::read(path).map_err(|_| "it cannot be opened")?;
    let set: Set = serde_json::from_slice(&text).map_err(|_| "it is no JWK set")?;
    let mut list = Vec::new();
    for key in set.keys {
        let Ok(key) = serde_json::from_value::<Jwk>(key) else { continue };
        let signs = key.common.public_key_use.as_ref().is_none_or(|what| *what == PublicKeyUse::Signature);
        let pinned = key.common.key_algorithm.is_none_or(|of| of.to_string() == format!("{algorithm:?}"));
        if signs && pinned && fits(&key.algorithm, algorithm) {
            list.push((key.common.key_id.clone(), DecodingKey::from_jwk(&key).map_err(|_| "a key in it is damaged")?));
        }
    }
    if list.is_empty() { Err("it holds no key of the algorithm that is configured") } else { Ok(list) }
}

/// Whether a key is of the kind that the algorithm takes. A shared secret is never.
const fn fits(key: &AlgorithmParameters, algorithm: Algorithm) -> bool {
    use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
    match key {
        AlgorithmParameters::RSA(_) => matches!(algorithm, RS256 | RS384 | RS512 | PS256 | PS384 | PS512),
        AlgorithmParameters::EllipticCurve(_) => matches!(algorithm, ES256 | ES384),
        AlgorithmParameters::OctetKeyPair(_) => matches!(algorithm, EdDSA),
        _ => false,
    }
}

const fn algorithm(configured: SignedWith) -> Algorithm {
    match configured {
        SignedWith::RS256 => Algorithm::RS256,
        SignedWith::RS384 => Algorithm::RS384,
        SignedWith::RS512 => Algorithm::RS512,
        SignedWith::PS256 => Algorithm::PS256,
        SignedWith::PS384 => Algorithm::PS384,
        SignedWith::PS512 => Algorithm::PS512,
        SignedWith::ES256 => Algorithm::ES256,
        SignedWith::ES384 => Algorithm::ES384,
        SignedWith::EdDSA => Algorithm::EdDSA,
    }
}

/// The account of a person of the provider: the same each time, and no two alike.
fn account(issuer: &str, subject: &str) -> AccountId {
    let hash = digest::digest(&digest::SHA256, format!("{}:{issuer}{subject}", issuer.len()).as_bytes());
    AccountId::of_digest(hash.as_ref())
}

fn code(error: &ErrorKind) -> &'static str {
    match error {
        ErrorKind::InvalidSignature => "token_signature_wrong",
        ErrorKind::InvalidIssuer => "token_of_another_issuer",
        ErrorKind::InvalidAudience => "token_for_another_audience",
        ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName => "token_of_another_algorithm",
        ErrorKind::MissingRequiredClaim(_) => "token_incomplete",
        _ => "token_malformed",
    }
}

#[cfg(test)]
mod tests;
