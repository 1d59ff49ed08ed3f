//! Serves until a signal stops the process.

use std::{
    fs,
    future::pending,
    io::{self, Write as _},
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail};
use job_notify::Webhook;
use job_store::Worker;
use job_transport::clock::{Clock as _, TokioClock};
use tokio::{
    sync::Semaphore,
    task::{self, JoinHandle},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{
    api::{self, ApiState, ChangeFeeds, Projects, WorkerObserver},
    arguments::ServeArguments,
    config::{Config, LimitsConfig, Project},
    database::Database,
    files,
    host::AllowedHosts,
    listen::{Listener, Tls},
    metrics::{Metrics, RefusalLog},
    sim::{self, SimulatedCloud},
    token::Tokens,
};

/// How often the files with tokens and certificates are checked for changes.
const REFRESH_INTERVAL: Duration = Duration::from_secs(1);

/// How long the attempts in flight may take after a signal. An attempt that is cut is repeated.
const WORKER_STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// What the server waits for.
struct Setup {
    projects: Vec<Project>,
    limits: LimitsConfig,
    retention: Duration,
    queues: Vec<String>,
    webhook: Option<Webhook>,
    cloud: Option<SimulatedCloud>,
}

impl Setup {
    fn new(arguments: &ServeArguments) -> anyhow::Result<Self> {
        let Some(file) = &arguments.config else {
            let cloud = SimulatedCloud::new();
            return Ok(Self {
                projects: vec![cloud.project()?],
                limits: LimitsConfig::default(),
                retention: sim::WAIT_RETENTION,
                queues: vec![sim::QUEUE.to_owned()],
                webhook: Some(SimulatedCloud::webhook()?),
                cloud: Some(cloud),
            });
        };
        let config = Config::read(file)?;
        let context = || format!("cannot use the configuration {}", file.display());
        Ok(Self {
            projects: config.projects().with_context(context)?,
            limits: config.limits,
            retention: config.limits.retention(),
            webhook: config.webhook().with_context(context)?,
            queues: config.queues,
            cloud: None,
        })
    }
}

/// Serves until a signal stops the process, and then until the replies and attempts in flight have
/// ended.
///
/// # Errors
///
/// Returns an error if a setting is invalid, if the address is in use, or if the database cannot be
/// opened.
pub(crate) async fn run(arguments: ServeArguments) -> anyhow::Result<()> {
    let stop = stop_on_signal()?;
    arguments.check_listen()?;
    let (metrics, observer) = Metrics::install(arguments.max_streams)?;
    let mut setup = Setup::new(&arguments)?;
    let tokens = open_tokens(&arguments)?;
    let tls = open_tls(&arguments)?;
    let database = Arc::new(open_database(&arguments, setup.webhook.take()).await?);

    let listener = Listener::bind(
        arguments.listen,
        tls.clone(),
        arguments.trusted_proxy.clone(),
        arguments.max_connections as usize,
        Duration::from_secs(arguments.write_timeout),
    );
    let listener = listener
        .with_context(|| format!("cannot listen on {}, which --listen sets", arguments.listen))?;
    let address = listener.address()?;

    let observer = WorkerObserver::new(observer);
    let clients = setup.projects.iter().map(|project| (project.id.clone(), project.client.clone()));
    let worker = Worker::for_projects(database.store.clone(), clients)
        .requests_per_second(setup.limits.requests_per_second)
        .max_in_flight(setup.limits.max_in_flight)
        .retention(setup.retention)
        .observer(observer.clone());
    let mut worker = tokio::spawn(worker.run(stop.clone().cancelled_owned()));

    let router = api::router(Arc::new(ApiState {
        database: database.clone(),
        projects: Projects::new(setup.projects),
        queues: setup.queues,
        tokens: tokens.clone(),
        refused_tokens: RefusalLog::default(),
        hosts: AllowedHosts::new(address.ip(), &arguments.allowed_host),
        feeds: ChangeFeeds::new(database.store.clone()),
        streams: Arc::new(Semaphore::new(arguments.max_streams as usize)),
        metrics: metrics.clone(),
        worker: observer,
        stop: stop.clone(),
    }));
    tokio::spawn(refresh(tokens.clone(), tls.clone(), metrics));
    if let Some(cloud) = setup.cloud {
        let (store, jobs) = (database.store.clone(), arguments.sim_jobs as usize);
        let stop = stop.clone();
        tokio::spawn(async move { stop.run_until_cancelled(cloud.run(store, jobs)).await });
    }

    let scheme = if tls.is_some() { "https" } else { "http" };
    announce(&format!("listening on {scheme}://{address}"), &tokens);
    let served = serve(listener.serve(router, stop.clone()), &mut worker, &stop).await;
    database.store.close().await;
    served
}

/// Serves until `stop` is canceled, and then waits for the worker.
///
/// # Errors
///
/// Returns an error if the worker ends before `stop` is canceled, for example because it panics: a
/// server that reads no jobs must not look healthy.
async fn serve(
    listener: impl Future<Output = ()>,
    worker: &mut JoinHandle<()>,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let worker_failed = async {
        tokio::select! {
            biased;
            () = stop.cancelled() => pending().await,
            ended = &mut *worker => ended,
        }
    };
    let ended = tokio::select! {
        () = listener => None,
        ended = worker_failed => Some(ended),
    };
    if let Some(ended) = ended {
        let error =
            ended.err().map_or_else(|| "it ended early".to_owned(), |error| error.to_string());
        tracing::error!(error, "the worker has failed, so the server stops");
        bail!("the worker that reads the jobs has failed: {error}");
    }
    match timeout(WORKER_STOP_TIMEOUT, &mut *worker).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "the worker failed while it stopped"),
        Err(_) => {
            tracing::warn!("some attempts had not ended in time; they will be repeated");
            worker.abort();
        }
    }
    Ok(())
}

