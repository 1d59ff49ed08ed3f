//! Tests waits whose state is stored as JSON between two ticks.

use job_model::object::{Object, ObjectKind};
use job_notify::{DeliveryState, NotifierError};
use job_poller::{
    machine::AttemptError,
    schedule::{Adaptive, BudgetShare, Fixed},
};
use job_transport::{ObjectReading, Reading};
use serde_json::{Value, json};

use super::*;
use crate::notify::DeliveryRequest;

const NO_SHARE: BudgetShare = BudgetShare::new(Duration::ZERO, Duration::MAX);

fn timestamp_at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn key() -> WaitKey {
    "p1:354331b2c-229a".parse().unwrap()
}

fn notification_id(finished: &FinishedWait) -> String {
    DeliveryRequest::new(&key(), finished, "https://example.com", 7).notification().id().into()
}

fn reading(phase: &str) -> Input {
    let body = format!(
        r#"{{"metadata": {{"uid": "354331b2c-229a"}}, "spec": {{"type": "CreateCluster"}},
            "status": {{"phase": "{phase}", "note": 1.10}}}}"#
    );
    Reading::new(Job::from_slice(body.as_bytes()).unwrap()).into()
}

/// Returns the wait as it is after the engine has stored and loaded it.
fn round_trip(waiting: &ActiveWait) -> ActiveWait {
    let text = serde_json::to_string(&WaitState::Waiting(waiting.clone().into())).unwrap();
    match serde_json::from_str(&text).unwrap() {
        WaitState::Waiting(again) => {
            assert_eq!(*again, *waiting);
            *again
        }
        WaitState::Finished(finished) => panic!("{finished:?}"),
    }
}

#[test]
fn replaying_a_persisted_wait_gives_the_same_steps() {
    let schedule = Adaptive::new();
    let policy = WaitPolicy::new();
    let mut waiting = ActiveWait::new(&key(), policy, 7, 0, timestamp_at(0));
    let (mut now, mut events) = (0, Vec::new());
    for phase in ["Running", "Running", "Running", "Success"] {
        let mut replayed = round_trip(&waiting);
        for (second, input) in [(now, Input::Wake), (now + 1, reading(phase))] {
            let step = waiting.step(&schedule, NO_SHARE, timestamp_at(second), input.clone());
            assert_eq!(replayed.step(&schedule, NO_SHARE, timestamp_at(second), input), step);
            events.extend(step.0.iter().map(ToString::to_string));
            match step.1 {
                Action::SleepUntil(until) => now = until.as_secs() as i64 + 1,
                Action::Fetch { .. } | Action::FetchObject { .. } => {}
                Action::Finish(result) => {
                    let finished = FinishedWait::new(&key(), &result, 9, Vec::new());
                    insta::assert_snapshot!(finished.body);
                    assert_eq!(notification_id(&finished), "p1:354331b2c-229a:succeeded:9");
                    assert!(finished.has_job_ended);
                }
            }
        }
        assert_eq!(replayed, waiting);
        assert!(waiting.urgency.is_some(), "the rate at which such jobs end is known");
    }
    insta::assert_snapshot!(events.join("\n"));
}

