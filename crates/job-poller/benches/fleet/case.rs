//! One run of a fleet: how many jobs of which kind, and what it measured.

use std::{error::Error, fmt, ops::Range, sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use job_poller::{
    Fleet, WaitPolicy,
    fleet::{FleetStats, WaitRequest},
    schedule::Adaptive,
};

use crate::{
    clock::processor_time,
    mix::Mix,
    service::{RequestStats, Service},
};

/// What a fleet has to do.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    pub(crate) jobs: u32,
    pub(crate) per_second: f64,
    pub(crate) mix: Mix,
    /// Whether each job starts at a random point of its duration, or has just begun.
    pub(crate) is_mid_life: bool,
    /// Whether the fleet knows the distributions of the durations.
    pub(crate) has_history: bool,
    /// The minimum part of the ten-second windows in which the budget binds.
    pub(crate) min_binding: f64,
    /// When the run ends. Until then each job that ends is followed by another one. `None` if no
    /// job follows: the run ends with the last job.
    pub(crate) refilled_until: Option<Duration>,
    /// When the service replies 503, in seconds.
    pub(crate) outage: Option<(u64, u64)>,
}

/// The result of a run.
pub(crate) struct Measurement {
    /// Sum of the detection delays, and their number.
    delays: Duration,
    pub(crate) seen: u32,
    /// Number of ends that the fleet reported.
    pub(crate) ends_reported: u64,
    pub(crate) request_stats: RequestStats,
    /// Whether the budget was used up in each second.
    pub(crate) is_binding: Vec<bool>,
    pub(crate) stats: FleetStats,
    /// Processor time in nanoseconds.
    processor_nanos: f64,
}

/// The price of a request if the budget is not used up.
const MIN_PRICE: Duration = Duration::from_millis(250);

/// The length of a window, in seconds.
pub(crate) const WINDOW_SECS: usize = 10;

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = if self.is_mid_life { "in mid-life" } else { "fresh" };
        let history = if self.has_history { "known durations" } else { "no history" };
        let flow = if self.refilled_until.is_some() { "at any time" } else { "and no more" };
        let (jobs, per_second, mix) = (self.jobs, self.per_second, self.mix);
        write!(f, "{jobs} jobs {flow}, {start}, {per_second} requests a second, {mix}, {history}")?;
        match self.outage {
            Some((from, to)) => write!(f, ", 503 from {from} s to {to} s"),
            None => Ok(()),
        }
    }
}

impl Case {
    pub(crate) async fn run(&self) -> Result<Measurement, Box<dyn Error>> {
        let mut service = Service::new(1);
        if let Some((from, to)) = self.outage {
            service = service.outage(Duration::from_secs(from)..Duration::from_secs(to));
        }
        let service = Arc::new(service);
        let adaptive = match self.has_history {
            true => Adaptive::new().history(&self.mix.full_history()),
            false => Adaptive::new(),
        };
        let fleet = Fleet::builder(service.clone())
            .requests_per_second(self.per_second)
            .policy(WaitPolicy::new().no_timeout())
            .schedule(adaptive)
            .start();
        let mut watches = FuturesUnordered::new();
        for _ in 0..self.jobs {
            watches.push(fleet.watch(service.add(&self.mix, self.is_mid_life).0));
        }
        let (mut delays, mut seen, mut reported) = (Duration::ZERO, 0, 0);
        let mut is_binding = Vec::new();
        let before = processor_time();
        #[expect(clippy::disallowed_methods, reason = "the paused clock")]
        let mut seconds = tokio::time::interval(Duration::from_secs(1));
        loop {
            let result = tokio::select! {
                _ = seconds.tick() => {
                    is_binding.push(fleet.stats().request_price > MIN_PRICE);
                    continue;
                }
                Some(result) = watches.next() => result,
                else => break,
            };
            let job = result?.into_success()?;
            let id = job.uid().unwrap_or_default().parse()?;
            reported += 1;
            let now = service.now();
            if self.refilled_until.is_some_and(|end| end <= now) {
                break;
            }
            delays += now.saturating_sub(service.end_of(&id));
            seen += 1;
            if self.refilled_until.is_some() {
                let (id, kind) = service.add(&self.mix, false);
                watches.push(fleet.watch_with(WaitRequest::new(id).submitted(kind.name())));
            } else if watches.is_empty() {
                break;
            }
        }
        let spent = processor_time() - before;
        while watches.next().now_or_never().flatten().is_some() {
            reported += 1;
        }
        Ok(Measurement {
            delays,
            seen,
            ends_reported: reported,
            request_stats: service.request_stats(),
            is_binding,
            stats: fleet.stats(),
            processor_nanos: spent,
        })
    }

    /// Returns the mean detection delay of round-robin polling, in seconds. `None` for a fleet that
    /// empties.
    pub(crate) fn round_robin(&self) -> Option<f64> {
        let until = self.refilled_until?.as_secs_f64();
        Some(self.mix.round_robin(self.jobs, self.per_second, self.is_mid_life, until))
    }

    /// Returns the part of the budget that is used in a range of seconds.
    pub(crate) fn part_used(&self, of: &Measurement, seconds: Range<usize>) -> f64 {
        let length = seconds.len() as f64;
        of.requests(seconds) / length / self.per_second
    }
}

impl Measurement {
    /// Returns the number of requests in a range of seconds.
    pub(crate) fn requests(&self, seconds: Range<usize>) -> f64 {
        f64::from(self.request_stats.per_second[seconds].iter().sum::<u32>())
    }

    /// Returns the mean detection delay in seconds.
    pub(crate) fn mean_delay(&self) -> f64 {
        self.delays.as_secs_f64() / f64::from(self.seen)
    }

    /// Returns the processor time of a poll, in microseconds.
    pub(crate) fn micros_per_poll(&self) -> f64 {
        self.processor_nanos / 1e3 / self.stats.requests as f64
    }

    /// Returns the ten-second windows, and whether the budget was used up in all of it.
    pub(crate) fn windows(&self) -> impl Iterator<Item = (Range<usize>, bool)> {
        let seconds = self.request_stats.per_second.len().min(self.is_binding.len());
        (0..seconds / WINDOW_SECS).map(|window| {
            let range = window * WINDOW_SECS..(window + 1) * WINDOW_SECS;
            let is_binding = self.is_binding[range.clone()].iter().all(|binds| *binds);
            (range, is_binding)
        })
    }
}
