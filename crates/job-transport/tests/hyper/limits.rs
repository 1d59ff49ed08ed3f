//! Tests the limits of bodies, requests in flight and file descriptors, and the release of
//! resources.

use std::{process::Command, time::Duration};

use bytes::Bytes;
use futures_util::poll;
use http::{HeaderValue, Response, header::CONTENT_ENCODING};
use job_sim::Fault;
use job_transport::{
    auth::{Identity, ProvideCredentials},
    transport::{MemoryLimit, RequestSent, TimeoutStage, Transport, TransportErrorKind},
};
use tokio::{io::AsyncWriteExt, time::timeout};

use crate::support::*;

const SHORT_TIMEOUT: Duration = Duration::from_millis(100);

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let (sim, server) = server().await;
    let transport = trusting(server.ca_pem()).max_body(100);
    let failed = reading_failure(read_job(&server.endpoint(), &sim, transport.clone()).await);
    assert_eq!(failed, (TransportErrorKind::BodyTooLarge, RequestSent::Maybe, None));
    // A body without a stated length.
    let endless = TestServer::start(|mut stream| async move {
        let _ = read_head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").await;
        while stream.write_all(&[b' '; 1024]).await.is_ok() {}
    })
    .await;
    let failed = send_failure(transport.send(get(&endless.http())).await);
    assert_eq!(failed, (TransportErrorKind::BodyTooLarge, RequestSent::Maybe, None));
    for size in [99, 100] {
        sim.inject_fault(Fault::Reply(Response::new(Bytes::from(vec![b' '; size]))));
        let uri = server.endpoint();
        assert_eq!(transport.send(get(&uri)).await.unwrap().body().len(), size);
    }
}

#[tokio::test]
async fn an_object_over_the_limit_is_refused() {
    let (sim, trusted) = server().await;
    let body = r#"{"kind":"Cluster","status":{"phase":"Available"}}"#;
    let server = TestServer::start(move |mut stream| async move {
        let _ = read_head(&mut stream).await;
        let reply = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let _ = stream.write_all(reply.as_bytes()).await;
    })
    .await;
    for (limit, is_refused) in [(body.len() - 1, true), (body.len(), false)] {
        let transport = trusting(trusted.ca_pem()).max_body(limit);
        let client = sim.client(server.http().parse().unwrap(), transport);
        let read = client.cluster(&"4a5b".parse().unwrap()).await;
        let refused = read.err().and_then(|error| Some(error.transport_error()?.kind()));
        assert_eq!(refused, is_refused.then_some(TransportErrorKind::BodyTooLarge));
    }
}

#[tokio::test]
async fn bodies_count_toward_the_limit_while_they_arrive_and_until_they_are_read() {
    let (body, half) = (vec![b' '; 100_000], 40_000);
    let (proceed, waiting) = tokio::sync::watch::channel(false);
    let server = TestServer::start(move |mut stream| {
        let (body, mut waiting) = (body.clone(), waiting.clone());
        async move {
            let _ = read_head(&mut stream).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n").await;
            let _ = stream.write_all(&body[..half]).await;
            let _ = waiting.wait_for(|proceed| *proceed).await;
            let _ = stream.write_all(&body[half..]).await;
        }
    })
    .await;
    let limit = MemoryLimit::new(1 << 20);
    let mut request = get(&server.http());
    request.extensions_mut().insert(limit.clone());
    let (_, trusted) = self::server().await;
    let transport = trusting(trusted.ca_pem());
    let mut sending = transport.send(request);
    while limit.used_bytes() < half {
        assert!(poll!(&mut sending).is_pending());
        tokio::task::yield_now().await;
    }
    assert_eq!(limit.used_bytes(), half);
    proceed.send_replace(true);
    let response = sending.await.unwrap();
    assert_eq!((response.body().len(), limit.used_bytes()), (100_000, 100_000));
    drop(response);
    assert_eq!(limit.used_bytes(), 0);
}

#[tokio::test]
async fn encoded_bodies_are_rejected_but_error_statuses_are_kept() {
    let (sim, server) = server().await;
    let mut reply = Response::new(Bytes::from_static(b"\x1f\x8b"));
    reply.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    sim.inject_fault(Fault::Reply(reply.clone()));
    let failed =
        reading_failure(read_job(&server.endpoint(), &sim, trusting(server.ca_pem())).await);
    assert_eq!(failed, (TransportErrorKind::EncodedBody, RequestSent::Maybe, None));
    reply.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("identity"));
    sim.inject_fault(Fault::Reply(reply.clone()));
    assert!(trusting(server.ca_pem()).send(get(&server.endpoint())).await.is_ok());
    // The status of an error response is kept, although its body is refused.
    reply.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    *reply.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
    let mut large = Response::new(Bytes::from(vec![b' '; 2_000]));
    *large.status_mut() = http::StatusCode::BAD_GATEWAY;
    for (reply, kept) in [(reply, 0), (large, 1_000)] {
        sim.inject_fault(Fault::Reply(reply.clone()));
        let transport = trusting(server.ca_pem()).max_body(1_000);
        let got = transport.send(get(&server.endpoint())).await.unwrap();
        assert_eq!((got.status(), got.body().len()), (reply.status(), kept));
    }
}

