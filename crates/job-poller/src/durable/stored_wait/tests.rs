//! Tests waits that are stored as JSON between two steps.

use job_model::{
    Job,
    object::{Object, ObjectKind},
};
use job_transport::{ObjectReading, Reading};
use serde_json::{Value, json};

use super::*;
use crate::{
    durable::{Forecast, StoredResult, WaitKey},
    machine::AttemptError,
    schedule::{Adaptive, Fixed},
};

const NO_SHARE: BudgetShare = BudgetShare::new(Duration::ZERO, Duration::MAX);

fn timestamp_at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn key() -> WaitKey {
    "p1:354331b2c-229a".parse().unwrap()
}

fn new_wait(policy: WaitPolicy) -> StoredWait {
    StoredWait::new(key().job, policy, 7, timestamp_at(0))
}

fn reading(phase: &str) -> Input {
    let body = format!(
        r#"{{"metadata": {{"uid": "354331b2c-229a"}}, "spec": {{"type": "CreateCluster"}},
            "status": {{"phase": "{phase}", "note": 1.10}}}}"#
    );
    Reading::new(Job::from_slice(body.as_bytes()).unwrap()).into()
}

/// Returns the wait as it is after the engine has stored and loaded it.
fn round_trip(wait: &StoredWait) -> StoredWait {
    let text = serde_json::to_string(wait).unwrap();
    let again: StoredWait = serde_json::from_str(&text).unwrap();
    assert_eq!(again, *wait);
    again
}

#[test]
fn replaying_a_stored_wait_gives_the_same_steps() {
    let schedule = Adaptive::new();
    let policy = WaitPolicy::new();
    let mut wait = new_wait(policy);
    let (mut now, mut events) = (0, Vec::new());
    for phase in ["Running", "Running", "Running", "Success"] {
        let mut replayed = round_trip(&wait);
        for (second, input) in [(now, Input::Wake), (now + 1, reading(phase))] {
            let step = wait.step(&schedule, NO_SHARE, timestamp_at(second), input.clone());
            assert_eq!(replayed.step(&schedule, NO_SHARE, timestamp_at(second), input), step);
            events.extend(step.events.iter().map(ToString::to_string));
            match step.action {
                Action::SleepUntil(until) => now = until.as_secs() as i64 + 1,
                Action::Fetch { .. } | Action::FetchObject { .. } => {}
                Action::Finish(result) => {
                    let finished = StoredResult::new(&key(), &result);
                    insta::assert_snapshot!(finished.body);
                    assert!(finished.has_job_ended);
                }
            }
        }
        assert_eq!(replayed, wait);
        assert!(wait.urgency().is_some(), "the rate at which such jobs end is known");
    }
    insta::assert_snapshot!(events.join("\n"));
}

#[test]
fn a_stored_wait_goes_on_to_the_objects_of_its_job() {
    let schedule = Adaptive::new();
    let policy = WaitPolicy::new().until_ready();
    let mut wait = new_wait(policy);
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
        let (mut replayed, mut listed) = (round_trip(&wait), wait.clone());
        let step = wait.step(&schedule, NO_SHARE, timestamp_at(now), input.clone());
        assert_eq!(replayed.step(&schedule, NO_SHARE, timestamp_at(now), input.clone()), step);
        assert_eq!(replayed, wait);
        // A list shows no objects.
        if listed.checkpoint().machine().is_reading_objects() {
            assert_eq!(listed.forecast(), None);
            let at = timestamp_at(now);
            assert_eq!(listed.step_listed(&schedule, NO_SHARE, 0.01, at, input), step);
            assert_eq!(listed, wait);
        }
        lines.extend(step.events.iter().map(|event| format!("{now:>4}  {event}")));
        input = match step.action {
            Action::SleepUntil(until) => {
                now = until.as_secs() as i64 + 1;
                Input::Wake
            }
            Action::Fetch { .. } | Action::FetchObject { .. } => inputs.next().unwrap(),
            Action::Finish(result) => break result,
        };
    };
    let finished = StoredResult::new(&key(), &result);
    let body: Value = serde_json::from_str(&finished.body).unwrap();
    assert_eq!((&body["outcome"], &body["job_outcome"]), (&json!("ready"), &json!("succeeded")));
    assert_eq!(body["objects"][1]["node"], "n2");
    assert_eq!(body["objects"][1]["phase"], "Active");
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn a_watch_until_ready_extends_a_wait_for_the_end_of_the_job() {
    let (ended, ready) = (WaitPolicy::new(), WaitPolicy::new().until_ready());
    for (first, other, expected) in
        [(ended, ended, "ended"), (ended, ready, "ready"), (ready, ended, "ready")]
    {
        let mut wait = new_wait(first);
        wait.extend(&other, timestamp_at(5));
        let policy = serde_json::to_value(wait.checkpoint().policy()).unwrap();
        assert_eq!(policy["until"], expected);
    }
}

