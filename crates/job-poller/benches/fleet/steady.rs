//! Measures a fleet with a constant number of jobs: each job that ends is followed by another.

use std::{error::Error, sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use job_poller::{Adaptive, Fleet, FleetStats, WaitPolicy};

use crate::{
    bounds::Bounds,
    clock::processor_time,
    mix::Mix,
    service::{RequestStats, Service},
};

/// The interval that is measured, in seconds.
const MEASURE_FROM_SECS: u64 = 600;
const MEASURE_UNTIL_SECS: u64 = 2_400;

/// The result of a run.
pub(crate) struct Measurement {
    jobs: u32,
    per_second: f64,
    /// Sum of the detection delays in the measured interval, and their number.
    delays: Duration,
    seen: u32,
    round_robin: f64,
    /// Number of ends that the fleet reported.
    ends_reported: u64,
    request_stats: RequestStats,
    stats: FleetStats,
    /// Processor time in nanoseconds.
    processor_nanos: f64,
}

/// Runs a fleet with `jobs` jobs at any time under one budget. The fleet knows the distributions of
/// the durations.
pub(crate) async fn steady(
    jobs: u32,
    per_second: f64,
    mix: &Mix,
) -> Result<Measurement, Box<dyn Error>> {
    let service = Arc::new(Service::new(1));
    let fleet = Fleet::builder(service.clone())
        .requests_per_second(per_second)
        .policy(WaitPolicy::new().no_timeout())
        .schedule(Adaptive::new().history(&mix.full_history()))
        .start();
    let mut rng = fastrand::Rng::with_seed(2);
    let mut watches = FuturesUnordered::new();
    for _ in 0..jobs {
        // Each job starts at a random age.
        let (id, _) = service.add(mix, rng.f64());
        watches.push(fleet.watch(id));
    }
    let (mut delays, mut seen, mut reported) = (Duration::ZERO, 0, 0);
    let before = processor_time();
    while let Some(result) = watches.next().await {
        let job = result?.into_success()?;
        let id = job.uid().unwrap_or_default().parse()?;
        reported += 1;
        let now = service.now();
        if now.as_secs() >= MEASURE_UNTIL_SECS {
            break;
        }
        if now.as_secs() >= MEASURE_FROM_SECS {
            delays += now.saturating_sub(service.end_of(&id));
            seen += 1;
        }
        let (id, kind) = service.add(mix, 0.0);
        watches.push(fleet.watch_new(id, kind.name()));
    }
    let spent = processor_time() - before;
    while watches.next().now_or_never().flatten().is_some() {
        reported += 1;
    }
    let round_robin =
        mix.round_robin(jobs, per_second, MEASURE_FROM_SECS as f64, MEASURE_UNTIL_SECS as f64);
    let (asked, stats) = (service.request_stats(), fleet.stats());
    Ok(Measurement {
        jobs,
        per_second,
        delays,
        seen,
        round_robin,
        ends_reported: reported,
        request_stats: asked,
        stats,
        processor_nanos: spent,
    })
}

impl Measurement {
    /// Prints the figures and checks their bounds. `max_ratio` is the maximum of the detection
    /// delay relative to round-robin polling.
    pub(crate) fn print(&self, max_ratio: f64, bounds: &mut Bounds) {
        let delay = self.delays.as_secs_f64() / f64::from(self.seen);
        println!(
            "  {} ends detected {delay:.1} s late on average (round-robin: {:.1} s); request price {:.1} s; \
             {:.2} µs of processor time per poll, including the service",
            self.seen,
            self.round_robin,
            self.stats.request_price.as_secs_f64(),
            self.processor_nanos / 1e3 / self.stats.requests as f64,
        );
        bounds.check("mean delay / round-robin delay", delay / self.round_robin, 0.0..=max_ratio);
        let longest =
            self.request_stats.max_gap.as_secs_f64() * self.per_second / f64::from(self.jobs);
        bounds.check("longest gap / round-robin gap", longest, 0.0..=2.0);
        let [from, to] = [MEASURE_FROM_SECS, MEASURE_UNTIL_SECS]
            .map(|at| usize::try_from(at).unwrap_or(usize::MAX));
        let seconds =
            &self.request_stats.per_second[from..to.min(self.request_stats.per_second.len())];
        let part =
            |of: &[u32]| f64::from(of.iter().sum::<u32>()) / of.len() as f64 / self.per_second;
        let peak = seconds.windows(10).map(part).fold(0.0, f64::max);
        bounds.check("budget used", part(seconds), 0.99..=1.01);
        bounds.check("budget used, maximum over ten seconds", peak, 0.0..=1.01);
        // Each wait is for one job, and no job is requested again after its end was reported.
        let reported = self.ends_reported as f64 / self.request_stats.ends as f64;
        bounds.check("ends reported to callers / by the service", reported, 1.0..=1.0);
        println!();
    }
}
