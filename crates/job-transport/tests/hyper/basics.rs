//! Tests reading a job over TLS, replies with any status, and connection reuse.

use std::error::Error;

use futures_util::future::join_all;
use http::StatusCode;
use job_sim::{Conformance, Fault};
use job_transport::{
    Client, Credentials, Endpoint, ErrorClass, FetchErrorKind,
    auth::Identity,
    hyper::{HyperTransport, TlsConfig},
    transport::{RequestSent, Transport, TransportErrorKind},
};

use tokio::io::AsyncWriteExt;

use crate::support::*;

#[tokio::test]
async fn reads_a_job_over_tls() {
    let (sim, server) = server().await;
    let reading = read_job(&server.endpoint(), &sim, trusting(server.ca_pem())).await.unwrap();
    assert_eq!(reading.job().uid(), Some(sim.job().as_str()));
    assert_eq!(reading.request_id.as_deref(), Some("0"));
    assert!(reading.date.is_some() && !reading.credentials_refreshed);
}

#[tokio::test]
async fn hyper_transport_passes_the_conformance_suite() {
    let (sim, server) = server().await;
    let (_, mut dead) = self::server().await;
    dead.kill().await.unwrap();
    for provider in providers() {
        let transport = HyperTransport::new(TlsConfig::ca_pem(provider, server.ca_pem()).unwrap());
        let conformance = Conformance::new(&sim, server.endpoint());
        let conformance = conformance.unreachable_endpoint(dead.endpoint());
        assert_eq!(conformance.run(&transport).await, []);
    }
}

#[tokio::test]
async fn any_status_is_a_reply() {
    let (sim, server) = server().await;
    for status in [StatusCode::NO_CONTENT, StatusCode::BAD_REQUEST, StatusCode::BAD_GATEWAY] {
        sim.inject_fault(Fault::HtmlPage(status));
        let error =
            read_job(&server.endpoint(), &sim, trusting(server.ca_pem())).await.unwrap_err();
        let is_status = error.kind() == FetchErrorKind::Status(status.as_u16());
        assert!(is_status, "{error:?}");
    }
}

#[tokio::test]
async fn a_wrong_token_is_unauthorized_and_never_shown() {
    let (sim, server) = server().await;
    let credentials = Credentials::token("canary").unwrap();
    let endpoint = server.endpoint().parse().unwrap();
    let project = sim.project().clone();
    let client = Client::new(endpoint, credentials, trusting(server.ca_pem())).project(project);
    let error = client.job(sim.job()).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unauthorized);
    assert!(!format!("{error} {error:?} {client:?}").contains("canary"));
}

