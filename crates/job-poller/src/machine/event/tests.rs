//! Tests of the serialized form of each event.

use job_model::decode::DeviationKind;
use job_transport::{ErrorClass, FetchErrorKind, transport::TransportErrorKind};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    machine::{policy::WaitPolicy, replay::replies, script::setup},
    reply_script::ReplyScript,
};

fn error(kind: FetchErrorKind) -> AttemptError {
    AttemptError::new(kind, kind.class(), "a message")
}

fn all_events() -> Vec<Event> {
    let deviation = |path: &str| Deviation::new(path, DeviationKind::UnrecognizedPhase);
    let mut detailed = error(FetchErrorKind::Status(429));
    detailed.request_id = Some("r-1".into());
    detailed.retry_after = Some(Duration::from_millis(7_500));
    let wrong_path =
        AttemptError::new(FetchErrorKind::Status(404), ErrorClass::Permanent, "no such API");
    let seconds = Duration::from_secs;
    vec![
        Event::phase("CreateNode", None, Some(Phase::Initializing)).with_name("pool-7"),
        Event::phase("CreateNode", Some(Phase::Running), Some(Phase::Initializing)),
        Event::phase("CreateNode", Some(Phase::Running), Some("Upgrading".into())),
        Event::sub_job(SubJobPath::from_iter([1, 0]), "b", Some(Phase::Running), None),
        Event::sub_job(SubJobPath::from_iter([0]), "b", None, None).with_name("4a5b6c7d"),
        Event::Deviations(vec![deviation("status.phase")]),
        Event::Deviations(vec![deviation("a"), deviation("b"), deviation("c")]),
        Event::Deviations(Vec::new()),
        Event::Progress(Progress::default()),
        Event::Settling,
        Event::stale_reply(2),
        Event::stalled(seconds(77)),
        Event::attempt_failed(detailed, 1),
        Event::attempt_failed(error(FetchErrorKind::Status(401)), 2),
        Event::attempt_failed(wrong_path, 1),
        Event::attempt_failed(error(FetchErrorKind::Transport(TransportErrorKind::Dns)), 1),
        Event::attempt_failed(error(FetchErrorKind::Transport(TransportErrorKind::Other)), 1),
        Event::attempt_failed(error(FetchErrorKind::CredentialsTimeout), 1),
        Event::attempt_failed(error(FetchErrorKind::Credentials), 1),
        Event::attempt_failed(error(FetchErrorKind::NoProject), 1),
        Event::attempt_failed(error(FetchErrorKind::WrongSignature), 1),
        Event::attempt_failed(error(FetchErrorKind::WrongJob), 1),
        Event::attempt_failed(error(FetchErrorKind::Undecodable), 1),
        Event::attempt_failed(error(FetchErrorKind::HtmlPage), 1),
        Event::CredentialsRefreshed,
        Event::sub_job_lookup("4a5b".parse().unwrap()),
        Event::Heartbeat,
        Event::next_attempt(seconds(11), AttemptReason::Scheduled),
        Event::next_attempt(Duration::from_millis(2_431), AttemptReason::Backoff),
        Event::next_attempt(seconds(11), AttemptReason::RetryAfter),
        Event::next_attempt(seconds(11), AttemptReason::Deadline),
        Event::next_attempt(seconds(11), AttemptReason::Budget),
    ]
}

/// Returns the event that is read from JSON.
fn read(json: &str) -> Event {
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{json}: {error}"))
}

#[test]
fn every_event_has_a_json_form_that_can_be_read_back() {
    let mut lines = String::new();
    for event in all_events() {
        let json = serde_json::to_string(&event).unwrap();
        assert_eq!(read(&json), event, "{json}");
        let mut value: Value = serde_json::from_str(&json).unwrap();
        value["v"] = json!({"unknown": [1]});
        assert_eq!(read(&value.to_string()), event, "with an unknown field");
        // Earlier versions wrote no names.
        if value["name"].is_null() {
            value.as_object_mut().unwrap().remove("name");
        }
        assert_eq!(read(&value.to_string()), event, "without a name");
        let mut cbor = Vec::new();
        ciborium::into_writer(&event, &mut cbor).unwrap();
        assert_eq!(ciborium::from_reader::<Event, _>(&*cbor).unwrap(), event, "{json}");
        lines += &(json + "\n");
    }
    insta::assert_snapshot!(lines);
}

