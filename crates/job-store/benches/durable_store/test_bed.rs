//! The test bed: a database, workers, the simulated cloud, and the receiver of notifications.

use std::{env, fs, path::Path, process::Command, sync::Arc, time::Duration};

use anyhow::ensure;
use futures_util::{StreamExt, TryStreamExt, stream};
use job_model::JobId;
use job_sim::{Plan, Sim, TimeSource};
use job_store::{ListQuery, Store, WaitKey, WaitStatus, Watch};
use job_transport::clock::{Clock, TokioClock};

use crate::{
    cloud::Cloud,
    database::Address,
    postgres::Postgres,
    process::Process,
    receiver::Receiver,
    worker::{self, Config},
};

/// Which database a scenario uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Postgres,
    Sqlite,
}

/// The limits of the workers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) requests_per_second: f64,
    pub(crate) max_in_flight: usize,
    pub(crate) interval: Option<Duration>,
}

impl Limits {
    /// Each wait is read every two seconds, if the budget allows it.
    pub(crate) const DEFAULT: Self = Self {
        requests_per_second: 50.0,
        max_in_flight: 20,
        interval: Some(Duration::from_secs(2)),
    };
}

/// Everything that takes part in a scenario.
pub(crate) struct TestBed {
    pub(crate) sim: Arc<Sim>,
    pub(crate) cloud: Cloud,
    pub(crate) receiver: Receiver,
    pub(crate) postgres: Option<Postgres>,
    pub(crate) address: Address,
    /// The store as this process sees it. It starts waits and reads results.
    pub(crate) store: Store,
    pub(crate) workers: Vec<Process>,
    limits: Limits,
    clock: TokioClock,
}

/// The time between a request and its reply.
const LATENCY: Duration = Duration::from_millis(20);

/// The connections of this process to the database.
const CONNECTIONS: u32 = 8;

/// The number of waits that are started at the same time.
const MAX_CALLS: usize = 8;

/// The time between two looks at a condition.
const RETRY_DELAY: Duration = Duration::from_millis(100);

impl TestBed {
    /// Starts everything except workers. Returns `None` if PostgreSQL is not installed.
    pub(crate) async fn new(
        name: &str,
        kind: Kind,
        limits: Limits,
    ) -> anyhow::Result<Option<Self>> {
        let name = format!("durable-store-{name}");
        let (postgres, address) = match kind {
            Kind::Postgres => {
                let Some(postgres) = Postgres::start(&name) else { return Ok(None) };
                let address = Address::Postgres(postgres.folder.clone());
                (Some(postgres), address)
            }
            Kind::Sqlite => {
                let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
                let _ = fs::remove_dir_all(&folder);
                fs::create_dir_all(&folder)?;
                (None, Address::Sqlite(folder.join("waits.db")))
            }
        };
        let sim = Arc::new(Sim::new(Plan::create_cluster(), TimeSource::Clock));
        let connections = if kind == Kind::Sqlite { 2 } else { CONNECTIONS };
        let store = address.open(connections).await?.notifier(worker::notifier()?);
        Ok(Some(Self {
            cloud: Cloud::start(sim.clone(), LATENCY).await?,
            receiver: Receiver::start(0).await?,
            sim,
            postgres,
            store,
            address,
            workers: Vec::new(),
            limits,
            clock: TokioClock::new(),
        }))
    }

    /// Returns the configuration of a worker that reaches the cloud at `endpoint`.
    pub(crate) fn config(&self, endpoint: String) -> Config {
        Config {
            database: self.address.clone(),
            endpoint,
            token: self.sim.account().token,
            project: self.sim.project().to_string(),
            requests_per_second: self.limits.requests_per_second,
            max_in_flight: self.limits.max_in_flight,
            interval: self.limits.interval,
        }
    }