#[tokio::test]
async fn every_authentication_method_is_accepted() {
    let (sim, server) = server().await;
    let transport = trusting(server.ca_pem());
    let endpoint = || server.endpoint().parse().unwrap();
    let identity = Identity::new(endpoint(), sim.login(), transport.clone());
    for (project, credentials) in [
        (Some(sim.project().clone()), sim.credentials()),
        (Some(sim.project().clone()), Credentials::access_key(sim.access_key())),
        // The reply of the identity service contains the project.
        (None, Credentials::from_provider(identity)),
    ] {
        let mut client = Client::new(endpoint(), credentials, transport.clone());
        if let Some(project) = project {
            client = client.project(project);
        }
        assert!(client.job(sim.job()).await.is_ok(), "{client:?}");
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_dead_server_is_a_connect_error_until_revived() {
    let (sim, mut server) = server().await;
    server.kill().await.unwrap();
    let transport = trusting(server.ca_pem());
    let error = transport.send(get(&server.endpoint())).await.unwrap_err();
    assert_eq!(summarize(&error), (TransportErrorKind::Connect, RequestSent::No, None));
    assert!(error.source().is_some());
    server.restart().await.unwrap();
    assert!(read_job(&server.endpoint(), &sim, transport).await.is_ok());
}

#[tokio::test]
async fn a_connection_closed_without_a_reply_is_replaced() {
    let (sim, server) = server().await;
    let transport = trusting(server.ca_pem());
    assert!(read_job(&server.endpoint(), &sim, transport.clone()).await.is_ok());
    assert!(read_job(&server.endpoint(), &sim, transport.clone()).await.is_ok());
    assert_eq!(server.connections(), 1);
    sim.inject_fault(Fault::Reset);
    let failed = reading_failure(read_job(&server.endpoint(), &sim, transport.clone()).await);
    assert_eq!(failed, (TransportErrorKind::Closed, RequestSent::Maybe, None));
    assert!(read_job(&server.endpoint(), &sim, transport).await.is_ok());
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_hundred_concurrent_requests_share_one_connection() {
    let (sim, mut server) = server().await;
    let transport = trusting(server.ca_pem());
    for connections in [1, 2] {
        let uri = server.endpoint();
        let replies = join_all((0..100).map(|_| transport.send(get(&uri)))).await;
        assert!(replies.iter().all(Result::is_ok));
        assert_eq!(server.connections(), connections);
        // Close the connection; one request fails because of it.
        sim.inject_fault(Fault::Reset);
        assert!(transport.send(get(&uri)).await.is_err());
    }
    server.kill().await.unwrap();
    let dead = server.endpoint();
    let replies = join_all((0..100).map(|_| transport.send(get(&dead)))).await;
    for reply in replies {
        assert_eq!(send_failure(reply), (TransportErrorKind::Connect, RequestSent::No, None));
    }
}

#[tokio::test]
async fn plain_http_is_limited_to_loopback() {
    let (_, server) = server().await;
    for uri in ["http://cce.example/", "http://192.0.2.1/", "ftp://cce.example/", "/"] {
        let failed = send_failure(trusting(server.ca_pem()).send(get(uri)).await);
        assert_eq!(failed, (TransportErrorKind::InvalidRequest, RequestSent::No, None), "{uri}");
    }
}

#[tokio::test]
async fn allow_http_permits_plain_http_to_other_hosts() {
    let (sim, server) = server().await;
    let plain = TestServer::start(|mut stream| async move {
        let _ = read_head(&mut stream).await;
        let reply = b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{\"status\":{}}";
        let _ = stream.write_all(reply).await;
    })
    .await;
    // An address of this machine that is not a loopback address.
    let text = format!("http://0.0.0.0:{}", plain.port);
    assert!(text.parse::<Endpoint>().is_err());
    let endpoint = Endpoint::allow_http(&text).unwrap();
    assert!(sim.client(endpoint, trusting(server.ca_pem())).job(sim.job()).await.is_ok());
    let failed = send_failure(trusting(server.ca_pem()).send(get(&text)).await);
    assert_eq!(failed, (TransportErrorKind::InvalidRequest, RequestSent::No, None));
}

#[tokio::test]
async fn a_non_http_reply_is_a_protocol_error() {
    let mail = TestServer::start(|mut stream| async move {
        let _ = read_head(&mut stream).await;
        let _ = stream.write_all(b"220 mail.example ESMTP\r\n").await;
    })
    .await;
    let failed =
        send_failure(trusting(Authority::new().pem.as_bytes()).send(get(&mail.http())).await);
    assert_eq!(failed, (TransportErrorKind::Protocol, RequestSent::Maybe, None));
}

#[test]
fn invalid_certificates_and_keys_are_rejected() {
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for pem in ["", broken] {
        let error = TlsConfig::ca_pem(provider(), pem.as_bytes()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the CA file does not contain valid certificates in PEM format"
        );
    }
    for roots in [vec![], vec![vec![0]]] {
        let error = TlsConfig::roots(provider(), roots).unwrap_err();
        let message = "the list of certificate authorities is empty or contains an invalid one";
        assert_eq!(error.to_string(), message);
    }
    let (one, other) = (Authority::new().leaf(), Authority::new().leaf());
    let pairs = [
        (String::new(), one.key.serialize_pem()),
        (one.certificate.pem(), String::new()),
        (broken.into(), one.key.serialize_pem()),
        (one.certificate.pem(), other.key.serialize_pem()),
    ];
    for (chain, key) in pairs {
        let tls = TlsConfig::platform(provider()).unwrap();
        let error = tls.client_certificate(chain.as_bytes(), key.as_bytes()).unwrap_err();
        let message = "the client certificate or its key is not valid PEM, or they do not match";
        assert_eq!(error.to_string(), message);
    }
}
