//! The stated quotas that limit a budget. Reads no clock.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{quota::Quota, send_log::SendLog};
use crate::machine::StatedQuota;

/// How long a quota applies after the last reply that stated it.
pub(super) const QUOTA_PERIOD: Duration = Duration::from_secs(3600);

/// The quotas in force, one for each policy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Quotas {
    /// The last requests of the budget. They count toward a quota that is stated later.
    sent: SendLog,
    in_force: Vec<Quota>,
}

impl Quotas {
    pub(super) const fn new() -> Self {
        Self { sent: SendLog::new(), in_force: Vec::new() }
    }

    /// Removes the quotas that have expired.
    pub(super) fn expire(&mut self, now: Duration) {
        self.in_force.retain(|quota| now < quota.expires_at());
    }

    /// Records that requests were sent.
    pub(super) fn consume(&mut self, now: Duration, requests: u32) {
        self.expire(now);
        self.sent.push(now, requests, 1);
        self.in_force.iter_mut().for_each(|quota| quota.consume(now, requests));
    }

    /// Records that the service has refused a request because of a quota, which then applies for an
    /// hour.
    pub(super) fn refuse(&mut self, now: Duration, stated: StatedQuota) {
        if stated.is_usable() {
            self.add(now, stated, QUOTA_PERIOD);
            let expires_at = now.saturating_add(QUOTA_PERIOD);
            let of_policy = self.in_force.iter_mut().find(|quota| quota.is_of_policy(&stated));
            of_policy.into_iter().for_each(|quota| quota.refuse(now, stated, expires_at));
        }
    }

    /// Adds a quota that is known from another process, for a period of at most an hour. If a quota
    /// of the same policy is known already, keeps it.
    pub(super) fn add(&mut self, now: Duration, stated: StatedQuota, period: Duration) {
        self.expire(now);
        if stated.is_usable() && !self.in_force.iter().any(|quota| quota.is_of_policy(&stated)) {
            let expires_at = now.saturating_add(period.min(QUOTA_PERIOD));
            self.in_force.push(Quota::new(stated, expires_at, self.sent.clone()));
        }
    }

    /// Returns when the next request may be sent.
    pub(super) fn next_slot(&self) -> Duration {
        self.in_force.iter().map(Quota::next_slot).max().unwrap_or_default()
    }

    /// Returns when a request may be sent that is not due.
    pub(super) fn early_slot(&self) -> Duration {
        self.in_force.iter().map(Quota::early_slot).max().unwrap_or_default()
    }

    /// Returns how many requests per second are allowed on average; infinity without a quota.
    pub(super) fn rate(&self) -> f64 {
        self.in_force.iter().map(Quota::rate).fold(f64::INFINITY, f64::min)
    }

    /// Returns the quotas in force.
    pub(super) fn iter(&self) -> impl Iterator<Item = StatedQuota> {
        self.in_force.iter().map(Quota::stated)
    }
}

#[cfg(test)]
mod tests;
