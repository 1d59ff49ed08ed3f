//! Tests requests through a proxy, with TLS inside the tunnel.

use std::sync::{Arc, Mutex};

use job_transport::{Proxy, RequestSent, Transport, TransportErrorKind};
use tokio::{
    io::{AsyncWriteExt, copy_bidirectional},
    net::TcpStream,
};

use crate::support::*;

/// Starts a proxy that opens tunnels, or always answers with `refusal`. Also returns the requests
/// that it receives.
async fn proxy_server(refusal: Option<&'static str>) -> (TestServer, Arc<Mutex<Vec<String>>>) {
    let heads = Arc::<Mutex<Vec<String>>>::default();
    let received = heads.clone();
    let served = TestServer::start(move |mut client| {
        let told = received.clone();
        async move {
            let head = read_head(&mut client).await;
            let target = head.split_whitespace().nth(1).map(String::from);
            told.lock().unwrap().push(head);
            if let Some(refusal) = refusal {
                let _ = client.write_all(refusal.as_bytes()).await;
            } else if let Ok(mut server) = TcpStream::connect(target.unwrap_or_default()).await {
                let _ = client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await;
                let _ = copy_bidirectional(&mut client, &mut server).await;
            }
        }
    })
    .await;
    (served, heads)
}

fn proxy_at(port: u16, except: &str) -> Proxy {
    Proxy::new(&format!("http://user:s3cret@localhost:{port}"), except).unwrap()
}

#[tokio::test]
async fn tls_goes_through_the_proxy_tunnel() {
    let (sim, server) = server().await;
    let (proxy, heads) = proxy_server(None).await;
    let transport = trusting(server.ca_pem()).proxy(proxy_at(proxy.port, ""));
    assert!(read_job(&server.endpoint(), &sim, transport.clone()).await.is_ok());
    assert!(read_job(&server.endpoint(), &sim, transport.clone()).await.is_ok());
    let heads = heads.lock().unwrap().join("");
    let address = server.endpoint().replace("https://", "");
    assert!(heads.starts_with(&format!("CONNECT {address} HTTP/1.1\r\n")), "{heads}");
    assert!(
        heads.to_lowercase().contains("proxy-authorization: basic dxnlcjpzm2nyzxq="),
        "{heads}"
    );
    assert!(!heads.contains("simulated-token") && !heads.contains("/jobs/"), "{heads}");
    assert_eq!((proxy.connections(), server.connections()), (1, 1));
    assert!(!format!("{transport:?}").contains("s3cret"));
}

#[tokio::test]
async fn a_failed_proxy_tunnel_is_a_proxy_error() {
    let (_, server) = server().await;
    for (refusal, kind) in [
        (
            "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
            TransportErrorKind::ProxyAuthentication,
        ),
        ("HTTP/1.1 503 Service Unavailable\r\n\r\n", TransportErrorKind::Proxy),
        ("HTTP/1.1 200", TransportErrorKind::Proxy), // then closes the connection
    ] {
        let (proxy, _) = proxy_server(Some(refusal)).await;
        let transport = trusting(server.ca_pem()).proxy(proxy_at(proxy.port, ""));
        let failed = send_failure(transport.send(get(&server.endpoint())).await);
        assert_eq!(failed, (kind, RequestSent::No, None), "{refusal}");
    }
    let (_, mut dead) = self::server().await;
    dead.kill().await.unwrap();
    let port = dead.endpoint().rsplit(':').next().unwrap().parse().unwrap();
    let transport = trusting(server.ca_pem()).proxy(proxy_at(port, ""));
    let failed = send_failure(transport.send(get(&server.endpoint())).await);
    assert_eq!(failed, (TransportErrorKind::Proxy, RequestSent::No, None));
}

#[tokio::test]
async fn excluded_hosts_bypass_the_proxy() {
    let (sim, server) = server().await;
    let (proxy, heads) = proxy_server(None).await;
    let transport = trusting(server.ca_pem()).proxy(proxy_at(proxy.port, "127.0.0.0/8"));
    assert!(read_job(&server.endpoint(), &sim, transport.clone()).await.is_ok());
    // Plain http does not use the proxy.
    let _ = transport.send(get(&proxy.https().replace("https", "http"))).await;
    let heads = heads.lock().unwrap().join("");
    assert!(!heads.contains("CONNECT"), "{heads}");
}
