//! Tests the estimate of the rates.

use super::*;
use crate::schedule::adaptive::{
    age_bins::{BIN_COUNT, bin_of},
    prior::Prior,
};

fn rates(jobs: &[f64], prior: &Bins) -> [Bins; 2] {
    let mut stage = StageCounts::default();
    for job in jobs {
        stage.add_exposure(0.0, *job);
        stage.add_completion(*job);
    }
    estimate_rates(&stage, prior)
}

#[test]
fn without_observations_the_rates_are_those_of_the_prior() {
    let prior = Prior::for_type(Some("CreateNode")).rates;
    let [completion, transition] = rates(&[], &prior);
    for (rate, prior) in completion.iter().zip(&prior) {
        assert!((rate / prior - 1.0).abs() < 1e-12, "{rate} {prior}");
    }
    assert_eq!(transition, [0.0; BIN_COUNT]);
}

#[test]
fn rates_follow_the_observed_share_of_early_failures() {
    let usual: Vec<f64> = (0..18).map(|number| 400.0 + 15.0 * f64::from(number)).collect();
    let with_early = [&[20.0, 30.0], &usual[..]].concat();
    let rows: [(&str, &[f64], f64, _); 8] = [
        ("one job: nearly the prior before it", &usual[..1], 20.0, 0.3..1.0),
        ("no job failed early", &usual, 20.0, 0.0..0.12),
        ("no job failed early, later", &usual, 40.0, 0.0..0.12),
        ("two jobs failed early: as the prior, one in ten", &with_early, 20.0, 0.7..1.6),
        ("two jobs failed early, just after them", &with_early, 40.0, 0.4..1.0),
        ("between the failures and the other jobs", &with_early, 150.0, 0.0..0.05),
        ("when most jobs end", &with_early, 550.0, 3.0..6.0),
        ("later than all jobs", &with_early, 3000.0, 0.1..6.0),
    ];
    let prior = Prior::for_type(Some("CreateCluster")).rates;
    for (name, jobs, age, expected) in rows {
        let at = bin_of(age);
        let ratio = rates(jobs, &prior)[0][at] / prior[at];
        assert!(expected.contains(&ratio), "{name}: {ratio}");
    }
}
