//! Measures the requests and the processor time for a while.

use std::{collections::BTreeMap, time::Duration};

use job_model::JobId;

use crate::{bounds::Bounds, cloud::Reading, test_bed::TestBed};

/// The requests during a time, and what they cost.
pub(crate) struct Measurement {
    began: Duration,
    ended: Duration,
    /// The times of all requests, in order.
    times: Vec<Duration>,
    /// The times of the requests for each job.
    of_jobs: Vec<Vec<Duration>>,
    postgres_cpu: f64,
    worker_cpu: f64,
}

impl Measurement {
    /// Measures the requests for these jobs.
    pub(crate) async fn new(bed: &TestBed, jobs: &[JobId], span: Duration) -> Self {
        let began = bed.now();
        let (postgres_cpu, worker_cpu) = (bed.postgres_cpu_seconds(), bed.worker_cpu_seconds());
        bed.sleep(span).await;
        let ended = bed.now();
        let postgres_cpu = bed.postgres_cpu_seconds() - postgres_cpu;
        let worker_cpu = bed.worker_cpu_seconds() - worker_cpu;
        let readings = bed.cloud.readings();
        let of_jobs: Vec<Vec<Duration>> =
            jobs.iter().map(|job| times(&readings, job, began, ended)).collect();
        let mut times: Vec<Duration> = of_jobs.iter().flatten().copied().collect();
        times.sort_unstable();
        Self { began, ended, times, of_jobs, postgres_cpu, worker_cpu }
    }

    /// Returns the mean number of requests per second.
    pub(crate) fn mean_rate(&self) -> f64 {
        self.times.len() as f64 / self.seconds()
    }

    /// Returns the lowest and the highest number of requests per second in consecutive parts of this
    /// length.
    pub(crate) fn rates(&self, part: Duration) -> (f64, f64) {
        let (mut lowest, mut highest) = (f64::MAX, f64::MIN);
        let mut from = self.began;
        while from + part <= self.ended {
            let is_in = |at: &&Duration| **at >= from && **at < from + part;
            let rate = self.times.iter().filter(is_in).count() as f64 / part.as_secs_f64();
            (lowest, highest) = (lowest.min(rate), highest.max(rate));
            from += part;
        }
        (lowest, highest)
    }

    /// Returns the longest time without a request for a job.
    pub(crate) fn longest_gap(&self) -> Duration {
        let gaps = self.of_jobs.iter().flat_map(|times| {
            let from = [self.began].into_iter().chain(times.iter().copied());
            from.zip(times.iter().copied().chain([self.ended])).map(|(from, to)| to - from)
        });
        gaps.max().unwrap_or_default()
    }

    /// Checks that the requests use the budget: in each part of ten seconds, and in each minute.
    pub(crate) fn check_rates(&self, bounds: &mut Bounds, requests_per_second: f64) {
        let (lowest, highest) = self.rates(Duration::from_secs(10));
        let what = "fraction of the budget used in ten seconds, the lowest";
        bounds.check(what, lowest / requests_per_second, 0.98..=1.02);
        let what = "fraction of the budget used in ten seconds, the highest";
        bounds.check(what, highest / requests_per_second, 0.98..=1.02);
        let minute = Duration::from_secs(60).min(self.ended - self.began);
        let (lowest, highest) = self.rates(minute);
        let what = format!("fraction of the budget used in {minute:.0?}, the lowest");
        bounds.check(&what, lowest / requests_per_second, 0.99..=1.01);
        let what = format!("fraction of the budget used in {minute:.0?}, the highest");
        bounds.check(&what, highest / requests_per_second, 0.99..=1.01);
    }

    /// Checks that no wait is read less often than in turn.
    pub(crate) fn check_gap(&self, bounds: &mut Bounds, requests_per_second: f64) {
        let round_robin = self.of_jobs.len() as f64 / requests_per_second;
        let gap = self.longest_gap().as_secs_f64() / round_robin;
        bounds.check("longest gap of any wait, relative to round-robin", gap, 0.0..=1.05);
    }

    /// Returns the processor time of PostgreSQL, as a part of one core.
    pub(crate) fn postgres_cores(&self) -> f64 {
        self.postgres_cpu / self.seconds()
    }

    /// Returns the processor time of all workers, as a part of one core.
    pub(crate) fn worker_cores(&self) -> f64 {
        self.worker_cpu / self.seconds()
    }

    fn seconds(&self) -> f64 {
        (self.ended - self.began).as_secs_f64()
    }
}

fn times(
    readings: &BTreeMap<String, Vec<Reading>>,
    job: &JobId,
    began: Duration,
    ended: Duration,
) -> Vec<Duration> {
    let of_job = readings.get(job.as_str()).into_iter().flatten();
    let times = of_job.map(|reading| reading.received_at);
    times.filter(|at| (began..ended).contains(at)).collect()
}
