//! Tests 10,000 concurrent requests: they share one login, one wrong signature, one clock
//! correction.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures_core::future::BoxFuture;
use futures_util::future::join_all;
use jiff::SignedDuration;
use job_sim::{Plan, Sim, SimServer, TimeSource};
use job_transport::{
    Client, Credentials, ErrorClass, FetchError, FetchErrorKind, Reading,
    auth::{
        AccessKey, CredentialsProviderError, Identity, PasswordLogin, ProvideCredentials,
        ProvidedCredential,
    },
};
use tokio::io::AsyncWriteExt;

use crate::support::*;

const REQUEST_COUNT: usize = 10_000;

/// Longer than all requests take on a busy machine.
const LOAD_TIMEOUT: Duration = Duration::from_secs(10 * 60);

async fn server_ahead(span: SignedDuration) -> (Arc<Sim>, SimServer) {
    let sim = Sim::new(Plan::create_cluster(), TimeSource::Clock).clock_offset(span);
    let sim = Arc::new(sim);
    let server = SimServer::start(sim.clone()).await.unwrap();
    (sim, server)
}

/// Sends [`REQUEST_COUNT`] concurrent requests, with one client for each of these credentials in
/// turn.
async fn send_many(
    sim: &Sim,
    server: &SimServer,
    credentials: &[Credentials],
) -> Vec<Result<Reading, FetchError>> {
    let transport = trusting(server.ca_pem()).attempt_timeout(LOAD_TIMEOUT);
    let client = |credentials: &Credentials| {
        let endpoint = server.endpoint().parse().unwrap();
        let client = Client::new(endpoint, credentials.clone(), transport.clone());
        client.project(sim.project().clone()).attempt_timeout(LOAD_TIMEOUT)
    };
    let clients: Vec<Client> = credentials.iter().map(client).collect();
    join_all((0..REQUEST_COUNT).map(|number| clients[number % clients.len()].job(sim.job()))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_401s_share_one_refresh() {
    let (sim, server) = server().await;
    let endpoint = server.endpoint().parse().unwrap();
    let identity = Identity::new(endpoint, sim.login(), trusting(server.ca_pem()));
    let credentials = Credentials::from_provider(identity);
    let first = Client::new(
        server.endpoint().parse().unwrap(),
        credentials.clone(),
        trusting(server.ca_pem()),
    );
    assert!(!first.job(sim.job()).await.unwrap().credentials_refreshed);
    assert_eq!((sim.logins(), sim.requests()), (1, 2));

    sim.expire_tokens();
    let readings = send_many(&sim, &server, &[credentials]).await;
    assert!(readings.iter().all(Result::is_ok));
    assert_eq!(sim.logins(), 2);
    // Requests that started after the refresh used the new token.
    let renewed = readings.iter().flatten().filter(|reading| reading.credentials_refreshed).count();
    assert!(renewed > 0);
    assert_eq!(sim.requests() as usize, 2 + 1 + REQUEST_COUNT + renewed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_bad_signatures_send_one_request() {
    let (sim, server) = server().await;
    let right = sim.access_key();
    // Two `AccessKey` values of one key share its state.
    let wrong = || Credentials::access_key(AccessKey::new(right.access_key(), "wrong").unwrap());
    let outcomes = send_many(&sim, &server, &[wrong(), wrong()]).await;
    assert_eq!(sim.requests(), 1);
    let (mut refused, mut unsent) = (0, 0);
    for error in outcomes.into_iter().map(Result::unwrap_err) {
        assert_eq!(error.class(), ErrorClass::Unauthorized);
        match error.kind() {
            FetchErrorKind::WrongSignature if error.status().is_some() => refused += 1,
            FetchErrorKind::WrongSignature => unsent += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((refused, unsent), (1, REQUEST_COUNT - 1));
    // The right key is a different key and is not blocked.
    let right = send_many(&sim, &server, &[Credentials::access_key(right)]).await;
    assert!(right.iter().all(Result::is_ok));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_12_hour_clock_skew_is_learned_from_one_reply() {
    for hours in [12, -12] {
        let (sim, server) = server_ahead(SignedDuration::from_hours(hours)).await;
        let wrong = AccessKey::new(sim.access_key().access_key(), format!("wrong{hours}")).unwrap();
        let outcomes = send_many(&sim, &server, &[Credentials::access_key(wrong)]).await;
        assert!(outcomes.iter().all(|outcome| {
            outcome.as_ref().is_err_and(|error| error.kind() == FetchErrorKind::WrongSignature)
        }));
        assert_eq!(sim.requests(), 2);

        let (sim, server) = server_ahead(SignedDuration::from_hours(hours)).await;
        let key = Credentials::access_key(sim.access_key());
        let outcomes = send_many(&sim, &server, &[key]).await;
        assert!(outcomes.iter().all(Result::is_ok));
        assert_eq!(sim.requests() as usize, REQUEST_COUNT + 1);
    }
}

#[tokio::test]
async fn clients_created_later_share_the_learned_skew() {
    let (sim, server) = server_ahead(SignedDuration::from_hours(12)).await;
    let client = || {
        let endpoint = server.endpoint().parse().unwrap();
        let credentials = Credentials::access_key(sim.access_key());
        Client::new(endpoint, credentials, trusting(server.ca_pem())).project(sim.project().clone())
    };
    let first = client();
    assert!(first.job(sim.job()).await.is_ok());
    let second = client();
    for client in [&second, &first, &second] {
        assert!(client.job(sim.job()).await.is_ok());
    }
    assert_eq!(sim.requests(), 5);
}

#[tokio::test]
async fn security_tokens_echoed_by_the_gateway_are_redacted() {
    let (sim, server) = server().await;
    let key = AccessKey::new(sim.access_key().access_key(), "wrong-again").unwrap();
    let key = key.with_security_token("canary").unwrap();
    let endpoint = server.endpoint().parse().unwrap();
    let client = Client::new(endpoint, Credentials::access_key(key), trusting(server.ca_pem()));
    let client = client.project(sim.project().clone());
    for _ in 0..2 {
        let error = client.job(sim.job()).await.unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("x-security-token:(hidden)"), "{shown}");
        assert!(!shown.contains("canary"), "{shown}");
    }
}

/// Answers each request with these bytes and closes the connection. Also counts the requests.
async fn refusing_server(reply: &'static [u8]) -> (TestServer, Arc<AtomicU32>) {
    let requests = Arc::<AtomicU32>::default();
    let count = requests.clone();
    let server = TestServer::start(move |mut stream| {
        let count = count.clone();
        async move {
            if !read_head(&mut stream).await.is_empty() {
                count.fetch_add(1, Ordering::Relaxed);
                let _ = stream.write_all(reply).await;
            }
        }
    })
    .await;
    (server, requests)
}

#[tokio::test]
async fn a_refusal_without_its_body_is_sent_once() {
    let (_, sim_server) = server().await;
    let transport = trusting(sim_server.ca_pem());
    let rows: [&'static [u8]; 4] = [
        b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 500\r\n\r\n{\"error_code\": \"APIGW.0301\"",
        b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 500\r\n\r\n",
        b"HTTP/1.1 401 Unauthorized\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b",
        b"HTTP/1.1 401 Unauthorized\r\n\r\n",
    ];
    for (number, reply) in rows.into_iter().enumerate() {
        // A signature.
        let (refusing, requests) = refusing_server(reply).await;
        let key = AccessKey::new(format!("CUT{number}"), "wrong").unwrap();
        let endpoint = refusing.http().parse().unwrap();
        let client = Client::new(endpoint, Credentials::access_key(key), transport.clone());
        let client = client.project("p".parse().unwrap());
        for _ in 0..3 {
            let error = client.job(&"job-1".parse().unwrap()).await.unwrap_err();
            assert_eq!(error.kind(), FetchErrorKind::WrongSignature, "{error}");
            assert_eq!(error.class(), ErrorClass::Unauthorized);
        }
        assert_eq!(requests.load(Ordering::Relaxed), 1, "{number}");
        // A password.
        let (refusing, requests) = refusing_server(reply).await;
        let login = PasswordLogin::new("user", "wrong", "domain");
        let endpoint = refusing.http().parse().unwrap();
        let identity = Identity::new(endpoint, login, transport.clone());
        let endpoint = refusing.http().parse().unwrap();
        let client = Client::new(endpoint, Credentials::from_provider(identity), transport.clone());
        for _ in 0..3 {
            let error = client.job(&"job-1".parse().unwrap()).await.unwrap_err();
            assert_eq!(error.kind(), FetchErrorKind::Credentials, "{error}");
            assert_eq!(error.class(), ErrorClass::Unauthorized);
        }
        assert_eq!(requests.load(Ordering::Relaxed), 1, "{number}");
    }
}

/// Returns a new token for each call.
struct Tokens(AtomicU32);

impl ProvideCredentials for Tokens {
    fn provide(&self) -> BoxFuture<'_, Result<ProvidedCredential, CredentialsProviderError>> {
        let number = self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move { Ok(ProvidedCredential::token(format!("token-{number}"))?) })
    }
}

#[tokio::test]
async fn a_server_that_closes_after_each_refusal_reports_the_refusal() {
    let (_, sim_server) = server().await;
    for reply in [
        &b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\n{}"[..],
        b"HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 9\r\n\r\n{}",
    ] {
        let (refusing, _) = refusing_server(reply).await;
        let client = Client::new(
            refusing.http().parse().unwrap(),
            Credentials::from_provider(Tokens(AtomicU32::new(0))),
            trusting(sim_server.ca_pem()),
        );
        let client = client.project("p".parse().unwrap());
        for _ in 0..5 {
            let error = client.job(&"job-1".parse().unwrap()).await.unwrap_err();
            assert_eq!(error.status().map(|status| status.as_u16()), Some(401), "{error}");
            assert_eq!(error.class(), ErrorClass::Unauthorized);
        }
    }
}
