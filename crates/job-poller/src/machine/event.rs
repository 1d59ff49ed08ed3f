//! What a wait tells while it goes on. Says nothing twice that did not change.

use std::{fmt, time::Duration};

use job_model::{JobId, Phase, Progress, SubJobPath};

use super::attempt_error::Fault;

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
        course: Course,
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
    /// Other numbers of the job's steps are done, under way, or known than before.
    Progress(Progress),
    /// The job is `Success` and a sub-job of it has not ended: the wait goes on for a moment.
    Settling,
    /// A reply showed the job as it was earlier, so it came from a replica that lags behind, and was
    /// dropped.
    #[non_exhaustive]
    Stale {
        /// How many replies in a row did, this one included.
        in_a_row: u32,
    },
    /// Nothing of the job has changed for long. Told once, until something does.
    #[non_exhaustive]
    Stuck {
        /// For how long.
        unchanged: Duration,
    },
    /// An attempt gave no job.
    #[non_exhaustive]
    Fault {
        /// What happened.
        fault: Fault,
        /// How many attempts in a row gave none, this one included.
        in_a_row: u32,
    },
    /// The credentials were renewed in the course of an attempt, by requests of their own.
    Renewed,
    /// A sub-job is asked for by its own id, for what the job's reply does not have of it.
    #[non_exhaustive]
    Look {
        /// Which.
        id: JobId,
    },
    /// Nothing but planned attempts was told for as long as
    /// [`WaitPolicy::heartbeat`](crate::WaitPolicy::heartbeat) says, and the wait goes on.
    Heartbeat,
    /// The next attempt is planned. Sent before the pause.
    #[non_exhaustive]
    NextAttempt {
        /// When, since the wait began.
        at: Duration,
        /// Why then.
        why: Why,
    },
}

/// Whether a job came into its phase the usual way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Course {
    /// It did.
    Onward,
    /// An earlier phase follows a later one. The later reply is believed.
    Back,
    /// The phase is absent, or not one that is known here; so it is not the job's end.
    Unknown,
}

/// Why the next attempt is when it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Why {
    /// The schedule says so.
    Scheduled,
    /// The pauses after faults say so.
    Backoff,
    /// The service asked for it.
    RetryAfter,
    /// The deadline is near: this attempt is the last.
    Deadline,
    /// The schedule says so, for the budget that the wait shares with others is spent.
    Budget,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = |phase: &Option<Phase>| {
            phase.as_ref().map_or_else(|| "no phase".into(), Phase::to_string)
        };
        match self {
            Self::Phase { label, from, to, course } => {
                write!(f, "{}: {}", label.escape_debug(), known(to))?;
                match course {
                    Course::Onward => Ok(()),
                    Course::Back => write!(f, " (went back from {})", known(from)),
                    Course::Unknown => f.write_str(" (not a phase known here; still waiting)"),
                }
            }
            Self::SubJob { path, label, to, .. } => {
                let indent = "  ".repeat(path.depth());
                write!(f, "{indent}{}: {}", label.escape_debug(), known(to))
            }
            Self::Progress(Progress { total, success, running, failed, .. }) => {
                write!(f, "{success} of {total} steps done, {running} running")?;
                if *failed > 0 { write!(f, ", {failed} failed") } else { Ok(()) }
            }
            Self::Settling => f.write_str("the job succeeded; waiting for its sub-jobs to end"),
            Self::Stale { in_a_row: 1 } => f.write_str("stale reply dropped"),
            Self::Stale { in_a_row } => write!(f, "stale reply dropped, {in_a_row} in a row"),
            Self::Stuck { unchanged } => {
                write!(f, "nothing has changed for {:.0} s", unchanged.as_secs_f64())
            }
            Self::Fault { fault, in_a_row: 1 } => write!(f, "fault: {fault}"),
            Self::Fault { fault, in_a_row } => write!(f, "fault, {in_a_row} in a row: {fault}"),
            Self::Renewed => f.write_str("credentials renewed"),
            Self::Look { id } => write!(f, "looking into sub-job {id}"),
            Self::Heartbeat => f.write_str("still waiting"),
            Self::NextAttempt { at, why } => {
                let why = match why {
                    Why::Scheduled => "",
                    Why::Budget => " (as the budget allows)",
                    Why::Backoff => " (after a fault)",
                    Why::RetryAfter => " (as the service asked)",
                    Why::Deadline => " (the last before the deadline)",
                };
                write!(f, "next attempt at {:.1} s{why}", at.as_secs_f64())
            }
        }
    }
}
