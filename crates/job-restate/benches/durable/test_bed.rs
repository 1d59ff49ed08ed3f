//! The test bed: the engine, the service of waits, the simulated cloud, and the receiver of notifications.

use std::{fs, net::TcpListener, path::PathBuf, process::Command, sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use bytes::Bytes;
use http::{Method, Request, header::CONTENT_TYPE};
use job_model::JobId;
use job_sim::{Sim, SimServer};
use job_transport::{Clock, HyperTransport, TlsConfig, TlsProvider, TokioClock, Transport};
use serde_json::Value;

use crate::{
    process::Process,
    receiver::{Receiver, WEBHOOK_KEY},
};

/// What is run.
pub(crate) struct Programs {
    pub(crate) engine: PathBuf,
    pub(crate) command: PathBuf,
    pub(crate) folder: PathBuf,
}

/// All that takes part.
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

/// How long anything has to be there.
const DEFAULT_WAIT_TIMEOUT: Duration = Duration::from_secs(60);

impl TestBed {
    /// Starts everything, in an empty folder; the service with these flags.
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
        bed.wait_until("the service is registered", || {
            fs::read_to_string(&log).is_ok_and(|log| log.contains("\nregistered with"))
        })
        .await?;
        Ok(bed)
    }

    /// Calls a handler of a job's wait; once more where the engine is away.
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
            // What takes nothing takes no body.
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
        anyhow::bail!("no answer from {url}")
    }

    pub(crate) async fn sleep(&self, span: Duration) {
        self.clock.sleep(span).await;
    }

    pub(crate) fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    /// Waits until it is so.
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
            ensure!(self.now() - began < timeout, "{what}: not within {timeout:?}; see {folder}");
            self.sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Prints what the engine and the service took, the most memory that they had, and how much the engine keeps.
    #[expect(clippy::print_stdout, reason = "the figures are for a terminal")]
    pub(crate) fn print_sizes(&self) {
        let (engine, service) =
            (self.engine.peak_memory_kib() / 1024, self.service.peak_memory_kib() / 1024);
        println!("  peak memory: engine {engine} MiB, service {service} MiB");
        let (engine, service) = (self.engine.cpu_seconds(), self.service.cpu_seconds());
        let requests = self.sim.requests();
        println!(
            "  processor: engine {engine:.1} s, service {service:.1} s, for {requests} requests"
        );
        println!("  data of the engine: {} MiB", folder_size(&self.folder.join("data")) >> 20);
    }
}

/// Returns how many bytes a folder has.
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

/// Returns ports that nobody has at present.
fn free_ports<const N: usize>() -> anyhow::Result<[u16; N]> {
    let listeners: Vec<_> =
        (0..N).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    let ports: Vec<_> = listeners
        .iter()
        .map(|listener| Ok(listener.local_addr()?.port()))
        .collect::<Result<_, std::io::Error>>()?;
    ports.try_into().ok().context("as many ports as listeners")
}

/// An engine for one machine, that tells nobody of itself.
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
