//! Waits as the engine keeps them: as text between one tick and the next.

use job_poller::{Adaptive, Fixed, Share};
use job_transport::Reading;

use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn key() -> WaitKey {
    "p1:354331b2c-229a".parse().unwrap()
}

fn reading(phase: &str) -> Input {
    let body = format!(
        r#"{{"metadata": {{"uid": "354331b2c-229a"}}, "spec": {{"type": "CreateCluster"}},
            "status": {{"phase": "{phase}", "note": 1.10}}}}"#
    );
    Reading::new(Job::from_slice(body.as_bytes()).unwrap()).into()
}

/// Returns the same wait, as it is after the engine kept it.
fn kept(waiting: &Waiting) -> Waiting {
    let text = serde_json::to_string(&WaitState::Waiting(waiting.clone().into())).unwrap();
    match serde_json::from_str(&text).unwrap() {
        WaitState::Waiting(again) => {
            assert_eq!(*again, *waiting);
            *again
        }
        WaitState::Over(over) => panic!("{over:?}"),
    }
}

#[test]
fn a_wait_goes_on_from_tick_to_tick_and_a_replay_decides_the_same() {
    let schedule = Adaptive::new();
    let policy = WaitPolicy::new();
    let mut waiting = Waiting::new(&key(), policy, 7, 0, at(0));
    let (mut now, mut told) = (0, Vec::new());
    for phase in ["Running", "Running", "Running", "Success"] {
        let mut replayed = kept(&waiting);
        for (second, input) in [(now, Input::Wake), (now + 1, reading(phase))] {
            let step = waiting.step(&schedule, Turn::NONE, at(second), input.clone());
            assert_eq!(replayed.step(&schedule, Turn::NONE, at(second), input), step);
            told.extend(step.0.iter().map(ToString::to_string));
            match step.1 {
                Action::SleepUntil(until) => now = until.as_secs() as i64 + 1,
                Action::Fetch { .. } => {}
                Action::Finish(result) => {
                    let over = Over::new(&key(), &result, 9, Vec::new());
                    insta::assert_snapshot!(over.notice(&key()).body);
                    assert_eq!(over.notice(&key()).id(), "p1:354331b2c-229a:succeeded");
                    assert!(over.has_ended);
                }
            }
        }
        assert_eq!(replayed, waiting);
        assert!(waiting.urgency.is_some(), "its like end at a rate that is known");
    }
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn an_engine_that_was_away_beyond_the_deadline_makes_one_attempt_and_then_says_so() {
    let schedule = Fixed::new(Duration::from_secs(10));
    let policy = WaitPolicy::new().timeout(Duration::from_secs(60));
    for (away, ends) in [(3_600, "deadline_exceeded"), (3_600, "succeeded")] {
        let mut waiting = Waiting::new(&key(), policy, 7, 0, at(0));
        let _ = waiting.step(&schedule, Turn::NONE, at(0), Input::Wake);
        let _ = waiting.step(&schedule, Turn::NONE, at(1), reading("Running"));
        let mut waiting = kept(&waiting);
        let (_, action) = waiting.step(&schedule, Turn::NONE, at(away), Input::Wake);
        assert!(matches!(action, Action::Fetch { timeout, .. } if timeout.as_secs() == 30));
        let phase = if ends == "succeeded" { "Success" } else { "Running" };
        let (_, action) = waiting.step(&schedule, Turn::NONE, at(away + 1), reading(phase));
        let Action::Finish(result) = action else { panic!("{action:?}") };
        let over = Over::new(&key(), &result, 9, Vec::new());
        assert_eq!((&*over.outcome, over.has_ended), (ends, ends == "succeeded"));
    }
}

#[test]
fn while_the_budget_is_spent_a_wait_comes_once_before_it_is_due() {
    let share = Share::new(Duration::from_secs(4), Duration::from_secs(100));
    let spent = Turn { share, round: 0, is_spent: true };
    let schedule = Adaptive::new();
    let (no_timeout, short) =
        (WaitPolicy::new().no_timeout(), WaitPolicy::new().timeout(Duration::from_secs(15)));
    // Another pause than was planned, here the last before a deadline, is no early one.
    for (policy, parts) in [(no_timeout, 2.0), (short, 1.0)] {
        let mut waiting = Waiting::new(&key(), policy, 7, 0, at(0));
        assert_eq!(waiting.coming(at(0)), Coming::Due);
        let _ = waiting.step(&schedule, spent, at(0), Input::Wake);
        let (_, action) = waiting.step(&schedule, spent, at(1), reading("Running"));
        let Action::SleepUntil(until) = action else { panic!("{action:?}") };
        let pause = until.as_secs_f64() - 1.0;
        let due = waiting.due.duration_since(at(1)).as_secs_f64();
        assert!((due / pause - parts).abs() < 1e-6, "{pause} {due}");
        let comes = at(0) + jiff::SignedDuration::try_from(until).unwrap();
        let expected = if parts > 1.0 { Coming::Early } else { Coming::Due };
        assert_eq!(waiting.coming(comes), expected);
        assert_eq!(waiting.coming(waiting.due), Coming::Due);
        waiting.was_told = true;
        assert_eq!(waiting.coming(comes), Coming::Told);
    }
}

#[test]
fn whoever_watches_later_gives_it_the_time_of_one_wait() {
    let minutes = |minutes: u64| WaitPolicy::new().timeout(Duration::from_secs(60 * minutes));
    for (other, expected) in [(minutes(1), 600), (minutes(10), 900), (minutes(60), 3900)] {
        let mut waiting = Waiting::new(&key(), minutes(10), 7, 0, at(0));
        waiting.prolong(&other, at(300));
        assert_eq!(waiting.checkpoint.policy().deadline().as_secs(), expected);
    }
}

#[test]
fn a_receiver_is_told_once() {
    let mut receivers = Vec::new();
    let added = ["a", "b", "a"].map(|to| add_receiver(&mut receivers, to));
    assert_eq!(added, [Ok(true), Ok(true), Ok(false)]);
    assert_eq!(receivers.len(), 2);
    let many: Vec<_> = (0..20).map(|to| add_receiver(&mut receivers, &to.to_string())).collect();
    assert_eq!(many.iter().filter(|added| added.is_ok()).count(), 14);
}
