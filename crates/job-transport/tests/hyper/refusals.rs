//! Tests HTTP/2 servers that refuse a request: it is retried only if they did not process it.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use bytes::Bytes;
use h2::{Reason, server};
use http::Response;
use job_transport::transport::{RequestSent, Transport, TransportErrorKind};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;

use crate::support::*;

/// How the server refuses a request.
#[derive(Clone, Copy, Debug)]
enum Refusal {
    /// Closes the connection with a GOAWAY frame that excludes all streams.
    GoAway(Reason),
    /// Resets the stream.
    Reset(Reason),
}

/// Starts a server that refuses the first `first` requests and answers the others.
async fn refusing_server(refusal: Refusal, first: u32) -> (TestServer, Arc<AtomicU32>, Authority) {
    let authority = Authority::new();
    let requests = Arc::<AtomicU32>::default();
    let count = requests.clone();
    let on_connection = move |stream| serve(stream, refusal, first, count.clone());
    let served = TestServer::over_tls(authority.leaf().server(&[b"h2"]), on_connection).await;
    (served, requests, authority)
}

async fn serve(stream: TlsStream<TcpStream>, refusal: Refusal, first: u32, count: Arc<AtomicU32>) {
    if let Refusal::GoAway(reason) = refusal
        && count.load(Ordering::Relaxed) < first
    {
        count.fetch_add(1, Ordering::Relaxed);
        return go_away(stream, reason).await;
    }
    let mut connection = server::handshake(stream).await.unwrap();
    while let Some(Ok((_, mut respond))) = connection.accept().await {
        let number = count.fetch_add(1, Ordering::Relaxed);
        match refusal {
            Refusal::Reset(reason) if number < first => respond.send_reset(reason),
            _ => {
                let mut body = respond.send_response(Response::new(()), false).unwrap();
                body.send_data(Bytes::from_static(b"{}"), true).unwrap();
            }
        }
    }
}

/// Reads up to the head of the first request, sends a GOAWAY frame that excludes all streams, and
/// waits until the client closes the connection.
async fn go_away(mut stream: TlsStream<TcpStream>, reason: Reason) {
    const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
    const PREFACE: usize = 24;
    const HEADERS: u8 = 1;
    stream.read_exact(&mut [0; PREFACE]).await.unwrap();
    let mut head = [0; 9];
    while head[3] != HEADERS {
        stream.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        stream.read_exact(&mut vec![0; length as usize]).await.unwrap();
    }
    stream.write_all(SETTINGS).await.unwrap();
    let [.., code] = u32::from(reason).to_be_bytes();
    stream.write_all(&[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, code]).await.unwrap();
    stream.flush().await.unwrap();
    while stream.read(&mut [0; 1024]).await.is_ok_and(|read| read > 0) {}
}

#[tokio::test]
async fn unprocessed_streams_are_retried_at_most_three_times() {
    use TransportErrorKind::StreamRefused;
    let not_taken = Refusal::Reset(Reason::REFUSED_STREAM);
    let never = (StreamRefused, RequestSent::No, None);
    let rows = [
        (not_taken, 0, Ok(()), 1),
        (not_taken, 1, Ok(()), 2),
        (not_taken, 3, Ok(()), 4),
        (not_taken, 4, Err(never), 4),
        (
            Refusal::Reset(Reason::INTERNAL_ERROR),
            1,
            Err((TransportErrorKind::Closed, RequestSent::Maybe, None)),
            1,
        ),
        (
            Refusal::Reset(Reason::CANCEL),
            1,
            Err((TransportErrorKind::Closed, RequestSent::Maybe, None)),
            1,
        ),
        (
            Refusal::Reset(Reason::HTTP_1_1_REQUIRED),
            1,
            Err((TransportErrorKind::Closed, RequestSent::Maybe, None)),
            1,
        ),
        (Refusal::GoAway(Reason::NO_ERROR), 1, Ok(()), 2),
        (Refusal::GoAway(Reason::NO_ERROR), 3, Ok(()), 4),
        (Refusal::GoAway(Reason::NO_ERROR), 4, Err(never), 4),
        (
            Refusal::GoAway(Reason::ENHANCE_YOUR_CALM),
            1,
            Err((StreamRefused, RequestSent::Maybe, None)),
            1,
        ),
    ];
    for (refusal, first, expected, requests) in rows {
        let (server, count, authority) = refusing_server(refusal, first).await;
        let transport = trusting(authority.pem.as_bytes());
        let reply = transport.send(get(&server.https())).await;
        let got = reply.map(drop).map_err(|error| summarize(&error));
        assert_eq!(got, expected, "{refusal:?} {first}");
        assert_eq!(count.load(Ordering::Relaxed), requests, "{refusal:?} {first}");
    }
}
