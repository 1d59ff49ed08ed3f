//! A deployment of the waits: its settings, and the services that the engine calls. Decides nothing.

use std::{
    fmt,
    future::Future,
    hash::{BuildHasher, RandomState},
    mem,
    sync::Arc,
    time::Duration,
};

use job_poller::{Adaptive, Schedule, WaitPolicy};
use job_transport::{Client, Clock, TokioClock, Transport};
use restate_sdk::{
    endpoint::{Builder, Endpoint, ServiceOptions},
    service::IntoServiceDefinition,
};
use tokio::net::TcpListener;

use super::serve;
use crate::{
    budget::{JobBudget, Lease},
    metrics::Metrics,
    notify::{DisabledNotifier, JobNotifier, Notifier},
    wait::JobWait,
};

/// Settings of the waits for jobs on the durable engine Restate.
///
/// ```
/// # use std::sync::Arc;
/// # use job_sim::{Plan, Sim, SimTransport, TimeSource};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let sim = Arc::new(Sim::new(Plan::create_cluster(), TimeSource::Clock));
/// # let client = sim.client("https://cce.example".parse()?, SimTransport::new(sim.clone()));
/// use job_restate::Deployment;
/// use job_transport::{HyperTransport, TlsConfig, TlsProvider};
/// use tokio::net::TcpListener;
///
/// let to_engine = HyperTransport::new(TlsConfig::platform(TlsProvider::aws_lc_rs())?);
/// let deployment = Deployment::new(client, to_engine, "http://localhost:8080")
///     .requests_per_second(50.0)
///     .max_in_flight(20);
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// # let until_stopped = async {};
/// deployment.serve(listener, until_stopped).await?;
/// # Ok(()) }
/// ```
#[must_use = "a deployment does nothing until it is served"]
pub struct Deployment {
    client: Client,
    transport: Arc<dyn Transport>,
    ingress: String,
    clock: Arc<dyn Clock>,
    schedule: Arc<dyn Schedule>,
    policy: WaitPolicy,
    notifier: Arc<dyn Notifier>,
    per_second: f64,
    max_in_flight: usize,
    retention: Duration,
    identity_keys: Vec<String>,
}

/// A key that is none of an engine's.
#[derive(Debug, thiserror::Error)]
#[error("an engine's public key begins with publickeyv1_")]
#[non_exhaustive]
pub struct IdentityKeyError;

impl Deployment {
    /// Creates a deployment that asks with this client, for the project of each wait; it reaches the engine's
    /// ingress, such as `http://localhost:8080`, by this transport, to get its part of the budget.
    pub fn new(
        client: Client,
        transport: impl Transport + 'static,
        ingress: impl Into<String>,
    ) -> Self {
        Self {
            client,
            transport: Arc::new(transport),
            ingress: ingress.into(),
            clock: Arc::new(TokioClock::new()),
            schedule: Arc::new(Adaptive::new()),
            policy: WaitPolicy::new(),
            notifier: Arc::new(DisabledNotifier),
            per_second: 50.0,
            max_in_flight: 20,
            retention: Duration::from_secs(24 * 3600),
            identity_keys: Vec::new(),
        }
    }

    /// Sets the limits that a wait has unless it asks for others. See [`WaitPolicy`] for the default.
    pub const fn policy(mut self, policy: WaitPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Sets the schedule of the waits; [`Adaptive::new`] by default.
    pub fn schedule(mut self, schedule: impl Schedule + 'static) -> Self {
        self.schedule = Arc::new(schedule);
        self
    }

    /// Sets how notifications are delivered. By default there are none, and only `status` has the result.
    pub fn notifier(mut self, notifier: impl Notifier + 'static) -> Self {
        self.notifier = Arc::new(notifier);
        self
    }

    /// Sets how many requests a second may leave, of all services of this deployment together; 50 by default, from
    /// 0.001 to 10⁹. Whichever service is asked last decides, should they differ.
    pub const fn requests_per_second(mut self, requests: f64) -> Self {
        self.per_second = requests;
        self
    }

    /// Sets how many requests may be in flight, of all services together; 20 by default, at least 1.
    pub const fn max_in_flight(mut self, requests: usize) -> Self {
        self.max_in_flight = requests;
        self
    }

    /// Sets how long a finished wait is stored for `status`; a day by default, at most ten years.
    pub const fn retention(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    /// Takes invocations from the engine alone that has this public key (`publickeyv1_..`). By default from whoever
    /// reaches the port. [`serve`](Self::serve) returns an error if the text is not such a key.
    pub fn identity_key(mut self, key: impl Into<String>) -> Self {
        self.identity_keys.push(key.into());
        self
    }

    fn bind_services(self, builder: Builder, lease: Arc<Lease>, metrics: Arc<Metrics>) -> Builder {
        let Self {
            client,
            clock,
            schedule,
            policy,
            notifier,
            per_second,
            max_in_flight,
            retention,
            ..
        } = self;
        let delivery = JobNotifier::new(notifier.clone(), metrics.clone());
        let wait = JobWait { client, clock, schedule, policy, notifier, retention, lease, metrics };
        let budget = JobBudget::new(per_second, max_in_flight);
        let delivery_options = service_options().idempotency_retention(NOTIFICATION_DEDUP_PERIOD);
        builder
            .bind(wait.into_service_definition().options(service_options()))
            .bind(budget.into_service_definition().options(service_options()))
            .bind(delivery.into_service_definition().options(delivery_options))
    }

    /// Serves the waits over HTTP/2, and beside them `/health`, `/ready` and `/metrics`, also over HTTP/1.1, until the
    /// future ends, and returns its output. The grant is given back then, and invocations under way have
    /// ten seconds; what is cut off, the engine calls again.
    ///
    /// # Errors
    ///
    /// Where an identity key is none.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cuts off all invocations under way.
    pub async fn serve<T>(
        mut self,
        listener: TcpListener,
        until: impl Future<Output = T>,
    ) -> Result<T, IdentityKeyError> {
        let metrics = Arc::new(Metrics::new());
        let service = RandomState::new().hash_one(0);
        let lease = Arc::new(Lease::new(service, self.clock.clone()));
        let (transport, ingress) = (self.transport.clone(), mem::take(&mut self.ingress));
        let mut builder = Endpoint::builder();
        for key in mem::take(&mut self.identity_keys) {
            builder = builder.identity_key(&key).map_err(|_| IdentityKeyError)?;
        }
        let endpoint = self.bind_services(builder, lease.clone(), metrics.clone()).build();
        let until = async {
            let ended = tokio::select! {
                ended = until => ended,
                never = lease.run(&*transport, &ingress) => match never {},
            };
            // As long as this service is there: the engine may have no other that takes it back.
            lease.release(&*transport, &ingress).await;
            ended
        };
        Ok(serve(listener, endpoint, metrics, lease.clone(), until).await)
    }
}

/// How long the engine recognizes a repeated notification.
const NOTIFICATION_DEDUP_PERIOD: Duration = Duration::from_secs(7 * 24 * 3600);

/// The options of each call: the engine stores no journal of a finished call, and retries for ever instead of for an
/// hour or so.
fn service_options() -> ServiceOptions {
    ServiceOptions::new()
        .journal_retention(Duration::ZERO)
        .retry_policy_initial_interval(Duration::from_millis(50))
        .retry_policy_exponentiation_factor(2.0)
        .retry_policy_max_interval(Duration::from_secs(10))
        .retry_policy_max_attempts(1_000_000_000)
}

impl fmt::Debug for Deployment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deployment")
            .field("requests_per_second", &self.per_second)
            .field("max_in_flight", &self.max_in_flight)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}
