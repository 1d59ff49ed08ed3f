//! Tests that only a valid server certificate is accepted.

use std::sync::Arc;

use job_transport::{
    hyper::{HyperTransport, TlsConfig, TlsProvider},
    transport::{RequestSent, Transport, TransportErrorKind},
};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd,
};
use rustls::crypto::aws_lc_rs;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::*;

/// Answers each connection with these bytes, independent of the request.
async fn raw_server(bytes: &'static [u8]) -> TestServer {
    TestServer::start(move |mut stream| async move {
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(bytes).await;
        let _ = stream.read(&mut [0; 4096]).await;
    })
    .await
}

/// The ServerHello of a server that supports at most TLS 1.1: a record of that version with 42
/// bytes of ServerHello, which contain the version, a random number, no session, and AES128-SHA.
const TLS_1_1_SERVER_HELLO: &[u8] = b"\x16\x03\x02\0\x2a\x02\0\0\x26\x03\x02\
    0123456789abcdef0123456789abcdef\0\0\x2f\0";

#[tokio::test]
async fn only_the_valid_server_certificate_is_accepted() {
    let (ours, other) = (Authority::new(), Authority::new());
    let expired = |params: &mut CertificateParams| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2020, 2, 2);
    };
    let with = |change: &dyn Fn(&mut CertificateParams)| {
        let mut params = leaf();
        change(&mut params);
        params
    };
    let self_signed = {
        let key = KeyPair::generate().unwrap();
        Certified::new(leaf().self_signed(&key).unwrap(), key)
    };
    let rows = [
        ("good", ours.leaf()),
        ("expired", ours.sign(with(&expired))),
        ("not yet valid", ours.sign(with(&|p| p.not_before = date_time_ymd(2999, 1, 1)))),
        ("wrong host", ours.sign(CertificateParams::new(["cce.example".into()]).unwrap())),
        ("unknown CA", other.leaf()),
        ("self-signed", self_signed),
        (
            "CA used as leaf",
            ours.sign(with(&|p| p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained))),
        ),
        (
            "for clients alone",
            ours.sign(with(&|p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth])),
        ),
    ];
    let mut servers = Vec::new();
    for (name, certified) in rows {
        let kind = (name != "good").then_some(TransportErrorKind::Certificate);
        let config = certified.server(&[b"http/1.1"]);
        servers.push((name, TestServer::over_tls(config, send_reply).await, kind));
    }
    servers.push((
        "TLS 1.1 alone",
        raw_server(TLS_1_1_SERVER_HELLO).await,
        Some(TransportErrorKind::Tls),
    ));
    servers.push(("plain text", raw_server(REPLY).await, Some(TransportErrorKind::Tls)));

    for provider in providers() {
        for (name, server, kind) in &servers {
            let before = server.connections();
            let transport = HyperTransport::new(
                TlsConfig::ca_pem(provider.clone(), ours.pem.as_bytes()).unwrap(),
            );
            let reply = transport.send(get(&server.https())).await;
            match kind {
                None => assert_eq!(reply.unwrap().body(), "{}"),
                Some(kind) => {
                    assert_eq!(send_failure(reply), (*kind, RequestSent::No, None), "{name}")
                }
            }
            assert_eq!(server.connections() - before, 1, "{name}: one attempt");
        }
    }
}

#[tokio::test]
async fn extra_authorities_are_trusted_in_addition_to_those_of_the_system() {
    let (ours, other) = (Authority::new(), Authority::new());
    let self_signed = self_signed(KeyPair::generate().unwrap(), |_| {});
    let rows = [
        ("an extra authority", &ours.pem, ours.leaf(), true),
        ("an authority among several", &format!("{}\n{}", other.pem, ours.pem), ours.leaf(), true),
        ("an unknown authority", &other.pem, ours.leaf(), false),
        ("an extra server certificate", &self_signed.certificate.pem(), self_signed, true),
    ];
    for (name, pem, certified, is_accepted) in rows {
        let server = TestServer::over_tls(certified.server(&[]), send_reply).await;
        for provider in providers() {
            let tls = TlsConfig::platform_with_extra_ca_pem(provider, pem.as_bytes()).unwrap();
            let reply = HyperTransport::new(tls).send(get(&server.https())).await;
            assert_eq!(reply.is_ok(), is_accepted, "{name}: {reply:?}");
        }
    }
    for pem in ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        assert!(
            TlsConfig::platform_with_extra_ca_pem(provider(), pem.as_bytes()).is_err(),
            "{pem:?}"
        );
    }
}

/// What the server sees of a handshake: the cipher suite and the ALPN protocol.
type Handshake = (rustls::CipherSuite, Option<String>);

