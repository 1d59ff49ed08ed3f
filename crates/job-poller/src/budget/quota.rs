//! A stated quota as a limit of a budget: how many requests may be sent in any window. Reads no
//! clock.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::send_log::SendLog;
use crate::machine::StatedQuota;

/// A stated quota, and the requests that count toward it.
///
/// At most 90 % of the stated number of requests are sent in any interval of the window's length.
/// They may be sent in a burst. If the window is longer than a minute, a burst leaves one request for
/// each of its minutes, so that the waits are not silent until the window has passed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Quota {
    stated: StatedQuota,
    expires_at: Duration,
    /// All requests, also those that the service refused, because it may count them.
    sent: SendLog,
    /// When the next request is due at even spacing. It applies only to requests that are not due.
    early_slot: Duration,
}

/// The slowest rate is one request in this time.
const MAX_GAP: Duration = Duration::from_secs(60);

impl Quota {
    /// Creates a quota. `sent` are the requests before, as far as they are known.
    pub(super) const fn new(stated: StatedQuota, expires_at: Duration, sent: SendLog) -> Self {
        Self { stated, expires_at, sent, early_slot: Duration::ZERO }
    }

    pub(super) const fn stated(&self) -> StatedQuota {
        self.stated
    }

    pub(super) fn is_of_policy(&self, other: &StatedQuota) -> bool {
        self.stated.policy == other.policy
    }

    pub(super) const fn expires_at(&self) -> Duration {
        self.expires_at
    }

    /// Returns how many requests per second are allowed on average.
    pub(super) fn rate(&self) -> f64 {
        let average = f64::from(self.max_requests()) / self.stated.window.as_secs_f64();
        average.max(1.0 / MAX_GAP.as_secs_f64())
    }

    /// Returns 90 % of the stated number of requests, at least 1.
    const fn max_requests(&self) -> u32 {
        let max = self.stated.max_requests - self.stated.max_requests.div_ceil(10);
        if max == 0 { 1 } else { max }
    }

    /// Returns how many requests may be sent in a burst.
    fn max_burst(&self) -> u32 {
        self.max_requests().saturating_sub(self.reserved())
    }

    /// Returns how many requests a burst leaves for the rest of the window: one for each minute, if
    /// the window is longer than a minute.
    fn reserved(&self) -> u32 {
        let StatedQuota { window, .. } = self.stated;
        if window <= MAX_GAP {
            return 0;
        }
        let minutes = window.as_nanos().div_ceil(MAX_GAP.as_nanos());
        u32::try_from(minutes).unwrap_or(u32::MAX)
    }

    /// Returns when the next request may be sent.
    pub(super) fn next_slot(&self) -> Duration {
        let burst = match self.max_burst() {
            0 => Duration::MAX,
            burst => match self.sent.nth_last(burst) {
                Some(at) => at.saturating_add(self.stated.window),
                None => Duration::ZERO,
            },
        };
        let reserved = match self.sent.last() {
            Some(last) if self.reserved() > 0 => last.saturating_add(MAX_GAP),
            None if self.reserved() > 0 => Duration::ZERO,
            _ => return burst,
        };
        burst.min(reserved)
    }

    /// Returns when a request may be sent that is not due: at even spacing, so that the requests
    /// that are due find the window free.
    pub(super) const fn early_slot(&self) -> Duration {
        self.early_slot
    }

    /// Records that requests were sent.
    pub(super) fn consume(&mut self, now: Duration, requests: u32) {
        self.push(now, requests);
        let span = Duration::try_from_secs_f64(f64::from(requests) / self.rate());
        self.early_slot = self.early_slot.max(now).saturating_add(span.unwrap_or(Duration::MAX));
    }

    /// Records that the service has refused a request because of the quota. So its window is full:
    /// if the requests in the log are fewer, others use the same quota, or the log is incomplete.
    pub(super) fn refuse(&mut self, now: Duration, stated: StatedQuota, expires_at: Duration) {
        (self.stated, self.expires_at) = (stated, expires_at);
        let known = self.sent.count_after(now.checked_sub(stated.window));
        // At least the request that was refused.
        let unknown = self.max_burst().max(1).saturating_sub(known);
        self.push(now, unknown);
        self.early_slot = self.early_slot.max(now.saturating_add(stated.window));
    }

    fn push(&mut self, now: Duration, requests: u32) {
        self.sent.push(now, requests, SendLog::group_size(self.max_burst()));
    }
}
