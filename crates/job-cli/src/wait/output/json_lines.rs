//! The lines of `-o jsonl`: what a wait tells, one JSON object each. Their form is a contract; what is
//! added to it later is added, and nothing is taken away while `v` is 1.

use std::time::Duration;

use job_model::{JobId, Phase, Progress};
use job_poller::{Course, Event, Fault, FaultKind, Report, Why};
use job_transport::Class;
use serde::{Serialize, Serializer};

use crate::{exit::Exit, wait::watch::Finished};

/// What all lines have, in this order, and then what is the event's own.
#[derive(Serialize)]
struct Line<'a> {
    v: u32,
    event: &'static str,
    job: &'a str,
    /// Since the wait began.
    at: Seconds,
    #[serde(flatten)]
    facts: Facts<'a>,
}

/// What an event tells.
#[derive(Serialize)]
#[serde(untagged)]
enum Facts<'a> {
    Phase {
        r#type: &'a str,
        from: Option<&'a Phase>,
        to: Option<&'a Phase>,
        course: &'static str,
    },
    SubJob {
        path: String,
        r#type: &'a str,
        from: Option<&'a Phase>,
        to: Option<&'a Phase>,
    },
    Progress(Steps),
    Stale {
        in_a_row: u32,
    },
    Stuck {
        unchanged: Seconds,
    },
    Fault(FaultFacts<'a>),
    Look {
        sub_job: &'a str,
    },
    NextAttempt {
        next: Seconds,
        why: &'static str,
    },
    Finished {
        /// What the command would exit with for this job alone.
        exit: Option<u8>,
        #[serde(flatten)]
        report: Box<Report<'a>>,
    },
    /// An event of a later version of the library.
    Other {
        message: String,
    },
    Nothing {},
}

/// Seconds, to the millisecond.
struct Seconds(Duration);

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64((self.0.as_secs_f64() * 1000.0).floor() / 1000.0)
    }
}

#[derive(Serialize)]
struct Steps {
    total: usize,
    initializing: usize,
    running: usize,
    success: usize,
    failed: usize,
    unknown: usize,
}

#[derive(Serialize)]
struct FaultFacts<'a> {
    class: &'static str,
    status: Option<u16>,
    message: &'a str,
    request_id: Option<&'a str>,
    retry_after: Option<Seconds>,
    in_a_row: u32,
}

/// Returns the line of an event.
pub(crate) fn event(job: &JobId, at: Duration, event: &Event) -> String {
    let (name, facts) = told(event);
    line(job, at, name, facts)
}

/// Returns the line of a wait that is over.
pub(crate) fn finished(finished: &Finished) -> String {
    let report = Report::of(&finished.result, finished.job.as_deref());
    let (exit, at) = (finished.exit().map(|exit: Exit| exit as u8), report.elapsed);
    line(&finished.id, at, "finished", Facts::Finished { exit, report: report.into() })
}

fn line(job: &JobId, at: Duration, event: &'static str, facts: Facts<'_>) -> String {
    let line = Line { v: 1, event, job: job.as_str(), at: Seconds(at), facts };
    // Fails for a map without text names alone.
    crate::terminal::json::line(&serde_json::to_string(&line).unwrap_or_default())
}

/// Returns an event's name, and what it tells.
fn told(event: &Event) -> (&'static str, Facts<'_>) {
    match event {
        Event::Phase { label, from, to, course, .. } => {
            let course = match course {
                Course::Onward => "onward",
                Course::Back => "back",
                _ => "unknown",
            };
            let (from, to) = (from.as_ref(), to.as_ref());
            ("phase", Facts::Phase { r#type: label, from, to, course })
        }
        Event::SubJob { path, label, from, to, .. } => {
            let (path, from, to) = (path.to_string(), from.as_ref(), to.as_ref());
            ("sub_job", Facts::SubJob { path, r#type: label, from, to })
        }
        Event::Progress(progress) => ("progress", Facts::Progress(Steps::from(*progress))),
        Event::Settling => ("settling", Facts::Nothing {}),
        Event::Stale { in_a_row, .. } => ("stale", Facts::Stale { in_a_row: *in_a_row }),
        Event::Stuck { unchanged, .. } => {
            ("stuck", Facts::Stuck { unchanged: Seconds(*unchanged) })
        }
        Event::Fault { fault, in_a_row, .. } => {
            ("fault", Facts::Fault(FaultFacts::of(fault, *in_a_row)))
        }
        Event::Renewed => ("renewed", Facts::Nothing {}),
        Event::Look { id, .. } => ("look", Facts::Look { sub_job: id.as_str() }),
        Event::Heartbeat => ("heartbeat", Facts::Nothing {}),
        Event::NextAttempt { at, why, .. } => {
            let why = match why {
                Why::Scheduled => "scheduled",
                Why::Backoff => "backoff",
                Why::Budget => "budget",
                Why::RetryAfter => "retry_after",
                Why::Deadline => "deadline",
                _ => "other",
            };
            ("next_attempt", Facts::NextAttempt { next: Seconds(*at), why })
        }
        other => ("other", Facts::Other { message: other.to_string() }),
    }
}

const fn class(kind: FaultKind, class: Class) -> &'static str {
    match (kind, class) {
        (FaultKind::WrongSignature, _) => "wrong_signature",
        (FaultKind::Mismatch, _) => "mismatch",
        (FaultKind::Unreadable, _) => "unreadable",
        (_, Class::Transient) => "transient",
        (_, Class::Throttled) => "throttled",
        (_, Class::Unauthorized) => "unauthorized",
        (_, Class::NotFound) => "not_found",
        (_, Class::Permanent) => "permanent",
    }
}

impl<'a> FaultFacts<'a> {
    fn of(fault: &'a Fault, in_a_row: u32) -> Self {
        Self {
            class: class(fault.kind, fault.class),
            status: fault.status(),
            message: &fault.message,
            request_id: fault.request_id.as_deref(),
            retry_after: fault.retry_after.map(Seconds),
            in_a_row,
        }
    }
}

impl From<Progress> for Steps {
    fn from(progress: Progress) -> Self {
        let Progress { total, initializing, running, success, failed, unknown, .. } = progress;
        Self { total, initializing, running, success, failed, unknown }
    }
}

#[cfg(test)]
mod tests;
