//! What the client puts into its one request. No socket.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_core::future::BoxFuture;
use http::{Request, Response};
use job_transport::{Client, Credentials, FetchStage, Transport, TransportError};

/// Keeps the request and answers that the job runs.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<Request<Bytes>>>>);

impl Transport for Recorder {
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        self.0.lock().unwrap().push(request);
        let body = Bytes::from_static(br#"{"kind": "Job", "status": {"phase": "Running"}}"#);
        Box::pin(async { Ok(Response::new(body)) })
    }
}

#[tokio::test]
async fn the_request_is_the_reference_pages_and_no_more() {
    let recorder = Recorder::default();
    let client = Client::new(
        "https://cce.example/prefix/".parse().unwrap(),
        Credentials::token("canary").unwrap(),
        recorder.clone(),
    )
    .project("the project".parse().unwrap());
    client.job(&"354331b2c-229a-11e8-9c75-0255ac100ceb".parse().unwrap()).await.unwrap();

    let requests = recorder.0.lock().unwrap();
    let [request] = &requests[..] else { panic!("one attempt, one request: {requests:?}") };
    insta::assert_debug_snapshot!((request.method(), request.uri(), request.headers()));
    insta::assert_debug_snapshot!(client);
    assert_eq!(request.headers()["X-Auth-Token"], "canary");
    assert!(request.body().is_empty());
    assert!(!format!("{request:?}").contains("canary"));
}

#[tokio::test]
async fn a_uri_too_long_to_send_is_an_error_not_a_panic() {
    let client = Client::new(
        format!("https://cce.example/{}", "a".repeat(65_500)).parse().unwrap(),
        Credentials::token("canary").unwrap(),
        Recorder::default(),
    )
    .project("project".parse().unwrap());
    let error = client.job(&"job".parse().unwrap()).await.unwrap_err();
    let FetchStage::Transport(error) = error.stage() else { panic!("{error:?}") };
    assert_eq!(error.kind(), job_transport::TransportErrorKind::InvalidRequest);
}
