//! Test helpers: jobs with hostile texts, and waits with given readings.

use std::{cell::OnceCell, time::Duration};

use job_model::{
    Job, JobId, is_unprintable,
    object::{Object, ObjectKind},
};
use job_poller::{
    Checkpoint, Event, FinishedJob, WaitError, WaitPolicy,
    machine::{Action, Input, Machine},
    schedule::Fixed,
};
use job_transport::{ObjectReading, Reading};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::wait::Finished;

/// Texts that move the cursor, set the title, reverse the writing direction or close HTML tags.
pub(crate) fn hostile_text() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "\u{1b}[2J\u{1b}[H",
        "\u{1b}]0;title\u{7}",
        "\u{1b}]9;4;1;50\u{1b}\\",
        "\u{9b}31m\u{9d}0;t\u{9c}",
        "\u{202e}\u{2066}\u{200f}\u{61c}",
        "\r\n\t\u{b}\u{c}\u{8}\u{7f}\u{0}",
        "\u{2028}\u{2029}\u{feff}\u{ad}",
        "</title></style></script><svg onload=x>",
        "]]>&amp;&#27;\"'`",
        "%%{init}%% :;#,|\\",
        "##[add-mask]x",
        "\u{200b}##vso[task.setvariable variable=x]y",
        "::error::x",
        "\n::stop-commands::x",
        "##",
        "[",
        ":",
    ]);
    let piece = prop_oneof![known.prop_map(String::from), any::<String>()];
    prop::collection::vec(piece, 1..4).prop_map(|pieces| pieces.concat())
}

/// Returns about a megabyte of hostile text.
pub(crate) fn hostile_megabyte() -> String {
    "\u{1b}]0;t\u{7}\u{9b}2J\u{202e}<b>\r\n".repeat(60_000)
}

/// Returns a job with this text in every field that can hold one, unknown fields included.
pub(crate) fn job_with_text(text: &str) -> Value {
    let phases = ["Failed", "Running", "Success", text];
    let part = |phase: &str, sub_jobs: Value| {
        json!({
            "kind": "Job", "apiVersion": text, text: text,
            "metadata": {"uid": text, "creationTimestamp": "2020-02-02 08:12:40 +0000 UTC",
                "updateTimestamp": text, text: {text: text}},
            "spec": {"type": text, "clusterUID": text, "resourceID": text, "resourceName": text,
                "extendParam": {text: text}, "subJobs": sub_jobs, "ownerJob": text},
            "status": {"phase": phase, "reason": text, "message": text},
        })
    };
    part("Failed", phases.iter().map(|phase| part(phase, json!([]))).collect())
}

/// Returns a job with this text in each field that is displayed.
pub(crate) fn job_with_displayed_text(text: &str) -> Value {
    let part = |phase: &str, sub_jobs: Value| {
        json!({"spec": {"type": text, "resourceName": text, "subJobs": sub_jobs},
            "status": {"phase": phase, "reason": text}})
    };
    part("Failed", json!([part("Failed", json!([])), part(text, json!([]))]))
}

/// Returns the first line of a text that has an unprintable character, or that a CI runner takes
/// for a command. Line breaks are those of the program itself.
pub(crate) fn first_hazard(text: &str) -> Option<&str> {
    let has_command = |line: &str| {
        let lower = line.to_ascii_lowercase();
        let anywhere = ["##[", "##vso[", "##teamcity["].iter().any(|start| lower.contains(start));
        anywhere || line.trim_start().starts_with("::")
    };
    text.split('\n').find(|line| line.contains(is_unprintable) || has_command(line))
}

/// Runs a wait in virtual time, with one of `inputs` as the result of each attempt, and returns its
/// result and its events. Each attempt takes a second. When `inputs` is exhausted, the wait is
/// stopped.
pub(crate) fn run_wait(
    policy: WaitPolicy,
    inputs: impl IntoIterator<Item = Input>,
) -> (Result<FinishedJob, WaitError>, Vec<(Duration, Event)>) {
    let mut machine = Machine::new("354331b2c-229a".parse().unwrap(), policy);
    let schedule = Fixed::new(Duration::from_secs(10));
    let mut inputs = inputs.into_iter();
    let (mut now, mut next, mut log) = (Duration::ZERO, Input::Wake, Vec::new());
    loop {
        let step = machine.step(&schedule, now, next);
        log.extend(step.events.into_iter().map(|event| (now, event)));
        match step.action {
            Action::Fetch { .. } | Action::FetchObject { .. } => {
                now += Duration::from_secs(1);
                next = inputs.next().unwrap_or(Input::Stop);
            }
            Action::SleepUntil(at) => (now, next) = (at, Input::Wake),
            Action::Finish(result) => return (*result, log),
        }
    }
}

/// Returns the input for a successful reading of this job.
pub(crate) fn reading_input(job: &Value) -> Input {
    let job = Job::from_slice(job.to_string().as_bytes()).unwrap();
    Reading::new(job).into()
}

/// Returns the input for a successful reading of this cluster or node.
pub(crate) fn object_input(kind: ObjectKind, object: &Value) -> Input {
    let object = Object::from_slice(kind, object.to_string().as_bytes()).unwrap();
    ObjectReading::new(object).into()
}

/// Returns the finished wait for a result of [`run_wait`].
pub(crate) fn finished(
    (result, log): (Result<FinishedJob, WaitError>, Vec<(Duration, Event)>),
) -> Finished {
    let id: JobId = "354331b2c-229a".parse().unwrap();
    let machine = Machine::new(id.clone(), WaitPolicy::new());
    Finished {
        id,
        index: 0,
        checkpoint: Some(Checkpoint::new(machine, Duration::ZERO)),
        decoded: OnceCell::new(),
        result,
        started_at: "2020-02-02T08:12:30Z".parse().ok(),
        unread_for: None,
        log,
    }
}
