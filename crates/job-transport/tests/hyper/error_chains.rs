//! Tests the error chains of real failures: each sentence is printed once, and no library
//! internals.

use std::{error::Error, time::Duration};

use http::StatusCode;
use job_sim::Fault;
use job_transport::{
    Client, Credentials, FetchError,
    auth::{Identity, PasswordLogin},
    hyper::Proxy,
    transport::display_chain,
};
use tokio::{io::AsyncWriteExt, net::TcpListener};

use crate::support::*;

/// Returns the line that a user reads, then each error of the chain on its own line. Ports are
/// replaced, because they differ between runs.
fn lines(name: &str, error: &FetchError) -> String {
    let causes = std::iter::successors(Some(error as &dyn Error), |&error| error.source());
    let causes: String = causes.map(|cause| format!("    {cause}\n")).collect();
    let lines = format!("{name}: {}\n{causes}", display_chain(error));
    for internal in ["client error", "connect error", "connection error", "dns error", "docs.rs"] {
        assert!(!lines.contains(internal), "{lines}");
    }
    let mut parts = lines.split("127.0.0.1:");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |shown, part| {
        shown + "127.0.0.1:<port>" + part.trim_start_matches(|digit: char| digit.is_ascii_digit())
    })
}

/// Returns a port on which nothing listens.
async fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn each_sentence_of_a_chain_is_printed_once() {
    let (sim, server) = server().await;
    let transport = || trusting(server.ca_pem());
    let mut shown = String::new();

    let refused = format!("https://127.0.0.1:{}", closed_port().await);
    let error = read_job(&refused, &sim, transport()).await.unwrap_err();
    shown += &lines("connection refused", &error);

    let error = read_job("https://no-such-host.invalid", &sim, transport()).await.unwrap_err();
    let reason = error.source().unwrap().to_string();
    // The resolver of a machine without a network returns the second text.
    assert!(["name not found", "temporary failure in name resolution"].contains(&&*reason));
    assert_eq!(display_chain(&error), format!("cannot resolve `no-such-host.invalid`: {reason}"));

    let other = Authority::new();
    let distrusting = trusting(other.pem.as_bytes());
    let error = read_job(&server.endpoint(), &sim, distrusting).await.unwrap_err();
    shown += &lines("certificate of an unknown authority", &error);

    let plain = TestServer::start(|mut stream| async move {
        let _ = stream.write_all(b"220 mail.example ESMTP\r\n").await;
    })
    .await;
    let address = format!("https://127.0.0.1:{}", plain.port);
    let error = read_job(&address, &sim, transport()).await.unwrap_err();
    shown += &lines("no TLS on this port", &error);

    let proxy = format!("http://127.0.0.1:{}", closed_port().await);
    let proxied = transport().proxy(Proxy::new(&proxy, "").unwrap());
    let error = read_job("https://cce.example", &sim, proxied).await.unwrap_err();
    shown += &lines("proxy refuses the connection", &error);

    sim.inject_fault(Fault::Reset);
    let error = read_job(&server.endpoint(), &sim, transport()).await.unwrap_err();
    shown += &lines("connection reset", &error);

    sim.inject_fault(Fault::Stall);
    let late = transport().attempt_timeout(Duration::from_millis(200));
    let error = read_job(&server.endpoint(), &sim, late).await.unwrap_err();
    shown += &lines("timeout", &error);

    let client = |identity: &str, login| {
        let identity = Identity::new(identity.parse().unwrap(), login, transport());
        Client::new(
            server.endpoint().parse().unwrap(),
            Credentials::from_provider(identity),
            transport(),
        )
    };
    let wrong = PasswordLogin::new("simulated-user", "wrong", "simulated-domain");
    let error = client(&server.endpoint(), wrong).job(sim.job()).await.unwrap_err();
    shown += &lines("login refused", &error);

    let error = client(&refused, sim.login()).job(sim.job()).await.unwrap_err();
    shown += &lines("no connection to the identity service", &error);

    sim.inject_fault(Fault::ErrorReply(StatusCode::SERVICE_UNAVAILABLE));
    let error = client(&server.endpoint(), sim.login()).job(sim.job()).await.unwrap_err();
    shown += &lines("identity service unavailable", &error);

    let renewed = client(&server.endpoint(), sim.login());
    assert!(renewed.job(sim.job()).await.is_ok());
    sim.inject_fault(Fault::ErrorReply(StatusCode::UNAUTHORIZED));
    sim.inject_fault(Fault::HtmlPage(StatusCode::SERVICE_UNAVAILABLE));
    let error = renewed.job(sim.job()).await.unwrap_err();
    shown += &lines("token refused and not renewed", &error);

    insta::assert_snapshot!(shown);
}