    /// Starts a worker with these environment variables. Its requests arrive at the endpoint whose
    /// number is one more than the index of the worker.
    pub(crate) async fn add_worker(&mut self, variables: &[(&str, String)]) -> anyhow::Result<()> {
        let endpoint = self.cloud.add_endpoint().await?;
        let config = serde_json::to_string(&self.config(endpoint))?;
        let mut command = Command::new(env::current_exe()?);
        command.arg(worker::ARGUMENT).arg(config).env_remove("HTTP_PROXY");
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        let log = self.folder().join(format!("worker-{}.log", self.workers.len()));
        self.workers.push(Process::start(command, &log)?);
        Ok(())
    }

    /// Starts several workers.
    pub(crate) async fn add_workers(&mut self, count: usize) -> anyhow::Result<()> {
        for _ in 0..count {
            self.add_worker(&[]).await?;
        }
        Ok(())
    }

    /// Returns the folder of the database and of the logs.
    pub(crate) fn folder(&self) -> &Path {
        match &self.address {
            Address::Postgres(folder) => folder,
            Address::Sqlite(file) => file.parent().unwrap_or(file),
        }
    }

    pub(crate) fn key(&self, job: &JobId) -> WaitKey {
        WaitKey { project: self.sim.project().clone(), job: job.clone() }
    }

    /// Adds jobs with the plans for their numbers, and starts a wait for each.
    pub(crate) async fn watch_jobs(
        &self,
        count: usize,
        plan: impl Fn(usize) -> Plan,
        watch: &Watch,
    ) -> anyhow::Result<Vec<JobId>> {
        let start = |number| {
            let job = self.sim.add(plan(number));
            async move {
                self.store.watch(&self.key(&job), watch).await?;
                anyhow::Ok(job)
            }
        };
        stream::iter(0..count).map(start).buffered(MAX_CALLS).try_collect().await
    }

    /// Returns the status of all waits.
    pub(crate) async fn statuses(&self) -> anyhow::Result<Vec<WaitStatus>> {
        let mut query = ListQuery::new().limit(1000);
        let mut statuses = Vec::new();
        loop {
            let page = self.store.list(&query).await?;
            statuses.extend(page.waits);
            let Some(next) = page.next else { return Ok(statuses) };
            query = query.after(next);
        }
    }

    /// Returns the processor time of the workers so far, in seconds.
    pub(crate) fn worker_cpu_seconds(&self) -> f64 {
        self.workers.iter().map(Process::cpu_seconds).sum()
    }

    /// Returns the processor time of PostgreSQL so far, in seconds.
    pub(crate) fn postgres_cpu_seconds(&self) -> f64 {
        self.postgres.as_ref().map_or(0.0, Postgres::cpu_seconds)
    }

    /// Returns the number of distinct notifications that have arrived.
    pub(crate) fn notified(&self) -> usize {
        self.receiver.received().notifications.len()
    }

    /// Waits until each job has been read this often.
    pub(crate) async fn wait_for_readings(
        &self,
        jobs: &[JobId],
        count: usize,
        timeout: Duration,
    ) -> anyhow::Result<()> {
        self.wait_until(timeout, "readings of all jobs", || {
            let readings = self.cloud.readings();
            let is_read =
                |job: &JobId| readings.get(job.as_str()).is_some_and(|of| of.len() >= count);
            jobs.iter().all(is_read)
        })
        .await
    }

    /// Waits until the condition is met.
    ///
    /// # Errors
    ///
    /// Returns an error if the condition is not met in time.
    pub(crate) async fn wait_until(
        &self,
        timeout: Duration,
        what: &str,
        is_met: impl Fn() -> bool,
    ) -> anyhow::Result<()> {
        let began = self.now();
        while !is_met() {
            ensure!(self.now() - began < timeout, "timed out after {timeout:?} waiting for {what}");
            self.sleep(RETRY_DELAY).await;
        }
        Ok(())
    }

    pub(crate) async fn sleep(&self, span: Duration) {
        self.clock.sleep(span).await;
    }

    pub(crate) fn now(&self) -> Duration {
        self.clock.monotonic()
    }
}
