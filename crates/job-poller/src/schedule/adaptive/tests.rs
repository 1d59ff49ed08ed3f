//! Pauses by type and age, and their bounds.

use proptest::prelude::*;

use super::{observation::Lifetime, *};
use crate::schedule::Share;

/// Returns the pauses of a wait for a job of a type, in whole seconds.
fn pauses(schedule: Adaptive, job_type: &str, until: f64) -> Vec<u64> {
    let mut age = Duration::ZERO;
    let mut pauses = Vec::new();
    while age.as_secs_f64() < until {
        let mut seen = Seen::new(age, u32::try_from(pauses.len()).unwrap() + 1);
        seen.job_type = Some(job_type);
        let pause = schedule.pause(&seen);
        pauses.push(pause.as_secs());
        age += pause;
    }
    pauses
}

#[test]
fn pauses_without_history() {
    let steady = Adaptive::new().jitter(0.0);
    let dear = steady.clone().worth(Duration::from_secs(1));
    let rows = [
        ("CreateCluster", steady.clone(), 300.0),
        ("CreateNode", steady.clone(), 200.0),
        ("DeleteNode", steady, 60.0),
        ("a request of twice the pause", dear, 200.0),
    ];
    let rows = rows.map(|(name, schedule, until)| {
        let pauses = pauses(schedule, name, until);
        format!("{name}: {pauses:?}\n")
    });
    insta::assert_snapshot!(rows.concat());
}

#[test]
fn pauses_at_an_age() {
    let rows = [
        ("a cluster, long after most have ended", Some("CreateCluster"), 2000, false, 23_237),
        ("a node, likewise", Some("CreateNode"), 2000, false, 15_491),
        ("any other, likewise", None, 2000, false, 15_491),
        ("a cluster that is nearly done", Some("CreateCluster"), 2000, true, 11_618),
        ("beyond every bin", None, 1_000_000_000, false, 15_491),
    ];
    for (name, job_type, age, nearly_done, expected) in rows {
        let age = Duration::from_secs(age);
        let seen = Seen { job_type, age, nearly_done, ..Seen::new(Duration::ZERO, 2) };
        let pause = Adaptive::new().jitter(0.0).pause(&seen);
        assert_eq!(pause.as_millis(), expected, "{name}");
    }
}

#[test]
fn an_end_that_is_near_is_asked_for_soon_whatever_was_learnt() {
    let mut history = History::new();
    for _ in 0..50 {
        history.record(&Lifetime::new(
            "CreateCluster",
            Duration::ZERO,
            Duration::from_secs(300),
            true,
        ));
    }
    let learnt = Adaptive::new().history(&history);
    let pause = |nearly_done, random| {
        let age = Duration::from_secs(100);
        let seen = Seen {
            job_type: Some("CreateCluster"),
            nearly_done,
            random,
            ..Seen::new(age, if nearly_done { 1 } else { 2 })
        };
        [Adaptive::new(), learnt.clone()].map(|schedule| schedule.pause(&seen).as_secs_f64())
    };
    for random in [0, u64::MAX / 3, u64::MAX] {
        let [without, with] = pause(true, random);
        assert!((6.5..10.0).contains(&without) && with <= without, "{random}: {without} {with}");
    }
    let [without, with] = pause(false, u64::MAX / 2);
    assert!(with > 1.5 * without, "none ended so early: {without} {with}");
}

#[test]
fn what_is_spent_bounds_the_gaps() {
    let schedule = Adaptive::new();
    let pause = |worth, longest, age| {
        let share = Share::new(Duration::from_secs(worth), Duration::from_secs(longest));
        let seen = Seen { share: Some(share), ..Seen::new(Duration::from_secs(age), 2) };
        [0, u64::MAX].map(|random| schedule.pause(&Seen { random, ..seen }).as_secs())
    };
    // Where it is not, chance moves the schedule's own pauses.
    let rows =
        [(0, 38, [13, 17]), (1_000, 38, [38, 38]), (1_000, 190, [190, 190]), (1_000, 1, [2, 2])];
    for (worth, longest, expected) in rows {
        assert_eq!(pause(worth, longest, 2_000), expected, "{worth} {longest}");
    }
}

proptest! {
    #[test]
    fn an_urgency_is_a_number(
        age: Duration, worth: Duration, shared: Duration, nearly_done: bool,
    ) {
        let share = Some(Share::new(shared, Duration::MAX));
        let seen = Seen { share, nearly_done, ..Seen::new(age, 1) };
        for worth in [worth, Duration::ZERO] {
            let urgency = Adaptive::new().worth(worth).urgency(&seen).unwrap();
            prop_assert!(urgency.is_finite() && urgency > 0.0, "{}", urgency);
        }
    }

    #[test]
    fn pauses_stay_within_floor_and_cap(
        age: Duration, count: u32, random: u64, nearly_done: bool, worth: Duration, part: f64,
        job_type in prop::option::of("CreateCluster|DeleteNode|CreateNode"),
    ) {
        let job_type = job_type.as_deref();
        let seen = Seen { age, job_type, nearly_done, random, ..Seen::new(age, count) };
        let pause = Adaptive::new().worth(worth).jitter(part).pause(&seen);
        prop_assert!((2..=60).contains(&pause.as_secs()) && pause <= Duration::from_secs(60));
    }
}
