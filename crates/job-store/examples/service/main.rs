//! A service that waits for jobs, reports their progress, and continues after `kill -9`:
//!
//! ```sh
//! cargo run -p job-store --example service
//! curl -X PUT 127.0.0.1:8080/jobs/PROJECT:JOB     # wait; GET reads the status, DELETE stops the wait
//! curl -N 127.0.0.1:8080/jobs/PROJECT:JOB/events  # each change of the status (server-sent events)
//! curl -X POST 127.0.0.1:8080/jobs/PROJECT:JOB/hint  # the job may have changed: read it now
//! curl '127.0.0.1:8080/jobs?state=failed'         # or active, finished, overdue
//! curl 127.0.0.1:8080/metrics                     # for Prometheus
//! ```
//!
//! A `PUT` can have a body: `--json '{"policy": {"timeout": "45m"}, "enqueue": ["billing"]}'`. With
//! `CCE_JOB_WEBHOOK_KEY` and `ALLOWED_RECEIVERS`, it can have `"notify": ["https://.."]`, too.
//! `DATABASE_URL` is `sqlite://jobs.db` by default. Several instances can share a `postgres://..`.
//! `CCE_ENDPOINT`, `OS_TOKEN` and `OS_CACERT` choose the cloud; `cce-job sim` simulates one.

mod api;
#[cfg(test)]
mod tests;

use std::{env, fs};

use anyhow::Context as _;
use job_notify::{AllowList, Webhook, WebhookKey};
use job_poller::observer::MetricsObserver;
use job_store::{Store, Worker};
use job_transport::{
    Client, Credentials,
    hyper::{HyperTransport, TlsConfig, TlsProvider},
};
use metrics_exporter_prometheus::PrometheusBuilder;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use tokio::{net::TcpListener, signal};
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().init();
    let metrics = PrometheusBuilder::new().install_recorder()?;
    let mut store = open(env::var("DATABASE_URL").as_deref().unwrap_or("sqlite://jobs.db")).await?;
    if let Ok(key) = env::var("CCE_JOB_WEBHOOK_KEY") {
        let transport = HyperTransport::new(TlsConfig::platform(TlsProvider::aws_lc_rs())?);
        let allowed: AllowList = variable("ALLOWED_RECEIVERS")?.parse()?;
        store = store.notifier(Webhook::new(transport, [WebhookKey::new(&key)?]).allow(allowed));
    }
    let stop = CancellationToken::new();
    let worker = Worker::new(store.clone(), client()?).observer(MetricsObserver::new());
    let worker = tokio::spawn(worker.run(stop.clone().cancelled_owned()));
    let api = api::routes(api::Api { store, stop: stop.clone() }, metrics);
    let listen = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:8080".into());
    let server = axum::serve(TcpListener::bind(listen).await?, api);
    let server = server.with_graceful_shutdown(stop.clone().cancelled_owned());
    let mut terminate = signal::unix::signal(signal::unix::SignalKind::terminate())?;
    tokio::spawn(async move {
        tokio::select! { _ = signal::ctrl_c() => {}, _ = terminate.recv() => {} }
        stop.cancel();
    });
    server.await?;
    // The attempts in flight end, and their results are stored.
    Ok(worker.await?)
}

async fn open(url: &str) -> anyhow::Result<Store> {
    if !url.starts_with("sqlite:") {
        return Ok(Store::postgres(sqlx::PgPool::connect(url).await?).await?);
    }
    let options: SqliteConnectOptions = url.parse()?;
    let options = options.create_if_missing(true).journal_mode(SqliteJournalMode::Wal);
    Ok(Store::sqlite(sqlx::SqlitePool::connect_with(options).await?).await?)
}

fn client() -> anyhow::Result<Client> {
    let tls = TlsConfig::ca_pem(TlsProvider::aws_lc_rs(), &fs::read(variable("OS_CACERT")?)?)?;
    let credentials = Credentials::token(variable("OS_TOKEN")?)?;
    Ok(Client::new(variable("CCE_ENDPOINT")?.parse()?, credentials, HyperTransport::new(tls)))
}

fn variable(name: &'static str) -> anyhow::Result<String> {
    env::var(name).context(name)
}
