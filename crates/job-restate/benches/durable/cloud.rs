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
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use job_model::JobId;
use job_sim::{Fault, Sim, SimTransport};
use job_transport::{
    clock::{Clock, TokioClock},
    transport::Transport,
};
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
    /// The times of the requests, by path.
    requests: Mutex<BTreeMap<String, Vec<Duration>>>,
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
        let serving = cloud.clone();
        http_server::serve(listener, move |request| serving.clone().handle(request));
        Ok(cloud)
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
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
        let requests = lock(&self.shared.requests);
        let suffix = format!("/{job}");
        let times = requests.iter().filter(|(path, _)| path.ends_with(&suffix));
        times.flat_map(|(_, times)| times.iter().copied()).collect()
    }

    async fn handle(self, request: Request<Incoming>) -> anyhow::Result<Response<Full<Bytes>>> {
        let _in_flight = InFlight::new(&self.shared);
        let path = request.uri().path().to_owned();
        lock(&self.shared.requests).entry(path).or_default().push(self.clock.monotonic());
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        if !self.latency.is_zero() {
            self.clock.sleep(self.latency).await;
        }
        if let Some(fault) = lock(&self.shared.fault).clone() {
            self.sim.inject_fault(fault);
        }
        let reply = self.transport.send(Request::from_parts(parts, body)).await?;
        Ok(reply.map(Full::from))
    }
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
