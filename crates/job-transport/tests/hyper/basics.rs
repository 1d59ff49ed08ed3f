//! A job over TLS, any reply as it is, and connections that are kept and made anew.

use std::error::Error;

use futures_util::future::join_all;
use http::StatusCode;
use job_sim::{Conformance, Fault};
use job_transport::{
    Class, Client, Credentials, Endpoint, FetchStage, HyperTransport, Identity, RequestSent, Tls,
    Transport, TransportErrorKind,
};

use tokio::io::AsyncWriteExt;

use crate::support::*;

#[tokio::test]
async fn reads_a_job_over_tls() {
    let (sim, server) = server().await;
    let reading = ask(&server.endpoint(), &sim, trusting(server.ca_pem())).await.unwrap();
    assert_eq!(reading.job.uid(), Some(sim.job().as_str()));
    assert_eq!(reading.request_id.as_deref(), Some("0"));
    assert!(reading.date.is_some() && !reading.renewed);
}

#[tokio::test]
async fn keeps_the_rules_of_every_transport() {
    let (sim, server) = server().await;
    let (_, mut dead) = self::server().await;
    dead.kill().await.unwrap();
    for provider in providers() {
        let transport = HyperTransport::new(Tls::ca_pem(provider, server.ca_pem()).unwrap());
        let conformance = Conformance::new(&sim, server.endpoint());
        let conformance = conformance.dead_endpoint(dead.endpoint());
        assert_eq!(conformance.complaints(&transport).await, [""; 0]);
    }
}

#[tokio::test]
async fn any_status_is_a_reply() {
    let (sim, server) = server().await;
    for status in [StatusCode::NO_CONTENT, StatusCode::BAD_REQUEST, StatusCode::BAD_GATEWAY] {
        sim.fault(Fault::Status(status));
        let error = ask(&server.endpoint(), &sim, trusting(server.ca_pem())).await.unwrap_err();
        let is_status =
            matches!(error.stage(), FetchStage::Status { status: got, .. } if *got == status);
        assert!(is_status, "{error:?}");
    }
}

#[tokio::test]
async fn a_wrong_token_is_told_and_not_shown() {
    let (sim, server) = server().await;
    let credentials = Credentials::token("canary").unwrap();
    let endpoint = server.endpoint().parse().unwrap();
    let project = sim.project().clone();
    let client = Client::new(endpoint, credentials, trusting(server.ca_pem())).project(project);
    let error = client.job(sim.job()).await.unwrap_err();
    assert_eq!(error.class(), Class::Unauthorized);
    assert!(!format!("{error} {error:?} {client:?}").contains("canary"));
}

