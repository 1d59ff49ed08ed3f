//! Metrics in the format of Prometheus, and the log of refused clients.

mod refusals;

use std::time::Duration;

use anyhow::Context as _;
use job_poller::observer::MetricsObserver;
use job_store::Summary;
use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

pub(crate) use self::refusals::RefusalLog;

const REQUESTS: &str = "cce_job_server_requests_total";
const REQUEST_DURATION: &str = "cce_job_server_request_duration_seconds";
const STREAMS: &str = "cce_job_server_streams";
const MAX_STREAMS: &str = "cce_job_server_max_streams";
const CONNECTIONS: &str = "cce_job_server_connections";
const REFUSED_TOKENS: &str = "cce_job_server_refused_tokens_total";
const WAITS: &str = "cce_job_server_waits";
const OVERDUE: &str = "cce_job_server_overdue_waits";
const NOTIFICATIONS: &str = "cce_job_server_undelivered_notifications";
const RETRYING: &str = "cce_job_server_retrying_notifications";
const QUEUED: &str = "cce_job_server_queued_notifications";
const DATABASE_UP: &str = "cce_job_server_database_up";

/// The upper bounds of the histograms, in seconds. Most requests take milliseconds.
const REQUEST_BUCKETS: [f64; 8] = [0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 30.0];
const OTHER_BUCKETS: [f64; 12] =
    [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 600.0, 3600.0];

/// The recorder of this process.
#[derive(Clone, Debug)]
pub(crate) struct Metrics(PrometheusHandle);

impl Metrics {
    /// Installs the recorder, and describes the metrics. Returns it with an observer of the waits.
    ///
    /// # Errors
    ///
    /// Returns an error if a recorder is installed already.
    pub(crate) fn install(max_streams: u32) -> anyhow::Result<(Self, MetricsObserver)> {
        let request = Matcher::Full(REQUEST_DURATION.into());
        let handle = PrometheusBuilder::new()
            .set_buckets(&OTHER_BUCKETS)?
            .set_buckets_for_metric(request, &REQUEST_BUCKETS)?
            .install_recorder()
            .context("cannot install the recorder of metrics")?;
        describe_counter!(REQUESTS, "Requests to the API, by route, method and status");
        describe_histogram!(REQUEST_DURATION, Unit::Seconds, "Time until the head of the reply");
        describe_gauge!(STREAMS, "Clients that stream events");
        describe_gauge!(MAX_STREAMS, "The largest number of clients that may stream events");
        describe_gauge!(CONNECTIONS, "Open connections");
        describe_counter!(REFUSED_TOKENS, "Requests without a valid token");
        describe_gauge!(WAITS, "Waits in the database, by state");
        describe_gauge!(
            OVERDUE,
            "Active waits whose attempt has been due for two minutes, except in paused projects"
        );
        describe_gauge!(
            NOTIFICATIONS,
            "Notifications for webhooks that are not delivered, by state"
        );
        describe_gauge!(RETRYING, "Pending notifications for webhooks whose last try failed");
        describe_gauge!(QUEUED, "Notifications in queues that no consumer has deleted");
        describe_gauge!(DATABASE_UP, "1 if the database answered at the last scrape, or 0");
        counter!(REFUSED_TOKENS).absolute(0);
        gauge!(STREAMS).set(0);
        gauge!(MAX_STREAMS).set(max_streams);
        gauge!(CONNECTIONS).set(0);
        Ok((Self(handle), MetricsObserver::new()))
    }

    /// Returns the text for Prometheus. `summary` is `None` if the database does not answer.
    pub(crate) fn render(&self, summary: Option<&Summary>) -> String {
        gauge!(DATABASE_UP).set(if summary.is_some() { 1.0 } else { 0.0 });
        if let Some(Summary { waits, notifications, .. }) = summary {
            let states = [
                ("active", waits.active),
                ("paused", waits.paused),
                ("succeeded", waits.succeeded),
                ("failed", waits.failed),
                ("stopped", waits.stopped),
            ];
            for (state, count) in states {
                gauge!(WAITS, "state" => state).set(count as f64);
            }
            gauge!(OVERDUE).set(waits.overdue as f64);
            for (state, count) in
                [("pending", notifications.pending), ("failed", notifications.failed)]
            {
                gauge!(NOTIFICATIONS, "state" => state).set(count as f64);
            }
            gauge!(RETRYING).set(notifications.retrying as f64);
            gauge!(QUEUED).set(notifications.queued as f64);
        }
        self.0.render()
    }

    /// Moves the values of histograms to their buckets, so that memory does not grow without scrapes.
    pub(crate) fn run_upkeep(&self) {
        self.0.run_upkeep();
    }
}

/// Counts a request. `route` is the template of its path, which contains no id.
pub(crate) fn count_request(route: &str, method: &'static str, status: u16, duration: Duration) {
    let route = route.to_owned();
    counter!(REQUESTS, "route" => route.clone(), "method" => method, "status" => status.to_string())
        .increment(1);
    histogram!(REQUEST_DURATION, "route" => route).record(duration.as_secs_f64());
}

/// Counts a request without a valid token.
pub(crate) fn count_refused_token() {
    counter!(REFUSED_TOKENS).increment(1);
}

/// Counts an open connection or stream until it is dropped.
#[derive(Debug)]
pub(crate) struct OpenGuard(&'static str);

impl OpenGuard {
    pub(crate) fn connection() -> Self {
        Self::new(CONNECTIONS)
    }

    pub(crate) fn stream() -> Self {
        Self::new(STREAMS)
    }

    fn new(name: &'static str) -> Self {
        gauge!(name).increment(1);
        Self(name)
    }
}

impl Drop for OpenGuard {
    fn drop(&mut self) {
        gauge!(self.0).decrement(1);
    }
}
