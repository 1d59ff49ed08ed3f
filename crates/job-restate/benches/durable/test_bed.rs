//! The test bed: the engine, the service, the simulated cloud, and the receiver of notifications.

use std::{fs, net::TcpListener, path::PathBuf, process::Command, sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use bytes::Bytes;
use http::{Method, Request, header::CONTENT_TYPE};
use job_model::JobId;
use job_sim::{Sim, SimServer};
use job_transport::{
    clock::{Clock, TokioClock},
    hyper::{HyperTransport, TlsConfig, TlsProvider},
    transport::Transport,
};
use serde_json::Value;

use crate::{
    process::Process,
    receiver::{Receiver, WEBHOOK_KEY},
};

/// The programs to run, and the working folder.
pub(crate) struct Programs {
    pub(crate) engine: PathBuf,
    pub(crate) command: PathBuf,
    pub(crate) folder: PathBuf,
}

/// Everything that takes part in a scenario.
pub(crate) struct TestBed {
    pub(crate) sim: Arc<Sim>,
    pub(crate) receiver: Receiver,
    pub(crate) engine: Process,
    pub(crate) service: Process,
    _server: SimServer,
    folder: PathBuf,
    transport: HyperTransport,
    ingress: String,
    clock: TokioClock,
}

/// The default timeout of [`TestBed::wait_until`].
const DEFAULT_WAIT_TIMEOUT: Duration = Duration::from_secs(60);

impl TestBed {
    /// Starts everything in an empty folder. `flags` are passed to the service.
    pub(crate) async fn new(
        programs: &Programs,
        sim: Sim,
        receiver: Receiver,
        flags: &[&str],
    ) -> anyhow::Result<Self> {
        let folder = programs.folder.join("run");
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        let [ingress, administration, internal, service] = free_ports()?;
        let config = folder.join("engine.toml");
        fs::write(&config, config_text(ingress, administration, internal))?;
        let mut engine = Command::new(&programs.engine);
        engine.arg("--no-logo").arg("--config-file").arg(&config);
        engine.current_dir(&folder).env_remove("HTTP_PROXY");
        let engine = Process::start(engine, &folder.join("engine.log"))?;

        let sim = Arc::new(sim);
        let server = SimServer::start(sim.clone()).await?;
        let ca = folder.join("ca.pem");
        fs::write(&ca, server.ca_pem())?;
        let mut command = Command::new(&programs.command);
        command
            .args(["durable", "--endpoint", &server.endpoint(), "--ca-file"])
            .arg(&ca)
            .args(["--listen", &format!("127.0.0.1:{service}")])
            .args(["--engine", &format!("http://127.0.0.1:{ingress}")])
            .args(["--register", &format!("http://127.0.0.1:{administration}")])
            .args(["--allow-receiver", "http://127.0.0.1:*"])
            .args(flags)
            .env("OS_TOKEN", sim.account().token)
            .env("OS_PROJECT_ID", sim.project().as_str())
            .env("CCE_JOB_WEBHOOK_KEY", WEBHOOK_KEY);
        let log = folder.join("service.log");
        let bed = Self {
            service: Process::start(command, &log)?,
            sim,
            receiver,
            engine,
            _server: server,
            folder,
            transport: HyperTransport::new(TlsConfig::platform(TlsProvider::aws_lc_rs())?),
            ingress: format!("http://127.0.0.1:{ingress}"),
            clock: TokioClock::new(),
        };
        bed.wait_until("the registration of the service", || {
            fs::read_to_string(&log).is_ok_and(|log| log.contains("\nregistered with"))
        })
        .await?;
        Ok(bed)
    }

    /// Calls a handler of a job's wait. Retries while the engine does not answer.
    pub(crate) async fn call(
        &self,
        job: &JobId,
        handler: &str,
        body: &Value,
    ) -> anyhow::Result<Value> {
        let project = self.sim.project();
        let url = format!("{}/JobWait/{project}:{job}/{handler}", self.ingress);
        for _ in 0..100 {
            let mut request = Request::builder().method(Method::POST).uri(&url);
            // A handler without input accepts no body.
            let body = if body.is_null() {
                Bytes::new()
            } else {
                request = request.header(CONTENT_TYPE, "application/json");
                body.to_string().into()
            };
            if let Ok(reply) = self.transport.send(request.body(body)?).await {
                let text = String::from_utf8_lossy(reply.body());
                ensure!(!reply.status().is_client_error(), "{url}: {text}");
                if reply.status().is_success() {
                    return Ok(serde_json::from_str(&text)?);
                }
            }
            self.sleep(Duration::from_millis(200)).await;
        }
        anyhow::bail!("no successful reply from {url} after 100 attempts")
    }

    pub(crate) async fn sleep(&self, span: Duration) {
        self.clock.sleep(span).await;
    }

    pub(crate) fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    /// Waits until the condition is met.
    ///
    /// # Errors
    ///
    /// Returns an error if the condition is not met within [`DEFAULT_WAIT_TIMEOUT`].
    pub(crate) async fn wait_until(
        &self,
        what: &str,
        is_so: impl Fn() -> bool,
    ) -> anyhow::Result<()> {
        self.wait_until_with_timeout(DEFAULT_WAIT_TIMEOUT, what, is_so).await
    }

    pub(crate) async fn wait_until_with_timeout(
        &self,
        timeout: Duration,
        what: &str,
        is_so: impl Fn() -> bool,
    ) -> anyhow::Result<()> {
        let began = self.now();
        while !is_so() {
            let folder = self.folder.display();
            ensure!(
                self.now() - began < timeout,
                "timed out after {timeout:?} waiting for {what}; the logs are in {folder}"
            );
            self.sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Prints the peak memory and CPU time of the engine and the service, and the size of the
    /// engine's data.
    #[expect(clippy::print_stdout, reason = "the figures are for a terminal")]
    pub(crate) fn print_sizes(&self) {
        let (engine, service) =
            (self.engine.peak_memory_kib() / 1024, self.service.peak_memory_kib() / 1024);
        println!("  peak memory: engine {engine} MiB, service {service} MiB");
        let (engine, service) = (self.engine.cpu_seconds(), self.service.cpu_seconds());
        let requests = self.sim.requests();
        println!(
            "  CPU time: engine {engine:.1} s, service {service:.1} s, for {requests} requests"
        );
        println!("  data on disk: engine {} MiB", folder_size(&self.folder.join("data")) >> 20);
    }
}

/// Returns the total size of the files in a folder, in bytes.
fn folder_size(folder: &PathBuf) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => folder_size(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}

/// Returns ports that are free at the moment.
fn free_ports<const N: usize>() -> anyhow::Result<[u16; N]> {
    let listeners: Vec<_> =
        (0..N).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    let ports: Vec<_> = listeners
        .iter()
        .map(|listener| Ok(listener.local_addr()?.port()))
        .collect::<Result<_, std::io::Error>>()?;
    ports.try_into().ok().context("wrong number of ports")
}

/// Returns the configuration of a single-node engine without telemetry.
fn config_text(ingress: u16, administration: u16, internal: u16) -> String {
    format!(
        r#"
node-name = "proof"
base-dir = "data"
bind-address = "127.0.0.1:{internal}"
advertised-address = "http://127.0.0.1:{internal}"
disable-telemetry = true
log-filter = "warn"
log-disable-ansi-codes = true

[ingress]
bind-address = "127.0.0.1:{ingress}"

[admin]
bind-address = "127.0.0.1:{administration}"
disable-web-ui = true
"#
    )
}
