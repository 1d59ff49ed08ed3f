//! The events of a wait. Nothing is reported twice that did not change.

use std::{fmt, time::Duration};

use job_model::{Deviation, JobId, Phase, Progress, SubJobPath};

use super::attempt_error::AttemptError;

/// Something that happened during a wait. Displays as one line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The job was seen in another phase, or for the first time.
    #[non_exhaustive]
    Phase {
        /// What the job is called: its type, else its uid.
        label: String,
        /// The phase before; `None` at first, or where it was absent.
        from: Option<Phase>,
        /// The phase now; `None` where it is absent.
        to: Option<Phase>,
        /// Whether that is the usual way.
        change: PhaseChange,
    },
    /// A sub-job was seen in another phase, or for the first time.
    #[non_exhaustive]
    SubJob {
        /// Where it stands in this reading. The service may move it by the next.
        path: SubJobPath,
        /// What the sub-job is called: its type, else its uid.
        label: String,
        /// The phase before; `None` at first, or where it was absent.
        from: Option<Phase>,
        /// The phase now; `None` where it is absent.
        to: Option<Phase>,
    },
    /// The body has deviations that the last accepted one did not have.
    Deviations(Vec<Deviation>),
    /// Other numbers of the job's steps are done, under way, or known than before.
    Progress(Progress),
    /// The job is `Success` and a sub-job of it has not ended: the wait goes on for a moment.
    Settling,
    /// A reply showed the job as it was earlier, so it came from a replica that lags behind, and was
    /// dropped.
    #[non_exhaustive]
    StaleReply {
        /// How many replies in a row did, this one included.
        in_a_row: u32,
    },
    /// Nothing of the job has changed for long. Emitted once, until something changes.
    #[non_exhaustive]
    Stalled {
        /// For how long.
        unchanged_for: Duration,
    },
    /// An attempt gave no job.
    #[non_exhaustive]
    AttemptFailed {
        /// What happened.
        error: AttemptError,
        /// How many attempts in a row gave none, this one included.
        in_a_row: u32,
    },
    /// The credentials were refreshed during an attempt, by requests of their own.
    CredentialsRefreshed,
    /// A sub-job is asked for by its own id, for what the job's reply does not have of it.
    #[non_exhaustive]
    SubJobLookup {
        /// Which.
        id: JobId,
    },
    /// The wait goes on, and there was no event but planned attempts for
    /// [`WaitPolicy::heartbeat`](crate::WaitPolicy::heartbeat).
    Heartbeat,
    /// The next attempt is planned. Sent before the pause.
    #[non_exhaustive]
    NextAttempt {
        /// When, since the wait began.
        at: Duration,
        /// Why then.
        reason: AttemptReason,
    },
}

/// Whether a job came into its phase the usual way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PhaseChange {
    /// It did.
    Forward,
    /// An earlier phase follows a later one. The later reply is believed.
    Backward,
    /// The phase is absent, or not one that is known here; so it is not the job's end.
    Unrecognized,
}

/// Why the next attempt is when it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AttemptReason {
    /// The schedule.
    Scheduled,
    /// The backoff after failed attempts.
    Backoff,
    /// The service asked for it.
    RetryAfter,
    /// The deadline is near: this attempt is the last.
    Deadline,
    /// The schedule, because the budget that the wait shares with others is spent.
    Budget,
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
                    PhaseChange::Unrecognized => {
                        f.write_str(" (not a phase known here; still waiting)")
                    }
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
                f.write_str("the body departs from the API reference: ")?;
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
