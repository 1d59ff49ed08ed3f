//! The durations of the jobs: clusters, log-normal with σ 0.35.

use std::time::Duration;

use fastrand::Rng;
use job_poller::schedule::{History, JobObservation};

use crate::random::log_normal;

pub(crate) const JOB_TYPE: &str = "CreateCluster";

/// The price of a request, in seconds of delay.
pub(crate) const REQUEST_PRICE: f64 = 0.25;

pub(crate) fn draw(rng: &mut Rng) -> Duration {
    Duration::from_secs_f64(log_normal(rng, 540.0, 0.35))
}

/// Returns the history of some jobs.
pub(crate) fn history(jobs: usize, seed: u64) -> History {
    let (mut rng, mut history) = (Rng::with_seed(seed), History::new());
    for _ in 0..jobs {
        history.record(&JobObservation::new(JOB_TYPE, Duration::ZERO, draw(&mut rng), true));
    }
    history
}

/// Returns a history of 12,000 jobs, which is enough to know the law.
pub(crate) fn full_history() -> History {
    let mut known = History::new();
    (0..40).for_each(|seed| known.merge(&history(300, 7_000 + seed)));
    known
}
