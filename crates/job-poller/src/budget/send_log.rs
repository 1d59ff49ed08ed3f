//! The times of the last requests, in bounded memory. Reads no clock.

use std::{collections::VecDeque, time::Duration};

use serde::{Deserialize, Serialize};

/// The times of the last requests, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct SendLog(VecDeque<Sent>);

/// A number of requests that count as sent at one time. As nanoseconds, because thousands of such
/// entries may be stored.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Sent(u64, u32);

/// Maximum number of entries.
const MAX_ENTRIES: usize = 256;

impl SendLog {
    pub(super) const fn new() -> Self {
        Self(VecDeque::new())
    }

    /// Returns the size of a group of requests, with which a log holds at least the last `requests`
    /// requests.
    pub(super) fn group_size(requests: u32) -> u32 {
        requests.div_ceil(MAX_ENTRIES as u32 - 1).max(1)
    }

    /// Adds requests. Up to `group` of them share an entry, and count as sent at the time of the last
    /// one, so that the log never reports fewer requests than were sent.
    pub(super) fn push(&mut self, now: Duration, mut count: u32, group: u32) {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let now = self.0.back().map_or(now, |last| last.0.max(now));
        if let Some(Sent(at, requests)) = self.0.back_mut()
            && *requests < group
            && count > 0
        {
            let added = count.min(group - *requests);
            (*at, *requests) = (now, *requests + added);
            count -= added;
        }
        if count > 0 {
            self.0.push_back(Sent(now, count));
        }
        // A log that was deserialized may be longer.
        let excess = self.0.len().saturating_sub(MAX_ENTRIES);
        self.0.drain(..excess);
    }

    /// Returns the number of requests after `start`, or of all requests if it is `None`.
    pub(super) fn count_after(&self, start: Option<Duration>) -> u32 {
        let is_recent =
            |Sent(at, _): &&Sent| start.is_none_or(|start| Duration::from_nanos(*at) > start);
        let recent = self.0.iter().rev().take_while(is_recent);
        recent.fold(0, |sum, Sent(_, count)| sum.saturating_add(*count))
    }

    /// Returns the time of the last request.
    pub(super) fn last(&self) -> Option<Duration> {
        self.0.back().map(|Sent(at, _)| Duration::from_nanos(*at))
    }

    /// Returns the time of the `number`-th last request; the last one has the number 1.
    pub(super) fn nth_last(&self, number: u32) -> Option<Duration> {
        let mut left = number;
        let found = self.0.iter().rev().find(|Sent(_, count)| {
            left = left.saturating_sub(*count);
            left == 0
        });
        found.map(|Sent(at, _)| Duration::from_nanos(*at))
    }
}