#[tokio::test]
async fn rustls_configurations_and_providers_are_used_as_they_are() {
    use rustls::{ClientConfig, RootCertStore, pki_types::pem::PemObject};

    let authority = Authority::new();
    let handshakes = Arc::new(std::sync::Mutex::new(Vec::<Handshake>::new()));
    let seen = handshakes.clone();
    let config = authority.leaf().server(&[b"h2", b"http/1.1"]);
    let server = TestServer::over_tls(config, move |stream| {
        let (_, tls) = stream.get_ref();
        let protocol = tls.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
        let suite = tls.negotiated_cipher_suite().unwrap().suite();
        seen.lock().unwrap().push((suite, protocol));
        send_reply(stream)
    })
    .await;

    let only = |suite| {
        let mut provider = aws_lc_rs::default_provider();
        provider.cipher_suites = vec![suite];
        Arc::new(provider)
    };
    let pem = authority.pem.as_bytes();
    let chacha = TlsProvider::from_rustls(only(
        aws_lc_rs::cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ));
    let with_provider = TlsConfig::ca_pem(chacha, pem).unwrap();

    let mut roots = RootCertStore::empty();
    roots.add(PemObject::from_pem_slice(pem).unwrap()).unwrap();
    let aes = only(aws_lc_rs::cipher_suite::TLS13_AES_256_GCM_SHA384);
    let config = ClientConfig::builder_with_provider(aes)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut http_1 = config.clone();
    http_1.alpn_protocols = vec![b"http/1.1".to_vec()];

    for tls in [with_provider, TlsConfig::from_rustls(config), TlsConfig::from_rustls(http_1)] {
        // The server speaks only HTTP/1.1, so requests over HTTP/2 fail after the handshake.
        let _ = HyperTransport::new(tls).send(get(&server.https())).await;
    }
    let (h2, http_1) = (Some("h2".to_owned()), Some("http/1.1".to_owned()));
    assert_eq!(
        *handshakes.lock().unwrap(),
        [
            (rustls::CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, h2.clone()),
            (rustls::CipherSuite::TLS13_AES_256_GCM_SHA384, h2),
            (rustls::CipherSuite::TLS13_AES_256_GCM_SHA384, http_1),
        ]
    );
    let untrusted = Authority::new();
    let mut roots = RootCertStore::empty();
    roots.add(PemObject::from_pem_slice(untrusted.pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let transport = HyperTransport::new(TlsConfig::from_rustls(config));
    let (kind, ..) = send_failure(transport.send(get(&server.https())).await);
    assert_eq!(kind, TransportErrorKind::Certificate);
}

#[tokio::test]
async fn only_the_given_roots_are_trusted() {
    let (ours, other) = (Authority::new(), Authority::new());
    let server = TestServer::over_tls(ours.leaf().server(&[]), send_reply).await;
    for (authority, accepted) in [(&ours, true), (&other, false)] {
        let pem = rustls::pki_types::pem::PemObject::from_pem_slice(authority.pem.as_bytes());
        let root: rustls::pki_types::CertificateDer<'_> = pem.unwrap();
        let tls = TlsConfig::roots(provider(), [root.to_vec()]).unwrap();
        let reply = HyperTransport::new(tls).send(get(&server.https())).await;
        assert_eq!(reply.is_ok(), accepted);
    }
}

/// Returns a self-signed certificate as `openssl req -x509` makes it: it claims to be an
/// authority.
fn self_signed(key: KeyPair, change: impl FnOnce(&mut CertificateParams)) -> Certified {
    let mut params = leaf();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    change(&mut params);
    Certified::new(params.self_signed(&key).unwrap(), key)
}

/// Starts a server that presents these certificates, and signs with the key of `signer`.
async fn server_presenting(chain: &[&Certified], signer: &Certified) -> TestServer {
    let mut config = signer.server(&[]);
    let chain = chain.iter().flat_map(|certified| certified.chain()).collect();
    let key = rustls::pki_types::PrivateKeyDer::try_from(signer.key.serialize_der()).unwrap();
    let key = aws_lc_rs::sign::any_supported_type(&key).unwrap();
    // Does not check that the key belongs to the certificate.
    let certified = rustls::sign::CertifiedKey::new(chain, key);
    config.cert_resolver = Arc::new(rustls::sign::SingleCertAndKey::from(certified));
    TestServer::over_tls(config, send_reply).await
}

#[tokio::test]
async fn a_given_self_signed_certificate_is_trusted_only_as_it_is() {
    let key = || KeyPair::generate().unwrap();
    let given = self_signed(key(), |_| {});
    let same_subject = self_signed(key(), |_| {});
    let expired = self_signed(key(), |params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2020, 2, 2);
    });
    let early = self_signed(key(), |params| params.not_before = date_time_ymd(2999, 1, 1));
    let wrong_name = self_signed(key(), |params| {
        params.subject_alt_names =
            CertificateParams::new(["cce.example".into()]).unwrap().subject_alt_names;
    });
    let for_clients = self_signed(key(), |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    let for_servers = self_signed(key(), |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    let other = self_signed(key(), |_| {});
    // The certificate in the CA file, what the server presents, and the owner of its private key.
    let rows = [
        ("the given one", &given, vec![&given], &given, true),
        ("for servers", &for_servers, vec![&for_servers], &for_servers, true),
        ("the given one, and another", &given, vec![&given, &other], &given, true),
        ("another private key", &given, vec![&given], &other, false),
        ("same subject, another key", &given, vec![&same_subject], &same_subject, false),
        ("second position", &given, vec![&other, &given], &other, false),
        ("expired", &expired, vec![&expired], &expired, false),
        ("not yet valid", &early, vec![&early], &early, false),
        ("wrong name", &wrong_name, vec![&wrong_name], &wrong_name, false),
        ("for clients", &for_clients, vec![&for_clients], &for_clients, false),
        ("not given", &other, vec![&given], &given, false),
    ];
    for (name, trusted, chain, signer, is_accepted) in rows {
        let server = server_presenting(&chain, signer).await;
        for provider in providers() {
            let pem = trusted.certificate.pem();
            let tls = TlsConfig::ca_pem(provider, pem.as_bytes()).unwrap();
            match HyperTransport::new(tls).send(get(&server.https())).await {
                Ok(reply) => {
                    assert!(is_accepted, "{name}");
                    assert_eq!(reply.body(), "{}");
                }
                reply => {
                    assert!(!is_accepted, "{name}: {reply:?}");
                    let failed = send_failure(reply);
                    let expected = (TransportErrorKind::Certificate, RequestSent::No, None);
                    assert_eq!(failed, expected, "{name}");
                }
            }
        }
    }
}