/// Prints the address, because the port can be chosen by the system, and the file with the token.
fn announce(address: &str, tokens: &Tokens) {
    let mut stderr = io::stderr().lock();
    // A service without stderr works, too.
    let _ = writeln!(stderr, "cce-job-server: {address}");
    let _ = writeln!(stderr, "cce-job-server: the token is in {}", tokens.path().display());
}

fn open_tokens(arguments: &ServeArguments) -> anyhow::Result<Arc<Tokens>> {
    let file = arguments.state.tokens()?;
    let create_if_missing = arguments.state.token_file.is_none();
    if create_if_missing {
        create_state_folder(&arguments.state.folder()?)?;
    }
    Ok(Arc::new(Tokens::open(file, create_if_missing)?))
}

fn open_tls(arguments: &ServeArguments) -> anyhow::Result<Option<Arc<Tls>>> {
    let (Some(certificate), Some(key)) = (&arguments.tls_cert, &arguments.tls_key) else {
        return Ok(None);
    };
    Ok(Some(Arc::new(Tls::open(certificate.clone(), key.clone())?)))
}

async fn open_database(
    arguments: &ServeArguments,
    webhook: Option<Webhook>,
) -> anyhow::Result<Database> {
    if let Some(options) = arguments.postgres()? {
        return Database::postgres(options, webhook).await;
    }
    let folder = arguments.state.folder()?;
    create_state_folder(&folder)?;
    if arguments.sim {
        Database::temporary(&folder.join("simulated.db"), webhook).await
    } else {
        Database::sqlite(&folder.join("jobs.db"), webhook).await
    }
}

fn create_state_folder(folder: &Path) -> anyhow::Result<()> {
    let is_missing = fs::metadata(folder).is_err();
    if is_missing {
        files::create_private_folder(folder)
            .with_context(|| format!("cannot create the state folder {}", folder.display()))?;
    }
    Ok(())
}

/// Checks the files for changes, until the process ends.
async fn refresh(tokens: Arc<Tokens>, tls: Option<Arc<Tls>>, metrics: Metrics) {
    let clock = TokioClock::new();
    loop {
        clock.sleep(REFRESH_INTERVAL).await;
        let (tokens, tls) = (tokens.clone(), tls.clone());
        // Fails only if a read panics, or if the process ends.
        let _ = task::spawn_blocking(move || {
            tokens.refresh();
            tls.iter().for_each(|tls| tls.refresh());
        })
        .await;
        metrics.run_upkeep();
    }
}

/// Returns a token that the first SIGINT or SIGTERM cancels. The second one ends the process.
fn stop_on_signal() -> anyhow::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let mut signals = Signals::new().context("cannot handle signals")?;
    tokio::spawn({
        let stop = stop.clone();
        async move {
            signals.next().await;
            tracing::info!("stopping; a second signal ends the process at once");
            stop.cancel();
            std::process::exit(signals.next().await);
        }
    });
    Ok(stop)
}

#[cfg(unix)]
struct Signals(tokio::signal::unix::Signal, tokio::signal::unix::Signal);

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        Ok(Self(signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?))
    }

    /// Returns the exit code for the next signal.
    async fn next(&mut self) -> i32 {
        tokio::select! { _ = self.0.recv() => 130, _ = self.1.recv() => 143 }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> i32 {
        let _ = tokio::signal::ctrl_c().await;
        130
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_worker_that_fails_ends_the_server() {
        let stop = CancellationToken::new();
        let mut worker = tokio::spawn(async { panic!("a defect") });
        let error = serve(pending(), &mut worker, &stop).await.unwrap_err();
        assert!(error.to_string().contains("a defect"), "{error}");
        let mut worker = tokio::spawn(async {});
        let error = serve(pending(), &mut worker, &stop).await.unwrap_err();
        assert!(error.to_string().contains("it ended early"), "{error}");
    }

    #[tokio::test]
    async fn a_worker_that_ends_after_the_signal_is_no_error() {
        let stop = CancellationToken::new();
        stop.cancel();
        for is_first in [false, true] {
            let mut worker = tokio::spawn(async {});
            while is_first && !worker.is_finished() {
                task::yield_now().await;
            }
            let listener = task::yield_now();
            serve(listener, &mut worker, &stop).await.unwrap();
        }
    }
}
