//! Other schedules to compare with, each as a series of reading times.

use std::time::Duration;

use fastrand::Rng;
use job_poller::schedule::{Adaptive, Exponential, History, JobObservation, PollState, Schedule};

use crate::distributions::{Cost, Distribution, Grid, MAX_GAP_SECS, MIN_GAP_SECS, seconds};

/// Returns the times, in seconds, at which a schedule reads a job of this type that takes `until`
/// seconds.
pub(crate) fn reading_times(schedule: &dyn Schedule, job_type: &str, until: f64) -> Vec<f64> {
    let mut readings = vec![0.0];
    let mut now = Duration::ZERO;
    let mut count = 0;
    while now.as_secs_f64() < until {
        count += 1;
        let mut state = PollState::new(now, count);
        state.job_type = Some(job_type);
        now += schedule.plan(&state).delay;
        readings.push(now.as_secs_f64());
    }
    readings
}

/// Returns reading times with a fixed interval: the first at `first`, and then one every `gap`
/// seconds.
pub(crate) fn equal_gaps(first: f64, gap: f64) -> impl Iterator<Item = f64> {
    (0_u32..).map(move |number| first + f64::from(number) * gap)
}

/// Returns the fixed interval with the lowest cost, and its cost.
pub(crate) fn best_fixed(grid: &Grid) -> (f64, Cost) {
    let cost = |gap: f64| grid.cost(equal_gaps(0.0, gap));
    // The cost has a single minimum, which a golden-section search finds.
    let (mut low, mut high) = (MIN_GAP_SECS.ln(), MAX_GAP_SECS.ln());
    for _ in 0..30 {
        let (one, other) = (low + 0.382 * (high - low), high - 0.382 * (high - low));
        if cost(one.exp()).combined() < cost(other.exp()).combined() {
            high = other
        } else {
            low = one
        }
    }
    let gap = f64::midpoint(low, high).exp();
    (gap, cost(gap))
}

/// Returns the fixed interval with this mean number of requests, to 0.1 %.
pub(crate) fn gap_for_requests(grid: &Grid, requests: f64) -> f64 {
    let (mut low, mut high) = (0.1_f64, 10_000.0_f64);
    loop {
        let gap = (low * high).sqrt();
        let made = grid.cost(equal_gaps(0.0, gap)).requests;
        if (made / requests - 1.0).abs() <= 0.001 || high / low < 1.000_001 {
            return gap;
        }
        if made > requests { low = gap } else { high = gap }
    }
}

/// Returns the mean cost of an AWS waiter. Its delays are random, from 2 s to a maximum that
/// doubles from 2 s to 120 s.
pub(crate) fn aws_waiter(grid: &Grid, rng: &mut Rng) -> Cost {
    const ROW_COUNT: u32 = 24;
    let mut mean = Cost::default();
    for _ in 0..ROW_COUNT {
        let (mut now, mut max_gap) = (0.0, 2.0);
        let row = std::iter::from_fn(|| {
            let reading = now;
            now += 2.0 + rng.f64() * (max_gap - 2.0);
            max_gap = f64::min(max_gap * 2.0, 120.0);
            Some(reading)
        });
        let cost = grid.cost(row);
        mean.delay += cost.delay / f64::from(ROW_COUNT);
        mean.requests += cost.requests / f64::from(ROW_COUNT);
    }
    mean
}

pub(crate) fn exponential() -> Exponential {
    Exponential::new(Duration::from_secs(1)..=Duration::from_secs(60)).jitter(0.0)
}

/// Returns an adaptive schedule that has observed these jobs from start to end.
pub(crate) fn adaptive_with_history(job_type: &str, jobs: &[f64]) -> Adaptive {
    let mut history = History::new();
    for job in jobs {
        history.record(&JobObservation::new(job_type, Duration::ZERO, seconds(*job), true));
    }
    Adaptive::new().jitter(0.0).history(&history)
}

/// Returns `count` random durations. They are only used to build histories: costs are computed
/// exactly, without samples.
pub(crate) fn sample_jobs(distribution: &Distribution, seed: u64, count: usize) -> Vec<f64> {
    let mut rng = Rng::with_seed(seed);
    (0..count).map(|_| distribution.sample(&mut rng)).collect()
}
