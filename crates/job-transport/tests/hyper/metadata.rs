//! Tests requests to services on the same host: plain http, without the proxy and without redirects.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use job_sim::{IdentityFlow, Plan, Sim, SimServer, TimeSource};
use job_transport::{
    Client, Credentials, ErrorClass,
    auth::{MetadataService, ProvideCredentials},
    hyper::Proxy,
};

use crate::support::*;

#[tokio::test]
async fn the_metadata_service_is_asked_directly_and_redirects_are_not_followed() {
    let sim = Sim::new(Plan::create_cluster(), TimeSource::PerRequest(Duration::from_secs(1)));
    let sim = Arc::new(sim);
    let plain = SimServer::start_plain(sim.clone(), (Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();
    let server = SimServer::start(sim.clone()).await.unwrap();
    let proxy = TestServer::start(|_| async {}).await;
    let transport = trusting(server.ca_pem());
    let proxied = transport
        .clone()
        .proxy(Proxy::new(&format!("http://127.0.0.1:{}", proxy.port), "").unwrap());
    let metadata = || MetadataService::with_url(&plain.endpoint(), proxied.clone()).unwrap();

    let credentials = Credentials::from_provider(metadata());
    let client = Client::new(server.endpoint().parse().unwrap(), credentials, transport);
    let client = client.project(sim.project().clone());
    assert!(client.job(sim.job()).await.is_ok());
    assert_eq!(sim.last_caller().as_deref(), Some("agency of the machine"));

    sim.inject_fault("page:302".parse().unwrap());
    let error = metadata().provide().await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Permanent);
    assert_eq!(sim.identity_requests(IdentityFlow::MetadataKey), 1);
    assert_eq!(proxy.connections(), 0);
}
