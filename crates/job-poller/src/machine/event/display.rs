//! Displays an event as one line.

use std::fmt;

use job_model::{HumanDuration, Phase, Progress, object::ObjectState};

use super::{AttemptReason, Event, ListIssue, PhaseChange};

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let format_phase = |phase: &Option<Phase>| {
            phase.as_ref().map_or_else(|| "no phase".into(), Phase::to_string)
        };
        match self {
            Self::Phase { label, name, from, to, change } => {
                write!(f, "{}: {}", Title { label, name }, format_phase(to))?;
                match change {
                    PhaseChange::Forward => Ok(()),
                    PhaseChange::Backward => write!(f, " (went back from {})", format_phase(from)),
                    PhaseChange::Unrecognized => f.write_str(" (not a known phase; still waiting)"),
                }
            }
            Self::SubJob { path, label, name, to, .. } => {
                let indent = "  ".repeat(path.depth());
                write!(f, "{indent}{}: {}", Title { label, name }, format_phase(to))
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
                write!(f, "nothing has changed for {}", HumanDuration(*unchanged_for))
            }
            Self::AttemptFailed { error, in_a_row: 1 } => write!(f, "attempt failed: {error}"),
            Self::AttemptFailed { error, in_a_row } => {
                write!(f, "attempt failed, {in_a_row} in a row: {error}")
            }
            Self::CredentialsRefreshed => f.write_str("credentials refreshed"),
            Self::SubJobLookup { id } => write!(f, "looking up sub-job {id}"),
            Self::ReadingObjects { objects, until, is_job_gone } => {
                f.write_str(if *is_job_gone {
                    "the service has deleted the job; "
                } else {
                    "the job succeeded; "
                })?;
                match &**objects {
                    [object] => write!(f, "waiting until {object} is {until}"),
                    [] => write!(f, "waiting until its objects are {until}"),
                    [first, ..] => {
                        let (count, kind) = (objects.len(), first.kind());
                        write!(f, "waiting until {count} {kind}s are {until}")
                    }
                }
            }
            Self::Object { status, .. } if status.state == Some(ObjectState::Gone) => {
                write!(f, "{} was not found (404)", status.id)
            }
            Self::Object { status, .. } => write!(f, "{status}"),
            Self::ListedEnded => {
                f.write_str("the list of jobs shows that the job has ended; reading the job")
            }
            Self::ListSuspended { issue, length } => {
                let issue = match issue {
                    ListIssue::Stale => "is stale",
                    ListIssue::Slow => "took longer than 5s",
                    ListIssue::Oversized => "is larger than 4 MiB",
                    ListIssue::Refused => "was refused",
                    ListIssue::Failed => "could not be read",
                };
                let length = HumanDuration(*length);
                write!(f, "the list of jobs {issue}; reading each job by itself for {length}")
            }
            Self::Heartbeat => f.write_str("still waiting"),
            Self::NextAttempt { at, reason } => {
                let reason = match reason {
                    AttemptReason::Scheduled => "",
                    AttemptReason::Budget => " (as the budget allows)",
                    AttemptReason::Listed => " (or when the list of jobs shows a change)",
                    AttemptReason::Hinted => " (or after a hint)",
                    AttemptReason::Backoff => " (after a failed attempt)",
                    AttemptReason::RetryAfter => " (as the service asked)",
                    AttemptReason::Deadline => " (the last before the deadline)",
                };
                write!(f, "next attempt at {}{reason}", HumanDuration(*at))
            }
        }
    }
}

/// The type and the name of a job.
struct Title<'a> {
    label: &'a str,
    name: &'a Option<String>,
}

impl fmt::Display for Title<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.label.escape_debug())?;
        // The label of a job without a type is its uid, and its name may be the beginning of that.
        match self.name.as_deref().filter(|name| !self.label.starts_with(name)) {
            Some(name) => write!(f, " {}", name.escape_debug()),
            None => Ok(()),
        }
    }
}
