//! From what stopped a wait to the exit code.

use std::time::Duration;

use http::StatusCode;
use job_model::Job;
use job_poller::{Action, Fault, Fixed, Input, Machine, WaitPolicy};
use job_transport::{FetchError, Reading, RequestSent, TransportError, TransportErrorKind};

use super::*;

/// Returns the error of a wait under a policy whose every attempt comes to this.
fn stopped(policy: WaitPolicy, input: &Input) -> anyhow::Error {
    let mut machine = Machine::new("a".parse().unwrap(), policy);
    let schedule = Fixed::new(Duration::from_secs(10));
    let (mut now, mut next) = (Duration::ZERO, Input::Wake);
    let result = loop {
        match machine.step(&schedule, now, next).action {
            Action::Fetch { .. } => next = input.clone(),
            Action::SleepUntil(at) => (now, next) = (at, Input::Wake),
            Action::Finish(result) => break result,
        }
    };
    anyhow::Error::from(result.unwrap_err()).context("a context does not hide the kind")
}

#[test]
fn each_error_has_its_exit_code() {
    let policy = WaitPolicy::new();
    let status = |status| {
        let error = FetchError::status(StatusCode::from_u16(status).unwrap(), None);
        stopped(policy, &Input::Fault(Fault::from(&error)))
    };
    let transport = |kind| {
        let error = TransportError::new(kind, RequestSent::No);
        stopped(policy, &Input::Fault(Fault::from(&error.into())))
    };
    let reading = |body: &str| Reading::new(Job::from_slice(body.as_bytes()).unwrap()).into();
    let running = reading("{}");
    let rows = [
        (stopped(policy, &running), Exit::Deadline),
        (stopped(policy.stop_when_stuck(), &running), Exit::Deadline),
        (status(503), Exit::Deadline),
        (status(404), Exit::NotFound),
        (status(403), Exit::Credentials),
        (status(401), Exit::Credentials),
        (status(410), Exit::Unreadable),
        (transport(TransportErrorKind::Certificate), Exit::Unreadable),
        (transport(TransportErrorKind::Dns), Exit::Unreadable),
        (stopped(policy, &reading(r#"{"metadata": {"uid": "b"}}"#)), Exit::Unreadable),
        (anyhow::anyhow!("no port free"), Exit::Internal),
    ];
    for (error, exit) in rows {
        assert_eq!(Exit::of(&error), exit, "{error:#}");
    }
}

#[test]
fn the_help_names_every_code() {
    use Exit::*;
    for exit in [Done, Internal, Deadline, Credentials, JobFailed, Unreadable, NotFound] {
        assert!(HELP.contains(&format!("\n  {}  ", exit as u8)), "{exit:?}");
    }
}
