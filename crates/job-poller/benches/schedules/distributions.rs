//! Distributions of job durations, and the exact cost of a series of readings under a distribution.

use std::time::Duration;

use fastrand::Rng;

use crate::random::log_normal;

/// The distribution of the durations of a job type.
#[derive(Clone, Debug)]
pub(crate) struct Distribution {
    pub(crate) name: String,
    pub(crate) job_type: &'static str,
    /// The components of a mixture, with their weights.
    components: Vec<(f64, Component)>,
}

/// A component of a mixture. Times are in seconds.
#[derive(Clone, Copy, Debug)]
enum Component {
    LogNormal {
        median: f64,
        sigma: f64,
    },
    /// Jobs that fail early.
    EarlyFailure {
        mean: f64,
    },
    /// Jobs that end at a constant rate.
    Memoryless {
        mean: f64,
    },
    /// A tail that falls with the inverse square, so that the variance is infinite.
    LogLogistic {
        median: f64,
    },
}

/// One job in ten fails early, after 12 s on average.
const EARLY_FAILURE_COMPONENT: (f64, Component) = (0.1, Component::EarlyFailure { mean: 12.0 });

impl Component {
    /// Returns the fraction of jobs that have ended by `at`.
    fn cdf(self, at: f64) -> f64 {
        match self {
            _ if at <= 0.0 => 0.0,
            Self::LogNormal { median, sigma } => {
                let z = (at / median).ln() / sigma;
                0.5 * libm::erfc(-z / std::f64::consts::SQRT_2)
            }
            Self::EarlyFailure { mean } | Self::Memoryless { mean } => 1.0 - (-at / mean).exp(),
            Self::LogLogistic { median } => 1.0 / (1.0 + (median / at).powi(2)),
        }
    }

    fn sample(self, rng: &mut Rng) -> f64 {
        match self {
            Self::LogNormal { median, sigma } => log_normal(rng, median, sigma),
            Self::EarlyFailure { mean } | Self::Memoryless { mean } => {
                -mean * (1.0 - rng.f64()).ln()
            }
            Self::LogLogistic { median } => median * (1.0 / (1.0 - rng.f64()) - 1.0).sqrt(),
        }
    }

    const fn scaled(self, by: f64) -> Self {
        match self {
            Self::LogNormal { median, sigma } => Self::LogNormal { median: median * by, sigma },
            // The time of an early failure does not depend on the duration of the other jobs.
            Self::EarlyFailure { .. } => self,
            Self::Memoryless { mean } => Self::Memoryless { mean: mean * by },
            Self::LogLogistic { median } => Self::LogLogistic { median: median * by },
        }
    }
}

impl Distribution {
    /// Returns all distributions that are compared: three job types, each with three spreads and
    /// with or without early failures; two that are memoryless; one with two modes; and one with a
    /// heavy tail.
    pub(crate) fn all() -> Vec<Self> {
        let types = [
            ("cluster", "CreateCluster", 540.0),
            ("node", "CreateNode", 240.0),
            ("deletion", "DeleteNode", 90.0),
        ];
        let mut distributions = Vec::new();
        for (name, job_type, median) in types {
            for sigma in [0.35, 0.5, 1.0] {
                let usual = Component::LogNormal { median, sigma };
                let name = format!("{name}, σ {sigma}");
                distributions.push(Self {
                    name: name.clone(),
                    job_type,
                    components: vec![(1.0, usual)],
                });
                let name = format!("{name}, 10 % early");
                distributions.push(Self {
                    name,
                    job_type,
                    components: vec![(0.9, usual), EARLY_FAILURE_COMPONENT],
                });
            }
        }
        for (name, job_type, mean) in &types[..2] {
            distributions.push(Self {
                name: format!("{name}, memoryless"),
                job_type,
                components: vec![(1.0, Component::Memoryless { mean: *mean })],
            });
        }
        let mode = |median| Component::LogNormal { median, sigma: 0.35 };
        let two = vec![(0.6, mode(120.0)), (0.4, mode(600.0))];
        distributions.push(Self {
            name: "bimodal".into(),
            job_type: "CreateNode",
            components: two,
        });
        let heavy = vec![(1.0, Component::LogLogistic { median: 240.0 })];
        distributions.push(Self {
            name: "heavy tail".into(),
            job_type: "CreateNode",
            components: heavy,
        });
        distributions
    }

    /// Returns the distribution of jobs that take `by` times as long.
    pub(crate) fn scaled(&self, by: f64) -> Self {
        let parts =
            self.components.iter().map(|(weight, part)| (*weight, part.scaled(by))).collect();
        Self { components: parts, ..self.clone() }
    }

    pub(crate) fn has_early_failures(&self) -> bool {
        self.components.iter().any(|(_, part)| matches!(part, Component::EarlyFailure { .. }))
    }

    pub(crate) fn sample(&self, rng: &mut Rng) -> f64 {
        let mut left = rng.f64();
        for (weight, part) in &self.components {
            if left < *weight {
                return part.sample(rng);
            }
            left -= weight;
        }
        self.components[0].1.sample(rng)
    }

    fn cdf(&self, at: f64) -> f64 {
        self.components.iter().map(|(weight, part)| weight * part.cdf(at)).sum()
    }