#[tokio::test]
async fn every_way_to_authenticate_is_accepted() {
    let (sim, server) = server().await;
    let transport = trusting(server.ca_pem());
    let endpoint = || server.endpoint().parse().unwrap();
    let identity = Identity::new(endpoint(), sim.login(), transport.clone());
    for (project, credentials) in [
        (Some(sim.project().clone()), sim.credentials()),
        (Some(sim.project().clone()), Credentials::access_key(sim.access_key())),
        // The project is the identity service's to name.
        (None, Credentials::provided(identity)),
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
async fn a_dead_server_is_a_connection_fault_until_it_is_back() {
    let (sim, mut server) = server().await;
    server.kill().await.unwrap();
    let transport = trusting(server.ca_pem());
    let error = transport.send(get(&server.endpoint())).await.unwrap_err();
    assert_eq!(of(&error), (TransportErrorKind::Connect, RequestSent::No, None));
    assert!(error.source().is_some());
    server.revive().await.unwrap();
    assert!(ask(&server.endpoint(), &sim, transport).await.is_ok());
}

#[tokio::test]
async fn a_connection_that_ends_without_a_reply_is_closed_and_another_is_made() {
    let (sim, server) = server().await;
    let transport = trusting(server.ca_pem());
    assert!(ask(&server.endpoint(), &sim, transport.clone()).await.is_ok());
    assert!(ask(&server.endpoint(), &sim, transport.clone()).await.is_ok());
    assert_eq!(server.connections(), 1);
    sim.fault(Fault::Reset);
    let failed = failed(ask(&server.endpoint(), &sim, transport.clone()).await);
    assert_eq!(failed, (TransportErrorKind::Closed, RequestSent::Maybe, None));
    assert!(ask(&server.endpoint(), &sim, transport).await.is_ok());
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_hundred_requests_at_once_make_one_connection() {
    let (sim, mut server) = server().await;
    let transport = trusting(server.ca_pem());
    for connections in [1, 2] {
        let uri = server.endpoint();
        let replies = join_all((0..100).map(|_| transport.send(get(&uri)))).await;
        assert!(replies.iter().all(Result::is_ok));
        assert_eq!(server.connections(), connections);
        // What was there is gone; one request finds out.
        sim.fault(Fault::Reset);
        assert!(transport.send(get(&uri)).await.is_err());
    }
    server.kill().await.unwrap();
    let dead = server.endpoint();
    let replies = join_all((0..100).map(|_| transport.send(get(&dead)))).await;
    for reply in replies {
        assert_eq!(why(reply), (TransportErrorKind::Connect, RequestSent::No, None));
    }
}

#[tokio::test]
async fn plain_http_stays_on_this_machine() {
    let (_, server) = server().await;
    for uri in ["http://cce.example/", "http://192.0.2.1/", "ftp://cce.example/", "/"] {
        let failed = why(trusting(server.ca_pem()).send(get(uri)).await);
        assert_eq!(failed, (TransportErrorKind::InvalidRequest, RequestSent::No, None), "{uri}");
    }
}

#[tokio::test]
async fn plain_http_leaves_this_machine_where_the_endpoint_says_so() {
    let (sim, server) = server().await;
    let plain = Served::start(|mut stream| async move {
        let _ = read_head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await;
    })
    .await;
    // An address that is this machine's, and none of loopback's.
    let text = format!("http://0.0.0.0:{}", plain.port);
    assert!(text.parse::<Endpoint>().is_err());
    let endpoint = Endpoint::over_plain_http(&text).unwrap();
    assert!(sim.client(endpoint, trusting(server.ca_pem())).job(sim.job()).await.is_ok());
    let failed = why(trusting(server.ca_pem()).send(get(&text)).await);
    assert_eq!(failed, (TransportErrorKind::InvalidRequest, RequestSent::No, None));
}

#[tokio::test]
async fn what_is_not_http_is_told() {
    let mail = Served::start(|mut stream| async move {
        let _ = read_head(&mut stream).await;
        let _ = stream.write_all(b"220 mail.example ESMTP\r\n").await;
    })
    .await;
    let failed = why(trusting(Authority::new().pem.as_bytes()).send(get(&mail.http())).await);
    assert_eq!(failed, (TransportErrorKind::Protocol, RequestSent::Maybe, None));
}

#[test]
fn certificates_that_are_none_are_refused() {
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for pem in ["", broken] {
        let error = Tls::ca_pem(provider(), pem.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), "the CA file is not a list of certificates in PEM form");
    }
    for roots in [vec![], vec![vec![0]]] {
        let error = Tls::roots(provider(), roots).unwrap_err();
        let told = "the certificate authorities are no list of certificates in DER form";
        assert_eq!(error.to_string(), told);
    }
    let (one, other) = (Authority::new().leaf(), Authority::new().leaf());
    let pairs = [
        (String::new(), one.key.serialize_pem()),
        (one.certificate.pem(), String::new()),
        (broken.into(), one.key.serialize_pem()),
        (one.certificate.pem(), other.key.serialize_pem()),
    ];
    for (chain, key) in pairs {
        let tls = Tls::platform(provider()).unwrap();
        let error = tls.client_certificate(chain.as_bytes(), key.as_bytes()).unwrap_err();
        let told = "the client certificate and its key are not a pair in PEM form";
        assert_eq!(error.to_string(), told);
    }
}
