//! What a service counts, as Prometheus reads it. Of this process alone: the engine has the rest.

use std::fmt;

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

use crate::notify::SinkError;

/// The counters of one process.
pub(crate) struct Metrics {
    registry: Registry,
    attempts: Family<Of, Counter>,
    attempt_seconds: Histogram,
    turns: Family<Of, Counter>,
    waits: Family<Of, Counter>,
    notices: Family<Of, Counter>,
}

/// What something came to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Of {
    result: String,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("cce_job");
        let mut family = |name: &str, help: &str, first: &str| {
            let family = Family::<Of, Counter>::default();
            // One that was never counted is zero, and not absent.
            drop(family.get_or_create(&Of { result: first.into() }));
            registry.register(name, help, family.clone());
            family
        };
        let attempts = family("attempts", "Requests for a job, by what they came to", "job");
        let turns =
            family("turns", "Turns that waits came for, by whether they had them at once", "given");
        let waits =
            family("waits", "Waits that began, and that are over, by how they ended", "began");
        let notices = family("notices", "Deliveries of notices, by what they came to", "delivered");
        let attempt_seconds = Histogram::new(exponential_buckets(0.01, 2.0, 12));
        let help = "How long requests for a job took";
        registry.register("attempt_seconds", help, attempt_seconds.clone());
        Self { registry, attempts, attempt_seconds, turns, waits, notices }
    }

    pub(crate) fn attempted(&self, result: &str, seconds: f64) {
        count(&self.attempts, result);
        self.attempt_seconds.observe(seconds);
    }

    pub(crate) fn turn(&self, was_given: bool) {
        count(&self.turns, if was_given { "given" } else { "later" });
    }

    pub(crate) fn began(&self) {
        count(&self.waits, "began");
    }

    pub(crate) fn over(&self, outcome: &str) {
        count(&self.waits, outcome);
    }

    pub(crate) fn noticed(&self, error: Option<&SinkError>) {
        count(
            &self.notices,
            match error {
                None => "delivered",
                Some(error) if error.is_final() => "refused",
                Some(_) => "failed",
            },
        );
    }

    /// Returns all of them as text, in the format of OpenMetrics.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a text has nothing that fails.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

fn count(family: &Family<Of, Counter>, result: &str) {
    family.get_or_create(&Of { result: result.into() }).inc();
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}
