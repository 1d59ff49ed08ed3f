//! A run of a fleet with some jobs at a time, and what it cost per job.

use std::{error::Error, sync::Arc, time::Duration};

use fastrand::Rng;
use futures_util::{StreamExt, stream::FuturesUnordered};
use job_poller::{
    Fleet, WaitPolicy,
    fleet::ListReads,
    schedule::{Adaptive, History},
};
use tokio::runtime::Builder;

use crate::{
    law::{JOB_TYPE, REQUEST_PRICE, draw},
    service::{Lists, Service},
};

/// A run: how many jobs at a time, and how they start.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) jobs: usize,
    /// Whether each job that ends is followed by another one at once. Otherwise all start together,
    /// and the next ones start when all have ended.
    pub(crate) is_staggered: bool,
    /// The durations that the fleet knows. It learns no others, unless this is `None`.
    pub(crate) history: Option<History>,
    /// Number of jobs before those that are measured, in which the list can be proven.
    pub(crate) warm_up: usize,
    pub(crate) measured: usize,
    pub(crate) lists: Lists,
    /// Jobs that ended before the fleet starts.
    pub(crate) earlier: usize,
    /// The part of the ends that a hint announces, one second later.
    pub(crate) hinted: f64,
    pub(crate) per_second: f64,
    pub(crate) list_bytes_per_second: u32,
}

/// The sum of the cost of some jobs, and their number.
#[derive(Clone, Copy, Default)]
pub(crate) struct Cost {
    delay: f64,
    requests: u32,
    jobs: usize,
    pub(crate) max_delay: f64,
}

impl Cost {
    pub(crate) fn mean_delay(self) -> f64 {
        self.delay / self.jobs as f64
    }

    pub(crate) fn requests(self) -> f64 {
        f64::from(self.requests) / self.jobs as f64
    }

    /// Returns the mean delay and the price of the requests.
    pub(crate) fn per_job(self) -> f64 {
        self.mean_delay() + REQUEST_PRICE * self.requests()
    }
}

impl Case {
    /// One job at a time, of which nothing is known.
    pub(crate) const fn new(jobs: usize) -> Self {
        Self {
            jobs,
            is_staggered: false,
            history: Some(History::new()),
            warm_up: 0,
            measured: 0,
            lists: Lists::ONE,
            earlier: 0,
            hinted: 0.0,
            per_second: 50.0,
            list_bytes_per_second: 256 << 10,
        }
    }

    /// Runs the case with several seeds.
    pub(crate) fn measure(&self, seeds: u64) -> Result<Cost, Box<dyn Error>> {
        let mut sum = Cost::default();
        for seed in 0..seeds {
            let runtime = Builder::new_current_thread().enable_time().start_paused(true).build()?;
            let cost = runtime.block_on(self.run(seed))?;
            sum.delay += cost.delay;
            sum.requests += cost.requests;
            sum.jobs += cost.jobs;
            sum.max_delay = sum.max_delay.max(cost.max_delay);
        }
        Ok(sum)
    }

    async fn run(&self, seed: u64) -> Result<Cost, Box<dyn Error>> {
        let mut rng = Rng::with_seed(seed);
        let service = Arc::new(Service::new(self.lists));
        for _ in 0..self.earlier {
            let took = draw(&mut rng);
            service.add(JOB_TYPE, took + Duration::from_secs(rng.u64(1..1_000)), took);
        }
        let fleet = Fleet::builder(service.clone())
            .policy(WaitPolicy::new().no_timeout())
            .requests_per_second(self.per_second)
            .max_in_flight(1_000)
            .list_reads(ListReads::new().bytes_per_second(self.list_bytes_per_second));
        let fleet = match &self.history {
            Some(history) => fleet.schedule(Adaptive::new().history(history)),
            None => fleet,
        };
        let fleet = fleet.start();
        let (mut cost, mut requests_before) = (Cost::default(), 0);
        let (mut started, mut ended) = (0, 0);
        let (mut watches, mut hints) = (FuturesUnordered::new(), FuturesUnordered::new());
        let total = self.warm_up + self.measured;
        loop {
            while started < total
                && watches.len() < self.jobs
                && (self.is_staggered || watches.is_empty() || started % self.jobs != 0)
            {
                let takes = draw(&mut rng);
                let is_mid_life = self.is_staggered && started < self.jobs;
                let part = if is_mid_life { rng.f64() } else { 0.0 };
                let id = service.add(JOB_TYPE, takes.mul_f64(part), takes);
                if rng.f64() < self.hinted {
                    let (id, after) = (id.clone(), takes + Duration::from_secs(1));
                    #[expect(clippy::disallowed_methods, reason = "the paused clock")]
                    hints.push(async move {
                        tokio::time::sleep(after).await;
                        id
                    });
                }
                watches.push(fleet.watch(id));
                started += 1;
            }
            let result = tokio::select! {
                biased;
                Some(id) = hints.next(), if !hints.is_empty() => {
                    fleet.hint(&id);
                    continue;
                }
                Some(result) = watches.next() => result,
                else => break,
            };
            let job = result?.into_success()?;
            let id = job.uid().unwrap_or_default().parse()?;
            ended += 1;
            let delay = service.now().saturating_sub(service.end_of(&id)).as_secs_f64();
            let requests = *service.requests();
            let requests = requests.jobs + requests.lists;
            if ended <= self.warm_up {
                requests_before = requests;
            } else {
                cost.delay += delay;
                cost.requests = requests - requests_before;
                cost.jobs += 1;
                cost.max_delay = cost.max_delay.max(delay);
            }
            if ended == total {
                break;
            }
        }
        Ok(cost)
    }
}
