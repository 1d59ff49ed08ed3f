//! From what went wrong to the exit code.

use anyhow::anyhow;
use job_poller::{AttemptError, Input, WaitPolicy};
use job_transport::{
    FetchError, FetchErrorKind, RequestSent, TransportError, TransportErrorKind::*, display_chain,
};
use serde_json::json;

use super::*;
use crate::testing::{reading_input, run_wait};

/// Returns the error of a wait under a policy whose every attempt comes to this.
fn wait_error(policy: WaitPolicy, input: &Input) -> anyhow::Error {
    let (result, _) = run_wait(policy, std::iter::repeat(input.clone()));
    anyhow::Error::from(result.unwrap_err()).context("a context does not hide the kind")
}

#[test]
fn errors_map_to_exit_codes() {
    let policy = WaitPolicy::new();
    let status = |status| FetchError::new(FetchErrorKind::Status(status));
    let transport = |kind| FetchError::from(TransportError::new(kind, RequestSent::No));
    // What a wait ends with where nothing else comes, and what one attempt does.
    let rows = [
        (status(503), Exit::Deadline, Exit::Unreadable),
        (status(429), Exit::Deadline, Exit::Unreadable),
        (status(404), Exit::NotFound, Exit::NotFound),
        (status(403), Exit::Credentials, Exit::Credentials),
        (status(401), Exit::Credentials, Exit::Credentials),
        (status(410), Exit::Unreadable, Exit::Unreadable),
        (status(302), Exit::Unreadable, Exit::Unreadable),
        (transport(Certificate), Exit::Unreadable, Exit::Unreadable),
        (transport(Dns), Exit::Unreadable, Exit::Unreadable),
        (transport(Timeout), Exit::Deadline, Exit::Unreadable),
        (FetchError::new(FetchErrorKind::HtmlPage), Exit::Unreadable, Exit::Unreadable),
    ];
    for (error, wait, get) in rows {
        let waited = wait_error(policy, &Input::Error(AttemptError::from(&error)));
        assert_eq!(Exit::from_error(&waited), wait, "{waited:#}");
        let error = anyhow::Error::from(error).context("nor here");
        assert_eq!(Exit::from_error(&error), get, "{error:#}");
    }
    let running = reading_input(&json!({}));
    let other = reading_input(&json!({"metadata": {"uid": "b"}}));
    let rows = [
        (wait_error(policy, &running), Exit::Deadline),
        (wait_error(policy.stop_when_stalled(), &running), Exit::Deadline),
        (wait_error(policy, &other), Exit::Unreadable),
        (Err::<(), _>(anyhow!("no such file")).or_exit(Exit::Usage).unwrap_err(), Exit::Usage),
        (anyhow!("no port free"), Exit::Internal),
    ];
    for (error, exit) in rows {
        assert_eq!(Exit::from_error(&error), exit, "{error:#}");
    }
}

#[test]
fn exit_code_severity_matches_the_help() {
    use Exit::*;
    let order = SEVERITY_HELP.split(": 5, else ").nth(1).unwrap().split('.').next().unwrap();
    assert_eq!(order, "4, 7, 6, 3, 0");
    let worst_first = [JobFailed, Credentials, NotFound, Unreadable, Deadline, Done];
    let numbers: Vec<_> =
        worst_first.iter().skip(1).map(|exit| (*exit as u8).to_string()).collect();
    assert_eq!(numbers.join(", "), order);
    for (rank, worse) in worst_first.iter().enumerate() {
        for other in &worst_first[rank..] {
            assert_eq!(worse.worse(*other), *worse);
            assert_eq!(other.worse(*worse), *worse);
        }
        assert_eq!(worse.worse(Interrupted), Interrupted);
    }
}

#[test]
fn the_help_lists_every_exit_code() {
    for exit in SEVERITY {
        let code = format!("\n  {}  ", exit as u8);
        let signal = matches!(exit, Exit::Interrupted | Exit::Terminated);
        assert!(signal || HELP.contains(&code), "{exit:?}");
    }
    assert!(HELP.contains("\n  130, 143  "));
}

#[test]
fn an_exit_code_does_not_change_the_error_message() {
    let error = anyhow!("the cause").context("what went wrong");
    let error = Err::<(), _>(error).or_exit(Exit::Usage).unwrap_err();
    assert_eq!(display_chain(&*error), "what went wrong: the cause");
}
