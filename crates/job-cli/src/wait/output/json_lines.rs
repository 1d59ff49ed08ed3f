//! The lines of `-o jsonl`: one JSON object for each event of a wait. The fields are part of the
//! public interface: while `v` is 1, fields may be added, but not removed.
//!
//! The fields of an event are those of the serialized [`Event`]. Here, the fields that all lines
//! have are added.

use std::time::Duration;

use jiff::Timestamp;
use job_model::JobId;
use job_poller::{Event, Report};
use serde::Serialize;

use crate::{
    exit::Exit,
    terminal::json::{line_time, to_single_line},
    wait::{finished::Finished, missed::Missed},
};

/// The fields that all lines have, after the name of the event.
#[derive(Serialize)]
struct Context<'a> {
    job: &'a JobId,
    /// Seconds since the start of the wait.
    at: f64,
    time: String,
}

/// The event of a wait that is over.
#[derive(Serialize)]
struct FinishedEvent<'a> {
    event: &'static str,
    /// The exit code of the command if this were the only job.
    exit: Option<u8>,
    #[serde(flatten)]
    report: Report<'a>,
}

/// Events of a wait were not printed, because the output was not read in time.
#[derive(Serialize)]
struct LaggedEvent {
    event: &'static str,
    missed: u64,
}

/// Returns the lines of an event: one for each deviation, and one for every other event. `now` is the
/// wall-clock time.
pub(crate) fn event(now: Timestamp, job: &JobId, at: Duration, event: &Event) -> Vec<String> {
    let Event::Deviations(deviations) = event else {
        return vec![to_json_line(now, job, at, event)];
    };
    let line = |deviation| to_json_line(now, job, at, &Event::Deviations(vec![deviation]));
    deviations.iter().cloned().map(line).collect()
}

/// Returns the line of a finished wait.
pub(crate) fn finished(now: Timestamp, finished: &Finished) -> String {
    let report = Report::new(&finished.result, finished.job());
    let (exit, at) = (finished.exit().map(|exit: Exit| exit as u8), report.elapsed);
    to_json_line(now, &finished.id, at, &FinishedEvent { event: "finished", exit, report })
}

/// Returns the line for events that were not printed.
pub(crate) fn lagged(now: Timestamp, missed: &Missed) -> String {
    let Missed { job, at, events } = missed;
    to_json_line(now, job, *at, &LaggedEvent { event: "lagged", missed: *events })
}

/// Returns a line. The name of the event comes first in its JSON, and the context is inserted after
/// it.
fn to_json_line(now: Timestamp, job: &JobId, at: Duration, event: &impl Serialize) -> String {
    // Serialization fails only for maps with keys that are not strings, and there are none.
    let event = serde_json::to_string(event).unwrap_or_default();
    let at = at.as_millis() as f64 / 1000.0;
    let context = Context { job, at, time: line_time(now) };
    let context = serde_json::to_string(&context).unwrap_or_default();
    debug_assert!(event.starts_with("{\"event\":\""), "the name is not the first member: {event}");
    // The name is a plain word, so the first comma or brace follows it.
    let event = event.trim_start_matches('{');
    let (name, fields) = event.split_at(event.find([',', '}']).unwrap_or(event.len()));
    let context = context.trim_matches(['{', '}']);
    to_single_line(&format!("{{\"v\":1,{name},{context}{fields}"))
}

#[cfg(test)]
mod tests;
