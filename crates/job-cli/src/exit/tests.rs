//! From what stopped a wait to the exit code.

use std::time::Duration;

use http::StatusCode;
use job_model::Job;
use job_poller::{Action, Fault, Fixed, Input, Machine, WaitPolicy};
use job_transport::{Class, FetchError};

use super::*;

/// Returns the error of a wait whose only attempt came to this.
fn stopped(input: Input) -> anyhow::Error {
    let mut machine = Machine::new(WaitPolicy::new().timeout(Duration::ZERO));
    let schedule = Fixed::new(Duration::from_secs(1));
    let _ = machine.step(&schedule, Duration::ZERO, Input::Wake);
    let step = machine.step(&schedule, Duration::ZERO, input);
    let Action::Finish(result) = step.action else { panic!("{step:?}") };
    anyhow::Error::from(result.unwrap_err()).context("a context does not hide the kind")
}

#[test]
fn each_error_has_its_exit_code() {
    let status = |status| {
        let error = FetchError::status(StatusCode::from_u16(status).unwrap(), None);
        Input::Fault(Fault::from(&error))
    };
    let fault = |class| Input::Fault(Fault::new(class, "told"));
    let rows = [
        (stopped(Input::Reading(Job::default().into())), Exit::Deadline),
        (stopped(fault(Class::Transient)), Exit::Deadline),
        (stopped(fault(Class::Unauthorized)), Exit::Credentials),
        (stopped(fault(Class::NotFound)), Exit::NotFound),
        (stopped(fault(Class::Permanent)), Exit::Unreadable),
        (stopped(status(403)), Exit::Credentials),
        (stopped(status(401)), Exit::Credentials),
        (stopped(status(410)), Exit::Unreadable),
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
