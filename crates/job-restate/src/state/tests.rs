//! Tests waits whose state is stored as JSON between two ticks.

use job_model::Job;
use job_notify::{DeliveryState, NotifierError};
use job_poller::{
    machine::{Action, Input},
    schedule::{BudgetShare, Fixed},
};
use job_transport::Reading;
use serde_json::{Value, json};

use super::*;
use crate::notify::DeliveryRequest;

fn timestamp_at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn key() -> WaitKey {
    "p1:354331b2c-229a".parse().unwrap()
}

fn waiting(tick: u64) -> ActiveWait {
    ActiveWait::new(&key(), WaitPolicy::new(), 7, tick, timestamp_at(0))
}

fn finished(tick: u64, next_tick_at: Option<Timestamp>) -> WaitState {
    serde_json::from_value(json!({"Finished": {
        "tick": tick,
        "next_tick_at": next_tick_at,
        "outcome": "succeeded",
        "has_job_ended": true,
        "body": "",
        "receivers": [],
    }}))
    .unwrap()
}

#[test]
fn only_the_planned_tick_has_an_effect_and_an_advanced_one_deletes_nothing() {
    let (fixed, mut may_advance) = (waiting(5), waiting(5));
    may_advance.stored.permit_early_attempt(timestamp_at(0));
    let finished = finished(5, None);
    let attempt = |waiting: &ActiveWait| TickTask::Attempt(waiting.clone().into());
    let active = |waiting: &ActiveWait| WaitState::Waiting(waiting.clone().into());
    let rows = [
        (active(&fixed), 5, false, attempt(&fixed)),
        (active(&fixed), 4, false, TickTask::Nothing),
        (active(&fixed), 5, true, TickTask::Nothing),
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
fn a_tick_is_lost_after_the_longest_attempt_and_half_a_minute() {
    let mut waiting = waiting(0);
    waiting.next_tick_at = timestamp_at(100);
    for (now, expected) in [(0, false), (100, false), (130, false), (190, false), (191, true)] {
        assert_eq!(waiting.is_stalled(timestamp_at(now)), expected, "{now}");
    }
}

#[test]
fn a_revived_tick_comes_at_its_planned_time_or_at_once() {
    let mut waiting = waiting(0);
    waiting.next_tick_at = timestamp_at(100);
    let rows = [
        (WaitState::Waiting(waiting.into()), [Some(100), Some(60), Some(0), Some(0)]),
        (finished(9, Some(timestamp_at(100))), [Some(100), Some(60), Some(0), Some(0)]),
        // An earlier version has not stored the time.
        (finished(9, None), [None; 4]),
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
    let read = |value: &Value| -> WaitState { serde_json::from_value(value.clone()).unwrap() };
    let state = read(&value);
    let again = serde_json::to_value(&state).unwrap();
    assert_eq!(read(&again), state);
    // An earlier version finds the fields in the same places.
    for path in ["/Waiting/checkpoint/version", "/Waiting/urgency", "/Finished/body"] {
        assert_eq!(again.pointer(path), value.pointer(path), "{path}");
    }
    value.as_object_mut().unwrap().values_mut().for_each(|state| state["added_later"] = json!([1]));
    [state, read(&value)]
}

#[test]
fn states_that_were_stored_are_read_and_continued() {
    let share = BudgetShare::new(Duration::ZERO, Duration::MAX);
    let waiting = include_str!("../../fixtures/checkpoints/durable/waiting.json");
    for state in stored(waiting) {
        let WaitState::Waiting(mut waiting) = state else { panic!("{state:?}") };
        assert_eq!((waiting.tick, waiting.receivers.len()), (3, 1));
        let schedule = Fixed::new(Duration::from_secs(10));
        let step = waiting.stored.step(&schedule, share, timestamp_at(5), Input::Wake);
        assert!(matches!(step.action, Action::Fetch { .. }), "{step:?}");
        let body = br#"{"metadata": {"uid": "354331b2c-229a"}, "status": {"phase": "Success"}}"#;
        let reading = Reading::new(Job::from_slice(body).unwrap());
        let step = waiting.stored.step(&schedule, share, timestamp_at(6), reading.into());
        let Action::Finish(result) = step.action else { panic!("{step:?}") };
        assert_eq!(result.map(|finished| finished.attempts), Ok(2));
    }
    let finished = include_str!("../../fixtures/checkpoints/durable/finished.json");
    for state in stored(finished) {
        let WaitState::Finished(finished) = state else { panic!("{state:?}") };
        assert_eq!((finished.tick, finished.result.has_job_ended), (9, true));
        let delivery = &finished.receivers[0].delivery;
        assert_eq!(
            (delivery.state(), delivery.last_error()),
            (DeliveryState::Failed, Some("410 Gone"))
        );
        let request = DeliveryRequest::new(&key(), &finished, "https://example.com", 7);
        assert_eq!(request.notification().id(), "p1:354331b2c-229a:succeeded:9");
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
