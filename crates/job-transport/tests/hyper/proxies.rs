//! Tests requests through a proxy, with TLS inside the tunnel.

use std::sync::{Arc, Mutex};

use job_sim::{Fault, SimServer};
use job_transport::{
    FetchError,
    hyper::Proxy,
    transport::{RequestSent, Transport, TransportErrorKind},
};
use tokio::{
    io::{AsyncWriteExt, copy_bidirectional},
    net::TcpStream,
};

use crate::support::*;

/// The host of the service in these tests. Requests to loopback do not use a proxy.
const SERVICE_HOST: &str = "cce.example";

/// Starts a proxy that opens tunnels to this port of loopback, or answers with `refusal`. Also
/// returns the requests that it receives.
async fn proxy_server(
    service_port: &str,
    refusal: Option<&'static str>,
) -> (TestServer, Arc<Mutex<Vec<String>>>) {
    let heads = Arc::<Mutex<Vec<String>>>::default();
    let received = heads.clone();
    let address = format!("127.0.0.1:{service_port}");
    let served = TestServer::start(move |mut client| {
        let (received, address) = (received.clone(), address.clone());
        async move {
            let head = read_head(&mut client).await;
            let is_tunnel = head.starts_with("CONNECT");
            received.lock().unwrap().push(head);
            if !is_tunnel {
                let _ = client.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
            } else if let Some(refusal) = refusal {
                let _ = client.write_all(refusal.as_bytes()).await;
            } else if let Ok(mut server) = TcpStream::connect(address).await {
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

fn port_of(server: &SimServer) -> String {
    server.endpoint().rsplit_once(':').unwrap().1.to_owned()
}

#[tokio::test]
async fn tls_goes_through_the_proxy_tunnel() {
    let (sim, server) = server().await;
    let port = port_of(&server);
    let (proxy, heads) = proxy_server(&port, None).await;
    let transport = trusting(server.ca_pem()).proxy(proxy_at(proxy.port, ""));
    let endpoint = format!("https://{SERVICE_HOST}:{port}");
    assert!(read_job(&endpoint, &sim, transport.clone()).await.is_ok());
    assert!(read_job(&endpoint, &sim, transport.clone()).await.is_ok());
    let heads = heads.lock().unwrap().join("");
    assert!(heads.starts_with(&format!("CONNECT {SERVICE_HOST}:{port} HTTP/1.1\r\n")), "{heads}");
    assert!(
        heads.to_lowercase().contains("proxy-authorization: basic dxnlcjpzm2nyzxq="),
        "{heads}"
    );
    assert!(!heads.contains("simulated-token") && !heads.contains("/jobs/"), "{heads}");
    assert_eq!((proxy.connections(), server.connections()), (1, 1));
    assert!(!format!("{transport:?}").contains("s3cret"));
}

#[tokio::test]
async fn a_failed_proxy_tunnel_is_an_error_that_names_the_proxy_and_the_host() {
    use TransportErrorKind::*;
    let (_, server) = server().await;
    let port = port_of(&server);
    for (refusal, kind, message) in [
        (
            "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
            ProxyAuthentication,
            "cannot log in to the proxy `PROXY` to reach `cce.example`",
        ),
        (
            "HTTP/1.1 503 Service Unavailable\r\n\r\n",
            Proxy,
            "cannot connect through the proxy `PROXY` to `cce.example`",
        ),
        // Then the proxy closes the connection.
        ("HTTP/1.1 200", Proxy, "cannot connect through the proxy `PROXY` to `cce.example`"),
    ] {
        let (proxy, _) = proxy_server(&port, Some(refusal)).await;
        let transport = trusting(server.ca_pem()).proxy(proxy_at(proxy.port, ""));
        let error = transport.send(get("https://cce.example")).await.unwrap_err();
        assert_eq!(summarize(&error), (kind, RequestSent::No, None), "{refusal}");
        let address = format!("localhost:{}", proxy.port);
        assert_eq!(error.to_string().replace(&address, "PROXY"), message);
        assert_eq!((error.host(), error.proxy()), (Some(SERVICE_HOST), Some(&*address)));
    }
    let (_, mut dead) = self::server().await;
    dead.kill().await.unwrap();
    let dead_port = port_of(&dead).parse().unwrap();
    let transport = trusting(server.ca_pem()).proxy(proxy_at(dead_port, ""));
    let failed = send_failure(transport.send(get("https://cce.example")).await);
    assert_eq!(failed, (Proxy, RequestSent::No, None));
    let unknown = job_transport::hyper::Proxy::new("http://no-such-proxy.invalid", "").unwrap();
    let transport = trusting(server.ca_pem()).proxy(unknown);
    let error = transport.send(get("https://cce.example")).await.unwrap_err();
    let expected = "cannot resolve the proxy `no-such-proxy.invalid` to reach `cce.example`";
    assert_eq!(error.to_string(), expected);
    assert_eq!(summarize(&error), (Dns, RequestSent::No, None));
}

#[tokio::test]
async fn errors_behind_a_proxy_name_the_proxy_and_the_host() {
    let (sim, server) = server().await;
    let port = port_of(&server);
    let (proxy, _) = proxy_server(&port, None).await;
    let endpoint = format!("https://{SERVICE_HOST}:{port}");
    let shown = |error: FetchError| {
        let error = error.transport_error().unwrap().to_string();
        error.replace(&format!("localhost:{}", proxy.port), "PROXY").replace(&port, "PORT")
    };
    let other = Authority::new();
    let distrusting = trusting(other.pem.as_bytes()).proxy(proxy_at(proxy.port, ""));
    assert_eq!(
        shown(read_job(&endpoint, &sim, distrusting).await.unwrap_err()),
        "cannot trust the certificate of `cce.example:PORT` through the proxy `PROXY`"
    );
    let proxied = trusting(server.ca_pem()).proxy(proxy_at(proxy.port, ""));
    sim.inject_fault(Fault::Reset);
    assert_eq!(
        shown(read_job(&endpoint, &sim, proxied).await.unwrap_err()),
        "the connection closed before the reply was complete (`cce.example:PORT` through the proxy \
         `PROXY`)"
    );
}

#[tokio::test]
async fn exceptions_loopback_and_plain_http_are_sent_directly() {
    let (sim, server) = server().await;
    let (proxy, heads) = proxy_server(&port_of(&server), None).await;
    let transport = trusting(server.ca_pem()).proxy(proxy_at(proxy.port, ".invalid"));
    assert!(read_job(&server.endpoint(), &sim, transport.clone()).await.is_ok());
    let error = transport.send(get("https://no-such-host.invalid")).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot resolve `no-such-host.invalid`");
    let plain = transport.send(get(&proxy.https().replace("https", "http"))).await.unwrap();
    assert_eq!(plain.status(), 204);
    let heads = heads.lock().unwrap().join("");
    assert!(!heads.contains("CONNECT"), "{heads}");
}
