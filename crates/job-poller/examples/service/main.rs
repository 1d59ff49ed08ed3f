//! A service that waits for jobs, tells its users how far they are, and survives `kill -9`:
//!
//! ```sh
//! cargo run -p job-poller --features metrics --example service
//! curl -X PUT 127.0.0.1:8080/jobs/JOB_ID      # wait for a job
//! curl 127.0.0.1:8080/jobs/JOB_ID             # read its state
//! curl -N 127.0.0.1:8080/jobs/JOB_ID/events   # follow it (server-sent events)
//! curl 127.0.0.1:8080/metrics                 # for Prometheus
//! ```
//!
//! The file of the variable `DATABASE` has the checkpoints and the results. `CCE_ENDPOINT`,
//! `OS_PROJECT_ID`, `OS_TOKEN` and `OS_CACERT` choose the cloud. `cce-job sim` simulates one.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod api;
mod jobs;
mod store;
#[cfg(test)]
#[cfg(feature = "test-util")]
mod tests;

use std::{env, fs};

use job_poller::MetricsObserver;
use job_transport::{Client, Credentials, HyperTransport, TlsConfig, TlsProvider};
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::{net::TcpListener, signal};

use crate::{jobs::Jobs, store::Store};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let metrics = PrometheusBuilder::new().install_recorder()?;
    let store = Store::open(&env::var("DATABASE").unwrap_or_else(|_| "jobs.db".into()))?;
    let jobs = Jobs::start(client()?, MetricsObserver::new(), store).await?;
    let listener = TcpListener::bind("127.0.0.1:8080").await?;
    println!("http://{}/jobs/", listener.local_addr()?);
    let server = axum::serve(listener, api::routes(jobs.clone(), metrics));
    let stop = async move {
        drop(signal::ctrl_c().await);
        // This also ends the event streams, for which the server waits.
        jobs.stop().await;
    };
    Ok(server.with_graceful_shutdown(stop).await?)
}

fn client() -> anyhow::Result<Client> {
    let provider = TlsProvider::aws_lc_rs();
    let tls = match env::var("OS_CACERT") {
        Ok(file) => TlsConfig::ca_pem(provider, &fs::read(file)?)?,
        Err(_) => TlsConfig::platform(provider)?,
    };
    let (endpoint, token) = (env::var("CCE_ENDPOINT")?.parse()?, env::var("OS_TOKEN")?);
    let client = Client::new(endpoint, Credentials::token(token)?, HyperTransport::new(tls));
    Ok(client.project(env::var("OS_PROJECT_ID")?.parse()?))
}
