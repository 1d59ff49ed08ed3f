//! The time limit of the waits: `--timeout` or `--deadline`, and that of the command that continues
//! them.

use std::{str::FromStr, time::Duration};

use anyhow::anyhow;
use jiff::{SignedDuration, Timestamp};
use job_poller::{Checkpoint, WaitPolicy};

use super::DEFAULT_TIMEOUT;
use crate::terminal::{DurationArg, TimeoutArg, format_duration};

/// A point in time on the command line, such as `2027-01-15T08:00:00Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DeadlineArg(pub(crate) Timestamp);

impl FromStr for DeadlineArg {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let expected = "expected a time with its offset, such as 2027-01-15T08:00:00Z or \
                        2027-01-15T10:00:00+02:00";
        text.parse().map(Self).map_err(|_| anyhow!(expected))
    }
}

/// The time limit that is given on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeLimit {
    /// A new wait has the default timeout, and a resumed wait keeps its own.
    Default,
    /// The timeout since the start of a wait; `None` for no limit.
    Timeout(Option<Duration>),
    /// The deadline, and the time that was left when the command started. It is zero if the deadline
    /// had passed.
    Deadline { at: Timestamp, left: Duration },
}

impl TimeLimit {
    /// `now` is the wall-clock time when the command starts. Nothing else depends on that clock, so
    /// that it may be set later without an effect.
    pub(crate) fn new(
        timeout: Option<TimeoutArg>,
        deadline: Option<DeadlineArg>,
        now: Timestamp,
    ) -> Self {
        match (timeout, deadline) {
            // The command line accepts only one of the two.
            (_, Some(DeadlineArg(at))) => {
                let left = Duration::try_from(at.duration_since(now)).unwrap_or_default();
                // Messages contain it.
                let left =
                    Duration::from_millis(u64::try_from(left.as_millis()).unwrap_or(u64::MAX));
                Self::Deadline { at, left }
            }
            (Some(TimeoutArg(timeout)), None) => Self::Timeout(timeout),
            (None, None) => Self::Default,
        }
    }

    /// Whether the limit allows only one attempt.
    pub(crate) const fn is_zero(self) -> bool {
        match self {
            Self::Timeout(Some(left)) | Self::Deadline { left, .. } => left.is_zero(),
            Self::Default | Self::Timeout(None) => false,
        }
    }

    /// Returns the policy of a wait with this limit. `resumed` is the checkpoint that it is resumed from,
    /// and how long it has run before the command started.
    pub(crate) fn apply(
        self,
        policy: WaitPolicy,
        resumed: Option<(&Checkpoint, Duration)>,
    ) -> WaitPolicy {
        match self {
            Self::Default => policy,
            Self::Timeout(None) => policy.no_timeout(),
            Self::Timeout(Some(timeout)) => policy.timeout(timeout),
            // The next slice of a wait keeps its timeout exactly.
            Self::Deadline { at, .. }
                if resumed.and_then(|(wait, _)| wait.deadline_at()).map(whole_second)
                    == Some(at) =>
            {
                policy
            }
            Self::Deadline { left, .. } => {
                let elapsed = resumed.map(|(_, elapsed)| elapsed).unwrap_or_default();
                policy.timeout(elapsed.saturating_add(left))
            }
        }
    }

    /// Returns the limit of the command that resumes the waits. It allows the same time again if they
    /// `timed_out` after this time, and otherwise the rest of the time. `from_file` is whether the
    /// command resumes from a checkpoint, whose timeout counts from the start of the wait.
    pub(crate) fn to_resume(self, timed_out: Option<Duration>, from_file: bool) -> NextLimit {
        let given = match self {
            Self::Timeout(None) => return NextLimit::Timeout(None),
            Self::Deadline { at, .. } if timed_out.is_none() => return NextLimit::Deadline(at),
            // It would allow only one more attempt.
            Self::Timeout(Some(Duration::ZERO)) | Self::Deadline { left: Duration::ZERO, .. } => {
                return NextLimit::Default;
            }
            Self::Default if timed_out.is_none() || !from_file => return NextLimit::Default,
            Self::Default => DEFAULT_TIMEOUT,
            Self::Timeout(Some(timeout)) if timed_out.is_none() || !from_file => {
                return NextLimit::Timeout(Some(timeout));
            }
            Self::Timeout(Some(timeout)) => timeout,
            Self::Deadline { left, .. } if !from_file => {
                return NextLimit::Timeout(Some(whole_seconds(left)));
            }
            Self::Deadline { left, .. } => left,
        };
        let elapsed = timed_out.unwrap_or_default();
        // With `--deadline`, the elapsed time includes the time before the command started.
        let total = elapsed.max(given).saturating_add(given);
        NextLimit::Timeout(Some(whole_seconds(total)))
    }

