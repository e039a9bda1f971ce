//! Client certificates of the site's own authority: the subject says what their holder is.
//!
//! TLS has checked by then that the authority signed it, that it is for clients and that its holder has the key. `CN` is
//! the name, `OU` the role, `O` the tenant. The account follows from the whole subject, so that a renewed certificate is
//! the same account, and disabling that account bars them all.

use aws_lc_rs::digest;
use cloister_governance::{
    accounts::AccountId,
    policy::{Principal, site_wide},
};
use cloister_terms::{Role, TenantId};
use jiff::Timestamp;
use x509_parser::{
    prelude::{FromDer as _, X509Certificate, X509Name},
    x509::AttributeTypeAndValue,
};

use crate::config::ClientCertificates;

/// Whose certificate it is.
///
/// # Errors
/// A stable word for the record.
pub(super) fn principal(der: &[u8], settings: &ClientCertificates, now: Timestamp) -> Result<Principal, &'static str> {
    let (_, certificate) = X509Certificate::from_der(der).map_err(|_| "certificate_malformed")?;
    let (from, until) = (certificate.validity().not_before.timestamp(), certificate.validity().not_after.timestamp());
    // TLS looked at the time when the connection was made, which may be long ago.
    if !(from..=until).contains(&now.as_second()) {
        return Err("certificate_expired");
    }
    let subject = certificate.subject();
    let name = one(subject, X509Name::iter_common_name).ok_or("certificate_without_name")?;
    let well = (1..=64).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    let role = one(subject, X509Name::iter_organizational_unit).and_then(|text| text.parse::<Role>().ok());
    let tenant = one(subject, X509Name::iter_organization).map(|text| text.parse::<TenantId>()).transpose();
    let (Some(role), Ok(tenant), true) = (role, tenant, well) else { return Err("certificate_without_role") };
    if tenant.is_none() && !site_wide(role) {
        return Err("certificate_without_tenant");
    }
    let hash = digest::digest(&digest::SHA256, &[b"certificate:", subject.as_raw()].concat());
    Ok(Principal {
        account: AccountId::of_digest(hash.as_ref()),
        name: name.to_owned(),
        labels: settings.labels.iter().cloned().collect(),
        person: role != Role::Service,
        ..Principal::local(role, tenant)
    })
}

/// The attribute of a subject that has it once. Of two roles neither holds.
fn one<'a, I>(subject: &'a X509Name<'a>, attributes: impl FnOnce(&'a X509Name<'a>) -> I) -> Option<&'a str>
where
    I: Iterator<Item = &'a AttributeTypeAndValue<'a>>,
{
    let mut values = attributes(subject);
    let first = values.next()?.as_str().ok()?;
    values.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;

    fn settings() -> ClientCertificates {
        ClientCertificates { authority: "ca.pem".into(), labels: vec!["staff".parse().unwrap()] }
    }

    fn read(subject: &[(DnType, &str)], at: &str) -> Result<Principal, &'static str> {
        let mut params = CertificateParams::default();
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2026, 2, 1);
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, value) in subject {
            params.distinguished_name.push(kind.clone(), *value);
        }
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        principal(certificate.der(), &settings(), at.parse().unwrap())
    }

    const NOW: &str = "2026-01-15T00:00:00Z";

    #[test]
    fn the_subject_says_name_role_and_tenant_and_a_renewed_certificate_is_the_same_account() {
        use DnType::{CommonName, OrganizationName, OrganizationalUnitName};
        let subject =
            [(CommonName, "label printer"), (OrganizationalUnitName, "service"), (OrganizationName, "pharmacy")];
        let principal = read(&subject, NOW).unwrap();
        assert_eq!((principal.name.as_str(), principal.role), ("label printer", Role::Service));
        assert_eq!(principal.tenant, Some("pharmacy".parse().unwrap()));
        assert!(principal.labels.contains(&"staff".parse().unwrap()));
        assert_eq!(read(&subject, NOW).unwrap().account, principal.account);
        let monitor = read(&[(CommonName, "monitor"), (OrganizationalUnitName, "operator")], NOW).unwrap();
        assert_eq!((monitor.tenant, monitor.role), (None, Role::Operator));
        assert_ne!(monitor.account, principal.account);
    }

    #[test]
    fn a_certificate_without_a_role_a_name_a_tenant_or_time_is_none() {
        use DnType::{CommonName, OrganizationName, OrganizationalUnitName};
        for (subject, at, code) in [
            (vec![(CommonName, "x")], NOW, "certificate_without_role"),
            (vec![(CommonName, "x"), (OrganizationalUnitName, "owner")], NOW, "certificate_without_role"),
            (vec![(OrganizationalUnitName, "operator")], NOW, "certificate_without_name"),
            (vec![(CommonName, "x"), (OrganizationalUnitName, "service")], NOW, "certificate_without_tenant"),
            (
                vec![(CommonName, "x"), (OrganizationalUnitName, "service"), (OrganizationName, "../x")],
                NOW,
                "certificate_without_role",
            ),
            (
                vec![(CommonName, "x"), (OrganizationalUnitName, "operator")],
                "2026-02-02T00:00:00Z",
                "certificate_expired",
            ),
            (
                vec![(CommonName, "x"), (OrganizationalUnitName, "operator")],
                "2025-12-31T00:00:00Z",
                "certificate_expired",
            ),
        ] {
            assert_eq!(read(&subject, at).unwrap_err(), code);
        }
        assert_eq!(principal(b"no certificate", &settings(), NOW.parse().unwrap()), Err("certificate_malformed"));
    }
}
