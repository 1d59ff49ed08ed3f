//! Measures how evenly the requests of many waits are spread that begin at the same time.

use std::time::Duration;

use fastrand::Rng;
use job_poller::schedule::{Adaptive, PollState, Schedule};

use crate::{
    baselines::{adaptive_with_history, sample_jobs},
    bounds::Bounds,
    distributions::Distribution,
};

const WAIT_COUNT: usize = 10_000;

/// Prints the number of requests in the busiest tenth of a second, relative to the ten seconds
/// around it.
pub(crate) fn herd(bounds: &mut Bounds) {
    println!("\n{WAIT_COUNT} waits that begin at the same time, without their first readings");
    for distribution in
        Distribution::all().into_iter().filter(|distribution| distribution.name.ends_with("0.35"))
    {
        let known =
            adaptive_with_history(distribution.job_type, &sample_jobs(&distribution, 1000, 100))
                .jitter(0.1);
        for (name, schedule) in [("no history", Adaptive::new()), ("100 jobs", known)] {
            let (crowd, share) = busiest_tenth(&requests_per_tenth(&schedule, &distribution));
            let what = [
                format!("{}, {name}: busiest tenth / (M/100 + 6 √(M/100))", distribution.name),
                format!("{}, {name}: its share of ten seconds, %", distribution.name),
            ];
            if distribution.job_type == "DeleteNode" && name != "no history" {
                // Ten seconds are a tenth of such a job, so the expected rate itself rises within
                // them.
                let [crowd_of, share_of] = what;
                println!("  {crowd_of:<66} {crowd:>9.3} (no bound)");
                println!("  {share_of:<66} {share:>9.3} (no bound)");
            } else {
                bounds.check(&what[0], crowd, 0.0..=1.0);
                bounds.check(&what[1], share, 0.0..=2.0);
            }
        }
    }
}

/// Returns the maximum over all windows of ten seconds of two figures: the busiest tenth of a
/// second relative to what is likely by chance, and its percentage of the window. Skips windows
/// with too few requests.
fn busiest_tenth(tenths: &[u32]) -> (f64, f64) {
    let (mut crowd, mut share) = (0.0_f64, 0.0_f64);
    // No wait sends its second request before the floor.
    for window in tenths[FLOOR_TENTHS..].windows(100) {
        let all = f64::from(window.iter().sum::<u32>());
        let max = f64::from(window.iter().max().copied().unwrap_or_default());
        let even = all / 100.0;
        if all >= 1000.0 {
            crowd = crowd.max(max / (even + 6.0 * even.sqrt()));
        }
        if all >= 3600.0 {
            share = share.max(100.0 * max / all);
        }
    }
    (crowd, share)
}

const FLOOR_TENTHS: usize = 20;

/// Returns the number of requests in each tenth of a second.
fn requests_per_tenth(schedule: &Adaptive, distribution: &Distribution) -> Vec<u32> {
    let mut rng = Rng::with_seed(5000);
    let mut tenths = Vec::new();
    for _ in 0..WAIT_COUNT {
        let ends = distribution.sample(&mut rng);
        let (mut now, mut count) = (Duration::ZERO, 0);
        while now.as_secs_f64() < ends {
            count += 1;
            let mut state = PollState::new(now, count);
            state.job_type = Some(distribution.job_type);
            state.random = rng.u64(..);
            now += schedule.plan(&state).delay;
            let tenth = (now.as_secs_f64() * 10.0) as usize;
            if tenths.len() <= tenth {
                tenths.resize(tenth + 1, 0);
            }
            tenths[tenth] += 1;
        }
    }
    tenths
}