#[test]
fn a_persisted_wait_goes_on_to_the_objects_of_its_job() {
    let schedule = Adaptive::new();
    let policy = WaitPolicy::new().until_ready();
    let mut waiting = ActiveWait::new(&key(), policy, 7, 0, timestamp_at(0));
    let (mut now, mut lines) = (0, Vec::new());
    let job = |phase: &str| {
        let steps = ["n1", "n2"].map(|node| {
            json!({"metadata": {"uid": node}, "spec": {"type": "InstallNode", "resourceID": node},
                "status": {"phase": phase}})
        });
        let body = json!({
            "metadata": {"uid": "354331b2c-229a"},
            "spec": {"type": "CreateNode", "clusterUID": "c", "subJobs": steps},
            "status": {"phase": phase},
        });
        Input::from(Reading::new(Job::from_slice(body.to_string().as_bytes()).unwrap()))
    };
    let node = |phase: &str| {
        let body = json!({"metadata": {"name": "node"}, "status": {"phase": phase}});
        let object = Object::from_slice(ObjectKind::Node, body.to_string().as_bytes());
        Input::from(ObjectReading::new(object.unwrap()))
    };
    let inputs =
        [job("Running"), job("Success"), node("Installing"), node("Active"), node("Active")];
    let mut inputs = inputs.into_iter();
    let mut input = Input::Wake;
    let result = loop {
        // Each input goes to the wait, and to one that was stored and loaded before.
        let mut replayed = round_trip(&waiting);
        let step = waiting.step(&schedule, NO_SHARE, timestamp_at(now), input.clone());
        assert_eq!(replayed.step(&schedule, NO_SHARE, timestamp_at(now), input), step);
        assert_eq!(replayed, waiting);
        lines.extend(step.0.iter().map(|event| format!("{now:>4}  {event}")));
        input = match step.1 {
            Action::SleepUntil(until) => {
                now = until.as_secs() as i64 + 1;
                Input::Wake
            }
            Action::Fetch { .. } | Action::FetchObject { .. } => inputs.next().unwrap(),
            Action::Finish(result) => break result,
        };
    };
    let finished = FinishedWait::new(&key(), &result, 9, Vec::new());
    let body: Value = serde_json::from_str(&finished.body).unwrap();
    assert_eq!((&body["outcome"], &body["job_outcome"]), (&json!("ready"), &json!("succeeded")));
    assert_eq!(body["objects"][1]["node"], "n2");
    assert_eq!(body["objects"][1]["phase"], "Active");
    assert_eq!(notification_id(&finished), "p1:354331b2c-229a:ready:9");
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn a_finished_wait_answers_requests_that_ask_for_no_more() {
    use Until::{Ended, Gone, Ready};
    let rows: [(&str, bool, &[Until]); 7] = [
        ("succeeded", true, &[Ended]),
        ("failed", true, &[Ended, Ready, Gone]),
        ("ready", true, &[Ended, Ready]),
        ("gone", true, &[Ended, Ready, Gone]),
        ("broken", true, &[Ended]),
        ("not_ready", false, &[]),
        ("vanished", false, &[]),
    ];
    for (outcome, has_job_ended, expected) in rows {
        let finished = FinishedWait {
            tick: 0,
            next_tick_at: None,
            outcome: outcome.into(),
            has_job_ended,
            body: String::new(),
            receivers: Vec::new(),
        };
        let answered = [Ended, Ready, Gone].into_iter().filter(|until| finished.answers(*until));
        assert_eq!(answered.collect::<Vec<_>>(), expected, "{outcome}");
    }
}

#[test]
fn a_watch_until_ready_extends_a_wait_for_the_end_of_the_job() {
    let (ended, ready) = (WaitPolicy::new(), WaitPolicy::new().until_ready());
    for (first, other, expected) in
        [(ended, ended, "ended"), (ended, ready, "ready"), (ready, ended, "ready")]
    {
        let mut waiting = ActiveWait::new(&key(), first, 7, 0, timestamp_at(0));
        waiting.extend(&other, timestamp_at(5));
        let policy = serde_json::to_value(waiting.checkpoint.policy()).unwrap();
        assert_eq!(policy["until"], expected);
    }
}

#[test]
fn a_late_engine_makes_one_attempt_after_the_deadline() {
    let schedule = Fixed::new(Duration::from_secs(10));
    let policy = WaitPolicy::new().timeout(Duration::from_secs(60));
    for (away, ends) in [(3_600, "deadline_exceeded"), (3_600, "succeeded")] {
        let mut waiting = ActiveWait::new(&key(), policy, 7, 0, timestamp_at(0));
        let _ = waiting.step(&schedule, NO_SHARE, timestamp_at(0), Input::Wake);
        let _ = waiting.step(&schedule, NO_SHARE, timestamp_at(1), reading("Running"));
        let mut waiting = round_trip(&waiting);
        let (_, action) = waiting.step(&schedule, NO_SHARE, timestamp_at(away), Input::Wake);
        assert!(matches!(action, Action::Fetch { timeout, .. } if timeout.as_secs() == 30));
        let phase = if ends == "succeeded" { "Success" } else { "Running" };
        let (_, action) = waiting.step(&schedule, NO_SHARE, timestamp_at(away + 1), reading(phase));
        let Action::Finish(result) = action else { panic!("{action:?}") };
        let finished = FinishedWait::new(&key(), &result, 9, Vec::new());
        assert_eq!((&*finished.outcome, finished.has_job_ended), (ends, ends == "succeeded"));
    }
}

#[test]
fn only_an_attempt_that_the_schedule_planned_may_be_advanced() {
    let schedule = Adaptive::new();
    let policy = WaitPolicy::new();
    let rows = [
        ("a plan of the schedule", policy, reading("Running"), true),
        (
            "the last delay before the deadline",
            policy.timeout(Duration::from_secs(3)),
            reading("Running"),
            false,
        ),
        (
            "the delay after an error",
            policy,
            Input::Error(AttemptError::timed_out(Duration::from_secs(30))),
            false,
        ),
    ];
    for (what, policy, input, may_advance) in rows {
        let mut waiting = ActiveWait::new(&key(), policy, 7, 0, timestamp_at(0));
        let _ = waiting.step(&schedule, NO_SHARE, timestamp_at(0), Input::Wake);
        let (_, action) = waiting.step(&schedule, NO_SHARE, timestamp_at(1), input);
        assert!(matches!(action, Action::SleepUntil(_)), "{what}: {action:?}");
        let earliest = may_advance.then(|| timestamp_at(3));
        assert_eq!(round_trip(&waiting).earliest, earliest, "{what}");
    }
}

#[test]
fn only_the_planned_tick_has_an_effect_and_an_advanced_one_deletes_nothing() {
    let waiting = |earliest| {
        let wait = ActiveWait::new(&key(), WaitPolicy::new(), 7, 5, timestamp_at(0));
        ActiveWait { earliest, ..wait }
    };
    let may_advance = waiting(Some(timestamp_at(0)));
    let finished = WaitState::Finished(Box::new(FinishedWait {
        tick: 5,
        next_tick_at: None,
        outcome: "succeeded".into(),
        has_job_ended: true,
        body: String::new(),
        receivers: Vec::new(),
    }));
    let attempt = |waiting: &ActiveWait| TickTask::Attempt(waiting.clone().into());
    let active = |waiting: &ActiveWait| WaitState::Waiting(waiting.clone().into());
    let rows = [
        (active(&waiting(None)), 5, false, attempt(&waiting(None))),
        (active(&waiting(None)), 4, false, TickTask::Nothing),
        (active(&waiting(None)), 5, true, TickTask::Nothing),
        (active(&may_advance), 5, true, attempt(&may_advance)),
        (active(&may_advance), 4, true, TickTask::Nothing),
        (finished.clone(), 5, false, TickTask::Delete),
        (finished.clone(), 6, false, TickTask::Nothing),
        (finished.clone(), 5, true, TickTask::Nothing),
    ];
    for (state, number, is_advanced, expected) in rows {
        let task = state.clone().tick_task(number, is_advanced);
        assert_eq!(task, expected, "{number} {is_advanced}: {state:?}");
    }
}

#[test]
fn an_advanced_attempt_is_due_at_once() {
    let schedule = Fixed::new(Duration::from_secs(30));
    let mut waiting = ActiveWait::new(&key(), WaitPolicy::new(), 7, 0, timestamp_at(0));
    let _ = waiting.step(&schedule, NO_SHARE, timestamp_at(0), Input::Wake);
    let _ = waiting.step(&schedule, NO_SHARE, timestamp_at(1), reading("Running"));
    let (_, action) = waiting.step(&schedule, NO_SHARE, timestamp_at(9), Input::Wake);
    assert!(matches!(action, Action::SleepUntil(at) if at.as_secs() == 31), "{action:?}");
    waiting.advance(timestamp_at(10));
    let (_, action) = waiting.step(&schedule, NO_SHARE, timestamp_at(10), Input::Wake);
    assert!(matches!(action, Action::Fetch { .. }), "{action:?}");
}

#[test]
fn a_later_watch_extends_but_never_shortens_the_timeout() {
    let minutes = |minutes: u64| WaitPolicy::new().timeout(Duration::from_secs(60 * minutes));
    for (other, expected) in [(minutes(1), 600), (minutes(10), 900), (minutes(60), 3900)] {
        let mut waiting = ActiveWait::new(&key(), minutes(10), 7, 0, timestamp_at(0));
        waiting.extend(&other, timestamp_at(300));
        assert_eq!(waiting.checkpoint.policy().deadline().as_secs(), expected);
    }
}

#[test]
fn a_tick_is_lost_after_the_longest_attempt_and_half_a_minute() {
    let mut waiting = ActiveWait::new(&key(), WaitPolicy::new(), 7, 0, timestamp_at(0));
    waiting.next_tick_at = timestamp_at(100);
    for (now, expected) in [(0, false), (100, false), (130, false), (190, false), (191, true)] {
        assert_eq!(waiting.is_stalled(timestamp_at(now)), expected, "{now}");
    }
}

#[test]
fn a_revived_tick_comes_at_its_planned_time_or_at_once() {
    let mut waiting = ActiveWait::new(&key(), WaitPolicy::new(), 7, 0, timestamp_at(0));
    waiting.next_tick_at = timestamp_at(100);
    let finished = |next_tick_at| FinishedWait {
        tick: 9,
        next_tick_at,
        outcome: "succeeded".into(),
        has_job_ended: true,
        body: String::new(),
        receivers: Vec::new(),
    };
    let rows = [
        (WaitState::Waiting(waiting.into()), [Some(100), Some(60), Some(0), Some(0)]),
        (
            WaitState::Finished(finished(Some(timestamp_at(100))).into()),
            [Some(100), Some(60), Some(0), Some(0)],
        ),
        // An earlier version has not stored the time.
        (WaitState::Finished(finished(None).into()), [None; 4]),
    ];
    for (state, expected) in rows {
        let until = [0, 40, 100, 500].map(|now| state.until_tick(timestamp_at(now)));
        assert_eq!(until.map(|until| until.map(|until| until.as_secs())), expected, "{state:?}");
    }
}

#[test]
fn duplicate_receivers_are_ignored_and_the_rest_limited() {
    let mut receivers = Vec::new();
    let added = ["a", "b", "a"].map(|to| add_receiver(&mut receivers, to));
    assert_eq!(added, [Ok(true), Ok(true), Ok(false)]);
    assert_eq!(receivers.len(), 2);
    let many: Vec<_> = (0..20).map(|to| add_receiver(&mut receivers, &to.to_string())).collect();
    assert_eq!(many.iter().filter(|added| added.is_ok()).count(), 14);
}

/// Returns the state that an earlier version has stored, without and with unknown fields.
fn stored(text: &str) -> [WaitState; 2] {
    let mut value: Value = serde_json::from_str(text).unwrap();
    let read = |value: &Value| serde_json::from_value(value.clone()).unwrap();
    let state = read(&value);
    value.as_object_mut().unwrap().values_mut().for_each(|state| state["added_later"] = json!([1]));
    [state, read(&value)]
}

#[test]
fn states_that_were_stored_are_read_and_continued() {
    let waiting = include_str!("../../fixtures/checkpoints/durable/waiting.json");
    for state in stored(waiting) {
        let WaitState::Waiting(mut waiting) = state else { panic!("{state:?}") };
        assert_eq!((waiting.tick, waiting.receivers.len()), (3, 1));
        let schedule = Fixed::new(Duration::from_secs(10));
        let (_, action) = waiting.step(&schedule, NO_SHARE, timestamp_at(5), Input::Wake);
        assert!(matches!(action, Action::Fetch { .. }), "{action:?}");
        let (_, action) = waiting.step(&schedule, NO_SHARE, timestamp_at(6), reading("Success"));
        let Action::Finish(result) = action else { panic!("{action:?}") };
        assert_eq!(result.map(|finished| finished.attempts), Ok(2));
    }
    let finished = include_str!("../../fixtures/checkpoints/durable/finished.json");
    for state in stored(finished) {
        let WaitState::Finished(finished) = state else { panic!("{state:?}") };
        assert_eq!((finished.tick, finished.has_job_ended), (9, true));
        let delivery = &finished.receivers[0].delivery;
        assert_eq!(
            (delivery.state(), delivery.last_error()),
            (DeliveryState::Failed, Some("410 Gone"))
        );
        assert_eq!(notification_id(&finished), "p1:354331b2c-229a:succeeded:9");
    }
}

#[test]
fn deliveries_of_earlier_versions_are_read() {
    use DeliveryState::{Delivered, Failed, Pending};
    let mut current = Delivery::new();
    current.handle_result(Err(NotifierError::transient("busy")), timestamp_at(0));
    let rows = [
        (json!("pending"), Pending, None),
        (json!("delivered"), Delivered, None),
        (json!({"failed": "410 Gone"}), Failed, Some("410 Gone")),
        (serde_json::to_value(&current).unwrap(), Pending, Some("busy")),
    ];
    for (stored, state, last_error) in rows {
        let receiver = json!({"address": "x", "delivery": stored});
        let receiver: Receiver = serde_json::from_value(receiver).unwrap();
        assert_eq!(
            (receiver.delivery.state(), receiver.delivery.last_error()),
            (state, last_error)
        );
        let text = serde_json::to_string(&receiver).unwrap();
        assert_eq!(serde_json::from_str::<Receiver>(&text).unwrap(), receiver);
    }
}

#[test]
fn results_of_tries_that_arrive_late_are_ignored() {
    let mut deliveries = vec![Delivery::new()];
    for _ in 0..2 {
        let mut next = deliveries[deliveries.len() - 1].clone();
        next.handle_result(Err(NotifierError::transient("busy")), timestamp_at(0));
        deliveries.push(next);
    }
    for (order, expected) in [([1, 2], 2), ([2, 1], 2), ([2, 2], 2), ([1, 1], 1)] {
        let mut receiver = Receiver::new("x");
        for index in order {
            receiver.record(deliveries[index].clone());
        }
        assert_eq!(receiver.delivery.tries(), expected, "{order:?}");
    }
}
