//! The settings of a deployment, and the services that it binds for the engine.

use std::{
    convert::Infallible,
    fmt,
    future::{Future, pending},
    hash::{BuildHasher, RandomState},
    mem,
    sync::Arc,
    time::Duration,
};

use job_notify::Notifier;
use job_poller::{
    WaitPolicy,
    schedule::{Adaptive, Schedule},
};
use job_transport::{
    Client,
    clock::{Clock, TokioClock},
    transport::Transport,
};
use restate_sdk::{
    endpoint::{Builder, Endpoint, ServiceOptions},
    service::IntoServiceDefinition,
};
use tokio::net::TcpListener;

use super::serve;
use crate::{
    budget::{JobBudget, ServiceBudget},
    engine::engine_time,
    metrics::Metrics,
    notify::{DisabledNotifier, JobNotifier},
    reference_clock::{ReferenceClock, TimeSource},
    wait::JobWait,
    watchdog::Watchdog,
};

/// A service for the durable engine Restate that waits for jobs.
///
/// Set the options, then call [`serve`](Self::serve). Several processes may serve the same
/// deployment behind one address; they share the request budget. Give all of them the same options.
///
/// # Examples
///
/// ```
/// # use std::sync::Arc;
/// # use job_sim::{Plan, Sim, SimTransport, TimeSource};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let sim = Arc::new(Sim::new(Plan::create_cluster(), TimeSource::Clock));
/// # let client = sim.client("https://cce.example".parse()?, SimTransport::new(sim.clone()));
/// use job_restate::Deployment;
/// use job_transport::hyper::{HyperTransport, TlsConfig, TlsProvider};
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
#[must_use = "a deployment does nothing until `serve` is called"]
pub struct Deployment {
    client: Client,
    transport: Arc<dyn Transport>,
    ingress: String,
    admin: Option<String>,
    clock: Arc<dyn Clock>,
    schedule: Arc<dyn Schedule>,
    policy: WaitPolicy,
    notifier: Arc<dyn Notifier>,
    per_second: f64,
    max_in_flight: usize,
    retention: Duration,
    identity_keys: Vec<String>,
}

/// The error for a text that is not the public key of an engine.
#[derive(Debug, thiserror::Error)]
#[error("not an engine's public key: it begins with publickeyv1_ and holds 32 bytes in base58")]
#[non_exhaustive]
pub struct IdentityKeyError;

