//! `--sim`: a simulated cloud in this process, whose jobs come and go.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use fastrand::Rng;
use job_notify::{AllowList, Webhook, WebhookKey};
use job_poller::WaitPolicy;
use job_sim::{ObjectPlan, Plan, Sim, SimTransport, TimeSource};
use job_store::{Store, WaitKey, Watch};
use job_transport::{
    clock::{Clock as _, TokioClock},
    hyper::{HyperTransport, TlsConfig, TlsProvider},
    transport::display_chain,
};

use crate::config::Project;

/// The endpoint of the simulated cloud, which no request reaches.
const ENDPOINT: &str = "https://cce.simulated.example";

/// The address of a receiver that never answers, so that the page shows what is not delivered.
const RECEIVER: &str = "http://127.0.0.1:9/cce";

/// The queue that clients may name. No program reads it.
pub(crate) const QUEUE: &str = "billing";

/// How often jobs that have ended are replaced.
const INTERVAL: Duration = Duration::from_secs(1);

/// The maximum number of jobs that are added at once.
const MAX_ADDED: usize = 2_000;

/// How long the service answers for a job that has ended.
const JOB_RETENTION: Duration = Duration::from_secs(600);

/// How long finished waits are kept.
pub(crate) const WAIT_RETENTION: Duration = Duration::from_secs(900);

const NAMES: [&str; 8] =
    ["shop", "billing", "search", "media", "staging", "reports", "mobile", "archive"];

const REASONS: [&str; 5] = [
    "the flavor c7.large.2 is sold out in eu-de-01",
    "quota exceeded: 40 of 40 elastic IPs are in use",
    "the subnet 10.4.0.0/24 has no free address",
    "node agent did not report within 15 minutes",
    "the key pair \"deploy\" does not exist",
];

/// A simulated cloud with one project.
#[derive(Clone)]
pub(crate) struct SimulatedCloud {
    sim: Arc<Sim>,
}

impl SimulatedCloud {
    pub(crate) fn new() -> Self {
        let sim = Sim::new(Plan::create_cluster(), TimeSource::Clock)
            .default_object_plan(ObjectPlan::ready_after(Duration::from_secs(20)))
            .forget_jobs_after(JOB_RETENTION);
        Self { sim: Arc::new(sim) }
    }

    /// Returns the project of the simulated jobs.
    ///
    /// # Errors
    ///
    /// Returns an error if the endpoint is invalid.
    pub(crate) fn project(&self) -> anyhow::Result<Project> {
        let client = self.sim.client(ENDPOINT.parse()?, SimTransport::new(self.sim.clone()));
        let id = self.sim.project().clone();
        let client = client.project(id.clone());
        Ok(Project { name: "simulated".into(), id, endpoint: ENDPOINT.into(), client })
    }

    /// Returns the notifier, whose receiver does not exist.
    ///
    /// # Errors
    ///
    /// Returns an error if the system has no certificate authorities.
    pub(crate) fn webhook() -> anyhow::Result<Webhook> {
        let tls = TlsConfig::platform(TlsProvider::aws_lc_rs()).context("no system CAs found")?;
        // No receiver verifies the signatures.
        let mut key = [0; 32];
        getrandom::fill(&mut key)?;
        let key = WebhookKey::new(&STANDARD.encode(key))?;
        let allowed: AllowList = "http://127.0.0.1:9".parse()?;
        Ok(Webhook::new(HyperTransport::new(tls), [key]).allow(allowed))
    }

    /// Keeps `jobs` waits active: a new job begins for each one that has ended. Never returns.
    pub(crate) async fn run(self, store: Store, jobs: usize) {
        let (clock, mut random) = (TokioClock::new(), Rng::with_seed(1));
        loop {
            match store.summary().await {
                Ok(summary) => {
                    for _ in 0..jobs.saturating_sub(summary.waits.active).min(MAX_ADDED) {
                        self.add_job(&store, &mut random).await;
                    }
                }
                Err(error) => tracing::warn!(error = %display_chain(&error), "no jobs are added"),
            }
            clock.sleep(INTERVAL).await;
        }
    }

    /// Adds a job, and a wait for it.
    async fn add_job(&self, store: &Store, random: &mut Rng) {
        let job = self.sim.add(plan(random));
        let key = WaitKey { project: self.sim.project().clone(), job };
        let mut policy = WaitPolicy::new();
        match random.u8(..100) {
            0..15 => policy = policy.until_ready(),
            // Less than most jobs take.
            15..19 => policy = policy.timeout(Duration::from_secs(30)),
            _ => {}
        }
        let mut watch = Watch::new().policy(policy);
        if random.u8(..100) < 10 {
            watch = watch.notify(RECEIVER);
        }
        if let Err(error) = store.watch(&key, &watch).await {
            tracing::warn!(error = %display_chain(&error), "cannot wait for a simulated job");
        }
    }
}

/// Returns a job of a random type, which takes between some seconds and four minutes.
fn plan(random: &mut Rng) -> Plan {
    let (plan, seconds) = match random.u8(..10) {
        0..4 => (Plan::create_cluster(), 40..240),
        4..7 => (Plan::scale_up_cluster(random.u32(1..6)), 30..180),
        7..9 => (Plan::delete_node(), 5..40),
        _ => (Plan::delete_cluster(), 20..90),
    };
    let name = format!("{}-{:02}", NAMES[random.usize(..NAMES.len())], random.u8(1..100));
    let id = format!("{:08x}-{:04x}-11e8-9c75-0255ac100ceb", random.u32(..), random.u16(..));
    let plan = plan.with_cluster(&id, &name);
    let plan = plan.with_duration(Duration::from_secs(random.u64(seconds)));
    if random.u8(..100) < 12 {
        plan.with_failure(REASONS[random.usize(..REASONS.len())])
    } else {
        plan
    }
}
