//! The mix of jobs and their durations: 30 % clusters, 50 % nodes, 20 % deletions.

use std::{fmt, time::Duration};

use fastrand::Rng;
use job_poller::{History, JobObservation};

use crate::random::log_normal;

#[derive(Clone, Copy, Debug)]
pub(crate) enum JobKind {
    Cluster,
    Node,
    Deletion,
}

impl JobKind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Cluster => "CreateCluster",
            Self::Node => "CreateNode",
            Self::Deletion => "DeleteNode",
        }
    }

    const fn median(self) -> f64 {
        match self {
            Self::Cluster => 540.0,
            Self::Node => 240.0,
            Self::Deletion => 90.0,
        }
    }
}

/// The distribution of all jobs. Each kind is log-normal.
pub(crate) struct Mix {
    pub(crate) sigma: f64,
    /// How many of ten jobs fail early.
    pub(crate) early_failures: u8,
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "σ {}, {} in ten fail early", self.sigma, self.early_failures)
    }
}

impl Mix {
    /// Draws a job and its duration in seconds.
    pub(crate) fn draw(&self, rng: &mut Rng) -> (JobKind, f64) {
        let kind = match rng.u8(..10) {
            0..3 => JobKind::Cluster,
            3..8 => JobKind::Node,
            _ => JobKind::Deletion,
        };
        if rng.u8(..10) < self.early_failures {
            return (kind, -12.0 * (1.0 - rng.f64()).ln());
        }
        (kind, log_normal(rng, kind.median(), self.sigma))
    }

    /// Returns a history of 12,000 jobs, which is enough to know their distributions.
    pub(crate) fn full_history(&self) -> History {
        let mut known = History::new();
        for seed in 0..40 {
            let mut rng = Rng::with_seed(7000 + seed);
            let mut history = History::new();
            for _ in 0..300 {
                let (kind, takes) = self.draw(&mut rng);
                let end = Duration::from_secs_f64(takes);
                history.record(&JobObservation::new(kind.name(), Duration::ZERO, end, true));
            }
            known.merge(&history);
        }
        known
    }

    /// Returns the mean detection delay of round-robin polling of `jobs` jobs, between the times
    /// `from` and `to`. Each job that ends is followed by another one.
    pub(crate) fn round_robin(&self, jobs: u32, per_second: f64, from: f64, to: f64) -> f64 {
        let mut rng = Rng::with_seed(8000);
        let every = f64::from(jobs) / per_second;
        let (mut sum, mut ended) = (0.0, 0_u32);
        for place in 0..jobs {
            let mut now = f64::from(place) / per_second;
            let mut ends = self.draw(&mut rng).1 * (1.0 - rng.f64());
            while now < to {
                if ends <= now {
                    if now >= from {
                        sum += now - ends;
                        ended += 1;
                    }
                    ends = now + self.draw(&mut rng).1;
                }
                now += every;
            }
        }
        sum / f64::from(ended)
    }
}