impl Deployment {
    /// Creates a deployment with the default options.
    ///
    /// `client` reads the jobs; each wait sets the project of its key. `transport` sends the
    /// requests to the engine's ingress at `ingress`, such as `http://localhost:8080`, to obtain a
    /// part of the budget.
    pub fn new(
        client: Client,
        transport: impl Transport + 'static,
        ingress: impl Into<String>,
    ) -> Self {
        Self {
            client,
            transport: Arc::new(transport),
            ingress: ingress.into(),
            admin: None,
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

    /// Sets the URL of the engine's admin API, to find lost ticks.
    ///
    /// A tick is lost if an operator kills its invocation, or cancels it before it runs. The service
    /// asks `admin`, such as `http://localhost:9070`, for such waits about once a minute, and schedules
    /// their ticks again. By default, such a wait stands still until the next `watch`.
    pub fn admin(mut self, admin: impl Into<String>) -> Self {
        self.admin = Some(admin.into());
        self
    }

    /// Sets the default limits of a wait, which a [`WatchRequest`](crate::WatchRequest) can
    /// override.
    ///
    /// The default is [`WaitPolicy::new`].
    pub const fn policy(mut self, policy: WaitPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Sets the schedule of the waits.
    ///
    /// The default is [`Adaptive::new`].
    pub fn schedule(mut self, schedule: impl Schedule + 'static) -> Self {
        self.schedule = Arc::new(schedule);
        self
    }

    /// Sets how notifications are delivered, for example a [`Webhook`](crate::Webhook).
    ///
    /// By default there are no notifications: a request with `notify` is rejected, and only
    /// `status` returns the result.
    pub fn notifier(mut self, notifier: impl Notifier + 'static) -> Self {
        self.notifier = Arc::new(notifier);
        self
    }

    /// Sets the maximum number of requests per second of all services of the deployment together.
    ///
    /// The default is 50. Values outside 0.001 to 10⁹ are clamped. If services have different
    /// values, the budget object uses the value of the service that answered its last call.
    pub const fn requests_per_second(mut self, requests: f64) -> Self {
        self.per_second = requests;
        self
    }

    /// Sets the maximum number of requests in flight of all services of the deployment together.
    ///
    /// The default is 20, the minimum 1.
    pub const fn max_in_flight(mut self, requests: usize) -> Self {
        self.max_in_flight = requests;
        self
    }

    /// Sets how long `status` returns the result of a finished wait.
    ///
    /// The default is one day, the maximum ten years. After that time the wait is deleted.
    pub const fn retention(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    /// Accepts calls only from the engine with this public key (`publickeyv1_..`).
    ///
    /// Can be called several times to accept several keys. By default, any client that can
    /// reach the port can call the service. `/health`, `/ready` and `/metrics` are always open.
    /// [`serve`](Self::serve) returns an error if the key is invalid.
    pub fn identity_key(mut self, key: impl Into<String>) -> Self {
        self.identity_keys.push(key.into());
        self
    }

    fn bind_services(
        self,
        builder: Builder,
        clock: Arc<ReferenceClock>,
        budget: Arc<ServiceBudget>,
        metrics: Arc<Metrics>,
    ) -> Builder {
        let Self {
            client, schedule, policy, notifier, per_second, max_in_flight, retention, ..
        } = self;
        let delivery = JobNotifier::new(notifier.clone(), clock.clone(), metrics.clone());
        let wait =
            JobWait { client, clock, schedule, policy, notifier, retention, budget, metrics };
        let shared = JobBudget::new(per_second, max_in_flight);
        // A lost report does no harm, but one that fails for ever would block all others.
        let budget_options = service_options()
            .retry_policy_max_attempts(MAX_REPORT_ATTEMPTS)
            .retry_policy_kill_on_max_attempts();
        let delivery_options = service_options().idempotency_retention(NOTIFICATION_DEDUP_PERIOD);
        builder
            .bind(wait.into_service_definition().options(service_options()))
            .bind(shared.into_service_definition().options(budget_options))
            .bind(delivery.into_service_definition().options(delivery_options))
    }

    /// Serves on `listener` until the future `until` completes, and returns its output.
    ///
    /// The engine calls the service over HTTP/2. `/health`, `/ready` and `/metrics` also work over
    /// HTTP/1.1:
    ///
    /// - `/health` returns 200 while the process runs;
    /// - `/ready` returns 200 while the service may send requests and its clock is right within 5 s,
    ///   and otherwise 503 with the reason. Use it for alerts, and `/health` for readiness probes,
    ///   because the engine must reach the service before the service is ready;
    /// - `/metrics` returns the Prometheus metrics of this process.
    ///
    /// To stop, the service leaves the budget to the others and gives calls in progress up to ten seconds to
    /// finish. The engine repeats calls that are interrupted.
    ///
    /// # Errors
    ///
    /// Returns an error if an identity key is invalid.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future interrupts all calls in progress. The engine repeats them, but the
    /// other services get its requests in flight only after about ten seconds.
    pub async fn serve<T>(
        mut self,
        listener: TcpListener,
        until: impl Future<Output = T>,
    ) -> Result<T, IdentityKeyError> {
        let metrics = Arc::new(Metrics::new());
        let clock = Arc::new(ReferenceClock::new(self.clock.clone()));
        let service = RandomState::new().hash_one(0);
        let budget = Arc::new(ServiceBudget::new(service, clock.clone()));
        let (transport, ingress) = (self.transport.clone(), mem::take(&mut self.ingress));
        // Before the first tick, because a tick stores times.
        let is_measured = measure_clock(&clock, &*transport, &ingress).await;
        let watchdog = self.admin.take().map(|admin| {
            Watchdog::new(transport.clone(), admin, &ingress, self.clock.clone(), metrics.clone())
        });
        let mut builder = Endpoint::builder();
        for key in mem::take(&mut self.identity_keys) {
            builder = builder.identity_key(&key).map_err(|_| IdentityKeyError)?;
        }
        let endpoint =
            self.bind_services(builder, clock.clone(), budget.clone(), metrics.clone()).build();
        // In a box, because a large future costs its size in each future around it.
        let until = Box::pin(async {
            let ended = tokio::select! {
                ended = until => ended,
                never = budget.run(&*transport, &ingress) => match never {},
                never = async {
                    match watchdog {
                        Some(watchdog) => watchdog.run().await,
                        None => pending().await,
                    }
                } => match never {},
                never = async {
                    while !is_measured && !measure_clock(&clock, &*transport, &ingress).await {}
                    pending::<Infallible>().await
                } => match never {},
            };
            // Leave the budget while this service still accepts calls, because the engine may have
            // no other service that can run the budget object.
            budget.leave(&*transport, &ingress).await;
            ended
        });
        Ok(serve(listener, endpoint, metrics, clock.clone(), budget.clone(), until).await)
    }
}

/// How long the engine may take to report its time.
const CLOCK_TIMEOUT: Duration = Duration::from_secs(1);

/// Measures the clock with the engine's time, and returns whether it answered.
async fn measure_clock(clock: &ReferenceClock, transport: &dyn Transport, ingress: &str) -> bool {
    let began = clock.monotonic();
    tokio::select! {
        Ok(date) = engine_time(transport, ingress) => {
            let latency = clock.monotonic().saturating_sub(began);
            clock.handle_reply(TimeSource::Engine, latency, date);
            true
        }
        () = clock.sleep(CLOCK_TIMEOUT) => false,
    }
}

/// How often the engine tries to run a report to the budget object.
const MAX_REPORT_ATTEMPTS: u64 = 10;

/// How long the engine recognizes a repeated request to deliver a notification.
const NOTIFICATION_DEDUP_PERIOD: Duration = Duration::from_secs(7 * 24 * 3600);

/// Returns the options of each service: the engine keeps no journals of finished calls, and retries
/// forever instead of for about an hour.
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
