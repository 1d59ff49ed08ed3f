//! Tests of the delays by job type and age, and of their bounds.

use proptest::prelude::*;

use super::{observation::JobObservation, *};
use crate::schedule::BudgetShare;

/// Returns the delays of a wait for a job of this type, in whole seconds.
fn delays(schedule: Adaptive, job_type: &str, until: f64) -> Vec<u64> {
    let mut age = Duration::ZERO;
    let mut delays = Vec::new();
    while age.as_secs_f64() < until {
        let mut state = PollState::new(age, u32::try_from(delays.len()).unwrap() + 1);
        state.job_type = Some(job_type);
        let delay = schedule.plan(&state).delay;
        delays.push(delay.as_secs());
        age += delay;
    }
    delays
}

#[test]
fn delays_without_history_follow_the_prior() {
    let steady = Adaptive::new().jitter(0.0);
    let dear = steady.clone().request_price(Duration::from_secs(1));
    let rows = [
        ("CreateCluster", steady.clone(), 300.0),
        ("CreateNode", steady.clone(), 200.0),
        ("DeleteNode", steady, 60.0),
        ("request price of 1 s", dear, 200.0),
    ];
    let rows = rows.map(|(name, schedule, until)| {
        let delays = delays(schedule, name, until);
        format!("{name}: {delays:?}\n")
    });
    insta::assert_snapshot!(rows.concat());
}

#[test]
fn delay_depends_on_type_age_and_nearly_done() {
    let rows = [
        (
            "a cluster at an age at which most have ended",
            Some("CreateCluster"),
            2000,
            false,
            23_237,
        ),
        ("a node at this age", Some("CreateNode"), 2000, false, 15_491),
        ("an unknown type at this age", None, 2000, false, 15_491),
        ("a cluster that is nearly done", Some("CreateCluster"), 2000, true, 11_618),
        ("beyond the start of the last bin", None, 1_000_000_000, false, 15_491),
    ];
    for (name, job_type, age, nearly_done, expected) in rows {
        let age = Duration::from_secs(age);
        let state = PollState { job_type, age, nearly_done, ..PollState::new(Duration::ZERO, 2) };
        let delay = Adaptive::new().jitter(0.0).plan(&state).delay;
        assert_eq!(delay.as_millis(), expected, "{name}");
    }
}

#[test]
fn nearly_done_jobs_are_polled_soon_regardless_of_history() {
    let mut history = History::new();
    for _ in 0..50 {
        history.record(&JobObservation::new(
            "CreateCluster",
            Duration::ZERO,
            Duration::from_secs(300),
            true,
        ));
    }
    let learned = Adaptive::new().history(&history);
    let delay = |nearly_done, random| {
        let age = Duration::from_secs(100);
        let state = PollState {
            job_type: Some("CreateCluster"),
            nearly_done,
            random,
            ..PollState::new(age, if nearly_done { 1 } else { 2 })
        };
        [Adaptive::new(), learned.clone()].map(|schedule| schedule.plan(&state).delay.as_secs_f64())
    };
    for random in [0, u64::MAX / 3, u64::MAX] {
        let [without, with] = delay(true, random);
        assert!((6.5..10.0).contains(&without) && with <= without, "{random}: {without} {with}");
    }
    let [without, with] = delay(false, u64::MAX / 2);
    assert!(with > 1.5 * without, "no job has ended so early: {without} {with}");
}

#[test]
fn a_binding_budget_share_sets_the_delay() {
    let schedule = Adaptive::new();
    let delay = |request_price, max_gap, age| {
        let share =
            BudgetShare::new(Duration::from_secs(request_price), Duration::from_secs(max_gap));
        let state = PollState { share: Some(share), ..PollState::new(Duration::from_secs(age), 2) };
        [0, u64::MAX].map(|random| schedule.plan(&PollState { random, ..state }).delay.as_secs())
    };
    // If the budget is not used up, the delays are the schedule's own, with jitter.
    let rows =
        [(0, 38, [13, 17]), (1_000, 38, [38, 38]), (1_000, 190, [190, 190]), (1_000, 1, [2, 2])];
    for (request_price, max_gap, expected) in rows {
        assert_eq!(delay(request_price, max_gap, 2_000), expected, "{request_price} {max_gap}");
    }
}

proptest! {
    #[test]
    fn urgency_is_finite_and_positive(
        age: Duration, request_price: Duration, shared: Duration, nearly_done: bool,
    ) {
        let share = Some(BudgetShare::new(shared, Duration::MAX));
        let state = PollState { share, nearly_done, ..PollState::new(age, 1) };
        for request_price in [request_price, Duration::ZERO] {
            let plan = Adaptive::new().request_price(request_price).plan(&state);
            let urgency = plan.urgency.unwrap();
            prop_assert!(urgency.is_finite() && urgency > 0.0, "{}", urgency);
        }
    }

    #[test]
    fn delays_stay_within_floor_and_cap(
        age: Duration, count: u32, random: u64, nearly_done: bool, request_price: Duration, part: f64,
        job_type in prop::option::of("CreateCluster|DeleteNode|CreateNode"),
    ) {
        let job_type = job_type.as_deref();
        let state = PollState { age, job_type, nearly_done, random, ..PollState::new(age, count) };
        let delay = Adaptive::new().request_price(request_price).jitter(part).plan(&state).delay;
        prop_assert!((2..=60).contains(&delay.as_secs()) && delay <= Duration::from_secs(60));
    }
}
