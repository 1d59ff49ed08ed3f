//! Ten thousand at once: one login, one wrong signature, one lesson about the time.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use jiff::SignedDuration;
use job_sim::{Pace, Plan, Sim, SimServer};
use job_transport::{
    AccessKey, Class, Client, Credentials, CredentialsFault, FetchError, FetchStage, Identity,
    Reading,
};

use crate::support::*;

const MANY: usize = 10_000;

/// Longer than so many take, on a machine that has other things to do.
const LATER: Duration = Duration::from_secs(10 * 60);

async fn server_ahead(span: SignedDuration) -> (Arc<Sim>, SimServer) {
    let sim = Sim::new(Plan::create_cluster(), Pace::Clock).ahead(span);
    let sim = Arc::new(sim);
    let server = SimServer::start(sim.clone()).await.unwrap();
    (sim, server)
}

/// Asks many times at once, by turns with a client of each of these credentials.
async fn many(
    sim: &Sim,
    server: &SimServer,
    ways: &[Credentials],
) -> Vec<Result<Reading, FetchError>> {
    let transport = trusting(server.ca_pem()).attempt_timeout(LATER);
    let client = |credentials: &Credentials| {
        let endpoint = server.endpoint().parse().unwrap();
        let client = Client::new(endpoint, credentials.clone(), transport.clone());
        client.project(sim.project().clone()).attempt_timeout(LATER)
    };
    let clients: Vec<Client> = ways.iter().map(client).collect();
    join_all((0..MANY).map(|number| clients[number % clients.len()].job(sim.job()))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_refusals_are_one_refresh() {
    let (sim, server) = server().await;
    let endpoint = server.endpoint().parse().unwrap();
    let identity = Identity::new(endpoint, sim.login(), trusting(server.ca_pem()));
    let credentials = Credentials::provided(identity);
    let first = Client::new(
        server.endpoint().parse().unwrap(),
        credentials.clone(),
        trusting(server.ca_pem()),
    );
    assert!(!first.job(sim.job()).await.unwrap().renewed);
    assert_eq!((sim.logins(), sim.requests()), (1, 2));

    sim.expire_tokens();
    let readings = many(&sim, &server, &[credentials]).await;
    assert!(readings.iter().all(Result::is_ok));
    assert_eq!(sim.logins(), 2);
    // Who came after the refresh had the new token at once.
    let renewed = readings.iter().flatten().filter(|reading| reading.renewed).count();
    assert!(renewed > 0);
    assert_eq!(sim.requests() as usize, 2 + 1 + MANY + renewed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_wrong_signatures_are_one() {
    let (sim, server) = server().await;
    let right = sim.access_key();
    // Two texts of the same key are the same key.
    let wrong = || Credentials::access_key(AccessKey::new(right.access_key(), "wrong").unwrap());
    let outcomes = many(&sim, &server, &[wrong(), wrong()]).await;
    assert_eq!(sim.requests(), 1);
    let (mut refused, mut unsent) = (0, 0);
    for error in outcomes.into_iter().map(Result::unwrap_err) {
        assert!(error.class() == Class::Unauthorized && error.is_wrong_signature());
        match error.stage() {
            FetchStage::Status { .. } => refused += 1,
            FetchStage::Credentials(CredentialsFault::WrongSignature(_)) => unsent += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((refused, unsent), (1, MANY - 1));
    // The right one is another key.
    let right = many(&sim, &server, &[Credentials::access_key(right)]).await;
    assert!(right.iter().all(Result::is_ok));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_twelve_hours_off_is_learnt_from_one_reply() {
    for hours in [12, -12] {
        let (sim, server) = server_ahead(SignedDuration::from_hours(hours)).await;
        let wrong = AccessKey::new(sim.access_key().access_key(), format!("wrong{hours}")).unwrap();
        let outcomes = many(&sim, &server, &[Credentials::access_key(wrong)]).await;
        assert!(
            outcomes
                .iter()
                .all(|outcome| outcome.as_ref().is_err_and(FetchError::is_wrong_signature))
        );
        assert_eq!(sim.requests(), 2);

        let (sim, server) = server_ahead(SignedDuration::from_hours(hours)).await;
        let key = Credentials::access_key(sim.access_key());
        let outcomes = many(&sim, &server, &[key]).await;
        assert!(outcomes.iter().all(Result::is_ok));
        assert_eq!(sim.requests() as usize, MANY + 1);
    }
}

#[tokio::test]
async fn clients_that_were_made_at_different_times_share_what_was_learnt() {
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
async fn what_the_gateway_repeats_of_a_request_hides_its_security_token() {
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
