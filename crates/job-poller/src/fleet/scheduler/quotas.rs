//! How a fleet's scheduler passes on the stated quotas, and receives those of other processes.

use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::Scheduler;
use crate::{budget::AttemptStats, machine::StatedQuota};

impl Scheduler {
    /// Returns the quotas that replies state from now on.
    pub(in crate::fleet) fn stated_quotas(&mut self) -> UnboundedReceiver<StatedQuota> {
        let (sender, receiver) = unbounded_channel();
        self.shared_quotas = Some(sender);
        receiver
    }

    /// Records the result of an attempt in the budget, and passes on the quotas that it states.
    pub(super) fn record_in_budget(&mut self, now: Duration, stats: &AttemptStats) {
        self.budget.record(now, stats);
        if let Some(sender) = &self.shared_quotas {
            // Without a receiver, the fleet has ended.
            stats.stated_quotas.iter().for_each(|quota| _ = sender.send(quota));
        }
    }

    /// Adds a quota that another process has learned, for the rest of its period.
    pub(in crate::fleet) fn add_quota(
        &mut self,
        now: Duration,
        quota: StatedQuota,
        period: Duration,
    ) {
        self.budget.add_quota(now, quota, period);
    }
}
