//! Tests of the delays from a hazard model, compared with numerical integration, and of the effect
//! of finished steps.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::schedule::adaptive::{
    age_bins::bin_middle, history::History, observation::JobObservation,
};

/// Returns the delay from this model with the default request price, without jitter.
fn gap(model: &HazardModel, position: JobPosition) -> Option<f64> {
    model.gaps(position, [PollTarget::least_cost(0.25, 2.0, 60.0)]).map(|[gap]| gap)
}

fn position(age: f64) -> JobPosition {
    JobPosition { age, completed_steps: 0, since_last_step: age }
}

/// Returns a model that has learned from jobs with these step ends and job ends.
fn learned_model(jobs: &[(Vec<f64>, f64)]) -> HazardModel {
    let mut history = History::new();
    let age = Duration::from_secs_f64;
    for (steps, end) in jobs {
        let observation = JobObservation::new("CreateCluster", Duration::ZERO, age(*end), true);
        history.record(&observation.with_step_ends(steps.iter().copied().map(age).collect()));
    }
    history.hazard_model("CreateCluster")
}

#[test]
fn both_rules_match_numerical_integration() {
    let learned = learned_model(&vec![(vec![], 300.0); 20]);
    let priors = ["CreateCluster", "CreateNode", "DeleteNode"];
    let priors = priors.map(|job_type| (job_type, &Prior::for_type(Some(job_type)).rates));
    let learned = ("learned", &learned.0[0].completion);
    for (name, rates) in priors.into_iter().chain([learned]) {
        for age in [0.0, 1.0, 3.999, 4.0, 50.0, 200.0, 270.0, 1000.0, 1e5, 1e9] {
            // Interpolates between the middles of two bins.
            let interpolate = |time: f64, value: &dyn Fn(f64) -> f64| {
                let (at, next, part) = between_middles(time);
                let [at, next] = [at, next].map(|at| value(rates[at]));
                at + part * (next - at)
            };
            let integrate = |gap: f64, value: &dyn Fn(f64) -> f64| {
                let step = gap / 10_000.0;
                let (mut first, mut second) = (0.0, 0.0);
                for number in 0..10_000 {
                    let value = interpolate(age + (f64::from(number) + 0.5) * step, value);
                    second += step * (first + step * value / 2.0);
                    first += step * value;
                }
                (first, second)
            };
            let gap = gap_at(rates, age, PollTarget::keep_phase(0.25, 2.0, 60.0));
            let rate = |hazard: f64| (2.0 * hazard).sqrt().clamp(1.0 / 60.0, 0.5);
            let (integral, _) = integrate(gap, &rate);
            assert!((integral - 1.0).abs() < 1e-3, "{name} {age}: {gap} {integral}");

            let gap = gap_at(rates, age, PollTarget::least_cost(0.25, 0.0, f64::INFINITY));
            let (_, delay) = integrate(gap, &|hazard| hazard);
            assert!((delay / 0.25 - 1.0).abs() < 1e-3, "{name} {age}: {gap} {delay}");
            let bounded = gap_at(rates, age, PollTarget::least_cost(0.25, 10.0, 20.0));
            assert_eq!(bounded, gap.clamp(10.0, 20.0), "{name} {age}");
        }
    }
}

#[test]
fn a_single_wait_does_not_poll_at_the_start_of_a_rise() {
    // No job ends in the first bins. In the others, jobs end at a rate of 0.02 per second.
    let first = 20;
    let rates = array::from_fn(|at| if at < first { 1e-6 } else { 0.02 });
    let rise = bin_middle(first - 1);
    let gap = |poll: fn(f64, f64, f64) -> PollTarget| {
        gap_at(&rates, rise - 40.0, poll(0.25, 2.0, 60.0)) - 40.0
    };
    let (keep_phase, least_cost) = (gap(PollTarget::keep_phase), gap(PollTarget::least_cost));
    assert!((0.0..13.0).contains(&keep_phase), "{keep_phase}");
    // The poll is not wasted on the start of the rise.
    assert!((16.0..20.0).contains(&least_cost), "{least_cost}");
}

#[test]
fn a_model_without_observations_gives_no_delay() {
    let model = HazardModel::from_counts(&[], Prior::for_type(None));
    assert_eq!(gap(&model, position(10.0)), None);
}

#[test]
fn polls_are_frequent_when_jobs_usually_end() {
    let model = learned_model(&vec![(vec![], 300.0); 50]);
    let gap = |age| gap(&model, position(age)).unwrap();
    assert!(gap(30.0) > 40.0 && gap(290.0) < 8.0, "{} {}", gap(30.0), gap(290.0));
    // Polling is slow for a job that is later than all observed jobs.
    assert!(gap(3000.0) > 10.0, "{}", gap(3000.0));
}

#[test]
fn a_finished_step_shifts_the_expected_end() {
    // The step takes 200 s or 400 s. The job ends 100 s after it.
    let model = learned_model(&vec![[(vec![200.0], 300.0), (vec![400.0], 500.0)]; 25].concat());
    let at = |age, steps, since_step| JobPosition {
        age,
        completed_steps: steps,
        since_last_step: since_step,
    };
    let rows = [
        ("long before the end", at(100.0, 0, 100.0), 40.0..61.0),
        ("at the usual end, but the step has not ended", at(300.0, 0, 300.0), 25.0..61.0),
        ("the step has just ended", at(405.0, 1, 5.0), 25.0..61.0),
        ("the step ended 95 s ago", at(495.0, 1, 95.0), 2.0..6.0),
    ];
    for (name, position, expected) in rows {
        let gap = gap(&model, position).unwrap();
        assert!(expected.contains(&gap), "{name}: {gap}");
    }
    // No job was observed with this many steps.
    assert_eq!(gap(&model, at(10.0, 3, 1.0)), None);
}

#[test]
fn steps_beyond_the_maximum_share_the_last_stage() {
    let steps: Vec<f64> = (1..40).map(|step| f64::from(step) * 10.0).collect();
    let model = learned_model(&vec![(steps, 400.0); 20]);
    for steps in [6, 7, 8, 30] {
        let position = JobPosition { age: 100.0, completed_steps: steps, since_last_step: 3.0 };
        let gap = gap(&model, position).unwrap();
        assert!((2.0..=60.0).contains(&gap), "{gap}");
    }
}

proptest! {
    #[test]
    fn gaps_stay_within_bounds(
        jobs in prop::collection::vec((prop::collection::vec(0.0..1e5, 0..12), 0.0..1e5), 0..30),
        age in 0.0..1e6, since in 0.0..1e6, steps in 0_usize..20, request_price in 1e-6..1e6,
        target in 1e-3..1.0,
    ) {
        let model = learned_model(&jobs);
        let position = JobPosition { age, completed_steps: steps, since_last_step: since };
        let unbounded = PollTarget::keep_phase(request_price, 0.0, f64::INFINITY);
        let phase = PollTarget::keep_phase(request_price, 2.0, 60.0).fraction(target);
        let single = PollTarget::least_cost(request_price, 2.0, 60.0);
        for (poll, target) in [(phase, target), (single, 1.0)] {
            let gaps = |poll| model.gaps(position, [poll]);
            if let Some([gap]) = gaps(poll) {
                prop_assert!(gap >= 2.0 * target - 1e-9 && gap <= 60.0 * target + 1e-9, "{}", gap);
                let [unbounded_gap] = gaps(unbounded).unwrap();
                let both = model.gaps(position, [poll, unbounded]);
                prop_assert_eq!(both, Some([gap, unbounded_gap]), "one poll does not affect the other");
            }
        }
    }
}
