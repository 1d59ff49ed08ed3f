//! A service that waits for jobs, reports their progress, and continues after `kill -9`:
//!
//! ```sh
//! cargo run -p job-poller --features metrics --example service
//! curl -X PUT 127.0.0.1:8080/jobs/JOB_ID      # wait for a job
//! curl 127.0.0.1:8080/jobs/JOB_ID             # read its state
//! curl -N 127.0.0.1:8080/jobs/JOB_ID/events   # follow it (server-sent events)
//! curl 127.0.0.1:8080/metrics                 # for Prometheus
//! ```
//!
//! `DATABASE` is the path of the SQLite file with the checkpoints and results. `CCE_ENDPOINT`,
//! `OS_PROJECT_ID`, `OS_TOKEN` and `OS_CACERT` choose the cloud. `cce-job sim` simulates one.

mod api;
mod jobs;
mod store;
#[cfg(test)]
#[cfg(feature = "test-util")]
mod tests;

use std::{env, fs, time::Duration};

use job_poller::observer::MetricsObserver;
use job_transport::{
    Client, Credentials,
    hyper::{HyperTransport, TlsConfig, TlsProvider},
};
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::{net::TcpListener, signal};

use crate::{jobs::Jobs, store::Store};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let metrics = PrometheusBuilder::new().install_recorder()?;
    let upkeep = metrics.clone();
    tokio::spawn(async move {
        #[expect(clippy::disallowed_methods, reason = "the recorder needs regular upkeep")]
        let mut seconds = tokio::time::interval(Duration::from_secs(5));
        loop {
            seconds.tick().await;
            upkeep.run_upkeep();
        }
    });
    let store = Store::open(&env::var("DATABASE").unwrap_or_else(|_| "jobs.db".into()))?;
    let jobs = Jobs::start(client()?, MetricsObserver::new(), store).await?;
    let listener = TcpListener::bind("127.0.0.1:8080").await?;
    let server = axum::serve(listener, api::routes(jobs.clone(), metrics));
    let mut terminate = signal::unix::signal(signal::unix::SignalKind::terminate())?;
    let stop = async move {
        tokio::select! { _ = signal::ctrl_c() => {}, _ = terminate.recv() => {} }
        // This also ends the event streams, for which the server waits.
        jobs.stop().await;
    };
    Ok(server.with_graceful_shutdown(stop).await?)
}

fn client() -> anyhow::Result<Client> {
    let ca = fs::read(env::var("OS_CACERT")?)?;
    let tls = TlsConfig::ca_pem(TlsProvider::aws_lc_rs(), &ca)?;
    let (endpoint, token) = (env::var("CCE_ENDPOINT")?.parse()?, env::var("OS_TOKEN")?);
    let client = Client::new(endpoint, Credentials::token(token)?, HyperTransport::new(tls));
    Ok(client.project(env::var("OS_PROJECT_ID")?.parse()?))
}
