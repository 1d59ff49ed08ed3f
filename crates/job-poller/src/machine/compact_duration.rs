//! A duration in 8 bytes.

use std::{num::NonZeroU64, time::Duration};

use serde::{Deserialize, Serialize};

/// A [`Duration`] in 8 bytes, also in an `Option`, because thousands of waits keep several each.
///
/// The resolution is one nanosecond and the maximum is 584 years. Longer durations are clamped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "Duration", into = "Duration")]
pub(crate) struct CompactDuration(
    /// The nanoseconds plus one, so that an `Option` needs no extra space.
    NonZeroU64,
);

impl CompactDuration {
    pub(crate) const ZERO: Self = Self(NonZeroU64::MIN);

    pub(crate) const fn get(self) -> Duration {
        Duration::from_nanos(self.0.get() - 1)
    }
}

impl Default for CompactDuration {
    fn default() -> Self {
        Self::ZERO
    }
}

impl From<Duration> for CompactDuration {
    fn from(duration: Duration) -> Self {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(NonZeroU64::MIN.saturating_add(nanoseconds))
    }
}

impl From<CompactDuration> for Duration {
    fn from(duration: CompactDuration) -> Self {
        duration.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_up_to_584_years_are_exact() {
        let longest = Duration::from_nanos(u64::MAX - 1);
        let rows = [
            (Duration::ZERO, Duration::ZERO),
            (Duration::from_nanos(1), Duration::from_nanos(1)),
            (Duration::from_secs(3600), Duration::from_secs(3600)),
            (longest, longest),
            (Duration::from_nanos(u64::MAX), longest),
            (Duration::MAX, longest),
        ];
        for (duration, expected) in rows {
            let compact = CompactDuration::from(duration);
            assert_eq!(compact.get(), expected);
            let text = serde_json::to_string(&compact).unwrap();
            assert_eq!(text, serde_json::to_string(&expected).unwrap());
            assert_eq!(serde_json::from_str::<CompactDuration>(&text).unwrap(), compact);
        }
        assert_eq!(CompactDuration::ZERO.get(), Duration::ZERO);
        assert_eq!(size_of::<Option<CompactDuration>>(), 8);
    }
}
