//! Tests that redirects are not followed and credentials are not sent elsewhere.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header::LOCATION};
use job_sim::Fault;
use job_transport::{Client, Credentials, ErrorClass, FetchErrorKind};

use crate::support::*;

#[tokio::test]
async fn redirects_are_not_followed_and_credentials_not_forwarded() {
    let (sim, server) = server().await;
    let (_, elsewhere) = self::server().await;
    let transport = trusting(server.ca_pem());
    let targets = [
        format!("{}/elsewhere", server.endpoint()),
        format!("{}/elsewhere", elsewhere.endpoint()),
        "/".into(),
        "//127.0.0.1:1/".into(),
        String::new(),
    ];
    let ways = [sim.credentials(), Credentials::access_key(sim.access_key())];
    let mut requests = 0;
    for code in 300..=308 {
        for target in &targets {
            for credentials in &ways {
                let mut reply = Response::new(Bytes::new());
                *reply.status_mut() = StatusCode::from_u16(code).unwrap();
                reply.headers_mut().insert(LOCATION, HeaderValue::try_from(target).unwrap());
                sim.inject_fault(Fault::Reply(reply));
                let endpoint = server.endpoint().parse().unwrap();
                let project = sim.project().clone();
                let client =
                    Client::new(endpoint, credentials.clone(), transport.clone()).project(project);
                let error = client.job(sim.job()).await.unwrap_err();
                let is_status = error.kind() == FetchErrorKind::Status(code);
                assert!(is_status && error.class() == ErrorClass::Permanent, "{code}: {error:?}");
                requests += 1;
                assert_eq!(sim.requests(), requests, "{code} {target:?} {credentials:?}");
            }
        }
    }
    assert_eq!(elsewhere.connections(), 0);
}
