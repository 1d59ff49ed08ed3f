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
/// this clock. It goes on with monotonic time, so it does not jump if the wrapped clock is set.
pub(crate) struct ReferenceClock {
    clock: Arc<dyn Clock>,
    /// The wrapped clock's times when this clock was created.
    start: (Timestamp, Duration),
    measurement: Mutex<Option<Measurement>>,
}

/// The offset that the replies of one server give.
#[derive(Clone, Copy, Debug)]
struct Measurement {
    source: TimeSource,
    interval: OffsetInterval,
    /// The interval of the last replies that disagree with the others, and their number.
    other: Option<(OffsetInterval, u32)>,
}

/// The server whose time a reply states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeSource {
    /// Used only until the first reply of the cloud.
    Engine,
    Cloud,
}

/// The offsets of this process's time that agree with the replies. An offset is positive if the
/// process is ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OffsetInterval {
    low: SignedDuration,
    high: SignedDuration,
}

/// The number of successive replies after which an offset replaces another one that they contradict.
/// A single server may have a wrong clock.
const MIN_AGREEING_REPLIES: u32 = 3;

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

    /// Returns the offsets that agree with both, if there are any.
    fn intersection(self, other: Self) -> Option<Self> {
        let both = Self { low: self.low.max(other.low), high: self.high.min(other.high) };
        (both.low <= both.high).then_some(both)
    }

    /// Returns the possible offset closest to zero.
    fn offset(self) -> SignedDuration {
        SignedDuration::ZERO.clamp(self.low, self.high)
    }
}

impl Measurement {
    /// Returns the measurement after one more reply of the same server.
    fn after(self, reply: OffsetInterval) -> Self {
        if let Some(interval) = self.interval.intersection(reply) {
            return Self { interval, other: None, ..self };
        }
        let other = self.other.and_then(|(other, count)| {
            other.intersection(reply).map(|interval| (interval, count + 1))
        });
        match other.unwrap_or((reply, 1)) {
            (interval, MIN_AGREEING_REPLIES..) => Self { interval, other: None, ..self },
            other => Self { other: Some(other), ..self },
        }
    }
}

impl ReferenceClock {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let start = (clock.now(), clock.monotonic());
        Self { clock, start, measurement: Mutex::new(None) }
    }

    fn measurement(&self) -> MutexGuard<'_, Option<Measurement>> {
        self.measurement.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the time of this process, which no reply corrects.
    fn uncorrected_now(&self) -> Timestamp {
        let (time, monotonic) = self.start;
        let since = self.clock.monotonic().saturating_sub(monotonic);
        time.saturating_add(since).unwrap_or(Timestamp::MAX)
    }

    /// Returns by how much the wrapped clock is ahead now.
    fn wall_clock_offset(&self) -> SignedDuration {
        self.clock.now().duration_since(self.now())
    }

    /// Measures the offset with a reply that was just received. `date` is its `Date` header, and
    /// `latency` the duration of the request.
    pub(crate) fn handle_reply(&self, source: TimeSource, latency: Duration, date: Timestamp) {
        let reply = OffsetInterval::from_reply(self.uncorrected_now(), latency, date);
        let before = self.problem();
        let mut measurement = self.measurement();
        let next = match *measurement {
            Some(Measurement { source: TimeSource::Cloud, .. }) if source == TimeSource::Engine => {
                return;
            }
            Some(last) if last.source == source => last.after(reply),
            Some(_) | None => Measurement { source, interval: reply, other: None },
        };
        *measurement = Some(next);
        drop(measurement);
        match (before, self.problem()) {
            (None, Some(problem)) => tracing::error!("{problem}; no new deadlines are set"),
            (Some(_), None) => tracing::warn!("the clock of this service is correct again"),
            (None, None) | (Some(_), Some(_)) => {}
        }
    }

    /// Returns how far the clock is off, or `None` if it is off by 5 s or less, or if the cloud has
    /// not replied yet.
    pub(crate) fn problem(&self) -> Option<String> {
        let source = (*self.measurement())?.source;
        describe_offset(self.wall_clock_offset()).filter(|_| source == TimeSource::Cloud)
    }

    /// Returns the delay to pass to the SDK, so that a call comes after `delay`.
    ///
    /// The SDK adds the delay to the uncorrected wall-clock time and sends the sum to the engine. A
    /// replay does not compare these times. If the clock is ahead by more than `delay`, the result
    /// is zero. Then the call must be sent without a delay, because with a delay of zero it would
    /// still wait for the engine's clock. It then comes early.
    pub(crate) fn sdk_delay(&self, delay: Duration) -> Duration {
        let delay = SignedDuration::try_from(delay).unwrap_or(SignedDuration::MAX);
        delay.saturating_sub(self.wall_clock_offset()).try_into().unwrap_or(Duration::ZERO)
    }
}

impl Clock for ReferenceClock {
    fn now(&self) -> Timestamp {
        let measurement = *self.measurement();
        let offset = measurement.map(|measurement| measurement.interval.offset());
        let now = self.uncorrected_now();
        now.checked_sub(offset.unwrap_or_default()).unwrap_or(now)
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
