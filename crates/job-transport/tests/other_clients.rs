//! Tests other HTTP clients as transports: reqwest and tower services.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../examples/reqwest/transport.rs"]
mod transport;

use std::{sync::Arc, task::Poll};

use bytes::Bytes;
use http::{Request, Response};
use job_sim::{Conformance, Plan, Sim, SimServer, SimTransport, TimeSource};
use job_transport::transport::{
    RequestSent, TowerTransport, Transport, TransportErrorKind, TransportService,
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};
use tower_service::Service;
use transport::Reqwest;

fn sim() -> Arc<Sim> {
    Arc::new(Sim::new(Plan::create_cluster(), TimeSource::Clock))
}

fn trusting(server: &SimServer) -> Reqwest {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(server.ca_pem()).unwrap()).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    Reqwest::new(builder.with_root_certificates(roots).with_no_client_auth()).unwrap()
}

#[tokio::test]
async fn reqwest_passes_the_conformance_suite() {
    let sim = sim();
    let server = SimServer::start(sim.clone()).await.unwrap();
    let mut dead = SimServer::start(self::sim()).await.unwrap();
    dead.kill().await.unwrap();
    let conformance =
        Conformance::new(&sim, server.endpoint()).unreachable_endpoint(dead.endpoint());
    assert_eq!(conformance.run(&trusting(&server)).await, []);
}

#[tokio::test]
async fn reqwest_classifies_certificate_errors() {
    let (server, other) = (SimServer::start(sim()).await, SimServer::start(sim()).await);
    let (server, other) = (server.unwrap(), other.unwrap());
    let request = Request::get(server.endpoint()).body(Bytes::new()).unwrap();
    let error = trusting(&other).send(request).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.request_sent()),
        (TransportErrorKind::Certificate, RequestSent::No)
    );
}

#[tokio::test(start_paused = true)]
async fn tower_round_trip_passes_the_conformance_suite() {
    let sim = sim();
    let service = TransportService::new(SimTransport::new(sim.clone()));
    let transport = TowerTransport::new(service);
    let conformance = Conformance::new(&sim, "https://cce.example");
    assert_eq!(conformance.run(&transport).await, []);
}

/// A service that is not ready at first, and then fails.
#[derive(Clone)]
struct Failing {
    when_ready: bool,
    asked: bool,
}

impl Service<Request<Bytes>> for Failing {
    type Response = Response<Bytes>;
    type Error = std::io::Error;
    type Future = std::future::Ready<Result<Response<Bytes>, std::io::Error>>;

    fn poll_ready(&mut self, context: &mut std::task::Context<'_>) -> Poll<std::io::Result<()>> {
        if !self.asked {
            self.asked = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(if self.when_ready { Ok(()) } else { Err(std::io::Error::other("full")) })
    }

    fn call(&mut self, _: Request<Bytes>) -> Self::Future {
        assert!(self.asked, "a service is called when it is ready");
        std::future::ready(Err(std::io::Error::other("lost")))
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type NewError = fn() -> BoxError;

/// A service that fails with a timeout.
#[derive(Clone)]
struct Late(NewError);

impl Service<Request<Bytes>> for Late {
    type Response = Response<Bytes>;
    type Error = BoxError;
    type Future = std::future::Ready<Result<Response<Bytes>, Self::Error>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Bytes>) -> Self::Future {
        std::future::ready(Err((self.0)()))
    }
}

#[tokio::test(start_paused = true)]
async fn elapsed_timeouts_of_tower_services_are_timeouts() {
    let elapsed = tokio::time::timeout(std::time::Duration::ZERO, std::future::pending::<()>());
    assert!(elapsed.await.is_err());
    let rows: [(NewError, TransportErrorKind); 4] = [
        (|| tower::timeout::error::Elapsed::new().into(), TransportErrorKind::Timeout),
        (
            || std::io::Error::other(tower::timeout::error::Elapsed::new()).into(),
            TransportErrorKind::Timeout,
        ),
        (|| std::io::Error::from(std::io::ErrorKind::TimedOut).into(), TransportErrorKind::Timeout),
        (|| "request timed out".into(), TransportErrorKind::Other),
    ];
    for (error, kind) in rows {
        let transport = TowerTransport::new(Late(error));
        let error = transport.send(Request::new(Bytes::new())).await.unwrap_err();
        assert_eq!((error.kind(), error.request_sent()), (kind, RequestSent::Maybe));
    }
}

#[tokio::test]
async fn tower_service_errors_are_kept_as_sources() {
    for (when_ready, sent, told) in
        [(false, RequestSent::No, "full"), (true, RequestSent::Maybe, "lost")]
    {
        let transport = TowerTransport::new(Failing { when_ready, asked: false });
        let error = transport.send(Request::new(Bytes::new())).await.unwrap_err();
        assert_eq!((error.kind(), error.request_sent()), (TransportErrorKind::Other, sent));
        let source = std::error::Error::source(&error).map(ToString::to_string);
        assert_eq!(source.as_deref(), Some(told));
    }
}