#[test]
fn all_kinds_of_errors_keep_their_kind() {
    let rows = [
        FetchErrorKind::Credentials,
        FetchErrorKind::EmptyBody,
        FetchErrorKind::WrongKind,
        FetchErrorKind::NoToken,
        FetchErrorKind::Status(302),
        FetchErrorKind::Transport(TransportErrorKind::InvalidRequest),
        FetchErrorKind::Transport(TransportErrorKind::LocalResource),
        FetchErrorKind::Transport(TransportErrorKind::Connect),
        FetchErrorKind::Transport(TransportErrorKind::Proxy),
        FetchErrorKind::Transport(TransportErrorKind::ProxyAuthentication),
        FetchErrorKind::Transport(TransportErrorKind::Certificate),
        FetchErrorKind::Transport(TransportErrorKind::ClientCertificateRequired),
        FetchErrorKind::Transport(TransportErrorKind::Tls),
        FetchErrorKind::Transport(TransportErrorKind::Timeout),
        FetchErrorKind::Transport(TransportErrorKind::StreamRefused),
        FetchErrorKind::Transport(TransportErrorKind::Closed),
        FetchErrorKind::Transport(TransportErrorKind::Protocol),
        FetchErrorKind::Transport(TransportErrorKind::BodyTooLarge),
        FetchErrorKind::Transport(TransportErrorKind::EncodedBody),
    ];
    for kind in rows {
        let event = Event::attempt_failed(error(kind), 1);
        assert_eq!(read(&serde_json::to_string(&event).unwrap()), event);
    }
}

#[test]
fn unknown_names_are_errors_except_kinds_of_attempt_errors() {
    let failed = |class: &str, kind: &str| {
        format!(
            r#"{{"event": "attempt_failed", "class": "{class}", "status": null, "kind": "{kind}",
                "message": "", "request_id": null, "in_a_row": 1}}"#
        )
    };
    let newer = Event::attempt_failed(
        AttemptError::new(
            FetchErrorKind::Transport(TransportErrorKind::Other),
            ErrorClass::Permanent,
            "",
        ),
        1,
    );
    for kind in ["quantum_noise", "status", "", "é", "_"] {
        assert_eq!(read(&failed("permanent", kind)), newer, "{kind}");
    }
    let rows = [
        r#"{"event": "postponed"}"#,
        r#"{"event": "next_attempt", "next": 1, "reason": "bored"}"#,
        r#"{"event": "next_attempt", "next": -1, "reason": "budget"}"#,
        r#"{"event": "next_attempt", "reason": "budget"}"#,
        r#"{"path": "a"}"#,
        &failed("annoying", "dns"),
    ];
    let errors = rows.map(|json| {
        let error = serde_json::from_str::<Event>(json).unwrap_err();
        format!("{}\n    {error}\n", json.lines().next().unwrap_or_default())
    });
    insta::assert_snapshot!(errors.concat());
}

/// Returns the event without what is not serialized.
fn without_lost_details(event: &Event) -> Event {
    let whole_milliseconds =
        |duration: Duration| Duration::from_millis(duration.as_millis().try_into().unwrap());
    let mut event = event.clone();
    match &mut event {
        Event::Stalled { unchanged_for: duration } | Event::NextAttempt { at: duration, .. } => {
            *duration = whole_milliseconds(*duration);
        }
        Event::AttemptFailed { error, .. } => {
            error.credentials_refreshed = false;
            error.retry_after = error.retry_after.map(whole_milliseconds);
        }
        _ => {}
    }
    event
}

proptest! {
    #[test]
    fn events_of_any_wait_round_trip(replies in prop::collection::vec(replies(), 1..20)) {
        let policy = |policy: WaitPolicy| {
            let backoff = WaitPolicy::new().backoff;
            let policy = policy.backoff(backoff).max_tree_lookups(2);
            policy.heartbeat(Duration::from_secs(20)).stalled_after(Duration::from_secs(40))
        };
        let mut events = Vec::new();
        setup().timeout(300.0).policy(policy).run(&ReplyScript::new(replies), |_, step, _| {
            events.extend(step.events.iter().cloned());
        });
        for event in events {
            let json = serde_json::to_string(&event).unwrap();
            prop_assert_eq!(read(&json), without_lost_details(&event), "{}", json);
            prop_assert_eq!(serde_json::to_string(&read(&json)).unwrap(), json);
        }
    }
}

#[test]
fn changes_and_reasons_have_stable_words() {
    let changes = [
        (PhaseChange::Forward, "forward"),
        (PhaseChange::Backward, "backward"),
        (PhaseChange::Unrecognized, "unrecognized"),
    ];
    for (change, word) in changes {
        assert_eq!(change.as_str(), word);
    }
    let reasons = [
        (AttemptReason::Scheduled, "scheduled"),
        (AttemptReason::Backoff, "backoff"),
        (AttemptReason::RetryAfter, "retry_after"),
        (AttemptReason::Deadline, "deadline"),
        (AttemptReason::Budget, "budget"),
    ];
    for (reason, word) in reasons {
        assert_eq!(reason.as_str(), word);
    }
}
