//! Reads a text as an endpoint and another as a job id. If both are accepted, the id is a single
//! segment of the request's path.
#![no_main]

use bytes::Bytes;
use cce_job_fuzz::run_within_time;
use futures_util::{FutureExt, future::BoxFuture};
use http::{Request, Response};
use job_model::JobId;
use job_transport::{
    Client, Credentials, Endpoint,
    clock::Clock,
    transport::{Transport, TransportError},
};
use libfuzzer_sys::fuzz_target;

struct PathChecker;

impl Transport for PathChecker {
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        let path = request.uri().path();
        let (_, job) = path.rsplit_once("/jobs/").expect("the path has the segment `jobs`");
        assert!(!job.is_empty() && !job.contains('/'), "{path}");
        assert!(request.uri().query().is_none(), "{}", request.uri());
        assert!(path.ends_with(&format!("/api/v3/projects/project/jobs/{job}")), "{path}");
        Box::pin(async { Ok(Response::new(Bytes::new())) })
    }
}

struct FrozenClock;

impl Clock for FrozenClock {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::UNIX_EPOCH
    }

    fn monotonic(&self) -> std::time::Duration {
        std::time::Duration::ZERO
    }

    fn sleep(&self, _: std::time::Duration) -> BoxFuture<'_, ()> {
        Box::pin(std::future::pending())
    }
}

fuzz_target!(|texts: (String, String)| run_within_time(texts.0.len() + texts.1.len(), || {
    let (endpoint, id) = &texts;
    let (Ok(endpoint), Ok(id)) = (endpoint.parse::<Endpoint>(), id.parse::<JobId>()) else {
        return;
    };
    let token = Credentials::token("token").expect("a valid token");
    let client = Client::with_clock(endpoint, token, PathChecker, FrozenClock);
    let client = client.project("project".parse().expect("a valid id"));
    let _ = client.job(&id).now_or_never().expect("the transport replies at once");
}));
