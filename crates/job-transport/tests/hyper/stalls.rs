//! Servers that stop at some stage: each attempt ends within its timeout, and says where it was.

use std::time::Duration;

use futures_util::future::join_all;
use job_sim::Fault;
use job_transport::{RequestSent, Stage, Transport, TransportErrorKind};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{TcpSocket, TcpStream},
    sync::watch,
    time::timeout,
};

use crate::support::*;

const SOON: Duration = Duration::from_millis(500);
const DRIP: Duration = Duration::from_millis(5);

/// Says the first bytes, then the others over and over.
async fn drips(first: &'static [u8], then: &'static [u8]) -> Served {
    Served::start(move |mut stream| async move {
        let _ = read_head(&mut stream).await;
        let _ = stream.write_all(first).await;
        while stream.write_all(then).await.is_ok() {
            // A pause that ends sooner where the client is gone.
            let _ = timeout(DRIP, stream.read(&mut [0; 1])).await;
        }
    })
    .await
}

/// A port whose queue of connections is full, so that no more are made; full as long as the second
/// part is kept.
async fn never_accepts() -> (u16, impl Sized) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    // The system takes a few more than it was told.
    while let Ok(Ok(stream)) = timeout(SOON, TcpStream::connect(address)).await {
        queued.push(stream);
        assert!(queued.len() < 100, "the queue has no end");
    }
    (address.port(), (listener, queued))
}

#[tokio::test]
async fn an_attempt_ends_within_its_timeout_wherever_it_stalls() {
    let (full, _kept) = never_accepts().await;
    let silent = Served::start(|stream| async move {
        let _kept = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let header = drips(b"HTTP/1.1 200 OK\r\n", b"X-Drip: 1\r\n").await;
    let informed = drips(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n").await;
    let body = drips(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"x").await;
    let chunks =
        drips(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n").await;
    let (sim, stream) = server().await;
    let rows = [
        ("no accept", format!("https://127.0.0.1:{full}"), Stage::Connect),
        ("TLS hello never answered", silent.https(), Stage::Tls),
        ("nothing answered", silent.http(), Stage::Reply),
        ("headers dripped", header.http(), Stage::Reply),
        ("103 dripped", informed.http(), Stage::Reply),
        ("body dripped", body.http(), Stage::Body),
        ("chunks dripped", chunks.http(), Stage::Body),
        ("HTTP/2 stream silent", stream.endpoint(), Stage::Reply),
    ];
    let transport = trusting(stream.ca_pem()).connect_timeout(SOON);
    // Where connecting is not what is late, there is a connection already.
    assert!(transport.send(get(&stream.endpoint())).await.is_ok());
    sim.fault(Fault::Stall);
    let attempts = rows.map(async |(name, uri, stage)| {
        let transport = transport.clone().attempt_timeout(SOON * 3);
        (name, stage, timeout(LATE, transport.send(get(&uri))).await.unwrap())
    });
    for (name, stage, reply) in join_all(attempts).await {
        let sent = match stage {
            Stage::Connect | Stage::Tls => RequestSent::No,
            _ => RequestSent::Maybe,
        };
        assert_eq!(why(reply), (TransportErrorKind::Timeout, sent, Some(stage)), "{name}");
    }
}

#[tokio::test]
async fn without_a_limit_of_its_own_connecting_ends_with_the_attempt() {
    let (full, _kept) = never_accepts().await;
    let (_, server) = server().await;
    let transport = trusting(server.ca_pem()).connect_timeout(LATE).attempt_timeout(SOON);
    let failed = why(transport.send(get(&format!("https://127.0.0.1:{full}"))).await);
    assert_eq!(failed, (TransportErrorKind::Timeout, RequestSent::No, Some(Stage::Connect)));
}

#[tokio::test]
async fn who_has_seen_another_fail_to_connect_does_not_wait_for_more() {
    let (full, _kept) = never_accepts().await;
    let (_, server) = server().await;
    let transport = trusting(server.ca_pem()).connect_timeout(SOON);
    let uri = format!("https://127.0.0.1:{full}");
    let replies = join_all((0..100).map(|_| transport.send(get(&uri))));
    // One after the other they would take 50 s.
    let replies = timeout(LATE / 3, replies).await.unwrap();
    for reply in replies {
        let late = (TransportErrorKind::Timeout, RequestSent::No, Some(Stage::Connect));
        assert_eq!(why(reply), late);
    }
}

/// Passes connections on to a server, until it is told to hold everything back.
async fn relay(port: u16, mut black_hole: watch::Receiver<bool>) -> Served {
    black_hole.mark_unchanged();
    Served::start(move |client| {
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
async fn a_connection_that_went_silent_is_found_by_its_pings() {
    let (_, server) = server().await;
    let port: u16 = server.endpoint().rsplit(':').next().unwrap().parse().unwrap();
    let (hole, holes) = watch::channel(false);
    let relay = relay(port, holes).await;
    let transport = trusting(server.ca_pem()).keep_alive(SOON);
    let uri = format!("{}/x", relay.https());
    assert!(transport.send(get(&uri)).await.is_ok());

    hole.send(true).unwrap();
    let (kind, sent, _) = why(timeout(LATE / 2, transport.send(get(&uri))).await.unwrap());
    assert_eq!((kind, sent), (TransportErrorKind::Closed, RequestSent::Maybe));
    assert_eq!(relay.connections(), 1);

    // Without pings, by the attempt's timeout.
    hole.send(false).unwrap();
    let transport = trusting(server.ca_pem()).keep_alive(LATE);
    assert!(transport.send(get(&uri)).await.is_ok());
    hole.send(true).unwrap();
    let failed = why(transport.attempt_timeout(SOON).send(get(&uri)).await);
    assert_eq!(failed, (TransportErrorKind::Timeout, RequestSent::Maybe, Some(Stage::Reply)));
}
