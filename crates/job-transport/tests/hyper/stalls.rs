//! Tests servers that stall: each attempt ends within its timeout and reports its stage.

use std::time::Duration;

use futures_util::future::join_all;
use job_sim::Fault;
use job_transport::transport::{RequestSent, TimeoutStage, Transport, TransportErrorKind};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{TcpSocket, TcpStream},
    sync::watch,
    time::timeout,
};

use crate::support::*;

const SHORT_TIMEOUT: Duration = Duration::from_millis(500);
const DRIP_INTERVAL: Duration = Duration::from_millis(5);

/// Sends the bytes `first` once, then the bytes `then` repeatedly.
async fn dripping_server(first: &'static [u8], then: &'static [u8]) -> TestServer {
    TestServer::start(move |mut stream| async move {
        let _ = read_head(&mut stream).await;
        let _ = stream.write_all(first).await;
        while stream.write_all(then).await.is_ok() {
            // A delay that ends early if the client closes the connection.
            let _ = timeout(DRIP_INTERVAL, stream.read(&mut [0; 1])).await;
        }
    })
    .await
}

/// Returns a port whose backlog is full, so that connecting to it stalls. The second value keeps it
/// full until it is dropped.
async fn full_backlog() -> (u16, impl Sized) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    // The system accepts a few more connections than the backlog allows.
    while let Ok(Ok(stream)) = timeout(SHORT_TIMEOUT, TcpStream::connect(address)).await {
        queued.push(stream);
        assert!(queued.len() < 100, "the queue has no end");
    }
    (address.port(), (listener, queued))
}

