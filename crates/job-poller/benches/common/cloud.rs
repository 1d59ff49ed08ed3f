//! A server for the simulated cloud that replies late, injects faults, and records what it
//! receives.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use job_model::JobId;
use job_sim::{Fault, Sim, SimTransport};
use job_transport::{
    clock::{Clock, TokioClock},
    transport::Transport,
};
use serde_json::json;
use tokio::net::TcpListener;

use crate::http_server;

/// A server for a simulated cloud on loopback, without TLS.
#[derive(Clone)]
pub(crate) struct Cloud {
    address: SocketAddr,
    latency: Duration,
    transport: SimTransport,
    sim: Arc<Sim>,
    clock: TokioClock,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    in_flight: AtomicU32,
    most_in_flight: AtomicU32,
    /// The fault of all requests.
    fault: Mutex<Option<Fault>>,
    /// The requests, by the last segment of their path: the id of a job or an object.
    readings: Mutex<BTreeMap<String, Vec<Reading>>>,
    endpoints: AtomicU32,
}

/// A request as the cloud has seen it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    /// The number of the endpoint that received it.
    pub(crate) endpoint: u32,
    /// When it arrived, by [`TokioClock::monotonic`].
    pub(crate) received_at: Duration,
    /// When the reply was sent, or `None` if the client has closed the connection before.
    pub(crate) answered_at: Option<Duration>,
    /// Whether the reply says that the job has ended.
    pub(crate) is_end: bool,
}

impl Cloud {
    /// Starts a server that replies to each request after `latency`.
    pub(crate) async fn start(sim: Arc<Sim>, latency: Duration) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let cloud = Self {
            address: listener.local_addr()?,
            latency,
            transport: SimTransport::new(sim.clone()),
            sim,
            clock: TokioClock::new(),
            shared: Arc::default(),
        };
        cloud.serve(listener);
        Ok(cloud)
    }

    fn serve(&self, listener: TcpListener) {
        let endpoint = self.shared.endpoints.fetch_add(1, Ordering::Relaxed);
        let serving = self.clone();
        http_server::serve(listener, move |request| serving.clone().handle(endpoint, request));
    }

    /// Returns the first endpoint, whose number is 0.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Adds an endpoint, whose number is the number of endpoints before. It shows which client has
    /// sent a request.
    pub(crate) async fn add_endpoint(&self) -> anyhow::Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        self.serve(listener);
        Ok(format!("http://{address}"))
    }

    /// Replaces the fault of all requests from now on.
    pub(crate) fn set_fault(&self, fault: Option<Fault>) {
        *lock(&self.shared.fault) = fault;
    }

    /// Returns the highest number of requests in flight so far.
    pub(crate) fn most_in_flight(&self) -> u32 {
        self.shared.most_in_flight.load(Ordering::Relaxed)
    }

    /// Returns when the job was read, by [`TokioClock::monotonic`].
    pub(crate) fn reading_times(&self, job: &JobId) -> Vec<Duration> {
        let readings = lock(&self.shared.readings);
        let of_job = readings.get(job.as_str()).into_iter().flatten();
        of_job.map(|reading| reading.received_at).collect()
    }

    /// Returns all requests so far, by the id of the job or object.
    pub(crate) fn readings(&self) -> BTreeMap<String, Vec<Reading>> {
        lock(&self.shared.readings).clone()
    }

    async fn handle(
        self,
        endpoint: u32,
        request: Request<Incoming>,
    ) -> anyhow::Result<Response<Full<Bytes>>> {
        let _in_flight = InFlight::new(&self.shared);
        let id = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        let received_at = self.clock.monotonic();
        let reading = Reading { endpoint, received_at, answered_at: None, is_end: false };
        let index = {
            let mut readings = lock(&self.shared.readings);
            let of_job = readings.entry(id.clone()).or_default();
            of_job.push(reading);
            of_job.len() - 1
        };
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        if !self.latency.is_zero() {
            self.clock.sleep(self.latency).await;
        }
        if let Some(fault) = lock(&self.shared.fault).clone() {
            self.sim.inject_fault(fault);
        }
        let reply = self.transport.send(Request::from_parts(parts, body)).await?;
        if let Some(reading) =
            lock(&self.shared.readings).get_mut(&id).and_then(|of_job| of_job.get_mut(index))
        {
            reading.answered_at = Some(self.clock.monotonic());
            reading.is_end = is_end(reply.body());
        }
        Ok(reply.map(Full::from))
    }
}

/// Returns whether a body is a job that has ended.
fn is_end(body: &[u8]) -> bool {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    matches!(body["status"]["phase"].as_str(), Some("Success" | "Failed"))
}

/// Counts a request in flight until it is dropped.
struct InFlight<'a>(&'a Shared);

impl<'a> InFlight<'a> {
    fn new(shared: &'a Shared) -> Self {
        let now = shared.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        shared.most_in_flight.fetch_max(now, Ordering::Relaxed);
        Self(shared)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns a reply of the gateway that throttles without the header `Retry-After`.
pub(crate) fn without_retry_after() -> anyhow::Result<Fault> {
    let body = json!({"error_code": "APIGW.0308", "error_msg": "The throttling threshold has been reached"});
    let reply = Response::builder()
        .status(StatusCode::TOO_MANY_REQUESTS)
        .header(CONTENT_TYPE, "application/json")
        .body(Bytes::from(body.to_string()))?;
    Ok(Fault::Reply(reply))
}
