//! Runs a wait with any sequence of replies and attempt errors. It must end by its deadline, and
//! its outcome must match the phase in the last reading of the job.
#![no_main]

use std::time::Duration;

use cce_job_fuzz::run_within_time;
use job_model::{Decoded, Job, Phase};
use job_poller::{
    FinishedJob, Outcome, WaitErrorKind, WaitPolicy,
    machine::{Action, AttemptError, Input, Machine},
    schedule::Adaptive,
};
use job_transport::{ErrorClass, FetchErrorKind, Reading};
use libfuzzer_sys::fuzz_target;

const TIMEOUT: Duration = Duration::from_secs(600);

/// Bodies of replies, with and without sub-jobs.
const BODIES: &[&str] = &[
    r#"{"metadata":{"uid":"a"},"status":{"phase":"Initializing"}}"#,
    r#"{"metadata":{"uid":"a"},"status":{"phase":"Running"}}"#,
    r#"{"metadata":{"uid":"a"},"status":{"phase":"Success"}}"#,
    r#"{"metadata":{"uid":"a"},"status":{"phase":"Failed"}}"#,
    r#"{"metadata":{"uid":"a"},"status":{"phase":"Paused"}}"#,
    r#"{"metadata":{"uid":"b"},"status":{"phase":"Success"}}"#,
    r#"{"metadata":{"uid":"a","updateTimestamp":"2020-02-02 08:12:40 +0000 UTC"},"status":{"phase":"Running"}}"#,
    r#"{"metadata":{"uid":"a","updateTimestamp":"2020-02-02 08:12:39 +0000 UTC"},"status":{"phase":"Running"}}"#,
    r#"{"metadata":{"uid":"a"},"spec":{"subJobs":[{"metadata":{"uid":"b"},"status":{"phase":"Running"}}]},"status":{"phase":"Success"}}"#,
    r#"{"metadata":{"uid":"a"},"spec":{"subJobs":[{"metadata":{"uid":"b"},"status":{"phase":"Failed"}}]},"status":{"phase":"Failed"}}"#,
    r#"{"status":{}}"#,
];

fn attempt_error(byte: u8) -> AttemptError {
    let (kind, class) = match byte % 8 {
        0 => (FetchErrorKind::Status(503), ErrorClass::Transient),
        1 => (FetchErrorKind::Status(429), ErrorClass::Throttled),
        2 => (FetchErrorKind::Status(404), ErrorClass::NotFound),
        3 => (FetchErrorKind::Status(403), ErrorClass::Permanent),
        4 => (FetchErrorKind::Status(401), ErrorClass::Unauthorized),
        5 => (FetchErrorKind::HtmlPage, ErrorClass::Transient),
        6 => (FetchErrorKind::WrongSignature, ErrorClass::Unauthorized),
        _ => (FetchErrorKind::Credentials, ErrorClass::Transient),
    };
    let mut error = AttemptError::new(kind, class, "an attempt error");
    error.retry_after = (byte > 200).then(|| Duration::from_secs(u64::from(byte)));
    error
}

fn job(byte: u8) -> Job {
    let body = BODIES[usize::from(byte) % BODIES.len()];
    Decoded::from_slice(body.as_bytes()).expect("a valid body").job
}

// Each attempt has three bytes: its latency, whether it returns a job, and which job or error it
// returns.
fuzz_target!(|attempts: Vec<(u8, u8, u8)>| run_within_time(3 * attempts.len(), || {
    let policy = WaitPolicy::new().timeout(TIMEOUT);
    let mut machine = Machine::new("a".parse().expect("a valid id"), policy);
    let schedule = Adaptive::new();
    let (mut now, mut input) = (Duration::ZERO, Input::Wake);
    let mut last_phase: Option<Phase> = None;
    let mut attempts = attempts.iter().copied();
    loop {
        match machine.step(&schedule, now, input).action {
            Action::SleepUntil(at) => {
                assert!(at >= now && at <= TIMEOUT + Duration::from_secs(11));
                (now, input) = (at, Input::Wake);
            }
            Action::Fetch { id, timeout, .. } => {
                assert!(now + timeout <= TIMEOUT);
                let Some((latency, gives, which)) = attempts.next() else { return };
                now += timeout.mul_f64(f64::from(latency) / 255.0);
                if gives < 128 {
                    let job = job(which);
                    if id.as_str() == "a" && job.uid() != Some("b") {
                        last_phase = job.phase().cloned();
                    }
                    input = Reading::new(job).into();
                } else {
                    input = Input::Error(attempt_error(which));
                }
            }
            Action::FetchObject { .. } => panic!("the wait is for the end of the job"),
            Action::Finish(result) => {
                assert!(now <= TIMEOUT);
                match *result {
                    Ok(FinishedJob { outcome: Outcome::Succeeded, .. }) => {
                        assert_eq!(last_phase, Some(Phase::Success))
                    }
                    Ok(FinishedJob { outcome: Outcome::Failed(_), .. }) => {
                        assert_eq!(last_phase, Some(Phase::Failed))
                    }
                    Ok(finished) => panic!("{:?}", finished.outcome),
                    Err(error) => assert_ne!(error.kind(), WaitErrorKind::Stopped),
                }
                return;
            }
        }
    }
}));
