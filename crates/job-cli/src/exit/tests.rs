//! Tests of the mapping from errors to exit codes.

use anyhow::{Context, anyhow};
use job_poller::{
    WaitPolicy,
    machine::{AttemptError, Input},
};
use job_transport::{
    FetchError, FetchErrorKind,
    transport::{RequestSent, TransportError, TransportErrorKind::*, display_chain},
};
use serde_json::json;

use super::*;
use crate::testing::{reading_input, run_wait};

/// Returns the error of a wait in which every attempt has the result `input`.
fn wait_error(policy: WaitPolicy, input: &Input) -> anyhow::Error {
    let (result, _) = run_wait(policy, std::iter::repeat(input.clone()));
    anyhow::Error::from(result.unwrap_err()).context("a context does not hide the kind")
}

#[test]
fn errors_map_to_exit_codes() {
    let policy = WaitPolicy::new();
    let status = |status| FetchError::new(FetchErrorKind::Status(status));
    let transport = |kind| FetchError::from(TransportError::new(kind, RequestSent::No));
    // The error of each attempt, the exit code of a wait with only such attempts, and that of
    // `get`.
    let rows = [
        (status(503), Exit::Unreadable, Exit::Unreadable),
        (status(429), Exit::Unreadable, Exit::Unreadable),
        (status(404), Exit::NotFound, Exit::NotFound),
        (status(403), Exit::Credentials, Exit::Credentials),
        (status(401), Exit::Credentials, Exit::Credentials),
        (status(410), Exit::Unreadable, Exit::Unreadable),
        (status(302), Exit::Unreadable, Exit::Unreadable),
        (transport(Certificate), Exit::Unreadable, Exit::Unreadable),
        (transport(Dns), Exit::Unreadable, Exit::Unreadable),
        (transport(Timeout), Exit::Unreadable, Exit::Unreadable),
        (FetchError::new(FetchErrorKind::HtmlPage), Exit::Unreadable, Exit::Unreadable),
    ];
    for (error, wait, get) in rows {
        let waited = wait_error(policy, &Input::Error(AttemptError::from(&error)));
        assert_eq!(Exit::from_error(&waited), wait, "{waited:#}");
        let error = anyhow::Error::from(error).context("a context does not hide the kind");
        assert_eq!(Exit::from_error(&error), get, "{error:#}");
    }
    // If the deadline passes before any reading, the last error decides, before it lasted long enough to
    // end the wait by itself.
    let short = policy.timeout(std::time::Duration::from_secs(20));
    for (error, expected) in [
        (status(503), Exit::Unreadable),
        (status(404), Exit::NotFound),
        (transport(Timeout), Exit::Unreadable),
        (FetchError::new(FetchErrorKind::HtmlPage), Exit::Unreadable),
    ] {
        let waited = wait_error(short, &Input::Error(AttemptError::from(&error)));
        assert_eq!(Exit::from_error(&waited), expected, "{waited:#}");
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
    let order = SEVERITY_HELP.split("in the order 5, ").nth(1).unwrap().split('.').next().unwrap();
    assert_eq!(order, "4, 7, 6, 3, 8, 0");
    let worst_first = [JobFailed, Credentials, NotFound, Unreadable, Deadline, StillRunning, Done];
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
    assert_eq!(hint(&error), None);
}

#[test]
fn the_outermost_hint_of_an_error_is_shown() {
    let error = Err::<(), _>(anyhow!("no such file"));
    let error = error.or_exit_with_hint(Exit::Usage, Some("check the path".into()));
    // An exit code or a context that is added later keeps the hint.
    let error = error.or_exit(Exit::Internal).context("wait.json").unwrap_err();
    assert_eq!(hint(&error), Some("check the path"));
    assert_eq!(Exit::from_error(&error), Exit::Internal);
    let error = Err::<(), _>(error).or_exit_with_hint(Exit::Usage, Some("use another".into()));
    assert_eq!(hint(&error.unwrap_err()), Some("use another"));
}
