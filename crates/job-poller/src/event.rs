//! What a wait tells while it goes on. Says nothing twice that did not change.

use std::{fmt, time::Duration};

use job_model::{Phase, SubJobPath};

use crate::Fault;

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
    /// An attempt gave no job.
    #[non_exhaustive]
    Fault {
        /// What happened.
        fault: Fault,
        /// How many attempts in a row gave none, this one included.
        in_a_row: u32,
    },
    /// The next attempt is planned. Sent before the pause.
    #[non_exhaustive]
    NextAttempt {
        /// When, since the wait began.
        at: Duration,
        /// Why then.
        why: Why,
    },
}

/// Why the next attempt is when it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Why {
    /// The schedule says so.
    Scheduled,
    /// The schedule of faults says so.
    Backoff,
    /// The deadline is near: this attempt is the last.
    Deadline,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = |phase: &Option<Phase>| {
            phase.as_ref().map_or_else(|| "no phase".into(), Phase::to_string)
        };
        match self {
            Self::Phase { label, to, .. } => write!(f, "{}: {}", label.escape_debug(), known(to)),
            Self::SubJob { path, label, to, .. } => {
                let indent = "  ".repeat(path.depth());
                write!(f, "{indent}{}: {}", label.escape_debug(), known(to))
            }
            Self::Fault { fault, in_a_row: 1 } => write!(f, "fault: {fault}"),
            Self::Fault { fault, in_a_row } => write!(f, "fault, {in_a_row} in a row: {fault}"),
            Self::NextAttempt { at, why } => {
                let why = match why {
                    Why::Scheduled => "",
                    Why::Backoff => " (after a fault)",
                    Why::Deadline => " (the last before the deadline)",
                };
                write!(f, "next attempt at {:.1} s{why}", at.as_secs_f64())
            }
        }
    }
}
