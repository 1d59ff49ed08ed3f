//! When readings are due, held against integrals done by small steps, and what steps change.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::schedule::adaptive::{history::History, observation::Lifetime};

fn density(worth: f64) -> Density {
    Density::new(worth, 2.0, 60.0)
}

fn place(age: f64) -> Place {
    Place { age, steps: 0, since_step: age }
}

/// Returns a law that has seen jobs of these lengths, so often, each with steps that ended then.
fn seen(jobs: &[(Vec<f64>, f64)]) -> Law {
    let mut history = History::new();
    let age = Duration::from_secs_f64;
    for (steps, end) in jobs {
        let life = Lifetime::new("CreateCluster", Duration::ZERO, age(*end), true);
        history.record(&life.with_steps(steps.iter().copied().map(age).collect()));
    }
    history.law("CreateCluster")
}

#[test]
fn the_integral_over_a_gap_is_one() {
    for job_type in ["CreateCluster", "CreateNode", "DeleteNode"] {
        let rates = &Prior::of(Some(job_type)).rates;
        for age in [0.0, 1.0, 3.999, 4.0, 50.0, 1000.0, 1e5, 1e9] {
            let gap = due(rates, age, density(0.25), 1.0);
            let steps = 10_000;
            let dense = |time: f64| {
                // Evenly from one bin's middle to the next one's.
                let next = (0..BINS).find(|at| middle(*at) > time).unwrap_or(BINS - 1);
                let last = next.saturating_sub(1);
                let of = |at: usize| (2.0 * rates[at]).sqrt().clamp(1.0 / 60.0, 0.5);
                let width = middle(next) - middle(last);
                let part = if width > 0.0 { (time - middle(last)) / width } else { 0.0 };
                of(last) + (of(next) - of(last)) * part.clamp(0.0, 1.0)
            };
            let step = gap / f64::from(steps);
            let time = |number| age + (f64::from(number) + 0.5) * step;
            let integral: f64 = (0..steps).map(|number| dense(time(number)) * step).sum();
            assert!((integral - 1.0).abs() < 1e-3, "{job_type} {age}: {gap} {integral}");
        }
    }
}

#[test]
fn nothing_seen_is_no_law() {
    let law = Law::of(&[], Prior::of(None));
    assert_eq!(law.due(place(10.0), density(0.25), 1.0), None);
}

#[test]
fn readings_are_dense_where_jobs_end() {
    let law = seen(&vec![(vec![], 300.0); 50]);
    let gap = |age| law.due(place(age), density(0.25), 1.0).unwrap();
    assert!(gap(30.0) > 40.0 && gap(290.0) < 8.0, "{} {}", gap(30.0), gap(290.0));
    // Who is later than all is asked for seldom.
    assert!(gap(3000.0) > 10.0, "{}", gap(3000.0));
}

#[test]
fn a_step_that_ended_moves_the_end() {
    // One step of 200 s or of 400, and then 100 s until the end.
    let law = seen(&vec![[(vec![200.0], 300.0), (vec![400.0], 500.0)]; 25].concat());
    let at = |age, steps, since_step| Place { age, steps, since_step };
    let gap = |place| law.due(place, density(0.25), 1.0).unwrap();
    let rows = [
        ("long before", at(100.0, 0, 100.0), 40.0..61.0),
        ("at the usual end, but its step goes on", at(300.0, 0, 300.0), 25.0..61.0),
        ("its step has just ended", at(405.0, 1, 5.0), 25.0..61.0),
        ("and so long ago that it is likely to end", at(495.0, 1, 95.0), 2.0..6.0),
    ];
    for (name, place, expected) in rows {
        assert!(expected.contains(&gap(place)), "{name}: {}", gap(place));
    }
    // More steps than were ever seen: nothing is known.
    assert_eq!(law.due(at(10.0, 3, 1.0), density(0.25), 1.0), None);
}

#[test]
fn steps_without_end_are_one_stage_over_and_over() {
    let steps: Vec<f64> = (1..40).map(|step| f64::from(step) * 10.0).collect();
    let law = seen(&vec![(steps, 400.0); 20]);
    for steps in [6, 7, 8, 30] {
        let place = Place { age: 100.0, steps, since_step: 3.0 };
        let gap = law.due(place, density(0.25), 1.0).unwrap();
        assert!((2.0..=60.0).contains(&gap), "{gap}");
    }
}

proptest! {
    #[test]
    fn gaps_stay_within_their_bounds(
        lives in prop::collection::vec((prop::collection::vec(0.0..1e5, 0..12), 0.0..1e5), 0..30),
        age in 0.0..1e6, since in 0.0..1e6, steps in 0_usize..20, worth in 1e-6..1e6,
        much in 1e-3..1.0,
    ) {
        let law = seen(&lives);
        let place = Place { age, steps, since_step: since };
        if let Some(gap) = law.due(place, density(worth), much) {
            prop_assert!(gap >= 2.0 * much - 1e-9 && gap <= 60.0 * much + 1e-9, "{}", gap);
        }
    }
}
