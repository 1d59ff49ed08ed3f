//! A worker as a process of its own, so that it can be killed and its processor time is its own.

use std::{io, time::Duration};

use job_model::ProjectId;
use job_notify::{AllowList, Webhook, WebhookKey};
use job_poller::schedule::Fixed;
use job_store::{Store, Worker};
use job_transport::{
    Client, Credentials,
    clock::{Clock, TokioClock},
    hyper::{HyperTransport, TlsConfig, TlsProvider},
};
use rustix::process::{Signal, set_parent_process_death_signal};
use serde::{Deserialize, Serialize};
use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
};

use crate::{database::Address, receiver::WEBHOOK_KEY};

/// The first argument of a process that is a worker. The second one is its [`Config`].
pub(crate) const ARGUMENT: &str = "worker";

/// What a worker does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Config {
    pub(crate) database: Address,
    /// The address of the cloud.
    pub(crate) endpoint: String,
    pub(crate) token: String,
    pub(crate) project: String,
    pub(crate) requests_per_second: f64,
    pub(crate) max_in_flight: usize,
    /// The time between two readings. Without it, the schedule is adaptive.
    pub(crate) interval: Option<Duration>,
}

/// The connections of one worker to its database.
const CONNECTIONS: u32 = 4;

/// The delay after an attempt to open the store that failed.
const RETRY_DELAY: Duration = Duration::from_millis(200);

/// Runs a worker until SIGTERM, or until the process that started it ends.
pub(crate) fn run(config: &str) -> anyhow::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    tracing_subscriber::fmt().with_ansi(false).with_writer(io::stderr).init();
    let config: Config = serde_json::from_str(config)?;
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        let mut terminated = signal(SignalKind::terminate())?;
        let clock = TokioClock::new();
        let store = loop {
            // The database may be down.
            match config.database.open(CONNECTIONS).await {
                Ok(store) => break store.notifier(notifier()?),
                Err(error) => tracing::warn!(%error, "cannot open the store"),
            }
            clock.sleep(RETRY_DELAY).await;
        };
        let worker = config.worker(store)?;
        Box::pin(worker.run(async move { _ = terminated.recv().await })).await;
        Ok(())
    })
}

impl Config {
    /// Creates the worker.
    pub(crate) fn worker(&self, store: Store) -> anyhow::Result<Worker> {
        let credentials = Credentials::token(self.token.clone())?;
        let client = Client::new(self.endpoint.parse()?, credentials, transport()?);
        let client = client.project(self.project.parse::<ProjectId>()?);
        let worker = Worker::new(store, client)
            .requests_per_second(self.requests_per_second)
            .max_in_flight(self.max_in_flight);
        Ok(match self.interval {
            Some(interval) => worker.schedule(Fixed::new(interval)),
            None => worker,
        })
    }
}

/// Returns a notifier that delivers to receivers on loopback.
pub(crate) fn notifier() -> anyhow::Result<Webhook> {
    let webhook = Webhook::new(transport()?, [WebhookKey::new(WEBHOOK_KEY)?]);
    Ok(webhook.allow(AllowList::new(["http://127.0.0.1:*"])?))
}

fn transport() -> anyhow::Result<HyperTransport> {
    Ok(HyperTransport::new(TlsConfig::platform(TlsProvider::aws_lc_rs())?))
}