#[tokio::test]
async fn a_stall_at_any_stage_ends_within_the_attempt_timeout() {
    let (full, _kept) = full_backlog().await;
    let silent = TestServer::start(|stream| async move {
        let _kept = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let header = dripping_server(b"HTTP/1.1 200 OK\r\n", b"X-Drip: 1\r\n").await;
    let informed = dripping_server(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n").await;
    let body = dripping_server(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"x").await;
    let chunks =
        dripping_server(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n")
            .await;
    let (sim, stream) = server().await;
    let rows = [
        ("no accept", format!("https://127.0.0.1:{full}"), TimeoutStage::Connect),
        ("TLS hello never answered", silent.https(), TimeoutStage::Tls),
        ("nothing answered", silent.http(), TimeoutStage::Reply),
        ("headers dripped", header.http(), TimeoutStage::Reply),
        ("103 dripped", informed.http(), TimeoutStage::Reply),
        ("body dripped", body.http(), TimeoutStage::Body),
        ("chunks dripped", chunks.http(), TimeoutStage::Body),
        ("HTTP/2 stream silent", stream.endpoint(), TimeoutStage::Reply),
    ];
    let transport = trusting(stream.ca_pem()).connect_timeout(SHORT_TIMEOUT);
    // Open the connection to the simulated service now, so that its stall is in the HTTP/2 stream.
    assert!(transport.send(get(&stream.endpoint())).await.is_ok());
    sim.inject_fault(Fault::Stall);
    let attempts = rows.map(async |(name, uri, stage)| {
        let transport = transport.clone().attempt_timeout(SHORT_TIMEOUT * 3);
        (name, stage, timeout(TEST_TIMEOUT, transport.send(get(&uri))).await.unwrap())
    });
    for (name, stage, reply) in join_all(attempts).await {
        let sent = match stage {
            TimeoutStage::Connect | TimeoutStage::Tls => RequestSent::No,
            _ => RequestSent::Maybe,
        };
        assert_eq!(send_failure(reply), (TransportErrorKind::Timeout, sent, Some(stage)), "{name}");
    }
}

/// Sends these bytes, and then nothing; closes the connection if `closes` is set.
async fn cut_server(reply: &'static [u8], closes: bool) -> TestServer {
    TestServer::start(move |mut stream| async move {
        let _ = read_head(&mut stream).await;
        let _ = stream.write_all(reply).await;
        if !closes {
            while stream.read(&mut [0; 64]).await.is_ok_and(|read| read > 0) {}
        }
    })
    .await
}

#[tokio::test]
async fn an_error_status_counts_although_its_body_does_not_arrive() {
    let (_, server) = server().await;
    let rows: [(&'static [u8], bool, &'static [u8]); 7] = [
        (b"Content-Length: 500\r\n\r\n{\"error_code\"", true, b"{\"error_code\""),
        (b"Content-Length: 500\r\n\r\n", true, b""),
        (b"Content-Length: 500\r\n\r\n{\"error_code\"", false, b"{\"error_code\""),
        (b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", false, b"{}"),
        (b"Transfer-Encoding: chunked\r\n\r\nnot a chunk", true, b""),
        (b"Content-Encoding: gzip\r\nContent-Length: 500\r\n\r\n\x1f\x8b", false, b""),
        (b"Content-Length: 99999999\r\n\r\n{}", false, b"{}"),
    ];
    let attempts = rows.map(async |(rest, closes, kept)| {
        let reply = [b"HTTP/1.1 401 Unauthorized\r\n", rest].concat().leak();
        let cut = cut_server(reply, closes).await;
        // Once the timeout of error bodies applies, and once that of the attempt.
        for limit in [TEST_TIMEOUT, SHORT_TIMEOUT] {
            let transport = trusting(server.ca_pem()).attempt_timeout(limit);
            let sent = timeout(TEST_TIMEOUT / 2, transport.send(get(&cut.http()))).await.unwrap();
            let got = sent.unwrap_or_else(|error| panic!("{error} {rest:?}"));
            assert_eq!((got.status().as_u16(), &got.body()[..]), (401, kept), "{rest:?}");
        }
    });
    join_all(attempts).await;
}

#[tokio::test]
async fn connecting_ends_at_the_attempt_timeout() {
    let (full, _kept) = full_backlog().await;
    let (_, server) = server().await;
    let transport =
        trusting(server.ca_pem()).connect_timeout(TEST_TIMEOUT).attempt_timeout(SHORT_TIMEOUT);
    let failed = send_failure(transport.send(get(&format!("https://127.0.0.1:{full}"))).await);
    assert_eq!(failed, (TransportErrorKind::Timeout, RequestSent::No, Some(TimeoutStage::Connect)));
}

#[tokio::test]
async fn queued_requests_do_not_wait_for_repeated_connect_failures() {
    let (full, _kept) = full_backlog().await;
    let (_, server) = server().await;
    let transport = trusting(server.ca_pem()).connect_timeout(SHORT_TIMEOUT);
    let uri = format!("https://127.0.0.1:{full}");
    let replies = join_all((0..100).map(|_| transport.send(get(&uri))));
    // One after another, they would take 50 s.
    let replies = timeout(TEST_TIMEOUT / 3, replies).await.unwrap();
    for reply in replies {
        let late = (TransportErrorKind::Timeout, RequestSent::No, Some(TimeoutStage::Connect));
        assert_eq!(send_failure(reply), late);
    }
}

/// Forwards connections to a server until `black_hole` is set; then it forwards nothing.
async fn relay(port: u16, mut black_hole: watch::Receiver<bool>) -> TestServer {
    black_hole.mark_unchanged();
    TestServer::start(move |client| {
        let mut black_hole = black_hole.clone();
        async move {
            let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            tokio::select! {
                _ = copy(&mut from_client, &mut to_server) => return,
                _ = copy(&mut from_server, &mut to_client) => return,
                _ = black_hole.wait_for(|black_hole| *black_hole) => {}
            }
            std::future::pending::<()>().await;
        }
    })
    .await
}

#[tokio::test]
async fn keep_alive_pings_detect_a_silent_connection() {
    let (_, server) = server().await;
    let port: u16 = server.endpoint().rsplit(':').next().unwrap().parse().unwrap();
    let (hole, holes) = watch::channel(false);
    let relay = relay(port, holes).await;
    let transport = trusting(server.ca_pem()).keep_alive(SHORT_TIMEOUT);
    let uri = format!("{}/x", relay.https());
    assert!(transport.send(get(&uri)).await.is_ok());

    hole.send(true).unwrap();
    let (kind, sent, _) =
        send_failure(timeout(TEST_TIMEOUT / 2, transport.send(get(&uri))).await.unwrap());
    assert_eq!((kind, sent), (TransportErrorKind::Closed, RequestSent::Maybe));
    assert_eq!(relay.connections(), 1);

    // Without a ping in time, the attempt timeout applies.
    hole.send(false).unwrap();
    let transport = trusting(server.ca_pem()).keep_alive(TEST_TIMEOUT);
    assert!(transport.send(get(&uri)).await.is_ok());
    hole.send(true).unwrap();
    let failed = send_failure(transport.attempt_timeout(SHORT_TIMEOUT).send(get(&uri)).await);
    assert_eq!(
        failed,
        (TransportErrorKind::Timeout, RequestSent::Maybe, Some(TimeoutStage::Reply))
    );
}
