//! The Prometheus metrics of this process. The engine has metrics of its own.

mod undelivered;

use std::{fmt, time::Duration};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

use undelivered::Undelivered;

/// The metrics of this process.
pub(crate) struct Metrics {
    registry: Registry,
    attempts: Family<ResultLabel, Counter>,
    attempt_seconds: Histogram,
    slots: Family<ResultLabel, Counter>,
    waits: Family<ResultLabel, Counter>,
    notifications: Family<ResultLabel, Counter>,
    pub(crate) undelivered: Undelivered,
    undelivered_gauge: Gauge,
    stalled_waits: Gauge,
}

/// The label `result` of a counter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: String,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("cce_job");
        let mut family = |name: &str, help: &str, first: &str| {
            let family = Family::<ResultLabel, Counter>::default();
            // Create a first series, so that an unused counter is exported as zero and not absent.
            drop(family.get_or_create(&ResultLabel { result: first.into() }));
            registry.register(name, help, family.clone());
            family
        };
        let attempts = family("attempts", "Attempts to read a job, by result", "job");
        let slots = family("slots", "Requested slots, by result", "granted");
        let waits = family("waits", "Waits that started or ended, by result", "started");
        let notifications =
            family("notifications", "Deliveries of notifications, by result", "delivered");
        let attempt_seconds = Histogram::new(exponential_buckets(0.01, 2.0, 12));
        let help = "Duration of attempts to read a job, in seconds";
        registry.register("attempt_seconds", help, attempt_seconds.clone());
        let undelivered_gauge = Gauge::default();
        let help = "Notifications that this process has tried to deliver and will try again";
        registry.register("undelivered_notifications", help, undelivered_gauge.clone());
        let undelivered = Undelivered::default();
        let stalled_waits = Gauge::default();
        let help = "Waits without a tick at the engine when the watchdog last looked";
        registry.register("stalled_waits", help, stalled_waits.clone());
        Self {
            registry,
            attempts,
            attempt_seconds,
            slots,
            waits,
            notifications,
            undelivered,
            undelivered_gauge,
            stalled_waits,
        }
    }

    pub(crate) fn record_attempt(&self, result: &str, seconds: f64) {
        increment(&self.attempts, result);
        self.attempt_seconds.observe(seconds);
    }

    pub(crate) fn record_slot(&self, is_granted: bool) {
        increment(&self.slots, if is_granted { "granted" } else { "deferred" });
    }

    pub(crate) fn record_started(&self) {
        increment(&self.waits, "started");
    }

    pub(crate) fn record_finished(&self, outcome: &str) {
        increment(&self.waits, outcome);
    }

    pub(crate) fn record_delivery(&self, result: &str) {
        increment(&self.notifications, result);
    }

    /// Sets the number of waits without a tick at the engine.
    pub(crate) fn set_stalled_waits(&self, waits: usize) {
        self.stalled_waits.set(i64::try_from(waits).unwrap_or(i64::MAX));
    }

    /// Returns all metrics in the OpenMetrics text format.
    pub(crate) fn to_openmetrics(&self, now: Duration) -> String {
        self.undelivered_gauge.set(i64::try_from(self.undelivered.len(now)).unwrap_or(i64::MAX));
        let mut text = String::new();
        // Writing to a `String` cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

fn increment(family: &Family<ResultLabel, Counter>, result: &str) {
    family.get_or_create(&ResultLabel { result: result.into() }).inc();
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}
