use cloister_terms::Role;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::json;

use super::*;

const ISSUER: &str = "https://login.hospital.example";

/// A provider of our own making: a key pair, a key file, and tokens of any shape.
struct Login {
    folder: tempfile::TempDir,
    key: EncodingKey,
    provider: Provider,
}

fn key_pair() -> (EncodingKey, Value) {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let point = pair.public_key().as_ref().to_vec();
    let part = |range: std::ops::Range<usize>| {
        use base64::Engine as _;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&point[range])
    };
    let jwk = json!({"kty": "EC", "crv": "P-256", "use": "sig", "kid": "1", "x": part(1..33), "y": part(33..65)});
    (EncodingKey::from_ec_der(pair.to_pkcs8v1().unwrap().as_ref()), jwk)
}

fn settings(keys: &Path) -> Oidc {
    let group = |group: &str, role| Group {
        group: group.to_owned(),
        role,
        tenant: Some("larkfield".parse().unwrap()),
        collections: None,
        labels: vec!["staff".parse().unwrap()],
    };
    Oidc {
        issuer: ISSUER.to_owned(),
        audience: "cloister".to_owned(),
        algorithm: SignedWith::ES256,
        keys: keys.to_owned(),
        groups_claim: "groups".to_owned(),
        name_claim: "preferred_username".to_owned(),
        longest_minutes: 60,
        groups: vec![group("rx-reviewers", Role::Reviewer), group("rx-agents", Role::Agent)],
    }
}

fn now() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

fn claims() -> Value {
    let now = now().as_second();
    json!({"iss": ISSUER, "sub": "u-17", "aud": "cloister", "iat": now, "exp": now + 600,
        "preferred_username": "a.lopez", "groups": ["everyone", "rx-agents"]})
}

impl Login {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (key, jwk) = key_pair();
        let login = Self { provider: Provider::new(settings(&folder.path().join("keys.json"))), folder, key };
        login.publish(&[jwk]);
        login
    }

    /// Puts a new key file in place of the old one.
    fn publish(&self, keys: &[Value]) {
        let fresh = self.folder.path().join("fresh");
        std::fs::write(&fresh, json!({"keys": keys}).to_string()).unwrap();
        std::fs::rename(fresh, self.folder.path().join("keys.json")).unwrap();
    }

    fn token(&self, claims: &Value) -> String {
        signed(&self.key, claims)
    }

    fn with(&self, field: &str, value: Value) -> Result<Principal, &'static str> {
        let mut claims = claims();
        claims[field] = value;
        self.provider.principal(&self.token(&claims), now())
    }
}

fn signed(key: &EncodingKey, claims: &Value) -> String {
    let header = Header { kid: Some("1".to_owned()), ..Header::new(Algorithm::ES256) };
    jsonwebtoken::encode(&header, claims, key).unwrap()
}

#[test]
fn a_token_says_who_it_is_and_their_group_what_they_are() {
    let login = Login::new();
    let principal = login.provider.principal(&login.token(&claims()), now()).unwrap();
    assert_eq!((principal.name.as_str(), principal.role), ("a.lopez", Role::Agent));
    assert_eq!(principal.tenant, Some("larkfield".parse().unwrap()));
    assert!(principal.labels.contains(&"staff".parse().unwrap()));
    assert_eq!(principal.account.as_str().len(), 12);
    let again = login.with("iat", json!(now().as_second() - 5)).unwrap();
    assert_eq!(again.account, principal.account, "the same person each time");
    assert_ne!(login.with("sub", json!("u-18")).unwrap().account, principal.account);
    assert_eq!(login.with("groups", json!(["rx-agents", "rx-reviewers"])).unwrap().role, Role::Reviewer);
    assert_eq!(login.with("aud", json!(["other", "cloister"])).unwrap().account, principal.account);
}

#[test]
fn a_token_that_is_expired_foreign_for_others_or_without_a_group_is_refused() {
    let login = Login::new();
    let at = now().as_second();
    for (field, value, code) in [
        ("exp", json!(at), "token_expired"),
        ("exp", json!("soon"), "token_malformed"),
        ("exp", Value::Null, "token_malformed"),
        ("iat", json!(at + 61), "token_not_yet_valid"),
        ("nbf", json!(at + 61), "token_not_yet_valid"),
        ("iat", json!(at - 3600), "token_too_old"),
        ("iss", json!("https://login.other.example"), "token_of_another_issuer"),
        ("aud", json!("payroll"), "token_for_another_audience"),
        ("aud", json!(["payroll", "wiki"]), "token_for_another_audience"),
        ("aud", Value::Null, "token_incomplete"),
        ("sub", Value::Null, "token_malformed"),
        ("groups", json!(["everyone"]), "token_without_group"),
        ("groups", Value::Null, "token_without_group"),
    ] {
        assert_eq!(login.with(field, value.clone()).unwrap_err(), code, "{field}: {value}");
    }
    let (other, _) = key_pair();
    assert_eq!(login.provider.principal(&signed(&other, &claims()), now()).unwrap_err(), "token_signature_wrong");
}

#[test]
fn a_token_that_chooses_how_it_is_checked_is_refused() {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as B64};
    let login = Login::new();
    let right = login.token(&claims());
    let (_, rest) = right.split_once('.').unwrap();
    let payload = rest.split_once('.').unwrap().0;
    for header in [r#"{"alg":"none","kid":"1"}"#, r#"{"alg":"HS256","kid":"1"}"#, r#"{"alg":"RS256","kid":"1"}"#] {
        for signature in ["", rest.split_once('.').unwrap().1] {
            let forged = format!("{}.{payload}.{signature}", B64.encode(header));
            assert!(login.provider.principal(&forged, now()).is_err(), "{header}");
        }
    }
    let keys = std::fs::read(login.folder.path().join("keys.json")).unwrap();
    let secret = EncodingKey::from_secret(&keys);
    let header = Header { kid: Some("1".to_owned()), ..Header::new(Algorithm::HS256) };
    let forged = jsonwebtoken::encode(&header, &claims(), &secret).unwrap();
    assert_eq!(login.provider.principal(&forged, now()).unwrap_err(), "token_of_another_algorithm");
    for malformed in ["", "a.b.c", "..", &right[..right.len() - 4], &format!("{right}.x")] {
        assert!(login.provider.principal(malformed, now()).is_err(), "{malformed}");
    }
}

#[test]
fn new_keys_hold_as_soon_as_their_file_is_there_and_a_broken_file_changes_nothing() {
    let login = Login::new();
    let old = login.token(&claims());
    assert!(login.provider.principal(&old, now()).is_ok());
    std::fs::write(login.folder.path().join("keys.json"), "{\"keys\": [").unwrap();
    assert!(login.provider.principal(&old, now()).is_ok(), "the keys before stay in use");
    let (key, jwk) = key_pair();
    login.publish(&[jwk]);
    assert_eq!(login.provider.principal(&old, now()).unwrap_err(), "token_signature_wrong");
    assert!(login.provider.principal(&signed(&key, &claims()), now()).is_ok());
}

#[test]
fn a_shared_secret_and_a_key_for_encryption_are_no_keys() {
    let login = Login::new();
    let (key, mut jwk) = key_pair();
    jwk["use"] = json!("enc");
    login.publish(&[json!({"kty": "oct", "kid": "1", "k": "AAAA"}), jwk]);
    assert!(login.provider.principal(&signed(&key, &claims()), now()).is_err());
}
