//! Tests the limits of connections, in memory and with virtual time.

use std::{io::Write as _, pin::pin};

use axum::{http::StatusCode, routing::get};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, crypto::aws_lc_rs, pki_types::ServerName,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
};
use tokio_rustls::TlsConnector;

use super::*;
use crate::files;

/// The bytes that a connection keeps for a client that does not read.
const CAPACITY: usize = 64 << 10;

const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// How much a connection may be closed too early or too late.
const MARGIN: Duration = Duration::from_secs(1);

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// The reply is larger than all buffers.
const LARGE_REQUEST: &[u8] = b"GET /large HTTP/1.1\r\nhost: localhost\r\n\r\n";

impl Accept for UnboundedReceiver<DuplexStream> {
    type Stream = DuplexStream;

    async fn accept(&mut self) -> DuplexStream {
        match self.recv().await {
            Some(stream) => stream,
            None => pending().await,
        }
    }
}

/// A server in memory that has one connection at a time.
struct TestBed {
    clients: UnboundedSender<DuplexStream>,
    /// The settings of a client, if the server has a certificate.
    tls: Option<Arc<ClientConfig>>,
}

impl TestBed {
    fn new(is_encrypted: bool) -> Self {
        let (clients, source) = unbounded_channel();
        let (tls, client) = if is_encrypted { certificate() } else { (None, None) };
        let router = Router::new()
            .route("/large", get(async || vec![b' '; 4 * CAPACITY]))
            .fallback(async || StatusCode::NO_CONTENT);
        let server = Server::new(tls, 1, WRITE_TIMEOUT);
        tokio::spawn(server.serve(source, router, CancellationToken::new()));
        Self { clients, tls: client }
    }

    fn connect(&self) -> DuplexStream {
        let (client, server) = duplex(CAPACITY);
        self.clients.send(server).unwrap();
        client
    }

    /// Sends a request on a connection of its own, and waits for the reply.
    async fn request(&self) {
        let mut stream: Pin<Box<dyn Stream>> = match self.tls.clone() {
            None => Box::pin(self.connect()),
            Some(config) => {
                let connecting = TlsConnector::from(config).connect(name(), self.connect());
                Box::pin(connecting.await.unwrap())
            }
        };
        stream.write_all(REQUEST).await.unwrap();
        read_reply(&mut stream).await;
    }

    /// Returns the first message of a handshake.
    fn client_hello(&self) -> Vec<u8> {
        let mut connection = ClientConnection::new(self.tls.clone().unwrap(), name()).unwrap();
        let mut message = Vec::new();
        connection.write_tls(&mut message).unwrap();
        message
    }
}

/// Returns the settings of a server with a certificate for localhost, and those of its clients.
fn certificate() -> (Option<Arc<Tls>>, Option<Arc<ClientConfig>>) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        files::create_private(&path).unwrap().write_all(text.as_bytes()).unwrap();
        path
    };
    let files = (file("cert.pem", cert.pem()), file("key.pem", signing_key.serialize_pem()));
    let tls = Tls::open(files.0, files.1).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let client = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Some(Arc::new(tls)), Some(Arc::new(client)))
}

fn name() -> ServerName<'static> {
    "localhost".try_into().unwrap()
}

/// Reads a reply without a body.
async fn read_reply(stream: &mut (impl Stream + ?Sized)) {
    let mut reply = Vec::new();
    while !reply.ends_with(b"\r\n\r\n") {
        reply.push(stream.read_u8().await.unwrap());
    }
    assert!(reply.starts_with(b"HTTP/1.1 204 "), "{}", reply.escape_ascii());
}

/// Sends `bytes` with the first connection, and then nothing. Checks that the server closes that
/// connection after `limit`, and serves another one then.
async fn check(bed: &TestBed, bytes: &[u8], is_answered: bool, limit: Duration) {
    let mut stalled = bed.connect();
    stalled.write_all(bytes).await.unwrap();
    if is_answered {
        read_reply(&mut stalled).await;
    }
    check_limit(bed, limit).await;
    let closed = timeout(MARGIN, stalled.read_to_end(&mut Vec::new())).await;
    assert!(closed.is_ok(), "still open");
}

/// Checks that the server serves another connection after `limit`, and not before.
async fn check_limit(bed: &TestBed, limit: Duration) {
    let mut request = pin!(bed.request());
    assert!(timeout(limit - MARGIN, &mut request).await.is_err(), "closed before {limit:?}");
    assert!(timeout(2 * MARGIN, request).await.is_ok(), "not closed after {limit:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stalls_is_disconnected() {
    let rows: [(&[u8], bool, Duration); 5] = [
        (b"", false, HEADER_TIMEOUT),
        (b"GET / HT", false, HEADER_TIMEOUT),
        (b"GET / HTTP/1.1\r\nhost: localhost\r\nauth", false, HEADER_TIMEOUT),
        // An idle connection.
        (REQUEST, true, HEADER_TIMEOUT),
        // A client that does not read the reply.
        (LARGE_REQUEST, false, WRITE_TIMEOUT),
    ];
    for (bytes, is_answered, limit) in rows {
        check(&TestBed::new(false), bytes, is_answered, limit).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stalls_in_the_handshake_is_disconnected() {
    for length in [0, 1, 100, usize::MAX] {
        let bed = TestBed::new(true);
        let hello = bed.client_hello();
        check(&bed, &hello[..hello.len().min(length)], false, HANDSHAKE_TIMEOUT).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_sends_a_head_slowly_is_disconnected() {
    let bed = TestBed::new(false);
    let mut slow = bed.connect();
    tokio::spawn(async move {
        for byte in REQUEST {
            if slow.write_all(&[*byte]).await.is_err() {
                break;
            }
            TokioClock::new().sleep(Duration::from_secs(1)).await;
        }
    });
    check_limit(&bed, HEADER_TIMEOUT).await;
}

#[test]
fn only_trusted_proxies_and_this_machine_may_connect() {
    let networks = ["10.0.0.0/8", "2001:db8::/32"].map(|network| network.parse().unwrap());
    let rows = [
        ("10.1.2.3", true),
        ("[::ffff:10.1.2.3]", true),
        ("127.0.0.1", true),
        ("[::1]", true),
        ("[2001:db8::1]", true),
        ("11.0.0.1", false),
        ("192.0.2.1", false),
        ("[2001:db9::1]", false),
    ];
    for (peer, is_allowed) in rows {
        let peer = format!("{peer}:1234").parse().unwrap();
        assert_eq!(may_connect(&networks, peer), is_allowed, "{peer}");
        assert!(may_connect(&[], peer));
    }
}