    /// Returns the limit of the next slice: the deadline that the waits have now. `has_state` is whether
    /// the command has their checkpoints, which contain deadlines that differ.
    pub(crate) fn to_continue<'a>(
        self,
        waits: impl IntoIterator<Item = &'a Checkpoint>,
        has_state: bool,
    ) -> NextLimit {
        if let Self::Deadline { at, .. } = self {
            return NextLimit::Deadline(at);
        }
        let deadlines = waits.into_iter().map(|wait| wait.deadline_at().map(whole_second));
        let deadlines: Vec<Option<Timestamp>> = deadlines.collect();
        if has_state && deadlines.windows(2).any(|two| two[0] != two[1]) {
            return NextLimit::Default;
        }
        let deadlines: Option<Vec<_>> = deadlines.into_iter().collect();
        match deadlines.and_then(|all| all.into_iter().max()) {
            Some(at) => NextLimit::Deadline(at),
            None => NextLimit::Timeout(None),
        }
    }
}

/// The time limit in the command that continues the waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NextLimit {
    /// No flag.
    Default,
    Timeout(Option<Duration>),
    Deadline(Timestamp),
}

impl NextLimit {
    /// Returns the flag and its value.
    pub(crate) fn words(self) -> Vec<String> {
        match self {
            Self::Default => Vec::new(),
            Self::Timeout(timeout) => {
                let value =
                    timeout.map_or_else(|| "none".into(), |one| DurationArg(one).to_string());
                vec!["--timeout".into(), value]
            }
            Self::Deadline(at) => vec!["--deadline".into(), at.to_string()],
        }
    }

    /// Returns how much time the command allows, in words. `in_file` is the checkpoints that it resumes
    /// from.
    pub(crate) fn explain<'a>(
        self,
        in_file: Option<impl IntoIterator<Item = &'a Checkpoint>>,
    ) -> String {
        let timeout = match self {
            Self::Deadline(at) => return format!("until {at}"),
            Self::Timeout(timeout) => Some(timeout),
            Self::Default => None,
        };
        let left = match in_file {
            None => timeout.unwrap_or(Some(DEFAULT_TIMEOUT)),
            Some(waits) => waits
                .into_iter()
                .map(|wait| {
                    let own = Some(wait.policy().deadline()).filter(|one| *one < Duration::MAX);
                    Some(timeout.unwrap_or(own)?.saturating_sub(wait.elapsed()))
                })
                // No limit is more than any other.
                .max_by_key(|left| left.unwrap_or(Duration::MAX))
                .flatten(),
        };
        match left {
            None => "without a time limit".into(),
            Some(left) => format!("for up to {} more", format_duration(left)),
        }
    }
}

/// Rounds a duration up to whole seconds, which are easier to read.
fn whole_seconds(span: Duration) -> Duration {
    Duration::from_secs(span.as_secs().saturating_add(u64::from(span.subsec_nanos() > 0)))
}

/// Rounds a time up to whole seconds.
fn whole_second(at: Timestamp) -> Timestamp {
    let second = Timestamp::from_second(at.as_second()).unwrap_or(at);
    if second >= at {
        second
    } else {
        second.checked_add(SignedDuration::from_secs(1)).unwrap_or(at)
    }
}

#[cfg(test)]
mod tests;