#[test]
fn a_late_engine_makes_one_attempt_after_the_deadline() {
    let schedule = Fixed::new(Duration::from_secs(10));
    let policy = WaitPolicy::new().timeout(Duration::from_secs(60));
    for (away, ends) in [(3_600, "deadline_exceeded"), (3_600, "succeeded")] {
        let mut wait = new_wait(policy);
        let _ = wait.step(&schedule, NO_SHARE, timestamp_at(0), Input::Wake);
        let _ = wait.step(&schedule, NO_SHARE, timestamp_at(1), reading("Running"));
        let mut wait = round_trip(&wait);
        let action = wait.step(&schedule, NO_SHARE, timestamp_at(away), Input::Wake).action;
        assert!(matches!(action, Action::Fetch { timeout, .. } if timeout.as_secs() == 30));
        let phase = if ends == "succeeded" { "Success" } else { "Running" };
        let action = wait.step(&schedule, NO_SHARE, timestamp_at(away + 1), reading(phase)).action;
        let Action::Finish(result) = action else { panic!("{action:?}") };
        let finished = StoredResult::new(&key(), &result);
        assert_eq!((&*finished.outcome, finished.has_job_ended), (ends, ends == "succeeded"));
    }
}

#[test]
fn an_attempt_may_be_advanced_unless_it_follows_an_error() {
    let schedule = Adaptive::new();
    let policy = WaitPolicy::new();
    let rows = [
        ("a plan of the schedule", policy, reading("Running"), true),
        (
            "the last delay before the deadline",
            policy.timeout(Duration::from_secs(3)),
            reading("Running"),
            true,
        ),
        (
            "the delay after an error",
            policy,
            Input::Error(AttemptError::timed_out(Duration::from_secs(30))),
            false,
        ),
    ];
    for (what, policy, input, may_advance) in rows {
        let mut wait = new_wait(policy);
        let _ = wait.step(&schedule, NO_SHARE, timestamp_at(0), Input::Wake);
        let action = wait.step(&schedule, NO_SHARE, timestamp_at(1), input).action;
        assert!(matches!(action, Action::SleepUntil(_)), "{what}: {action:?}");
        let earliest = may_advance.then(|| timestamp_at(3));
        assert_eq!(round_trip(&wait).earliest_attempt_at(), earliest, "{what}");
    }
}

#[test]
fn an_advanced_attempt_is_due_at_once() {
    let schedule = Fixed::new(Duration::from_secs(30));
    let mut wait = new_wait(WaitPolicy::new());
    let _ = wait.step(&schedule, NO_SHARE, timestamp_at(0), Input::Wake);
    let _ = wait.step(&schedule, NO_SHARE, timestamp_at(1), reading("Running"));
    let action = wait.step(&schedule, NO_SHARE, timestamp_at(9), Input::Wake).action;
    assert!(matches!(action, Action::SleepUntil(at) if at.as_secs() == 31), "{action:?}");
    wait.advance(timestamp_at(10));
    let action = wait.step(&schedule, NO_SHARE, timestamp_at(10), Input::Wake).action;
    assert!(matches!(action, Action::Fetch { .. }), "{action:?}");
}

#[test]
fn a_later_watch_extends_but_never_shortens_the_timeout() {
    let minutes = |minutes: u64| WaitPolicy::new().timeout(Duration::from_secs(60 * minutes));
    for (other, expected) in [(minutes(1), 600), (minutes(10), 900), (minutes(60), 3900)] {
        let mut wait = new_wait(minutes(10));
        wait.extend(&other, timestamp_at(300));
        assert_eq!(wait.checkpoint().policy().deadline().as_secs(), expected);
    }
}

#[test]
fn a_forecast_plans_a_request_at_any_time_after_the_last_reading() {
    let (schedule, mut wait) = (Adaptive::new().jitter(0.0), new_wait(WaitPolicy::new()));
    let _ = wait.step(&schedule, NO_SHARE, timestamp_at(0), Input::Wake);
    assert_eq!(wait.forecast(), None);
    for second in [1, 20] {
        let _ = wait.step(&schedule, NO_SHARE, timestamp_at(second), Input::Wake);
        let _ = wait.step(&schedule, NO_SHARE, timestamp_at(second), reading("Running"));
    }
    let text = serde_json::to_string(&wait.forecast().unwrap()).unwrap();
    let forecast: Forecast = serde_json::from_str(&text).unwrap();
    let plan = |since, jobs| {
        let plan = forecast.plan(&schedule, NO_SHARE, Duration::from_secs(since), jobs);
        (plan.delay.as_secs_f64().round(), plan.urgency.unwrap())
    };
    // One job in ten fails early. After that, the jobs end at a constant rate of 1/540.
    let ((early, hazard), (late, later_hazard)) = (plan(0, 1), plan(100, 1));
    assert!(early < late && hazard > later_hazard, "{early} {hazard}, {late} {later_hazard}");
    assert_eq!((late, plan(100, 4).0), (16.0, 8.0));
}

#[test]
fn a_list_makes_readings_rarer_the_less_it_misses() {
    let schedule = Adaptive::new().jitter(0.0);
    let share = BudgetShare::new(Duration::from_millis(250), Duration::from_secs(60));
    let delays = [1.0, 0.25, 0.01, 0.0].map(|missed| {
        let mut wait = new_wait(WaitPolicy::new());
        let mut step = |input| wait.step_listed(&schedule, share, missed, timestamp_at(60), input);
        let _ = step(Input::Wake);
        let action = step(reading("Running")).action;
        let Action::SleepUntil(at) = action else { panic!("{action:?}") };
        at.as_secs() - 60
    });
    assert_eq!(delays, [16, 32, 163, 300]);
}
