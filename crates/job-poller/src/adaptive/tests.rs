//! Pauses by type and age, and their bounds.

use proptest::prelude::*;

use super::*;

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

proptest! {
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
