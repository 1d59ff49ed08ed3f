//! The wall clock of this process, corrected with the `Date` headers of the cloud's replies.
//!
//! The services of a deployment store times that the others read, so all of them use the time of
//! the cloud. `Date` has whole seconds, so a reply gives an interval of possible offsets. The
//! intervals of several replies narrow it down to about the duration of a request. Until the first
//! reply of the cloud, the engine's replies are used in the same way.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_core::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use job_model::HumanDuration;
use job_transport::clock::Clock;

/// A clock whose wall-clock time is that of the cloud.
///
/// Until the first reply, it has the time of the clock that it wraps. All stored times come from
/// this clock.
pub(crate) struct ReferenceClock {
    clock: Arc<dyn Clock>,
    measurement: Mutex<Option<Measurement>>,
}

/// The offset that the replies of one server give.
#[derive(Clone, Copy, Debug)]
struct Measurement {
    source: TimeSource,
    interval: OffsetInterval,
}

/// The server whose time a reply states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeSource {
    /// Used only until the first reply of the cloud.
    Engine,
    Cloud,
}

/// The offsets of the wrapped clock that agree with the replies. An offset is positive if the clock
/// is ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OffsetInterval {
    low: SignedDuration,
    high: SignedDuration,
}

/// The offset above which an operator must correct the clock.
const MAX_OFFSET: SignedDuration = SignedDuration::from_secs(5);

/// The resolution of `Date`. Servers cut off the fraction.
const DATE_RESOLUTION: SignedDuration = SignedDuration::from_secs(1);

impl OffsetInterval {
    /// Returns the offsets that agree with a reply: `received_at` by the wrapped clock, after a
    /// request that took `latency`. The server wrote `date` during that time.
    fn from_reply(received_at: Timestamp, latency: Duration, date: Timestamp) -> Self {
        let high = received_at.duration_since(date);
        let latency = SignedDuration::try_from(latency).unwrap_or(SignedDuration::MAX);
        Self { low: high.saturating_sub(latency).saturating_sub(DATE_RESOLUTION), high }
    }

    /// Returns the offsets that agree with both, or `next` if there are none, because then the
    /// clock was adjusted.
    fn narrowed(self, next: Self) -> Self {
        let both = Self { low: self.low.max(next.low), high: self.high.min(next.high) };
        if both.low <= both.high { both } else { next }
    }

    /// Returns the offset next to zero, so that the correction never makes a clock worse.
    fn offset(self) -> SignedDuration {
        SignedDuration::ZERO.clamp(self.low, self.high)
    }
}

impl ReferenceClock {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, measurement: Mutex::new(None) }
    }

    fn measurement(&self) -> MutexGuard<'_, Option<Measurement>> {
        self.measurement.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns by how much the wrapped clock is ahead, or zero before the first reply.
    fn offset(&self) -> SignedDuration {
        let measurement = *self.measurement();
        measurement.map_or(SignedDuration::ZERO, |measurement| measurement.interval.offset())
    }

    /// Measures the offset with a reply that was just received. `date` is its `Date` header, and
    /// `latency` the duration of the request.
    pub(crate) fn handle_reply(&self, source: TimeSource, latency: Duration, date: Timestamp) {
        let reply = OffsetInterval::from_reply(self.clock.now(), latency, date);
        let before = self.offset();
        let mut measurement = self.measurement();
        let interval = match *measurement {
            Some(Measurement { source: TimeSource::Cloud, .. }) if source == TimeSource::Engine => {
                return;
            }
            Some(last) if last.source == source => last.interval.narrowed(reply),
            Some(_) | None => reply,
        };
        *measurement = Some(Measurement { source, interval });
        drop(measurement);
        match (describe_offset(before), describe_offset(interval.offset())) {
            (None, Some(problem)) => tracing::error!("{problem}; no new deadlines are set"),
            (Some(_), None) => tracing::warn!("the clock of this service is correct again"),
            (None, None) | (Some(_), Some(_)) => {}
        }
    }

    /// Returns how far the clock is off, or `None` if it is off by 5 s or less.
    pub(crate) fn problem(&self) -> Option<String> {
        describe_offset(self.offset())
    }

    /// Returns the delay to pass to the SDK, so that a call comes after `delay`.
    ///
    /// The SDK adds the delay to the uncorrected wall-clock time and sends the sum to the engine. A
    /// replay does not compare these times. If the clock is ahead by more than `delay`, the result
    /// is zero. Then the call must be sent without a time, and comes early.
    pub(crate) fn sdk_delay(&self, delay: Duration) -> Duration {
        let delay = SignedDuration::try_from(delay).unwrap_or(SignedDuration::MAX);
        delay.saturating_sub(self.offset()).try_into().unwrap_or(Duration::ZERO)
    }
}

impl Clock for ReferenceClock {
    fn now(&self) -> Timestamp {
        let now = self.clock.now();
        // An offset comes from two timestamps, so their difference is one, unless the clock was set
        // to the end of time since.
        now.checked_sub(self.offset()).unwrap_or(now)
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }

    fn sleep(&self, span: Duration) -> BoxFuture<'_, ()> {
        self.clock.sleep(span)
    }
}

/// Describes an offset that is too large.
fn describe_offset(offset: SignedDuration) -> Option<String> {
    let direction = if offset.is_positive() { "ahead of" } else { "behind" };
    (offset.abs() > MAX_OFFSET).then(|| {
        let offset = HumanDuration(offset.unsigned_abs());
        format!(
            "the clock of this service is {offset} {direction} the cloud's; correct it (for example with NTP)"
        )
    })
}

#[cfg(test)]
mod tests;
