//! Reads the stored checkpoints in `fixtures/checkpoints`, and resumes each.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::BTreeMap, fmt::Write, fs, path::Path, time::Duration};

use jiff::Timestamp;
use job_model::{
    Job,
    object::{Object, ObjectKind},
};
use job_poller::{
    Checkpoint,
    machine::{Action, Input},
    schedule::Fixed,
};
use job_transport::{ObjectReading, Reading};
use serde_json::Value;

/// The states in which checkpoints were stored.
const STATES: [&str; 10] = [
    "after-errors",
    "deadline-passed",
    "error-before-reading",
    "looking-up",
    "new",
    "polling",
    "reading-objects",
    "settling",
    "stopped",
    "without-job",
];

/// The forms of the checkpoint of each state.
const FORMS: [&str; 3] = ["", ".with-unknown-fields", ".without-optional-fields"];

/// Returns the text of each fixture, by its name without `.json`.
fn fixtures() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/checkpoints");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    files
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect()
}

fn read(name: &str, text: &str) -> Checkpoint {
    serde_json::from_str(text).unwrap_or_else(|error| {
        panic!(
            "{name} can no longer be read: {error}. Give each new field `#[serde(default)]`. If \
             that is impossible, raise the number of the format."
        )
    })
}

/// Resumes a wait 5 s after the checkpoint was taken, with a job that has succeeded since then, and
/// with objects that are ready. Returns a line for each action.
fn resume(checkpoint: Checkpoint) -> String {
    let taken_at = checkpoint.taken_at().unwrap_or(Timestamp::UNIX_EPOCH);
    let (mut machine, mut now) = checkpoint.resume(taken_at + Duration::from_secs(5));
    let schedule = Fixed::new(Duration::from_secs(10));
    let (mut input, mut lines) = (Input::Wake, String::new());
    loop {
        write!(lines, "  {:>6.1}  ", now.as_secs_f64()).unwrap();
        match machine.step(&schedule, now, input).action {
            Action::Fetch { id, timeout, .. } => {
                writeln!(lines, "fetch {id} within {timeout:?}").unwrap();
                let phase = if id.as_str() == "a" { "Success" } else { "Failed" };
                let body = format!(
                    r#"{{"metadata": {{"uid": "{id}"}},
                        "status": {{"phase": "{phase}", "reason": "sold out"}}}}"#
                );
                let job = Job::from_slice(body.as_bytes()).unwrap();
                (input, now) = (Reading::new(job).into(), now + Duration::from_secs(1));
            }
            Action::FetchObject { id, timeout } => {
                writeln!(lines, "fetch {id} within {timeout:?}").unwrap();
                let phase = match id.kind() {
                    ObjectKind::Cluster => "Available",
                    ObjectKind::Node => "Active",
                };
                let body = format!(r#"{{"status": {{"phase": "{phase}"}}}}"#);
                let object = Object::from_slice(id.kind(), body.as_bytes()).unwrap();
                let reading = ObjectReading::new(object);
                (input, now) = (reading.into(), now + Duration::from_secs(1));
            }
            Action::SleepUntil(at) => {
                writeln!(lines, "sleep until {at:?}").unwrap();
                (input, now) = (Input::Wake, at);
            }
            Action::Finish(result) => {
                let finished = result.unwrap();
                let (outcome, attempts) = (&finished.outcome, finished.attempts);
                write!(lines, "{} after {attempts} attempts", outcome.as_str()).unwrap();
                if finished.object_readings > 0 {
                    let objects = finished.object_summary();
                    write!(lines, " and {} readings: {objects}", finished.object_readings).unwrap();
                }
                lines.push('\n');
                return lines;
            }
        }
    }
}

#[test]
fn every_stored_checkpoint_is_read_and_resumed() {
    let fixtures = fixtures();
    let expected = STATES.iter().flat_map(|state| FORMS.map(|form| format!("{state}{form}")));
    assert!(fixtures.keys().eq(&expected.collect::<Vec<_>>()), "{:?}", fixtures.keys());
    let mut all = String::new();
    for (name, text) in &fixtures {
        let checkpoint = read(name, text);
        writeln!(
            all,
            "{name}\n  {} attempts, phase {:?}, next attempt at {:?}, deadline at {:?}",
            checkpoint.attempts(),
            checkpoint.phase(),
            checkpoint.next_attempt_at(),
            checkpoint.deadline_at(),
        )
        .unwrap();
        all += &resume(checkpoint);
    }
    insta::assert_snapshot!(all);
}

#[test]
fn unknown_fields_of_a_checkpoint_are_ignored() {
    let fixtures = fixtures();
    for state in STATES {
        let newer = format!("{state}.with-unknown-fields");
        assert_eq!(read(&newer, &fixtures[&newer]), read(state, &fixtures[state]));
    }
}

/// Returns whether `written` has every field of `stored` with the same value, at any level.
fn contains(written: &Value, stored: &Value) -> bool {
    match (written, stored) {
        (Value::Object(written), Value::Object(stored)) => stored
            .iter()
            .all(|(name, value)| written.get(name).is_some_and(|written| contains(written, value))),
        _ => written == stored,
    }
}

#[test]
fn every_field_is_still_written_for_earlier_versions() {
    let fixtures = fixtures();
    for state in STATES {
        let stored = serde_json::from_str(&fixtures[state]).unwrap();
        let written = serde_json::to_value(read(state, &fixtures[state])).unwrap();
        assert!(contains(&written, &stored), "{state}: {written:#}");
    }
}
