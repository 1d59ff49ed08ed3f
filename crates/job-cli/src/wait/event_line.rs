//! The lines of `-o jsonl`: what a wait tells, one JSON object each. Their form is a contract; what is
//! added to it later is added, and nothing is taken away while `v` is 1.

use std::time::Duration;

use job_model::{Discrepancy, Failure, Job, JobId, Phase, Progress};
use job_poller::{Course, Ended, Event, Fault, FaultKind, Outcome, WaitError, WaitErrorKind, Why};
use job_transport::Class;
use serde::{Serialize, Serializer};

use super::watch::Finished;
use crate::exit::Exit;

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
    Finished(Box<End<'a>>),
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

/// How a wait ended.
#[derive(Serialize)]
struct End<'a> {
    outcome: &'static str,
    /// What the command would exit with for this job alone.
    exit: Option<u8>,
    r#type: Option<&'a str>,
    phase: Option<&'a Phase>,
    failure: Option<FailureFacts<'a>>,
    /// Why the wait stopped before the job ended.
    error: Option<String>,
    attempts: u32,
    elapsed: Seconds,
    detection_delay: Option<Seconds>,
    inconsistencies: Vec<Inconsistency>,
    /// The job as last read.
    document: Option<&'a Job>,
}

#[derive(Serialize)]
struct FailureFacts<'a> {
    path: String,
    steps: &'a [String],
    uid: Option<&'a str>,
    reason: Option<&'a str>,
}

#[derive(Serialize)]
struct Inconsistency {
    path: String,
    kind: String,
}

/// Returns the line of an event.
pub(crate) fn event(job: &JobId, at: Duration, event: &Event) -> String {
    let (name, facts) = told(event);
    line(job, at, name, facts)
}

/// Returns the line of a wait that is over.
pub(crate) fn finished(finished: &Finished) -> String {
    let (end, at) = match &finished.result {
        Ok(ended) => (of_ended(ended), ended.elapsed),
        Err(error) => (of_error(error), error.elapsed()),
    };
    let job = finished.job.as_deref();
    let end = End {
        exit: finished.exit().map(|exit: Exit| exit as u8),
        r#type: job.and_then(Job::job_type),
        phase: job.and_then(Job::phase),
        document: job,
        elapsed: Seconds(at),
        ..end
    };
    line(&finished.id, at, "finished", Facts::Finished(Box::new(end)))
}

fn line(job: &JobId, at: Duration, event: &'static str, facts: Facts<'_>) -> String {
    let line = Line { v: 1, event, job: job.as_str(), at: Seconds(at), facts };
    // Fails for a map without text names alone.
    crate::json::line(&serde_json::to_string(&line).unwrap_or_default())
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

fn of_ended(ended: &Ended) -> End<'_> {
    let (outcome, failure) = match &ended.outcome {
        Outcome::Succeeded => ("succeeded", None),
        Outcome::Failed(failed) => ("failed", Some(FailureFacts::from(&failed.failure))),
    };
    End {
        outcome,
        failure,
        attempts: ended.attempts,
        detection_delay: ended.detection_delay.map(Seconds),
        inconsistencies: ended.inconsistencies.iter().map(Inconsistency::from).collect(),
        ..End::NOTHING
    }
}

fn of_error(error: &WaitError) -> End<'_> {
    End {
        outcome: outcome(error.kind()),
        error: Some(format!("{:#}", anyhow::Error::from(error.clone()))),
        attempts: error.attempts(),
        ..End::NOTHING
    }
}

/// Returns what a wait that stopped before its job ended came to, in one word.
pub(crate) const fn outcome(kind: WaitErrorKind) -> &'static str {
    match kind {
        WaitErrorKind::DeadlineExceeded => "deadline_exceeded",
        WaitErrorKind::Unauthorized => "unauthorized",
        WaitErrorKind::NotFound => "not_found",
        WaitErrorKind::Vanished => "vanished",
        WaitErrorKind::Mismatch => "mismatch",
        WaitErrorKind::Unreadable => "unreadable",
        WaitErrorKind::Unreachable => "unreachable",
        WaitErrorKind::Permanent => "permanent",
        WaitErrorKind::TooManyFaults => "too_many_faults",
        WaitErrorKind::Stuck => "stuck",
        WaitErrorKind::Stopped => "stopped",
        _ => "other",
    }
}

impl End<'_> {
    const NOTHING: Self = Self {
        outcome: "",
        exit: None,
        r#type: None,
        phase: None,
        failure: None,
        error: None,
        attempts: 0,
        elapsed: Seconds(Duration::ZERO),
        detection_delay: None,
        inconsistencies: Vec::new(),
        document: None,
    };
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

impl<'a> From<&'a Failure> for FailureFacts<'a> {
    fn from(failure: &'a Failure) -> Self {
        Self {
            path: failure.path.to_string(),
            steps: &failure.steps,
            uid: failure.uid.as_deref(),
            reason: failure.reason.as_deref(),
        }
    }
}

impl From<&Discrepancy> for Inconsistency {
    fn from(discrepancy: &Discrepancy) -> Self {
        let Discrepancy { path, kind, .. } = discrepancy;
        Self { path: path.to_string(), kind: kind.to_string() }
    }
}

#[cfg(test)]
mod tests;
