//! Tests of the delays from a hazard model, compared with numerical integration, and of the effect
//! of finished steps.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::schedule::adaptive::{history::History, observation::JobObservation};

fn integral(request_price: f64, target: f64) -> PollIntegral {
    PollIntegral::new(PollRate::new(request_price, 2.0, 60.0), target)
}

/// Returns the delay from this model with the default request price, without jitter.
fn gap(model: &HazardModel, position: JobPosition) -> Option<f64> {
    model.times_until_integrals(position, [integral(0.25, 1.0)]).map(|[gap]| gap)
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
fn the_poll_rate_integrates_to_one_over_a_gap() {
    for job_type in ["CreateCluster", "CreateNode", "DeleteNode"] {
        let rates = &Prior::for_type(Some(job_type)).rates;
        for age in [0.0, 1.0, 3.999, 4.0, 50.0, 1000.0, 1e5, 1e9] {
            let gap = time_until_integral(rates, age, integral(0.25, 1.0));
            let steps = 10_000;
            let rate_at = |time: f64| {
                // Interpolates between the middles of two bins.
                let next =
                    (0..BIN_COUNT).find(|at| bin_middle(*at) > time).unwrap_or(BIN_COUNT - 1);
                let last = next.saturating_sub(1);
                let of = |at: usize| (2.0 * rates[at]).sqrt().clamp(1.0 / 60.0, 0.5);
                let width = bin_middle(next) - bin_middle(last);
                let part = if width > 0.0 { (time - bin_middle(last)) / width } else { 0.0 };
                of(last) + (of(next) - of(last)) * part.clamp(0.0, 1.0)
            };
            let step = gap / f64::from(steps);
            let time = |number| age + (f64::from(number) + 0.5) * step;
            let integral: f64 = (0..steps).map(|number| rate_at(time(number)) * step).sum();
            assert!((integral - 1.0).abs() < 1e-3, "{job_type} {age}: {gap} {integral}");
        }
    }
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
        let bounded = integral(request_price, target);
        let unbounded = PollIntegral::new(PollRate::new(request_price, 0.0, f64::INFINITY), 1.0);
        let times = |integral| model.times_until_integrals(position, [integral]);
        if let Some([gap]) = times(bounded) {
            prop_assert!(gap >= 2.0 * target - 1e-9 && gap <= 60.0 * target + 1e-9, "{}", gap);
            let [unbounded_gap] = times(unbounded).unwrap();
            let both = model.times_until_integrals(position, [bounded, unbounded]);
            prop_assert_eq!(both, Some([gap, unbounded_gap]), "one integral does not affect the other");
        }
    }
}
