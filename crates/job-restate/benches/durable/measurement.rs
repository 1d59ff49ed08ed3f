//! Measures the requests for a set of jobs that do not end.

use std::{ops::RangeInclusive, time::Duration};

use job_model::JobId;

use crate::{bounds::Bounds, test_bed::TestBed};

const SAMPLE_INTERVAL: Duration = Duration::from_millis(100);
/// The number of samples in ten seconds.
const SAMPLES_PER_WINDOW: usize = 100;

/// The requests during a time.
pub(crate) struct Measurement {
    /// The number of requests at different times.
    samples: Vec<(Duration, u32)>,
    /// The longest time without a reading of a job.
    longest_gap: Duration,
    /// The lowest number of readings of a job.
    fewest: u32,
    job_count: usize,
    engine_cpu_seconds: f64,
    ticks: u32,
}

impl Measurement {
    /// Measures for this long.
    pub(crate) async fn new(
        bed: &TestBed,
        jobs: &[JobId],
        duration: Duration,
    ) -> anyhow::Result<Self> {
        let began = bed.now();
        let (engine_cpu_seconds, ticks) = (bed.engine.cpu_seconds(), bed.ticks());
        let readings = |job| bed.sim.readings(job).unwrap_or_default().0;
        let first: Vec<_> = jobs.iter().map(readings).collect();
        let mut last: Vec<_> = first.iter().map(|count| (*count, began)).collect();
        let mut samples = Vec::new();
        let mut longest_gap = Duration::ZERO;
        while bed.now() - began < duration {
            samples.push((bed.now(), bed.sim.requests()));
            for (job, (before, at)) in jobs.iter().zip(&mut last) {
                let count = readings(job);
                if count != *before {
                    longest_gap = longest_gap.max(bed.now() - *at);
                    (*before, *at) = (count, bed.now());
                }
            }
            bed.sleep(SAMPLE_INTERVAL).await;
        }
        let waiting = last.iter().map(|(_, at)| bed.now() - *at).max().unwrap_or_default();
        let fewest = first.iter().zip(&last).map(|(first, (last, _))| last - first).min();
        Ok(Self {
            samples,
            longest_gap: longest_gap.max(waiting),
            fewest: fewest.unwrap_or_default(),
            job_count: jobs.len(),
            engine_cpu_seconds: bed.engine.cpu_seconds() - engine_cpu_seconds,
            ticks: bed.ticks() - ticks,
        })
    }

    /// Returns the number of requests.
    pub(crate) fn requests(&self) -> u32 {
        match (self.samples.first(), self.samples.last()) {
            (Some((_, first)), Some((_, last))) => last - first,
            _ => 0,
        }
    }

    /// Returns the mean number of requests per second.
    pub(crate) fn mean_rate(&self) -> f64 {
        match (self.samples.first(), self.samples.last()) {
            (Some((began, first)), Some((ended, last))) => {
                f64::from(last - first) / (*ended - *began).as_secs_f64()
            }
            _ => 0.0,
        }
    }

    /// Returns the lowest and the highest number of requests per second in any ten seconds.
    pub(crate) fn rates(&self) -> (f64, f64) {
        let rates = self.samples.iter().zip(self.samples.iter().skip(SAMPLES_PER_WINDOW)).map(
            |((from, before), (to, after))| f64::from(after - before) / (*to - *from).as_secs_f64(),
        );
        rates.fold((f64::MAX, f64::MIN), |(least, most), rate| (least.min(rate), most.max(rate)))
    }

    /// Checks that the waits use the budget of requests per second, and that each gets its share.
    pub(crate) fn check(
        &self,
        bounds: &mut Bounds,
        requests_per_second: f64,
        fraction: RangeInclusive<f64>,
    ) {
        let (least, most) = self.rates();
        let what = "fraction of the budget used, lowest in any ten seconds";
        bounds.check(what, least / requests_per_second, fraction.clone());
        let what = "fraction of the budget used, highest in any ten seconds";
        bounds.check(what, most / requests_per_second, fraction);
        let round_robin_gap = self.job_count as f64 / requests_per_second;
        let gap = self.longest_gap.as_secs_f64() / round_robin_gap;
        bounds.check("longest gap of any wait, relative to round-robin", gap, 0.0..=2.0);
        bounds.check("lowest number of readings of any job", self.fewest.into(), 2.0..=1e6);
    }

    /// Checks the engine's CPU time and the number of turns for each request.
    pub(crate) fn check_cost(&self, bounds: &mut Bounds) {
        let requests = f64::from(self.requests().max(1));
        let millis = self.engine_cpu_seconds * 1000.0 / requests;
        bounds.check("engine CPU per request, in milliseconds", millis, 0.0..=MAX_ENGINE_MILLIS);
        let ticks = f64::from(self.ticks) / requests;
        bounds.check("turns per request", ticks, 1.0..=MAX_TURNS);
    }
}

/// The limit of the engine's CPU time per request, in milliseconds.
const MAX_ENGINE_MILLIS: f64 = 10.0;

/// The limit of the turns of a wait per request.
const MAX_TURNS: f64 = 2.0;
