//! `HyperTransport` against real sockets on loopback, TLS included.
#![cfg(any(feature = "aws-lc-rs", feature = "ring"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{error::Error, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, StatusCode};
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
    let sim = Arc::new(Sim::new(Plan::create_cluster(), Pace::PerReading(Duration::from_secs(1))));
    let server = SimServer::start(sim.clone()).await.unwrap();
    (sim, server)
}

/// The provider that the features give; one, unless both are on.
fn provider() -> TlsProvider {
    #[cfg(feature = "aws-lc-rs")]
    let provider = TlsProvider::aws_lc_rs();
    #[cfg(not(feature = "aws-lc-rs"))]
    let provider = TlsProvider::ring();
    provider
}

fn trusting(server: &SimServer) -> HyperTransport {
    HyperTransport::new(Tls::ca_pem(provider(), server.ca_pem()).unwrap())
}

async fn ask(
    endpoint: &str,
    sim: &Sim,
    transport: impl Transport + 'static,
) -> Result<Reading, FetchError> {
    sim.client(endpoint.parse().unwrap(), transport).job(sim.job()).await
}

fn transport_error(result: Result<Reading, FetchError>) -> TransportError {
    match result.unwrap_err() {
        FetchError::Transport(error) => {
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("simulated-token"), "{shown}");
            error
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn reads_a_job_over_tls() {
    let (sim, server) = server().await;
    let reading = ask(&server.endpoint(), &sim, trusting(&server)).await.unwrap();
    assert_eq!(reading.job.uid(), Some(sim.job().as_str()));
    assert_eq!(reading.request_id.as_deref(), Some("0"));
}

#[tokio::test]
async fn any_status_is_a_reply() {
    let (sim, server) = server().await;
    for status in [StatusCode::NO_CONTENT, StatusCode::BAD_REQUEST, StatusCode::BAD_GATEWAY] {
        sim.fault(Fault::Status(status));
        let error = ask(&server.endpoint(), &sim, trusting(&server)).await.unwrap_err();
        assert!(matches!(error, FetchError::Status { status: s, .. } if s == status), "{error:?}");
    }
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let (sim, server) = server().await;
    for (row, status) in [301, 302, 303, 307, 308].into_iter().enumerate() {
        // It leads to the same request again, which would be answered with the job.
        sim.fault(Fault::Status(StatusCode::from_u16(status).unwrap()));
        let error = ask(&server.endpoint(), &sim, trusting(&server)).await.unwrap_err();
        assert_eq!(
            (error.class(), sim.requests() as usize),
            (Class::Permanent, row + 1),
            "{status}"
        );
    }
}

#[tokio::test]
async fn a_wrong_token_is_told_and_not_shown() {
    let (sim, server) = server().await;
    let credentials = Credentials::token("canary").unwrap();
    let endpoint = server.endpoint().parse().unwrap();
    let client = Client::new(endpoint, sim.project().clone(), credentials, trusting(&server));
    let error = client.job(sim.job()).await.unwrap_err();
    assert_eq!(error.class(), Class::Unauthorized);
    assert!(!format!("{error} {error:?} {client:?}").contains("canary"));
}

#[tokio::test]
async fn an_unknown_authority_is_told_from_a_connection_fault() {
    let (sim, server) = server().await;
    let (_, other) = self::server().await;
    let error = transport_error(ask(&server.endpoint(), &sim, trusting(&other)).await);
    assert_eq!(error.kind(), TransportErrorKind::Certificate, "{error:?}");
    assert_eq!((error.request_sent(), sim.requests()), (RequestSent::No, 0));
}

#[tokio::test]
async fn a_dead_server_is_a_connection_fault_until_it_is_back() {
    let (sim, mut server) = server().await;
    server.kill().await.unwrap();
    let transport = trusting(&server);
    let error = transport_error(ask(&server.endpoint(), &sim, transport.clone()).await);
    assert_eq!(
        (error.kind(), error.request_sent()),
        (TransportErrorKind::Connect, RequestSent::No)
    );
    assert!(error.source().is_some());
    server.revive().await.unwrap();
    assert!(ask(&server.endpoint(), &sim, transport).await.is_ok());
}

#[tokio::test]
async fn a_connection_that_ends_without_a_reply_is_closed_and_another_is_made() {
    let (sim, server) = server().await;
    let transport = trusting(&server);
    assert!(ask(&server.endpoint(), &sim, transport.clone()).await.is_ok());
    assert!(ask(&server.endpoint(), &sim, transport.clone()).await.is_ok());
    assert_eq!(server.connections(), 1);
    sim.fault(Fault::Reset);
    let error = transport_error(ask(&server.endpoint(), &sim, transport.clone()).await);
    assert_eq!(
        (error.kind(), error.request_sent()),
        (TransportErrorKind::Closed, RequestSent::Maybe)
    );
    assert!(ask(&server.endpoint(), &sim, transport).await.is_ok());
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let (sim, server) = server().await;
    let error =
        transport_error(ask(&server.endpoint(), &sim, trusting(&server).max_body(100)).await);
    assert_eq!(error.kind(), TransportErrorKind::BodyTooLarge, "{error:?}");
}

#[tokio::test]
async fn plain_http_stays_on_this_machine() {
    let (_, server) = server().await;
    for uri in ["http://cce.example/", "http://192.0.2.1/", "ftp://cce.example/", "/"] {
        let request = Request::get(uri).body(Bytes::new()).unwrap();
        let error = trusting(&server).send(request).await.unwrap_err();
        let told = (error.kind(), error.request_sent());
        assert_eq!(told, (TransportErrorKind::InvalidRequest, RequestSent::No), "{uri}: {error:?}");
    }
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
    use TransportErrorKind::{Protocol, Timeout, Tls};
    // What never ends is cut soon; what ends by itself is given the time.
    let (soon, late) = (Duration::from_millis(50), Duration::from_secs(30));
    let rows: [(&str, &[u8], Duration, TransportErrorKind); 4] = [
        ("https", b"", soon, Timeout),
        ("https", b"HTTP/1.1 400 Bad Request\r\n\r\n", late, Tls),
        ("http", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", soon, Timeout),
        ("http", b"220 mail.example ESMTP\r\n", late, Protocol),
    ];
    let (sim, server) = server().await;
    for (scheme, bytes, timeout, kind) in rows {
        let endpoint = format!("{scheme}://{}", says(bytes).await);
        let transport = trusting(&server).attempt_timeout(timeout);
        let error = transport_error(ask(&endpoint, &sim, transport).await);
        assert_eq!(error.kind(), kind, "{scheme} {:?}: {error:?}", Bytes::from_static(bytes));
    }
}

#[test]
fn a_ca_file_without_a_certificate_is_refused() {
    for pem in ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let error = Tls::ca_pem(provider(), pem.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), "the CA file is not a list of certificates in PEM form");
    }
}
