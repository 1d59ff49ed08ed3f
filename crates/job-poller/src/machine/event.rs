//! The events of a wait.

use std::{fmt, time::Duration};

use job_model::{Deviation, JobId, Phase, Progress, SubJobPath};

use super::attempt_error::AttemptError;

/// An event of a wait. Displays as one line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The phase of the job was read for the first time, or has changed.
    #[non_exhaustive]
    Phase {
        /// The job's type, or its uid if it has no type.
        label: String,
        /// The previous phase. `None` if this is the first reading, or if the phase was absent.
        from: Option<Phase>,
        /// The current phase. `None` if it is absent.
        to: Option<Phase>,
        /// Whether the phase moved forward.
        change: PhaseChange,
    },
    /// The phase of a sub-job was read for the first time, or has changed.
    #[non_exhaustive]
    SubJob {
        /// The sub-job's position in this reading. It may differ in the next reading.
        path: SubJobPath,
        /// The sub-job's type, or its uid if it has no type.
        label: String,
        /// The previous phase. `None` if this is the first reading, or if the phase was absent.
        from: Option<Phase>,
        /// The current phase. `None` if it is absent.
        to: Option<Phase>,
    },
    /// The reply has deviations that the last accepted reply did not have. Contains the new ones.
    Deviations(Vec<Deviation>),
    /// The numbers of known, running and finished steps have changed.
    Progress(Progress),
    /// The job is `Success` while a sub-job is still active. The wait continues for a short time;
    /// see [`WaitPolicy::settle`](crate::WaitPolicy::settle).
    Settling,
    /// A reply was dropped because it is older than the last accepted one. Such a reply comes from
    /// a replica that lags behind.
    #[non_exhaustive]
    StaleReply {
        /// The number of stale replies in a row, including this one.
        in_a_row: u32,
    },
    /// The job has not changed for [`WaitPolicy::stalled_after`](crate::WaitPolicy::stalled_after).
    /// Emitted once, until the job changes again.
    #[non_exhaustive]
    Stalled {
        /// The time since the last change.
        unchanged_for: Duration,
    },
    /// An attempt failed.
    #[non_exhaustive]
    AttemptFailed {
        /// The error.
        error: AttemptError,
        /// The number of failed attempts in a row, including this one.
        in_a_row: u32,
    },
    /// The credentials were refreshed during an attempt.
    CredentialsRefreshed,
    /// A sub-job is fetched by its own id, because the job's reply lacks details of it.
    #[non_exhaustive]
    SubJobLookup {
        /// The sub-job's id.
        id: JobId,
    },
    /// The wait continues. Emitted after each [`heartbeat`](crate::WaitPolicy::heartbeat) interval
    /// in which only planned attempts were reported.
    Heartbeat,
    /// The next attempt is planned. Emitted before the delay.
    #[non_exhaustive]
    NextAttempt {
        /// The time of the attempt, since the wait began.
        at: Duration,
        /// Why the attempt is planned for this time.
        reason: AttemptReason,
    },
}

/// The direction of a phase change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PhaseChange {
    /// The phase moved forward, or was read for the first time.
    Forward,
    /// The phase moved back to an earlier one. The newer reply is accepted.
    Backward,
    /// The phase is absent or unknown, so the job has not ended.
    Unrecognized,
}

/// Why the next attempt is planned for its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AttemptReason {
    /// The schedule chose the delay.
    Scheduled,
    /// The attempt is delayed because attempts have failed.
    Backoff,
    /// The service asked for the delay (`Retry-After`).
    RetryAfter,
    /// The attempt was moved forward because it is the last one before the deadline.
    Deadline,
    /// The schedule chose a longer delay because the shared request budget is used up. The attempt
    /// may be made earlier, if a request would be unused.
    Budget,
}

impl PhaseChange {
    /// Returns the change as one word, for example for a metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Backward => "backward",
            Self::Unrecognized => "unrecognized",
        }
    }
}

impl AttemptReason {
    /// Returns the reason as one word, for example for a metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Backoff => "backoff",
            Self::RetryAfter => "retry_after",
            Self::Deadline => "deadline",
            Self::Budget => "budget",
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let format_phase = |phase: &Option<Phase>| {
            phase.as_ref().map_or_else(|| "no phase".into(), Phase::to_string)
        };
        match self {
            Self::Phase { label, from, to, change } => {
                write!(f, "{}: {}", label.escape_debug(), format_phase(to))?;
                match change {
                    PhaseChange::Forward => Ok(()),
                    PhaseChange::Backward => write!(f, " (went back from {})", format_phase(from)),
                    PhaseChange::Unrecognized => f.write_str(" (not a known phase; still waiting)"),
                }
            }
            Self::SubJob { path, label, to, .. } => {
                let indent = "  ".repeat(path.depth());
                write!(f, "{indent}{}: {}", label.escape_debug(), format_phase(to))
            }
            Self::Progress(Progress { total, success, running, failed, .. }) => {
                write!(f, "{success} of {total} steps done, {running} running")?;
                if *failed > 0 { write!(f, ", {failed} failed") } else { Ok(()) }
            }
            Self::Deviations(deviations) => {
                f.write_str("the reply deviates from the API reference: ")?;
                for (index, deviation) in deviations.iter().enumerate() {
                    write!(f, "{}{deviation}", if index == 0 { "" } else { "; " })?;
                }
                Ok(())
            }
            Self::Settling => f.write_str("the job succeeded; waiting for its sub-jobs to end"),
            Self::StaleReply { in_a_row: 1 } => f.write_str("stale reply dropped"),
            Self::StaleReply { in_a_row } => write!(f, "stale reply dropped, {in_a_row} in a row"),
            Self::Stalled { unchanged_for } => {
                write!(f, "nothing has changed for {:.0} s", unchanged_for.as_secs_f64())
            }
            Self::AttemptFailed { error, in_a_row: 1 } => write!(f, "attempt failed: {error}"),
            Self::AttemptFailed { error, in_a_row } => {
                write!(f, "attempt failed, {in_a_row} in a row: {error}")
            }
            Self::CredentialsRefreshed => f.write_str("credentials refreshed"),
            Self::SubJobLookup { id } => write!(f, "looking up sub-job {id}"),
            Self::Heartbeat => f.write_str("still waiting"),
            Self::NextAttempt { at, reason } => {
                let reason = match reason {
                    AttemptReason::Scheduled => "",
                    AttemptReason::Budget => " (as the budget allows)",
                    AttemptReason::Backoff => " (after a failed attempt)",
                    AttemptReason::RetryAfter => " (as the service asked)",
                    AttemptReason::Deadline => " (the last before the deadline)",
                };
                write!(f, "next attempt at {:.1} s{reason}", at.as_secs_f64())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_and_reasons_have_stable_words() {
        let changes = [
            (PhaseChange::Forward, "forward"),
            (PhaseChange::Backward, "backward"),
            (PhaseChange::Unrecognized, "unrecognized"),
        ];
        for (change, word) in changes {
            assert_eq!(change.as_str(), word);
        }
        let reasons = [
            (AttemptReason::Scheduled, "scheduled"),
            (AttemptReason::Backoff, "backoff"),
            (AttemptReason::RetryAfter, "retry_after"),
            (AttemptReason::Deadline, "deadline"),
            (AttemptReason::Budget, "budget"),
        ];
        for (reason, word) in reasons {
            assert_eq!(reason.as_str(), word);
        }
    }
}