    /// Returns the distribution on a grid of cells.
    pub(crate) fn grid(&self) -> Grid {
        let mut end = 60.0;
        while 1.0 - self.cdf(end) > MAX_TAIL {
            end *= 1.05;
        }
        let cell = f64::max(0.25, end / 500_000.0);
        let cells = (end / cell) as usize;
        // The remaining jobs end in the last cell.
        let ended = (0..=cells).map(|at| if at < cells { self.cdf(at as f64 * cell) } else { 1.0 });
        let ended: Vec<f64> = ended.collect();
        let mut integral = vec![0.0];
        for pair in ended.windows(2) {
            integral.push(integral[integral.len() - 1] + cell * (pair[0] + pair[1]) / 2.0);
        }
        Grid { cell, ended, integral }
    }
}

/// The fraction of the longest jobs that the grid cuts off.
const MAX_TAIL: f64 = 1e-5;

/// A distribution in cells. Within a cell, jobs end at a constant rate.
pub(crate) struct Grid {
    pub(crate) cell: f64,
    /// The fraction of jobs that have ended at the start of each cell, and its integral.
    pub(crate) ended: Vec<f64>,
    pub(crate) integral: Vec<f64>,
}

/// The cost of a series of readings: mean delay in seconds, and mean number of requests.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    pub(crate) delay: f64,
    pub(crate) requests: f64,
}

/// The price of a request, in seconds.
pub(crate) const REQUEST_PRICE_SECS: f64 = 0.25;

/// The bounds of a delay between two readings, in seconds.
pub(crate) const MIN_GAP_SECS: f64 = 2.0;
pub(crate) const MAX_GAP_SECS: f64 = 60.0;

impl Cost {
    /// Returns both as one number, in seconds.
    pub(crate) fn combined(self) -> f64 {
        self.delay + REQUEST_PRICE_SECS * self.requests
    }
}

impl Grid {
    pub(crate) fn end(&self) -> f64 {
        (self.ended.len() - 1) as f64 * self.cell
    }

    /// Returns the fraction of jobs that have ended by `time`, and its integral.
    fn ended_by(&self, time: f64) -> (f64, f64) {
        let last = self.ended.len() - 1;
        let cell = (time / self.cell) as usize;
        if cell >= last {
            return (1.0, self.integral[last] + time - self.end());
        }
        let within = time - cell as f64 * self.cell;
        let ended =
            self.ended[cell] + (self.ended[cell + 1] - self.ended[cell]) * within / self.cell;
        (ended, self.integral[cell] + within * (self.ended[cell] + ended) / 2.0)
    }

    /// Returns the cost of readings at these times. The first and the last reading count too.
    pub(crate) fn cost(&self, readings: impl IntoIterator<Item = f64>) -> Cost {
        let (mut cost, mut before, mut from) = (Cost::default(), (0.0, 0.0), 0.0);
        for time in readings {
            let now = self.ended_by(time);
            // A request for each job that has not ended; a delay for each job that has ended since
            // the last reading.
            cost.requests += 1.0 - before.0;
            cost.delay += now.1 - before.1 - before.0 * (time - from);
            (before, from) = (now, time);
            if before.0 >= 1.0 {
                break;
            }
        }
        cost
    }

    /// Returns the 99th percentile of the detection delay with readings at these times.
    pub(crate) fn p99(&self, readings: &[f64]) -> f64 {
        // The delay and the fraction of the jobs of each cell, longest delay first.
        let mut late: Vec<(f64, f64)> = Vec::with_capacity(self.ended.len());
        let mut reading = 0;
        for (cell, pair) in self.ended.windows(2).enumerate() {
            let middle = (cell as f64 + 0.5) * self.cell;
            while readings.get(reading).is_some_and(|time| *time < middle) {
                reading += 1;
            }
            let Some(time) = readings.get(reading) else { break };
            late.push((time - middle, pair[1] - pair[0]));
        }
        late.sort_by(|one, other| other.0.total_cmp(&one.0));
        let mut left = 0.01;
        for (delay, part) in late {
            left -= part;
            if left <= 0.0 {
                return delay;
            }
        }
        0.0
    }

    /// Returns the minimum cost of any series of readings, by dynamic programming from the end
    /// backwards. The first reading is at 0, and all delays are within the bounds.
    pub(crate) fn min_cost(&self) -> f64 {
        let last = self.ended.len() - 1;
        let (shortest, longest) =
            ((MIN_GAP_SECS / self.cell).ceil() as usize, (MAX_GAP_SECS / self.cell) as usize);
        // The remaining cost after a reading at each cell, summed over the jobs that are active
        // then.
        let mut to_come = vec![0.0; last + longest + 1];
        for from in (0..last).rev() {
            let alive = 1.0 - self.ended[from];
            let cost = |gap: usize| {
                let to = from + gap;
                let (beyond, within) = (to.saturating_sub(last), to.min(last));
                let integral = self.integral[within] + beyond as f64 * self.cell;
                let delay =
                    integral - self.integral[from] - self.ended[from] * gap as f64 * self.cell;
                delay + REQUEST_PRICE_SECS * alive + to_come[to]
            };
            to_come[from] = (shortest..=longest).map(cost).fold(f64::INFINITY, f64::min);
        }
        to_come[0] + REQUEST_PRICE_SECS
    }
}

/// Returns a time in seconds as a duration.
pub(crate) fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}
