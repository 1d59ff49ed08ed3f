//! Tests of failed attempts, as transcripts of scripts.

use std::time::Duration;

use insta::assert_snapshot;
use job_model::Job;
use job_transport::{
    ErrorClass, FetchErrorKind, JobSnapshot, Reading, transport::TransportErrorKind,
};

use super::{join_transcripts, one_hour_setup};
use crate::machine::{Action, AttemptError, Input, WaitErrorKind, script::setup};

#[test]
fn two_wrong_uids_in_a_row_end_the_wait() {
    assert_snapshot!(one_hour_setup().transcripts([
        "running:b",
        "running:b running:a success:b success:a",
        "running: success:",
        "running:a failed:b*2",
    ]));
}

/// A uid that is not a string cannot be the id that was asked for, so the reply is another job's.
#[test]
fn a_uid_that_is_not_a_string_is_a_mismatch() {
    let setup = one_hour_setup();
    let rows = [
        ("999", "a number"),
        ("true", "a boolean"),
        (r#"["a"]"#, "an array"),
        (r#"{"a": "a"}"#, "an object"),
    ];
    for (uid, what) in rows {
        let body = format!(r#"{{"metadata": {{"uid": {uid}}}, "status": {{"phase": "Success"}}}}"#);
        let reply = || Input::from(Reading::new(JobSnapshot::from_slice(body.as_bytes()).unwrap()));
        let mut machine = setup.machine();
        let _ = machine.step(setup.schedule, Duration::ZERO, Input::Wake);
        let step = machine.step(setup.schedule, Duration::ZERO, reply());
        let Action::SleepUntil(at) = step.action else { panic!("{uid}: {:?}", step.action) };
        let _ = machine.step(setup.schedule, at, Input::Wake);
        let Action::Finish(result) = machine.step(setup.schedule, at, reply()).action else {
            panic!("{uid}: the wait goes on");
        };
        let error = result.unwrap_err();
        assert_eq!(error.kind(), WaitErrorKind::Mismatch, "{uid}");
        assert_eq!(
            error.last_error().unwrap().message,
            format!("the service answered with a job whose uid is {what}, not a string"),
        );
    }
    for uid in ["null", r#""""#, r#""a""#] {
        let body = format!(r#"{{"metadata": {{"uid": {uid}}}, "status": {{"phase": "Success"}}}}"#);
        let reading = Reading::new(JobSnapshot::from_slice(body.as_bytes()).unwrap());
        let mut machine = setup.machine();
        let _ = machine.step(setup.schedule, Duration::ZERO, Input::Wake);
        let step = machine.step(setup.schedule, Duration::ZERO, reading.into());
        assert!(matches!(step.action, Action::Finish(result) if result.is_ok()), "{uid}");
    }
}

#[test]
fn not_found_before_a_reading_has_a_grace_period() {
    let rows = ["404*3 running success", "404", "nopath", "503 404", "404 503 404 503*3 404"];
    assert_snapshot!(one_hour_setup().transcripts(rows));
}

#[test]
fn not_found_after_a_reading_is_vanished() {
    assert_snapshot!(
        one_hour_setup().transcripts(["running 404", "running 404*2 503 404*2 success"])
    );
}

#[test]
fn permanent_errors_before_first_reading_end_immediately() {
    let rows = ["400", "401", "403", "405", "410", "302", "204", "501", "505", "badcert", "badsig"];
    assert_snapshot!(one_hour_setup().transcripts(rows));
}

#[test]
fn permanent_errors_after_a_reading_need_three_confirmations() {
    assert_snapshot!(one_hour_setup().transcripts([
        "running 403",
        "running 401*2 running success",
        "running +401 +running success",
        "running 403*2 drop 403*2 success",
        "running 403 401",
        "running 302(20s)",
        "running badsig",
    ]));
}

#[test]
fn a_host_never_reached_ends_the_wait_as_unreachable() {
    assert_snapshot!(one_hour_setup().transcripts([
        "nohost",
        "drop refused running~40s",
        "refused nohost 503 refused",
        "404 503*7 drop 404",
        "404 refused*9",
    ]));
}

/// Without a reply a wait cannot distinguish a wrong address from an outage, for any kind of
/// transport error.
#[test]
fn any_error_without_a_reply_ends_a_job_never_read_after_two_minutes() {
    let transport = [
        TransportErrorKind::LocalResource,
        TransportErrorKind::Dns,
        TransportErrorKind::Connect,
        TransportErrorKind::Proxy,
        TransportErrorKind::Tls,
        TransportErrorKind::Timeout,
        TransportErrorKind::StreamRefused,
        TransportErrorKind::Closed,
        TransportErrorKind::Protocol,
        TransportErrorKind::Other,
    ];
    let kinds = transport.map(FetchErrorKind::Transport);
    for kind in kinds.into_iter().chain([FetchErrorKind::CredentialsTimeout]) {
        for class in [ErrorClass::Transient, ErrorClass::Throttled] {
            let error = AttemptError::new(kind, class, "no reply");
            let (ended_as, ended_at) = repeat_error(&error, false);
            assert_eq!(ended_as, WaitErrorKind::Unreachable, "{kind:?}");
            assert!((120..=150).contains(&ended_at.as_secs()), "{kind:?}: {ended_at:?}");
            let (ended_as, ended_at) = repeat_error(&error, true);
            assert_eq!(ended_as, WaitErrorKind::DeadlineExceeded, "{kind:?}");
            assert!(ended_at.as_secs() > 58 * 60, "{kind:?}: {ended_at:?}");
        }
    }
}

/// Repeats an error until the wait ends, and returns how and when it ends.
fn repeat_error(error: &AttemptError, after_a_reading: bool) -> (WaitErrorKind, Duration) {
    let setup = one_hour_setup();
    let (mut machine, mut now) = (setup.machine(), Duration::ZERO);
    let mut first = after_a_reading.then(|| Reading::new(Job::default()).into());
    let mut input = Input::Wake;
    loop {
        input = match machine.step(setup.schedule, now, input).action {
            Action::Fetch { .. } => first.take().unwrap_or_else(|| Input::Error(error.clone())),
            Action::SleepUntil(at) => {
                now = at;
                Input::Wake
            }
            Action::FetchObject { .. } => unreachable!("the wait reads no object"),
            Action::Finish(result) => return (result.unwrap_err().kind(), now),
        };
    }
}

#[test]
fn transient_errors_do_not_end_the_wait() {
    assert_snapshot!(
        one_hour_setup()
            .transcript("running drop 503 429 garbage 408~2s 409 425 running~40s success")
    );
}

#[test]
fn a_limit_on_consecutive_errors_ends_the_wait() {
    let three = one_hour_setup().policy(|policy| policy.max_consecutive_errors(3));
    assert_snapshot!(three.transcripts(["running drop*2 running 503 drop 429", "drop*2 success"]));
}

#[test]
fn error_delays_double_and_reset_after_a_reading() {
    assert_snapshot!(setup().timeout(600.0).transcript("drop*7 running drop*2 success"));
}

#[test]
fn repeated_invalid_replies_end_the_wait() {
    assert_snapshot!(one_hour_setup().transcripts([
        "garbage",
        "garbage*4 running success",
        "running garbage",
        "running garbage*4 503 garbage*4 success",
    ]));
}

#[test]
fn no_attempt_is_made_before_retry_after() {
    assert_snapshot!(one_hour_setup().transcripts([
        "429(45s) 503(0s) 429(1s) 429(3600s) running success",
        "503(7s) 503(1s)*2 success",
        "503(1s) success",
    ]));
}

#[test]
fn retry_after_near_the_deadline_is_honored_or_ends_the_wait() {
    let rows = [
        ("beyond the deadline: the wait ends at once", setup().transcript("running 429(55s)")),
        ("within the reserve: a late attempt", setup().transcript("running 429(49s) success")),
    ];
    assert_snapshot!(join_transcripts(rows));
}
