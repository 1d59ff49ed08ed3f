//! The simulated service of the fleet tests, which records its requests.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use job_model::JobId;
use job_sim::{Plan, Sim, SimTransport, TimeSource};
use job_transport::{
    Client,
    transport::{Transport, TransportError},
};
use tokio::time::Instant;

/// The simulated service in memory, with a latency. Records the time of each request.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) sim: Arc<Sim>,
    inner: SimTransport,
    started_at: Instant,
    pub(crate) requests: Arc<Mutex<Vec<(Duration, String)>>>,
    /// The number of requests in flight, now and at most.
    pub(crate) in_flight: Arc<Mutex<(usize, usize)>>,
}

pub(crate) const REPLY_LATENCY: Duration = Duration::from_millis(20);

impl Transport for Service {
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        let id = request.uri().path().rsplit('/').next().unwrap().to_owned();
        self.requests.lock().unwrap().push((self.started_at.elapsed(), id));
        let mut in_flight = self.in_flight.lock().unwrap();
        *in_flight = (in_flight.0 + 1, in_flight.1.max(in_flight.0 + 1));
        drop(in_flight);
        Box::pin(async {
            sleep_for(REPLY_LATENCY).await;
            let reply = self.inner.send(request).await;
            self.in_flight.lock().unwrap().0 -= 1;
            reply
        })
    }
}

impl Service {
    pub(crate) fn new(sim: Sim) -> Self {
        let sim = Arc::new(sim);
        #[expect(clippy::disallowed_methods, reason = "the paused clock")]
        let started_at = Instant::now();
        let inner = SimTransport::new(sim.clone());
        Self { sim, inner, started_at, requests: Arc::default(), in_flight: Arc::default() }
    }

    pub(crate) fn with_default_plan() -> Self {
        Self::new(Sim::new(Plan::create_cluster(), TimeSource::Clock))
    }

    pub(crate) fn client(&self) -> Client {
        self.sim.client("https://cce.example".parse().unwrap(), self.clone())
    }

    /// Adds `count` jobs that take some minutes. One in four fails.
    pub(crate) fn add_jobs(&self, count: u64) -> Vec<(JobId, bool)> {
        let job = |seed: u64| {
            let plan = Plan::create_cluster().slower(60).with_random_durations(seed);
            let fails = seed.is_multiple_of(4);
            let plan = if fails { plan.with_failure("no such flavor") } else { plan };
            (self.sim.add(plan), fails)
        };
        (0..count).map(job).collect()
    }

    pub(crate) fn request_count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }
}

/// Advances the paused clock.
#[expect(clippy::disallowed_methods, reason = "the paused clock")]
pub(crate) async fn sleep_for(span: Duration) {
    tokio::time::sleep(span).await;
}

pub(crate) const SECOND: Duration = Duration::from_secs(1);
