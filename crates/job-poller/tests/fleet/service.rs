//! The service that the fleets ask, and what it was asked. Tests nothing.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use job_model::JobId;
use job_sim::{Pace, Plan, Sim, SimTransport};
use job_transport::{Client, Transport, TransportError};
use tokio::time::Instant;

/// The service in memory, whose replies take a moment, and when each job was asked for.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) sim: Arc<Sim>,
    inner: SimTransport,
    began: Instant,
    pub(crate) asked: Arc<Mutex<Vec<(Duration, String)>>>,
    /// How many requests are in flight, and how many ever were.
    pub(crate) in_flight: Arc<Mutex<(usize, usize)>>,
}

pub(crate) const TAKES: Duration = Duration::from_millis(20);

impl Transport for Service {
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        let id = request.uri().path().rsplit('/').next().unwrap().to_owned();
        self.asked.lock().unwrap().push((self.began.elapsed(), id));
        let mut flying = self.in_flight.lock().unwrap();
        *flying = (flying.0 + 1, flying.1.max(flying.0 + 1));
        drop(flying);
        Box::pin(async {
            pass(TAKES).await;
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
        let began = Instant::now();
        let inner = SimTransport::new(sim.clone());
        Self { sim, inner, began, asked: Arc::default(), in_flight: Arc::default() }
    }

    pub(crate) fn usual() -> Self {
        Self::new(Sim::new(Plan::create_cluster(), Pace::Clock))
    }

    pub(crate) fn client(&self) -> Client {
        self.sim.client("https://cce.example".parse().unwrap(), self.clone())
    }

    /// Adds so many jobs of some minutes, one in four of which fails.
    pub(crate) fn jobs(&self, many: u64) -> Vec<(JobId, bool)> {
        let job = |seed: u64| {
            let plan = Plan::create_cluster().slower(60).drawn(seed);
            let fails = seed.is_multiple_of(4);
            let plan = if fails { plan.failing("no such flavor") } else { plan };
            (self.sim.add(plan), fails)
        };
        (0..many).map(job).collect()
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

/// Lets virtual time pass.
#[expect(clippy::disallowed_methods, reason = "the paused clock")]
pub(crate) async fn pass(span: Duration) {
    tokio::time::sleep(span).await;
}

pub(crate) const SECOND: Duration = Duration::from_secs(1);
