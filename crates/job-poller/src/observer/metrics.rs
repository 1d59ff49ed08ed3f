//! An observer that passes its figures to the crate `metrics`, with names in the style of
//! Prometheus.

use std::fmt;

use job_transport::{ErrorClass, FetchErrorKind};
use metrics::{Counter, Gauge, Histogram, Label, Unit, counter, gauge, histogram};

use super::{
    Observer,
    observations::{
        AttemptFinished, AttemptResult, BudgetStatus, WaitFinished, WaitOutcome, WaitStarted,
    },
};
use crate::machine::WaitErrorKind;

/// Passes the figures of waits to the recorder of the crate `metrics` (version 0.24).
///
/// | metric | kind | labels | value |
/// |---|---|---|---|
/// | `cce_job_waits` | gauge | | waits in progress |
/// | `cce_job_waits_finished_total` | counter | `outcome` | waits that are over, by [`WaitOutcome::as_str`] |
/// | `cce_job_wait_duration_seconds` | histogram | | time from the beginning of a wait to its end |
/// | `cce_job_detection_delay_seconds` | histogram | | time from the end of a job, or from the start of the wait if that is later, until the end was read |
/// | `cce_job_attempts_total` | counter | `result` | attempts, by [`AttemptResult::as_str`] |
/// | `cce_job_attempt_duration_seconds` | histogram | | time from the start of an attempt to its result |
/// | `cce_job_waits_queued` | gauge | | waits of the fleet that wait for the budget |
/// | `cce_job_requests_in_flight` | gauge | | requests of the fleet in flight |
/// | `cce_job_budget_requests_per_second` | gauge | | requests per second that the fleet may send at present |
/// | `cce_job_request_price_seconds` | gauge | | price of a request, as a delay |
/// | `cce_job_throttled_seconds` | gauge | | time until the full number of requests per second is allowed again |
///
/// Every series exists from the beginning, with the value zero. No label contains a job id or
/// another text of the service, so the number of series is bounded.
///
/// Install the recorder first: the observer uses the recorder that is installed when it is created.
/// Without one it does nothing.
///
/// # Examples
///
/// ```
/// # #[cfg(not(feature = "tokio"))]
/// # fn main() {}
/// # use std::sync::Arc;
/// # use job_sim::{Plan, Sim, SimTransport, TimeSource};
/// # #[cfg(feature = "tokio")]
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let sim = Arc::new(Sim::new(Plan::create_cluster(), TimeSource::Clock));
/// # let client = sim.client("https://cce.example".parse()?, SimTransport::new(sim.clone()));
/// # let id = sim.job().clone();
/// use job_poller::{Fleet, observer::MetricsObserver};
///
/// // First install a recorder, for example with the crate `metrics-exporter-prometheus`.
/// let fleet = Fleet::builder(client).observer(MetricsObserver::new()).start();
/// let job = fleet.watch(id).await?.into_success()?;
/// # assert_eq!(job.job_type(), Some("CreateCluster"));
/// # Ok(()) }
/// ```
pub struct MetricsObserver {
    waits: Gauge,
    waits_finished: Counters,
    wait_duration: Histogram,
    detection_delay: Histogram,
    attempts: Counters,
    attempt_duration: Histogram,
    waits_queued: Gauge,
    requests_in_flight: Gauge,
    budget_requests_per_second: Gauge,
    request_price: Gauge,
    throttled: Gauge,
}

