//! Reads bytes as a checkpoint, and as a file of checkpoints. If they are accepted, writing and
//! reading a checkpoint again gives the same text, and a resumed machine runs without a panic.
#![no_main]

#[allow(dead_code, reason = "the command also uses the rest")]
#[path = "../../../crates/job-cli/src/wait/checkpoint_file/log_format.rs"]
mod log_format;

use std::time::Duration;

use cce_job_fuzz::run_within_time;
use job_model::object::Object;
use job_poller::{
    Checkpoint,
    machine::{Action, AttemptError, Input},
    schedule::Adaptive,
};
use job_transport::{ErrorClass, FetchErrorKind, ObjectReading};
use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

fuzz_target!(|bytes: &[u8]| run_within_time(bytes.len(), || {
    for file in [bytes, &as_records(bytes)] {
        if let Ok(Some(content)) = log_format::read::<IgnoredAny>(file) {
            content.waits.iter().for_each(check_again);
        }
    }
    let Ok(checkpoint) = serde_json::from_slice::<Checkpoint>(bytes) else { return };
    check_again(&checkpoint);
    check_file(&checkpoint);
    let (mut machine, mut now) = checkpoint.resume(jiff::Timestamp::UNIX_EPOCH);
    let mut input = Input::Wake;
    for number in 0..100 {
        match machine.step(&Adaptive::new(), now, input).action {
            Action::SleepUntil(at) => (now, input) = (now.max(at), Input::Wake),
            Action::Fetch { .. } => {
                now = now.saturating_add(Duration::from_secs(1));
                input = error(503, ErrorClass::Transient);
            }
            Action::FetchObject { id, .. } => {
                now = now.saturating_add(Duration::from_secs(1));
                input = match number % 3 {
                    0 => error(503, ErrorClass::Transient),
                    1 => error(404, ErrorClass::NotFound),
                    _ => {
                        let body = br#"{"status": {"phase": "Error"}}"#;
                        let object = Object::from_slice(id.kind(), body).expect("an object");
                        ObjectReading::new(object).into()
                    }
                };
            }
            Action::Finish(_) => return,
        }
    }
}));

fn error(status: u16, class: ErrorClass) -> Input {
    Input::Error(AttemptError::new(FetchErrorKind::Status(status), class, "an attempt error"))
}

/// Returns a file with a record for each line that is JSON. Random bytes never have the checksum of
/// a record.
fn as_records(lines: &[u8]) -> Vec<u8> {
    let mut file = new_file(0);
    for line in lines.split(|byte| *byte == b'\n') {
        if let Ok(json) = serde_json::from_slice::<&RawValue>(line) {
            log_format::encode_record(&json, &mut file).expect("JSON can be encoded");
        }
    }
    file
}

/// Returns a file without a wait, before a number of records.
fn new_file(records: u64) -> Vec<u8> {
    let mut file = Vec::new();
    log_format::write_first_line(&mut file).expect("memory can be written");
    let head = log_format::Head { origin: (), records, worst: 0 };
    log_format::encode_record(&head, &mut file).expect("a head can be encoded");
    file
}

/// Checks that a file with a wait and its newer plan has the state of the wait, also after the file
/// was cut off within the plan.
fn check_file(checkpoint: &Checkpoint) {
    let mut file = new_file(1);
    log_format::encode_record(&log_format::Entry::Wait(checkpoint), &mut file).expect("encoded");
    let whole = file.len();
    let plan = log_format::Entry::Plan(checkpoint.clone().with_snapshot(None));
    log_format::encode_record(&plan, &mut file).expect("encoded");
    for len in [file.len(), file.len() - 1, (whole + file.len()) / 2, whole] {
        let content = log_format::read::<()>(&file[..len]).expect("read").expect("not empty");
        let [read] = &content.waits[..] else { panic!("{} waits", content.waits.len()) };
        assert_eq!(encoded(read), encoded(checkpoint));
    }
}

fn encoded(checkpoint: &Checkpoint) -> String {
    serde_json::to_string(checkpoint).expect("a checkpoint can be written")
}

/// Checks that writing and reading a checkpoint again gives the same text.
fn check_again(checkpoint: &Checkpoint) {
    let written = encoded(checkpoint);
    let again: Checkpoint =
        serde_json::from_str(&written).expect("a written checkpoint can be read");
    assert_eq!(encoded(&again), written);
}
