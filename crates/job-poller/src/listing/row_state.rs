//! A row of a list, as far as it is compared with the job's own reading.

use std::cmp::Ordering;

use jiff::Timestamp;
use job_model::Phase;
use job_transport::JobDigest;
use serde::{Deserialize, Serialize};

/// The phase and the time of the last update of a job, from a row of a list or from its own reading.
///
/// # Examples
///
/// ```
/// use jiff::Timestamp;
/// use job_model::Phase;
/// use job_poller::durable::{RowAge, RowState};
///
/// let own = RowState::new(Some(&Phase::Running), Some(Timestamp::UNIX_EPOCH));
/// let row = RowState::new(Some(&Phase::Success), Some(Timestamp::UNIX_EPOCH));
/// assert_eq!(row.age_relative_to(own), RowAge::Newer);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowState {
    phase: PhaseRank,
    /// Microseconds since 1970, because rows have six digits. `None` if the time is missing.
    updated_at: Option<i64>,
}

/// The phase, ordered from the beginning to the end of a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PhaseRank {
    /// Missing or unknown.
    #[default]
    Other,
    Initializing,
    Running,
    Ended,
}

/// How a row compares with the job's own reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a comparison has three results")]
pub enum RowAge {
    /// The row lacks a change that the reading shows.
    Older,
    /// They show the same.
    Same,
    /// The row shows a change that the reading lacks.
    Newer,
}

/// Differences below one second prove nothing, because a list may round its times.
const RESOLUTION_MICROS: u64 = 1_000_000;

impl RowState {
    /// Creates the state of a job in this phase that was last updated at this time.
    #[must_use]
    pub fn new(phase: Option<&Phase>, updated_at: Option<Timestamp>) -> Self {
        let phase = match phase {
            Some(Phase::Initializing) => PhaseRank::Initializing,
            Some(Phase::Running) => PhaseRank::Running,
            Some(Phase::Success | Phase::Failed) => PhaseRank::Ended,
            _ => PhaseRank::Other,
        };
        Self { phase, updated_at: updated_at.map(Timestamp::as_microsecond) }
    }

    /// Returns the state that a job's own reading shows.
    #[must_use]
    pub fn from_digest(digest: &JobDigest) -> Self {
        Self::new(digest.phase(), digest.updated_at())
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn has_ended(self) -> bool {
        self.phase == PhaseRank::Ended
    }

    /// Returns whether the job was updated at least `seconds` before a time of the service. `false` if
    /// one of the times is not known.
    #[must_use]
    pub fn was_updated_before(self, time: Option<Timestamp>, seconds: i64) -> bool {
        let latest = time
            .map(|time| time.as_microsecond().saturating_sub(seconds.saturating_mul(1_000_000)));
        self.updated_at.zip(latest).is_some_and(|(updated, latest)| updated <= latest)
    }

    /// Returns whether the job was updated less than `seconds` before a time of the service. `false`
    /// if one of the times is not known.
    #[cfg(feature = "tokio")]
    pub(crate) fn is_newer_than(self, time: Option<Timestamp>, seconds: i64) -> bool {
        self.updated_at.is_some() && time.is_some() && !self.was_updated_before(time, seconds)
    }

    /// Compares this row with the job's own reading. A phase that is not known proves nothing.
    #[must_use]
    pub fn age_relative_to(self, own: Self) -> RowAge {
        let by_time = match (self.updated_at, own.updated_at) {
            (Some(row), Some(own)) if row.abs_diff(own) >= RESOLUTION_MICROS => row.cmp(&own),
            _ => Ordering::Equal,
        };
        let by_phase = match (self.phase, own.phase) {
            (PhaseRank::Other, _) | (_, PhaseRank::Other) => Ordering::Equal,
            (row, own) => row.cmp(&own),
        };
        match by_time.then(by_phase) {
            Ordering::Less => RowAge::Older,
            Ordering::Equal => RowAge::Same,
            Ordering::Greater => RowAge::Newer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_compared_by_their_time_and_then_by_their_phase() {
        let state = |text: &str| {
            let (phase, micros) = text.split_once(' ').unwrap_or((text, ""));
            let time =
                micros.parse().ok().map(|micros| Timestamp::from_microsecond(micros).unwrap());
            RowState::new(Some(&phase.parse().unwrap()), time)
        };
        let rows = [
            ("Running 5000000", "Running 5000000", RowAge::Same),
            // The list may round.
            ("Running 5000000", "Running 5900000", RowAge::Same),
            ("Running 5000000", "Running 6000000", RowAge::Older),
            ("Running 6000000", "Running 5000000", RowAge::Newer),
            ("Success 5000000", "Running 5000000", RowAge::Newer),
            ("Running 5000000", "Success 5000000", RowAge::Older),
            // A job that runs again is newer, although its phase went back.
            ("Initializing 9000000", "Running 5000000", RowAge::Newer),
            // Without times only the phases count.
            ("Success", "Running", RowAge::Newer),
            ("Running", "Running 5000000", RowAge::Same),
            ("Initializing", "Running", RowAge::Older),
            ("Paused", "Paused", RowAge::Same),
            ("Paused", "Running", RowAge::Same),
            ("Paused 9000000", "Running 5000000", RowAge::Newer),
        ];
        for (row, own, expected) in rows {
            assert_eq!(state(row).age_relative_to(state(own)), expected, "{row} / {own}");
        }
    }
}