/// A counter for each value of a label.
struct Counters(Box<[(&'static str, Counter)]>);

/// The values of the label `result`.
const RESULTS: [AttemptResult; 7] = [
    AttemptResult::Reading,
    AttemptResult::Unchanged,
    error_result(ErrorClass::Transient),
    error_result(ErrorClass::Throttled),
    error_result(ErrorClass::Unauthorized),
    error_result(ErrorClass::NotFound),
    error_result(ErrorClass::Permanent),
];

/// The values of the label `outcome`.
const OUTCOMES: [WaitOutcome; 19] = [
    WaitOutcome::Succeeded,
    WaitOutcome::Failed,
    WaitOutcome::Ready,
    WaitOutcome::Broken,
    WaitOutcome::Gone,
    WaitOutcome::Dropped,
    WaitOutcome::Error(WaitErrorKind::DeadlineExceeded),
    WaitOutcome::Error(WaitErrorKind::Unauthorized),
    WaitOutcome::Error(WaitErrorKind::NotFound),
    WaitOutcome::Error(WaitErrorKind::Vanished),
    WaitOutcome::Error(WaitErrorKind::Mismatch),
    WaitOutcome::Error(WaitErrorKind::Unreadable),
    WaitOutcome::Error(WaitErrorKind::Unreachable),
    WaitOutcome::Error(WaitErrorKind::NotReady),
    WaitOutcome::Error(WaitErrorKind::NoObject),
    WaitOutcome::Error(WaitErrorKind::Permanent),
    WaitOutcome::Error(WaitErrorKind::TooManyErrors),
    WaitOutcome::Error(WaitErrorKind::Stalled),
    WaitOutcome::Error(WaitErrorKind::Stopped),
];

/// Returns a result of this class. Its kind does not affect the label.
const fn error_result(class: ErrorClass) -> AttemptResult {
    AttemptResult::from_error(FetchErrorKind::EmptyBody, class)
}

impl MetricsObserver {
    /// Describes and registers all metrics with the current recorder.
    #[must_use]
    pub fn new() -> Self {
        Self::from_labels(&[])
    }

    /// Like [`new`](Self::new), and adds a label to all metrics.
    ///
    /// Use it if a process has several fleets, because each sets the gauges of its own budget. The
    /// label must not be `result` or `outcome`.
    ///
    /// # Examples
    ///
    /// ```
    /// use job_poller::observer::MetricsObserver;
    ///
    /// let observer = MetricsObserver::with_label("fleet", "eu-de");
    /// ```
    #[must_use]
    pub fn with_label(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self::from_labels(&[Label::new(name.into(), value.into())])
    }

    fn from_labels(labels: &[Label]) -> Self {
        let new = Registration { labels };
        Self {
            waits: new.gauge("cce_job_waits", Unit::Count, "Waits in progress."),
            waits_finished: new.counters(
                "cce_job_waits_finished_total",
                "Waits that are over, by outcome.",
                "outcome",
                OUTCOMES.map(WaitOutcome::as_str),
            ),
            wait_duration: new.seconds(
                "cce_job_wait_duration_seconds",
                "Time from the beginning of a wait to its end.",
            ),
            detection_delay: new.seconds(
                "cce_job_detection_delay_seconds",
                "Time from the end of a job until it was read.",
            ),
            attempts: new.counters(
                "cce_job_attempts_total",
                "Attempts to read a job, a cluster or a node, by result.",
                "result",
                RESULTS.map(AttemptResult::as_str),
            ),
            attempt_duration: new.seconds(
                "cce_job_attempt_duration_seconds",
                "Time from the start of an attempt to its result.",
            ),
            waits_queued: new.gauge(
                "cce_job_waits_queued",
                Unit::Count,
                "Waits of the fleet that wait for the request budget.",
            ),
            requests_in_flight: new.gauge(
                "cce_job_requests_in_flight",
                Unit::Count,
                "Requests of the fleet in flight.",
            ),
            budget_requests_per_second: new.gauge(
                "cce_job_budget_requests_per_second",
                Unit::CountPerSecond,
                "Requests per second that the fleet may send at present.",
            ),
            request_price: new.gauge(
                "cce_job_request_price_seconds",
                Unit::Seconds,
                "Price of a request, as a delay. It rises when the request budget is used up.",
            ),
            throttled: new.gauge(
                "cce_job_throttled_seconds",
                Unit::Seconds,
                "Time until the full number of requests per second is allowed again.",
            ),
        }
    }
}

/// Registers metrics that have these labels.
#[derive(Clone, Copy)]
struct Registration<'a> {
    labels: &'a [Label],
}

impl Registration<'_> {
    fn gauge(self, name: &'static str, unit: Unit, help: &'static str) -> Gauge {
        metrics::describe_gauge!(name, unit, help);
        gauge!(name, self.labels.to_vec())
    }

    /// Registers a histogram of durations.
    fn seconds(self, name: &'static str, help: &'static str) -> Histogram {
        metrics::describe_histogram!(name, Unit::Seconds, help);
        histogram!(name, self.labels.to_vec())
    }

    /// Registers a counter for each value of `label`.
    fn counters(
        self,
        name: &'static str,
        help: &'static str,
        label: &'static str,
        values: impl IntoIterator<Item = &'static str>,
    ) -> Counters {
        metrics::describe_counter!(name, Unit::Count, help);
        let counter = |value| {
            let mut labels = self.labels.to_vec();
            labels.push(Label::from_static_parts(label, value));
            (value, counter!(name, labels))
        };
        Counters(values.into_iter().map(counter).collect())
    }
}

impl Counters {
    fn increment(&self, value: &str) {
        if let Some((_, counter)) = self.0.iter().find(|(known, _)| *known == value) {
            counter.increment(1);
        }
    }
}

impl Observer for MetricsObserver {
    fn wait_started(&self, _: &WaitStarted) {
        self.waits.increment(1.0);
    }

    fn attempt_finished(&self, attempt: &AttemptFinished) {
        self.attempts.increment(attempt.result.as_str());
        self.attempt_duration.record(attempt.latency);
    }

    fn wait_finished(&self, wait: &WaitFinished) {
        self.waits.decrement(1.0);
        self.waits_finished.increment(wait.outcome.as_str());
        self.wait_duration.record(wait.elapsed);
        if let Some(delay) = wait.detection_delay {
            self.detection_delay.record(delay);
        }
    }

    fn budget_changed(&self, budget: &BudgetStatus) {
        self.waits_queued.set(budget.queued as f64);
        self.requests_in_flight.set(budget.in_flight as f64);
        self.budget_requests_per_second.set(budget.requests_per_second);
        self.request_price.set(budget.request_price);
        self.throttled.set(budget.throttled_for);
    }
}

impl Default for MetricsObserver {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MetricsObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricsObserver").finish_non_exhaustive()
    }
}
