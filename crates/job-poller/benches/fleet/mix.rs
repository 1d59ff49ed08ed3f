//! The jobs of a run and their durations.

use std::{fmt, time::Duration};

use fastrand::Rng;
use job_poller::schedule::{History, JobObservation};

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

/// Which kinds of jobs a run has.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kinds {
    /// Only clusters.
    Clusters,
    /// 30 % clusters, 50 % nodes, 20 % deletions.
    All,
}

/// The distribution of all jobs. Each kind is log-normal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mix {
    pub(crate) kinds: Kinds,
    pub(crate) sigma: f64,
    /// How many of ten jobs fail early.
    pub(crate) early_failures: u8,
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = match self.kinds {
            Kinds::Clusters => "clusters",
            Kinds::All => "all kinds",
        };
        write!(f, "{kinds}, σ {}, {} in ten fail early", self.sigma, self.early_failures)
    }
}

impl Mix {
    /// Draws a job and its duration in seconds.
    pub(crate) fn draw(&self, rng: &mut Rng) -> (JobKind, f64) {
        let kind = match (self.kinds, rng.u8(..10)) {
            (Kinds::Clusters, _) | (Kinds::All, 0..3) => JobKind::Cluster,
            (Kinds::All, 3..8) => JobKind::Node,
            (Kinds::All, _) => JobKind::Deletion,
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

    /// Returns the mean detection delay of round-robin polling of `jobs` jobs until the time `to`.
    /// Each job that ends is followed by another one.
    pub(crate) fn round_robin(
        &self,
        jobs: u32,
        per_second: f64,
        is_mid_life: bool,
        to: f64,
    ) -> f64 {
        let mut rng = Rng::with_seed(8000);
        let every = f64::from(jobs) / per_second;
        let (mut sum, mut ended) = (0.0, 0_u32);
        for place in 0..jobs {
            let mut now = f64::from(place) / per_second;
            let left = if is_mid_life { 1.0 - rng.f64() } else { 1.0 };
            let mut ends = self.draw(&mut rng).1 * left;
            while now < to {
                if ends <= now {
                    sum += now - ends;
                    ended += 1;
                    ends = now + self.draw(&mut rng).1;
                }
                now += every;
            }
        }
        sum / f64::from(ended)
    }
}
