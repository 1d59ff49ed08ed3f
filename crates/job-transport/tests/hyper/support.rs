//! Test servers and certificates, and summaries of failed requests.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use job_sim::{Plan, Sim, SimServer, TimeSource};
use job_transport::{
    FetchError, Reading,
    hyper::{HyperTransport, TlsConfig, TlsProvider},
    transport::{RequestSent, TimeoutStage, Transport, TransportError, TransportErrorKind},
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivatePkcs8KeyDer},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// Longer than any operation takes that ends without a timeout.
pub(crate) const TEST_TIMEOUT: Duration = Duration::from_secs(60);

/// The kind, the state and the stage of a failed request.
pub(crate) type TransportFailure = (TransportErrorKind, RequestSent, Option<TimeoutStage>);

pub(crate) async fn server() -> (Arc<Sim>, SimServer) {
    let sim =
        Arc::new(Sim::new(Plan::create_cluster(), TimeSource::PerRequest(Duration::from_secs(1))));
    let server = SimServer::start(sim.clone()).await.unwrap();
    (sim, server)
}

/// Returns the TLS providers of the enabled features.
pub(crate) fn providers() -> Vec<TlsProvider> {
    vec![
        #[cfg(feature = "aws-lc-rs")]
        TlsProvider::aws_lc_rs(),
        #[cfg(feature = "ring")]
        TlsProvider::ring(),
    ]
}

pub(crate) fn provider() -> TlsProvider {
    providers().remove(0)
}

pub(crate) fn trusting(ca_pem: &[u8]) -> HyperTransport {
    HyperTransport::new(TlsConfig::ca_pem(provider(), ca_pem).unwrap())
        .attempt_timeout(TEST_TIMEOUT)
}

pub(crate) fn get(uri: &str) -> Request<Bytes> {
    Request::get(uri).body(Bytes::new()).unwrap()
}

/// Reads the job of the simulated service.
pub(crate) async fn read_job(
    endpoint: &str,
    sim: &Sim,
    transport: impl Transport + 'static,
) -> Result<Reading, FetchError> {
    sim.client(endpoint.parse().unwrap(), transport).job(sim.job()).await
}

pub(crate) fn reading_failure(result: Result<Reading, FetchError>) -> TransportFailure {
    let error = result.unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("simulated-token"), "{shown}");
    summarize(error.transport_error().unwrap_or_else(|| panic!("{error:?}")))
}

pub(crate) fn summarize(error: &TransportError) -> TransportFailure {
    (error.kind(), error.request_sent(), error.stage())
}

pub(crate) fn send_failure(result: Result<Response<Bytes>, TransportError>) -> TransportFailure {
    summarize(&result.unwrap_err())
}

/// A certificate authority for tests.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Signs a certificate with a new key.
    pub(crate) fn sign(&self, params: CertificateParams) -> Certified {
        let key = KeyPair::generate().unwrap();
        Certified::new(params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// Signs a certificate for this machine.
    pub(crate) fn leaf(&self) -> Certified {
        self.sign(leaf())
    }
}

pub(crate) fn leaf() -> CertificateParams {
    CertificateParams::new(["localhost".into(), "127.0.0.1".into()]).unwrap()
}

/// A certificate and its key.
pub(crate) struct Certified {
    pub(crate) certificate: rcgen::Certificate,
    pub(crate) key: KeyPair,
}

impl Certified {
    pub(crate) const fn new(certificate: rcgen::Certificate, key: KeyPair) -> Self {
        Self { certificate, key }
    }

    pub(crate) fn chain(&self) -> Vec<CertificateDer<'static>> {
        vec![self.certificate.der().clone()]
    }

    /// Returns a server configuration with this certificate.
    pub(crate) fn server(&self, alpn: &[&[u8]]) -> ServerConfig {
        let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth();
        let key = PrivatePkcs8KeyDer::from(self.key.serialize_der());
        let mut config = builder.with_single_cert(self.chain(), key.into()).unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        config
    }
}

/// A server that handles each connection with the same function.
pub(crate) struct TestServer {
    pub(crate) port: u16,
    connections: Arc<AtomicU32>,
}

impl TestServer {
    /// Starts a server on a free port.
    pub(crate) async fn start<F>(on_connection: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::<AtomicU32>::default();
        let count = connections.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(on_connection(stream));
            }
        });
        Self { port, connections }
    }

    /// Starts a server that completes the TLS handshake first.
    pub(crate) async fn over_tls<F>(
        config: ServerConfig,
        on_connection: impl Fn(TlsStream<TcpStream>) -> F + Clone + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Self::start(move |stream| {
            let (acceptor, on_connection) = (acceptor.clone(), on_connection.clone());
            async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    on_connection(stream).await;
                }
            }
        })
        .await
    }

    pub(crate) fn connections(&self) -> u32 {
        self.connections.load(Ordering::Relaxed)
    }

    pub(crate) fn https(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    pub(crate) fn http(&self) -> String {
        format!("http://localhost:{}", self.port)
    }
}

pub(crate) const REPLY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";

/// Answers one request over HTTP/1.1, and closes the connection.
pub(crate) async fn send_reply(mut stream: TlsStream<TcpStream>) {
    let _ = read_head(&mut stream).await;
    let _ = stream.write_all(REPLY).await;
    let _ = stream.shutdown().await;
}

/// Reads the head of an HTTP/1.1 request, up to the blank line.
pub(crate) async fn read_head(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}
