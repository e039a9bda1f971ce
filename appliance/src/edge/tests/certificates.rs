use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _};
use tokio_rustls::TlsConnector;

use super::*;
use crate::edge::rig::Served;

/// An authority for clients, in its own file.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// For the real time, by which TLS looks at certificates, and for the clock of the rig.
fn lasting(mut params: CertificateParams) -> CertificateParams {
    params.not_before = rcgen::date_time_ymd(2025, 1, 1);
    params.not_after = rcgen::date_time_ymd(2045, 1, 1);
    params
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = lasting(CertificateParams::default());
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.distinguished_name.push(DnType::CommonName, "clients");
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    fn client(
        &self,
        role: &str,
        purpose: ExtendedKeyUsagePurpose,
    ) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let mut params = lasting(CertificateParams::default());
        params.extended_key_usages = vec![purpose];
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "label printer");
        params.distinguished_name.push(DnType::OrganizationalUnitName, role);
        params.distinguished_name.push(DnType::OrganizationName, "larkfield");
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    }
}

/// Sends a request with a client's certificate. Status 0 where the connection ended before an answer.
async fn ask(served: &Served, client: (CertificateDer<'static>, PrivateKeyDer<'static>), more: &str) -> Reply {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&served.authority).unwrap()).unwrap();
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![client.0], client.1)
        .unwrap();
    let stream = TcpStream::connect(served.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let Ok(mut stream) = TlsConnector::from(Arc::new(config)).connect(name, stream).await else {
        return Reply { status: 0, head: String::new(), body: String::new() };
    };
    let request = format!(
        "POST /api/echo HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{more}content-type: application/json\r\ncontent-length: 2\r\n\r\n{{}}"
    );
    let _ = stream.write_all(request.as_bytes()).await;
    Reply::read(&mut stream).await
}

#[tokio::test]
async fn a_certificate_of_the_sites_authority_says_who_calls_and_no_other_does() {
    let rig = rig();
    let authority = Authority::new();
    std::fs::write(&rig.clients, &authority.pem).unwrap();
    let served = rig.serve(config::Server::default()).await;
    let client = || authority.client("agent", ExtendedKeyUsagePurpose::ClientAuth);
    let reply = ask(&served, client(), "").await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let operator = authority.client("operator", ExtendedKeyUsagePurpose::ClientAuth);
    assert_eq!(ask(&served, operator, "").await.status, 403, "the role in it is what policy asks about");
    let owner = authority.client("owner", ExtendedKeyUsagePurpose::ClientAuth);
    assert_eq!(ask(&served, owner, "").await.status, 401);
    let other = Authority::new().client("agent", ExtendedKeyUsagePurpose::ClientAuth);
    assert_eq!(ask(&served, other, "").await.status, 0, "another authority's ends at the handshake");
    let server = authority.client("agent", ExtendedKeyUsagePurpose::ServerAuth);
    assert_eq!(ask(&served, server, "").await.status, 0, "so does a server's");
    assert_eq!(
        ask(&served, client(), "sec-fetch-site: cross-site\r\n").await.status,
        403,
        "a browser shows it unasked"
    );
    assert_eq!(ask(&served, client(), "x-api-key: clk_wrong\r\n").await.status, 401, "a key that is shown goes first");
    assert_eq!(served.post("/api/echo", &rig.key(Role::Agent), "{}").await.status, 200, "and none is needed");

    let records = rig.audit.since(0, 100).unwrap();
    let account = records.into_iter().find_map(|record| match record.body {
        cloister_governance::audit::Body::Intent(intent) if intent.who.name == "label printer" => {
            Some(intent.who.account)
        }
        _ => None,
    });
    rig.accounts.bar(&account.unwrap()).unwrap();
    assert_eq!(ask(&served, client(), "").await.status, 401, "disabled here, whatever the authority says");
}
