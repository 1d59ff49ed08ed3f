//! Reports the usage of this service to the budget object every second, and accepts its grants.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use job_model::HumanDuration;
use job_poller::budget::AttemptStats;
use job_transport::{clock::Clock, transport::Transport};
use tokio::sync::Notify;

use super::{
    JobBudget,
    grant::{CountKey, Grant, LEASE_TTL, Slot, UsageReport},
    slots::{Arrival, SlotQueue},
};
use crate::engine::post_json;

/// The time between two reports.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// The minimum time between two reports, if a report is urgent.
const MIN_REPORT_INTERVAL: Duration = Duration::from_millis(200);

/// The lease of this service, and the slots for all waits that the engine ticks here.
pub(crate) struct Lease {
    slots: Mutex<SlotQueue>,
    /// Triggers a report at once, because the other services must slow down or pause.
    urgent_report: Notify,
    clock: Arc<dyn Clock>,
}

impl Lease {
    pub(crate) fn new(service: u64, clock: Arc<dyn Clock>) -> Self {
        Self { slots: Mutex::new(SlotQueue::new(service)), urgent_report: Notify::new(), clock }
    }

    fn slots(&self) -> MutexGuard<'_, SlotQueue> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a wait a slot, or returns when to come back.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no free slot: the delay after which the wait should come back,
    /// or `None` to come back when it is due.
    pub(crate) fn request_slot(
        &self,
        arrival: Arrival,
    ) -> Result<(Slot, SlotGuard<'_>), Option<Duration>> {
        let slot = self.slots().request_slot(self.clock.monotonic(), arrival)?;
        Ok((slot, SlotGuard { lease: self, attempt_stats: None }))
    }

    /// Records an attempt that was made without a slot, right after one that had a slot.
    pub(crate) fn record_extra(&self, stats: &AttemptStats) {
        if self.slots().record_extra(self.clock.monotonic(), stats) {
            self.urgent_report.notify_one();
        }
    }

    /// Moves a wait from the key `before` to the key `now`, which is `None` if the wait has
    /// finished.
    pub(crate) fn update_count(&self, before: Option<CountKey>, now: Option<CountKey>) {
        self.slots().update_count(before, now);
    }

    /// Returns the epoch in which waits are counted.
    pub(crate) fn epoch(&self) -> u32 {
        self.slots().epoch()
    }

    /// Keeps the lease renewed, by reports to the engine at `ingress`. Never returns.
    pub(crate) async fn run(&self, transport: &dyn Transport, ingress: &str) -> Infallible {
        let mut failed = false;
        let mut report = self.slots().take_report(self.clock.monotonic(), false);
        loop {
            match self.report(transport, ingress, &report).await {
                Ok(()) => {
                    failed = false;
                    // All services share one budget object; do not overload it with reports.
                    self.clock.sleep(MIN_REPORT_INTERVAL).await;
                    tokio::select! {
                        () = self.clock.sleep(REPORT_INTERVAL - MIN_REPORT_INTERVAL) => {}
                        () = self.urgent_report.notified() => {}
                    }
                    report = self.slots().take_report(self.clock.monotonic(), false);
                }
                Err(error) => {
                    if !failed {
                        tracing::warn!(
                            error,
                            "cannot reach the budget object; polling pauses when the grant expires"
                        );
                    }
                    failed = true;
                    self.clock.sleep(REPORT_INTERVAL).await;
                    // Send the same report again, with the current time.
                    report.reported_at = self.clock.monotonic();
                }
            }
        }
    }

    /// Returns why the service may send no requests at present, or `None` if it may.
    pub(crate) fn obstacle(&self) -> Option<&'static str> {
        self.slots().obstacle(self.clock.monotonic())
    }

    /// Accepts a grant as if it had just been received.
    #[cfg(test)]
    pub(crate) fn accept_grant(&self, grant: Grant) {
        let now = self.clock.monotonic();
        self.slots().accept_grant(now, now, grant);
    }

    /// Releases the grant, so that other services can use it.
    pub(crate) async fn release(&self, transport: &dyn Transport, ingress: &str) {
        let report = self.slots().take_report(self.clock.monotonic(), true);
        // If the grant cannot be released, it expires.
        let _ =
            tokio::time::timeout(REPORT_INTERVAL, self.report(transport, ingress, &report)).await;
    }

    async fn report(
        &self,
        transport: &dyn Transport,
        ingress: &str,
        report: &UsageReport,
    ) -> Result<(), String> {
        let reported_at = self.clock.monotonic();
        let posted = post_json(transport, ingress, JobBudget::GRANT_PATH, report);
        let posted = tokio::time::timeout(LEASE_TTL / 2, posted).await;
        let (status, reply) = posted.map_err(|_| {
            format!("the engine did not answer within {}", HumanDuration(LEASE_TTL / 2))
        })??;
        if !status.is_success() {
            return Err(format!("{status}: {}", String::from_utf8_lossy(&reply)));
        }
        let grant: Grant = serde_json::from_slice(&reply).map_err(|error| error.to_string())?;
        self.slots().accept_grant(reported_at, self.clock.monotonic(), grant);
        Ok(())
    }
}

/// A slot in use. Frees the slot when dropped.
pub(crate) struct SlotGuard<'a> {
    lease: &'a Lease,
    attempt_stats: Option<AttemptStats>,
}

impl SlotGuard<'_> {
    pub(crate) fn complete(mut self, stats: AttemptStats) {
        self.attempt_stats = Some(stats);
    }
}

impl Drop for SlotGuard<'_> {
    fn drop(&mut self) {
        let now = self.lease.clock.monotonic();
        if self.lease.slots().complete(now, self.attempt_stats.as_ref()) {
            self.lease.urgent_report.notify_one();
        }
    }
}
