//! `HyperTransport` against real sockets on loopback, TLS included.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{error::Error, sync::Arc, time::Duration};

use bytes::Bytes;
use http::StatusCode;
use job_sim::{Fault, Pace, Plan, Sim, SimServer};
use job_transport::{
    Class, Client, Credentials, FetchError, HyperTransport, Reading, RequestSent, Tls, TlsProvider,
    Transport, TransportError, TransportErrorKind,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

async fn server() -> (Arc<Sim>, SimServer) {
    let sim = Arc::new(Sim::new(Plan::create_cluster(), Pace::PerRequest(Duration::from_secs(1))));
    let server = SimServer::start(sim.clone()).await.unwrap();
    (sim, server)
}

fn trusting(server: &SimServer, provider: TlsProvider) -> HyperTransport {
    HyperTransport::new(Tls::ca_pem(provider, server.ca_pem()).unwrap())
}

async fn ask(
    endpoint: &str,
    sim: &Sim,
    token: &str,
    transport: impl Transport + 'static,
) -> Result<Reading, FetchError> {
    let project = sim.project().parse().unwrap();
    let credentials = Credentials::token(token).unwrap();
    let client = Client::new(endpoint.parse().unwrap(), project, credentials, transport);
    client.job(&sim.job_id().parse().unwrap()).await
}

#[tokio::test]
async fn reads_a_job_over_tls_with_each_provider() {
    let providers = [
        #[cfg(feature = "aws-lc-rs")]
        TlsProvider::aws_lc_rs(),
        #[cfg(feature = "ring")]
        TlsProvider::ring(),
    ];
    for provider in providers {
        let (sim, server) = server().await;
        let transport = trusting(&server, provider);
        let reading = ask(&server.endpoint(), &sim, sim.token(), transport).await.unwrap();
        assert_eq!(reading.job.uid(), Some(sim.job_id()));
        assert_eq!(reading.request_id.as_deref(), Some("sim-0"));
    }
}

#[tokio::test]
async fn any_status_is_a_reply_and_no_redirect_is_followed() {
    let (sim, server) = server().await;
    let transport = trusting(&server, TlsProvider::aws_lc_rs());
    for (status, class) in [(302, Class::Permanent), (503, Class::Transient)] {
        let status = StatusCode::from_u16(status).unwrap();
        sim.fault(Fault::Status(status));
        let before = sim.requests();
        let error =
            ask(&server.endpoint(), &sim, sim.token(), transport.clone()).await.unwrap_err();
        assert!(matches!(error, FetchError::Status { status: s, .. } if s == status), "{error:?}");
        assert_eq!((error.class(), sim.requests() - before), (class, 1));
    }
    let error = ask(&server.endpoint(), &sim, "wrong", transport).await.unwrap_err();
    assert_eq!(error.class(), Class::Unauthorized);
    assert!(!format!("{error} {error:?}").contains("wrong"));
}

fn transport_error(result: Result<Reading, FetchError>) -> TransportError {
    match result.unwrap_err() {
        FetchError::Transport(error) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_unknown_authority_is_told_from_a_connection_fault() {
    let (sim, server) = server().await;
    let (_, other) = self::server().await;
    let transport = trusting(&other, TlsProvider::aws_lc_rs());
    let error = transport_error(ask(&server.endpoint(), &sim, sim.token(), transport).await);
    assert_eq!(error.kind(), TransportErrorKind::Certificate, "{error:?}");
    assert_eq!(error.request_sent(), RequestSent::No);
    assert_eq!(sim.requests(), 0);
}

#[tokio::test]
async fn a_dead_server_is_a_connection_fault() {
    let (sim, mut server) = server().await;
    server.kill().await;
    let transport = trusting(&server, TlsProvider::aws_lc_rs());
    let error = transport_error(ask(&server.endpoint(), &sim, sim.token(), transport).await);
    assert_eq!(
        (error.kind(), error.request_sent()),
        (TransportErrorKind::Connect, RequestSent::No)
    );
    assert!(error.source().is_some());
}

#[tokio::test]
async fn a_connection_that_ends_without_a_reply_is_closed() {
    let (sim, server) = server().await;
    sim.fault(Fault::Reset);
    let transport = trusting(&server, TlsProvider::aws_lc_rs());
    let error = transport_error(ask(&server.endpoint(), &sim, sim.token(), transport).await);
    assert_eq!(
        (error.kind(), error.request_sent()),
        (TransportErrorKind::Closed, RequestSent::Maybe)
    );
}

#[tokio::test]
async fn a_body_over_the_limit_is_not_read_to_its_end() {
    let (sim, server) = server().await;
    let transport = trusting(&server, TlsProvider::aws_lc_rs()).max_body(100);
    let error = transport_error(ask(&server.endpoint(), &sim, sim.token(), transport).await);
    assert_eq!(error.kind(), TransportErrorKind::BodyTooLarge, "{error:?}");
}

/// A server that takes each connection, says these bytes, and then nothing.
async fn says(bytes: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("localhost:{}", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut hello = [0; 1024];
                let _ = stream.read(&mut hello).await;
                let _ = stream.write_all(bytes).await;
                std::future::pending::<()>().await;
            });
        }
    });
    endpoint
}

#[tokio::test]
async fn what_goes_wrong_below_the_reply_has_its_kind() {
    use TransportErrorKind::{Closed, Timeout, Tls};
    // What never ends is cut soon; what ends by itself is given the time.
    let (soon, late) = (Duration::from_millis(50), Duration::from_secs(30));
    let rows: [(&str, &[u8], Duration, TransportErrorKind); 4] = [
        ("https", b"", soon, Timeout),
        ("https", b"HTTP/1.1 400 Bad Request\r\n\r\n", late, Tls),
        ("http", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", soon, Timeout),
        ("http", b"220 mail.example ESMTP\r\n", late, Closed),
    ];
    let (sim, server) = server().await;
    for (scheme, bytes, timeout, kind) in rows {
        let transport = trusting(&server, TlsProvider::aws_lc_rs()).attempt_timeout(timeout);
        let endpoint = format!("{scheme}://{}", says(bytes).await);
        let error = transport_error(ask(&endpoint, &sim, sim.token(), transport).await);
        assert_eq!(error.kind(), kind, "{scheme} {:?}: {error:?}", Bytes::from_static(bytes));
    }
}

#[test]
fn a_ca_file_without_a_certificate_is_refused() {
    for pem in ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let error = Tls::ca_pem(TlsProvider::aws_lc_rs(), pem.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), "the CA file is not a list of certificates in PEM form");
    }
}
