//! The test bed: the engine, the services behind a load balancer, the simulated cloud, and the
//! receiver of notifications.

use std::{
    fs,
    net::TcpListener,
    path::PathBuf,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, ensure};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use http::{Method, Request, header::CONTENT_TYPE};
use job_model::JobId;
use job_sim::{Plan, Sim, SimServer};
use job_transport::{
    clock::{Clock, TokioClock},
    hyper::{HyperTransport, TlsConfig, TlsProvider},
    transport::Transport,
};
use serde_json::Value;

use crate::{
    admin::Admin,
    balancer::Balancer,
    bounds::Bounds,
    cloud::Cloud,
    process::Process,
    receiver::{Receiver, WEBHOOK_KEY},
    service::Service,
};

/// The programs to run, and the working folder.
pub(crate) struct Programs {
    pub(crate) engine: PathBuf,
    pub(crate) command: PathBuf,
    pub(crate) folder: PathBuf,
}

/// How a test bed differs from one service that reaches the cloud over TLS.
#[derive(Clone, Copy, Default)]
pub(crate) struct Setup<'a> {
    /// The flags of all services.
    pub(crate) flags: &'a [&'a str],
    /// The environment variables of each service, one entry per service.
    pub(crate) services: &'a [Variables<'a>],
    /// A server for the cloud, without TLS.
    pub(crate) cloud: Option<&'a Cloud>,
}