#[tokio::test]
async fn requests_beyond_max_in_flight_are_queued() {
    let (sim, server) = server().await;
    let transport = trusting(server.ca_pem()).max_in_flight(1);
    let uri = server.endpoint();
    assert!(transport.send(get(&uri)).await.is_ok());
    sim.inject_fault(Fault::Stall);
    let (first, second) = (transport.clone().attempt_timeout(SHORT_TIMEOUT * 2), transport.clone());
    let second = second.attempt_timeout(SHORT_TIMEOUT);
    let (first, second) = tokio::join!(first.send(get(&uri)), second.send(get(&uri)));
    let timed_out = |sent, stage| (TransportErrorKind::Timeout, sent, Some(stage));
    assert_eq!(send_failure(first), timed_out(RequestSent::Maybe, TimeoutStage::Reply));
    assert_eq!(send_failure(second), timed_out(RequestSent::No, TimeoutStage::Queue));
    assert!(transport.send(get(&uri)).await.is_ok());
}

#[tokio::test]
async fn dropped_requests_release_permit_stream_and_socket() {
    let (sim, server) = server().await;
    let silent = TestServer::start(|mut stream| async move {
        // Ends when the client closes the connection.
        while !read_head(&mut stream).await.is_empty() {}
        let _ = stream.shutdown().await;
    })
    .await;
    let transport = trusting(server.ca_pem()).max_in_flight(1);
    assert!(transport.send(get(&server.endpoint())).await.is_ok());
    for _ in 0..20 {
        sim.inject_fault(Fault::Stall);
        // Drop a request whose stream the service has accepted.
        let mut attempt = transport.send(get(&server.endpoint()));
        while sim.stalled() == 0 {
            assert!(poll!(&mut attempt).is_pending());
            tokio::task::yield_now().await;
        }
        drop(attempt);
        while sim.stalled() > 0 {
            tokio::task::yield_now().await;
        }
        // Drop a request that waits for the reply, and one that is connecting.
        let before = silent.connections();
        let mut attempt = transport.send(get(&silent.http()));
        while silent.connections() == before {
            assert!(poll!(&mut attempt).is_pending());
            tokio::task::yield_now().await;
        }
        drop(attempt);
        let mut attempt = transport.send(get(&silent.https()));
        assert!(poll!(&mut attempt).is_pending());
    }
    // The streams were released; the connection is still the same.
    assert!(transport.send(get(&server.endpoint())).await.is_ok());
    assert_eq!(server.connections(), 1);
    let freed = timeout(TEST_TIMEOUT, async {
        while sim.stalled() > 0 || open_sockets_to(silent.port) > 0 {
            tokio::task::yield_now().await;
        }
    });
    assert!(
        freed.await.is_ok(),
        "{} streams, {} sockets",
        sim.stalled(),
        open_sockets_to(silent.port)
    );
}

/// Returns the number of established client sockets of this machine to a port.
fn open_sockets_to(port: u16) -> usize {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let established = |line: &&str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields.get(2).is_some_and(|to| to.ends_with(&format!(":{port:04X}")))
            && fields.get(3) == Some(&"01")
    };
    table.lines().filter(established).count()
}

#[tokio::test]
async fn a_16_kib_token_fits_in_request_and_reply_headers() {
    let (sim, server) = server().await;
    let token = "t".repeat(16_384);
    let mut reply = Response::new(Bytes::from_static(b"{}"));
    *reply.status_mut() = http::StatusCode::CREATED;
    reply.headers_mut().insert("x-subject-token", HeaderValue::try_from(&token).unwrap());
    sim.inject_fault(Fault::Reply(reply));
    let transport = trusting(server.ca_pem());
    let identity =
        Identity::new(server.endpoint().parse().unwrap(), sim.login(), transport.clone());
    assert!(identity.provide().await.is_ok());
    let mut request = get(&server.endpoint());
    request.headers_mut().insert("x-auth-token", HeaderValue::try_from(&token).unwrap());
    sim.inject_fault(Fault::Echo);
    let echo = transport.send(request).await.unwrap();
    assert!(String::from_utf8_lossy(echo.body()).contains(&token));
}

/// Runs the test below in a child process with a limit of 64 file descriptors.
#[test]
fn descriptor_exhaustion_is_a_local_resource_error() {
    let this = std::env::current_exe().unwrap();
    let inner = "limits::child_process_exhausts_its_file_descriptors";
    let run = format!("ulimit -n 64; exec '{}' --exact {inner} --nocapture", this.display());
    let output = Command::new("sh").arg("-c").arg(run).env("WITHOUT_DESCRIPTORS", "1").output();
    let output = output.unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && told.contains("local resource, not sent"), "{told}");
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "the test above reads it")]
async fn child_process_exhausts_its_file_descriptors() {
    if std::env::var_os("WITHOUT_DESCRIPTORS").is_none() {
        return; // Only in the process that the test above starts.
    }
    let (_, server) = server().await;
    let transport = trusting(server.ca_pem());
    let mut taken = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        taken.push(file);
    }
    let failed = send_failure(transport.send(get(&server.endpoint())).await);
    assert_eq!(failed, (TransportErrorKind::LocalResource, RequestSent::No, None));
    println!("local resource, not sent");
    drop(taken);
    assert!(transport.send(get(&server.endpoint())).await.is_ok());
}
