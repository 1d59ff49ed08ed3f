//! The rates' numbers, held against the formulas they stand for.

use super::*;

fn near(one: f64, other: f64) -> bool {
    (one - other).abs() <= 1e-9 * other.abs()
}

#[test]
fn decay_is_the_exponential_function() {
    for x in [0.0, 1e-9, 0.1, 1.0, 2.5, 10.0, 100.0, 500.0, 1000.0] {
        let expected = f64::exp(-x);
        assert!((decay(x) - expected).abs() <= 1e-11 * expected, "{x}: {} {expected}", decay(x));
    }
    assert_eq!(decay(5000.0), 0.0);
}

#[test]
fn bins_are_a_third_of_an_octave_wide() {
    assert_eq!(STARTS[0], 4.0);
    assert!(near(STARTS[3], 8.0) && near(STARTS[39], 4.0 * 8192.0), "{STARTS:?}");
    assert!(near(STARTS[41], 4.0 * f64::powf(2.0, 41.0 / 3.0)), "{STARTS:?}");
}

#[test]
fn rates_are_those_of_the_mixture() {
    for (law, mean) in [(&CLUSTER, 540.0), (&NODE, 240.0), (&DELETION, 90.0)] {
        // The time that all jobs spend in a bin times its rate is how many end in it, and all do.
        let survive = |t: f64| 0.9 * f64::exp(-t / mean) + 0.1 * f64::exp(-t / 12.0);
        let mut from = 0.0;
        for (rate, to) in law.rates.iter().zip(STARTS) {
            let exposure = 0.9 * mean * (f64::exp(-from / mean) - f64::exp(-to / mean))
                + 1.2 * (f64::exp(-from / 12.0) - f64::exp(-to / 12.0));
            let expected = (survive(from) - survive(to)) / exposure;
            let expected = if from >= 2.0 * mean { expected / 2.0 } else { expected };
            assert!((rate - expected).abs() <= 1e-6 * expected, "{mean} {from}: {rate} {expected}");
            from = to;
        }
        assert!(near(law.rates[BINS - 1], 0.5 / mean));
    }
}

#[test]
fn types_have_their_laws() {
    let rows = [
        (Some("CreateCluster"), &CLUSTER),
        (Some("DeleteCluster"), &DELETION),
        (Some("RemoveNode"), &DELETION),
        (Some("ScaleupCluster"), &NODE),
        (Some("CreateNode"), &NODE),
        (Some(""), &NODE),
        (None, &NODE),
    ];
    for (job_type, law) in rows {
        assert!(std::ptr::eq(Law::of(job_type), law), "{job_type:?}");
    }
}

#[test]
fn the_integral_over_a_gap_is_one() {
    for law in [&CLUSTER, &NODE, &DELETION] {
        for age in [0.0, 1.0, 3.999, 4.0, 50.0, 1000.0, 1e5, 1e9] {
            let gap = law.gap(age, 0.25);
            let steps = 10_000;
            let density = |at: f64| {
                let bin = STARTS.iter().take_while(|start| **start <= at).count();
                (2.0 * law.rates[bin]).sqrt()
            };
            let step = gap / f64::from(steps);
            let at = |number| age + (f64::from(number) + 0.5) * step;
            let integral: f64 = (0..steps).map(|number| density(at(number)) * step).sum();
            assert!((integral - 1.0).abs() < 1e-3, "{age}: {gap} {integral}");
        }
    }
}