/// Environment variables: their names and values.
pub(crate) type Variables<'a> = &'a [(&'a str, String)];

/// Everything that takes part in a scenario.
pub(crate) struct TestBed {
    pub(crate) sim: Arc<Sim>,
    pub(crate) receiver: Receiver,
    pub(crate) engine: Process,
    pub(crate) services: Vec<Service>,
    pub(crate) admin: Admin,
    _server: SimServer,
    /// One for each version of the deployment.
    balancers: Vec<Balancer>,
    command: PathBuf,
    folder: PathBuf,
    endpoint: String,
    transport: HyperTransport,
    ingress: String,
    clock: TokioClock,
    refusals: AtomicU32,
}

/// The default timeout of [`TestBed::wait_until`].
const DEFAULT_WAIT_TIMEOUT: Duration = Duration::from_secs(60);

/// The number of calls that are made to the engine at the same time.
const MAX_CALLS: usize = 64;

impl TestBed {
    /// Starts one service, with these flags, and everything else in an empty folder.
    pub(crate) async fn new(
        programs: &Programs,
        sim: Sim,
        receiver: Receiver,
        flags: &[&str],
    ) -> anyhow::Result<Self> {
        let setup = Setup { flags, ..Setup::default() };
        Self::with_setup(programs, Arc::new(sim), receiver, setup).await
    }

    /// Starts everything in an empty folder.
    pub(crate) async fn with_setup(
        programs: &Programs,
        sim: Arc<Sim>,
        receiver: Receiver,
        setup: Setup<'_>,
    ) -> anyhow::Result<Self> {
        let folder = programs.folder.join("run");
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        let [ingress, administration, internal] = free_ports()?;
        let config = folder.join("engine.toml");
        fs::write(&config, config_text(ingress, administration, internal))?;
        let mut engine = Command::new(&programs.engine);
        engine.arg("--no-logo").arg("--config-file").arg(&config);
        engine.current_dir(&folder).env_remove("HTTP_PROXY");
        let engine = Process::start(engine, &folder.join("engine.log"))?;

        let server = SimServer::start(sim.clone()).await?;
        fs::write(folder.join("ca.pem"), server.ca_pem())?;
        let transport = HyperTransport::new(TlsConfig::platform(TlsProvider::aws_lc_rs())?);
        let address = format!("http://127.0.0.1:{administration}");
        let mut bed = Self {
            services: Vec::new(),
            sim,
            receiver,
            engine,
            endpoint: setup.cloud.map_or_else(|| server.endpoint(), Cloud::endpoint),
            _server: server,
            balancers: Vec::new(),
            command: programs.command.clone(),
            folder,
            admin: Admin { address, transport: transport.clone() },
            transport,
            ingress: format!("http://127.0.0.1:{ingress}"),
            clock: TokioClock::new(),
            refusals: AtomicU32::new(0),
        };
        let one: &[Variables<'_>] = &[&[]];
        let services = if setup.services.is_empty() { one } else { setup.services };
        bed.add_deployment(setup.flags, services).await?;
        Ok(bed)
    }

    /// Starts services behind a load balancer of their own, and waits until they are registered.
    /// From then on, the engine makes new calls to these.
    pub(crate) async fn add_deployment(
        &mut self,
        flags: &[&str],
        services: &[Variables<'_>],
    ) -> anyhow::Result<()> {
        let balancer = Balancer::start().await?;
        for variables in services {
            let service = self.start_service(&balancer.address(), flags, variables)?;
            balancer.add(service.port());
            self.services.push(service);
        }
        self.balancers.push(balancer);
        self.wait_until("the registration of the services", || {
            self.services.iter().all(|service| service.log().contains("\nregistered with"))
        })
        .await
    }

    fn start_service(
        &self,
        advertised: &str,
        flags: &[&str],
        variables: Variables<'_>,
    ) -> anyhow::Result<Service> {
        let [port] = free_ports()?;
        let log = self.folder.join(format!("service-{}.log", self.services.len()));
        let mut command = Command::new(&self.command);
        command
            .args(["durable", "--endpoint", &self.endpoint, "--ca-file"])
            .arg(self.folder.join("ca.pem"))
            .args(["--listen", &format!("127.0.0.1:{port}")])
            .args(["--engine", &self.ingress])
            .args(["--register", &self.admin.address, "--advertise", advertised])
            .args(["--allow-receiver", "http://127.0.0.1:*"])
            .args(flags)
            .env("OS_TOKEN", self.sim.account().token)
            .env("OS_PROJECT_ID", self.sim.project().as_str())
            .env("CCE_JOB_WEBHOOK_KEY", WEBHOOK_KEY)
            .envs(variables.iter().map(|(name, value)| (name, value)));
        Service::start(command, port, log, self.transport.clone())
    }

    /// Returns the number of turns of waits so far.
    pub(crate) fn ticks(&self) -> u32 {
        self.balancers.iter().map(Balancer::ticks).sum()
    }

    /// Adds jobs with the plans for their numbers, and starts a wait for each.
    pub(crate) async fn watch_jobs(
        &self,
        count: usize,
        plan: impl Fn(usize) -> Plan,
        body: &Value,
    ) -> anyhow::Result<Vec<JobId>> {
        let submit = |number| {
            let plan = plan(number);
            async move {
                let job = self.sim.add(plan);
                self.call(&job, "watch", body).await?;
                anyhow::Ok(job)
            }
        };
        stream::iter(0..count).map(submit).buffered(MAX_CALLS).try_collect().await
    }

    /// Calls a handler of the waits of several jobs.
    pub(crate) async fn call_all(
        &self,
        jobs: &[JobId],
        handler: &str,
    ) -> anyhow::Result<Vec<Value>> {
        let call = |job| self.call(job, handler, &Value::Null);
        stream::iter(jobs).map(call).buffered(MAX_CALLS).try_collect().await
    }

    /// Waits until each job has been read this often, and checks that this takes at most a minute.
    pub(crate) async fn check_readings(&self, jobs: &[JobId], count: u32, bounds: &mut Bounds) {
        let readings = |job| self.sim.readings(job).unwrap_or_default().0;
        let unread = || jobs.iter().filter(|job| readings(job) < count).count();
        let began = self.now();
        while unread() > 0 && self.now() - began < DEFAULT_WAIT_TIMEOUT {
            self.sleep(Duration::from_millis(20)).await;
        }
        let what = format!("jobs that were read less than {count} times within a minute");
        bounds.check(&what, unread() as f64, 0.0..=0.0);
    }

    /// Returns the sum of a metric of all services that have it.
    pub(crate) async fn metric_sum(&self, name: &str) -> anyhow::Result<f64> {
        let mut sum = 0.0;
        for service in &self.services {
            sum += service.metric(name).await?.unwrap_or_default();
        }
        Ok(sum)
    }

    /// Returns the number of attempts of each service.
    pub(crate) async fn attempts(&self) -> anyhow::Result<Vec<f64>> {
        let mut attempts = Vec::new();
        for service in &self.services {
            let count = service.metric("cce_job_attempts_total").await?;
            attempts.push(count.context("a service without the metric of its attempts")?);
        }
        Ok(attempts)
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
                self.refusals.fetch_add(1, Ordering::Relaxed);
            }
            self.sleep(Duration::from_millis(200)).await;
        }
        anyhow::bail!("no successful reply from {url} after 100 attempts")
    }

    /// Returns the number of calls so far that were answered with a server error, and made again.
    pub(crate) fn refusals(&self) -> u32 {
        self.refusals.load(Ordering::Relaxed)
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
        let services = || self.services.iter().map(|service| &service.process);
        let peak = services().map(Process::peak_memory_kib).max().unwrap_or_default() / 1024;
        let engine = self.engine.peak_memory_kib() / 1024;
        println!("  peak memory: engine {engine} MiB, service {peak} MiB");
        let engine = self.engine.cpu_seconds();
        let service: f64 = services().map(Process::cpu_seconds).sum();
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
