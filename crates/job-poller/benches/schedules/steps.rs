//! Measures what is gained by knowing how many steps of a job have ended.

use std::time::Duration;

use fastrand::Rng;
use job_poller::schedule::{Adaptive, History, JobObservation, PollState, Schedule};

use crate::{
    bounds::Bounds,
    distributions::{Cost, seconds},
    random::log_normal,
};

/// The distribution of jobs with consecutive steps. The duration of each step is log-normal.
struct StepDistributions {
    medians: Vec<f64>,
    sigma: f64,
}

impl StepDistributions {
    fn sample(&self, rng: &mut Rng) -> Vec<f64> {
        let mut end = 0.0;
        let step = |median: &f64| {
            end += log_normal(rng, *median, self.sigma);
            end
        };
        self.medians.iter().map(step).collect()
    }

    /// Returns a schedule that knows the distributions from many histories, with or without steps.
    fn adaptive_with_history(&self, with_steps: bool) -> Adaptive {
        let mut known = History::new();
        for seed in 0..40 {
            let mut rng = Rng::with_seed(3000 + seed);
            let mut history = History::new();
            for _ in 0..100 {
                let ends: Vec<Duration> = self.sample(&mut rng).into_iter().map(seconds).collect();
                let last = ends[ends.len() - 1];
                let observation = JobObservation::new(JOB_TYPE, Duration::ZERO, last, true);
                let steps = if with_steps { ends } else { Vec::new() };
                history.record(&observation.with_step_ends(steps));
            }
            known.merge(&history);
        }
        Adaptive::new().jitter(0.0).history(&known)
    }

    /// Returns the mean cost of jobs with this schedule.
    fn cost(&self, schedule: &Adaptive, with_steps: bool) -> Cost {
        const JOBS: u32 = 10_000;
        let mut rng = Rng::with_seed(4000);
        let mut cost = Cost::default();
        for _ in 0..JOBS {
            let ends = self.sample(&mut rng);
            let last = ends[ends.len() - 1];
            let (mut now, mut requests) = (0.0, 1_u32);
            while now < last {
                let mut state = PollState::new(seconds(now), requests);
                state.job_type = Some(JOB_TYPE);
                if with_steps {
                    // The steps end one after another.
                    let ended = ends.partition_point(|end| *end <= now);
                    let last = if ended > 0 { ends[ended - 1] } else { 0.0 };
                    state.completed_steps = ended as u32;
                    state.since_last_step = seconds(now - last);
                }
                now += schedule.plan(&state).delay.as_secs_f64();
                requests += 1;
            }
            cost.delay += (now - last) / f64::from(JOBS);
            cost.requests += f64::from(requests) / f64::from(JOBS);
        }
        cost
    }
}

const JOB_TYPE: &str = "CreateCluster";

/// Compares the cost with and without knowledge of the steps.
pub(crate) fn progress(bounds: &mut Bounds) {
    println!("\nprogress, distributions of steps known: J with / without");
    let rows: [(&str, &[f64], f64); 4] = [
        ("two equal steps", &[270.0, 270.0], 0.90),
        ("four equal steps", &[135.0; 4], 0.80),
        ("a dominant last step", &[10.0, 530.0], 1.01),
        ("a dominant first step", &[530.0, 10.0], 1.0),
    ];
    for (name, medians, max) in rows {
        for sigma in [0.35, 0.5, 1.0] {
            let steps = StepDistributions { medians: medians.to_vec(), sigma };
            let [with, without] = [true, false]
                .map(|with_steps| steps.cost(&steps.adaptive_with_history(with_steps), with_steps));
            let what = format!(
                "{name}, σ {sigma} ({:.1} s and {:.0}, {:.1} s and {:.0})",
                with.delay, with.requests, without.delay, without.requests
            );
            bounds.check(&what, with.combined() / without.combined(), 0.0..=max);
        }
    }
}
