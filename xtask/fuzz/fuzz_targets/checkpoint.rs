//! Reads bytes as a checkpoint. If they are accepted, writing and reading the checkpoint again
//! gives the same text, and a resumed machine runs without a panic.
#![no_main]

use std::time::Duration;

use cce_job_fuzz::run_within_time;
use job_poller::{Action, Adaptive, AttemptError, Checkpoint, Input};
use job_transport::{ErrorClass, FetchErrorKind};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| run_within_time(bytes.len(), || {
    let Ok(checkpoint) = serde_json::from_slice::<Checkpoint>(bytes) else { return };
    let written = serde_json::to_string(&checkpoint).expect("a checkpoint can be written");
    let again: Checkpoint = serde_json::from_str(&written).expect("a written checkpoint can be read");
    assert_eq!(serde_json::to_string(&again).expect("a checkpoint can be written"), written);
    let (mut machine, mut now) = checkpoint.resume(jiff::Timestamp::UNIX_EPOCH);
    let mut input = Input::Wake;
    for _ in 0..100 {
        match machine.step(&Adaptive::new(), now, input).action {
            Action::SleepUntil(at) => (now, input) = (now.max(at), Input::Wake),
            Action::Fetch { .. } => {
                now = now.saturating_add(Duration::from_secs(1));
                input = Input::Error(AttemptError::new(FetchErrorKind::Status(503), ErrorClass::Transient, "an attempt error"));
            }
            Action::Finish(_) => return,
        }
    }
}));
