//! The lines of `-o jsonl`: one JSON object for each event of a wait. The fields are part of the
//! public interface: while `v` is 1, fields may be added, but not removed.

use std::time::Duration;

use job_model::{Deviation, JobId, Phase, Progress};
use job_poller::{AttemptError, AttemptReason, Event, PhaseChange, Report};
use job_transport::{ErrorClass, FetchErrorKind};
use serde::{Serialize, Serializer};

use crate::{exit::Exit, wait::finished::Finished};

/// A line: the fields that all lines have, followed by the fields of the event.
#[derive(Serialize)]
struct EventLine<'a> {
    v: u32,
    event: &'static str,
    job: &'a str,
    /// Time since the start of the wait.
    at: Seconds,
    #[serde(flatten)]
    fields: EventFields<'a>,
}

/// The fields of an event.
#[derive(Serialize)]
#[serde(untagged)]
enum EventFields<'a> {
    Phase {
        r#type: &'a str,
        from: Option<&'a Phase>,
        to: Option<&'a Phase>,
        change: &'static str,
    },
    SubJob {
        path: String,
        r#type: &'a str,
        from: Option<&'a Phase>,
        to: Option<&'a Phase>,
    },
    Progress(StepCounts),
    StaleReply {
        in_a_row: u32,
    },
    Stalled {
        unchanged_for: Seconds,
    },
    AttemptFailed(AttemptFailedFields<'a>),
    /// Serialized as `path` and `kind`.
    Deviation(&'a Deviation),
    SubJobLookup {
        sub_job: &'a str,
    },
    NextAttempt {
        next: Seconds,
        reason: &'static str,
    },
    Finished {
        /// The exit code of the command if this were the only job.
        exit: Option<u8>,
        #[serde(flatten)]
        report: Box<Report<'a>>,
    },
    /// An event of a later version of the library.
    Other {
        message: String,
    },
    Empty {},
}

/// A duration in seconds, truncated to milliseconds.
struct Seconds(Duration);

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64((self.0.as_secs_f64() * 1000.0).floor() / 1000.0)
    }
}

#[derive(Serialize)]
struct StepCounts {
    total: usize,
    initializing: usize,
    running: usize,
    success: usize,
    failed: usize,
    unknown: usize,
}

#[derive(Serialize)]
struct AttemptFailedFields<'a> {
    class: &'static str,
    status: Option<u16>,
    message: &'a str,
    request_id: Option<&'a str>,
    retry_after: Option<Seconds>,
    in_a_row: u32,
}

/// Returns the lines of an event: one for each deviation, and one for every other event.
pub(crate) fn event(job: &JobId, at: Duration, event: &Event) -> Vec<String> {
    if let Event::Deviations(deviations) = event {
        let fields = deviations.iter().map(EventFields::Deviation);
        return fields.map(|fields| to_json_line(job, at, "deviation", fields)).collect();
    }
    let (name, fields) = event_fields(event);
    vec![to_json_line(job, at, name, fields)]
}

/// Returns the line of a finished wait.
pub(crate) fn finished(finished: &Finished) -> String {
    let report = Report::new(&finished.result, finished.job());
    let (exit, at) = (finished.exit().map(|exit: Exit| exit as u8), report.elapsed);
    to_json_line(
        &finished.id,
        at,
        "finished",
        EventFields::Finished { exit, report: report.into() },
    )
}

fn to_json_line(job: &JobId, at: Duration, event: &'static str, fields: EventFields<'_>) -> String {
    let line = EventLine { v: 1, event, job: job.as_str(), at: Seconds(at), fields };
    // Serialization fails only for maps with keys that are not strings, and there are none.
    crate::terminal::json::to_single_line(&serde_json::to_string(&line).unwrap_or_default())
}

/// Returns the name and the fields of an event.
fn event_fields(event: &Event) -> (&'static str, EventFields<'_>) {
    match event {
        Event::Phase { label, from, to, change, .. } => {
            let change = match change {
                PhaseChange::Forward => "forward",
                PhaseChange::Backward => "backward",
                _ => "unrecognized",
            };
            let (from, to) = (from.as_ref(), to.as_ref());
            ("phase", EventFields::Phase { r#type: label, from, to, change })
        }
        Event::SubJob { path, label, from, to, .. } => {
            let (path, from, to) = (path.to_string(), from.as_ref(), to.as_ref());
            ("sub_job", EventFields::SubJob { path, r#type: label, from, to })
        }
        Event::Progress(progress) => {
            ("progress", EventFields::Progress(StepCounts::from(*progress)))
        }
        Event::Settling => ("settling", EventFields::Empty {}),
        Event::StaleReply { in_a_row, .. } => {
            ("stale_reply", EventFields::StaleReply { in_a_row: *in_a_row })
        }
        Event::Stalled { unchanged_for, .. } => {
            ("stalled", EventFields::Stalled { unchanged_for: Seconds(*unchanged_for) })
        }
        Event::AttemptFailed { error, in_a_row, .. } => (
            "attempt_failed",
            EventFields::AttemptFailed(AttemptFailedFields::new(error, *in_a_row)),
        ),
        Event::CredentialsRefreshed => ("credentials_refreshed", EventFields::Empty {}),
        Event::SubJobLookup { id, .. } => {
            ("sub_job_lookup", EventFields::SubJobLookup { sub_job: id.as_str() })
        }
        Event::Heartbeat => ("heartbeat", EventFields::Empty {}),
        Event::NextAttempt { at, reason, .. } => {
            let reason = match reason {
                AttemptReason::Scheduled => "scheduled",
                AttemptReason::Backoff => "backoff",
                AttemptReason::Budget => "budget",
                AttemptReason::RetryAfter => "retry_after",
                AttemptReason::Deadline => "deadline",
                _ => "other",
            };
            ("next_attempt", EventFields::NextAttempt { next: Seconds(*at), reason })
        }
        other => ("other", EventFields::Other { message: other.to_string() }),
    }
}

const fn error_class_name(kind: FetchErrorKind, class: ErrorClass) -> &'static str {
    match (kind, class) {
        (FetchErrorKind::WrongSignature, _) => "wrong_signature",
        (FetchErrorKind::WrongJob, _) => "mismatch",
        (kind, _) if kind.is_unreadable() => "unreadable",
        (_, ErrorClass::Transient) => "transient",
        (_, ErrorClass::Throttled) => "throttled",
        (_, ErrorClass::Unauthorized) => "unauthorized",
        (_, ErrorClass::NotFound) => "not_found",
        (_, ErrorClass::Permanent) => "permanent",
    }
}

impl<'a> AttemptFailedFields<'a> {
    fn new(error: &'a AttemptError, in_a_row: u32) -> Self {
        Self {
            class: error_class_name(error.kind, error.class),
            status: error.status(),
            message: &error.message,
            request_id: error.request_id.as_deref(),
            retry_after: error.retry_after.map(Seconds),
            in_a_row,
        }
    }
}

impl From<Progress> for StepCounts {
    fn from(progress: Progress) -> Self {
        let Progress { total, initializing, running, success, failed, unknown, .. } = progress;
        Self { total, initializing, running, success, failed, unknown }
    }
}

#[cfg(test)]
mod tests;
