//! `cce-job durable`: the service behind a durable engine, which stores the waits and ticks them.

use std::{env, fs, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use clap::Args;
use job_poller::{Adaptive, Schedule, WaitPolicy};
use job_restate::{Deployment, Webhook, WebhookKey, register};
use job_sim::{Plan, Sim, SimServer, TimeSource};
use job_transport::{
    Client, Clock, CredentialChain, HyperTransport, TlsConfig, TlsProvider, TokioClock, Transport,
};
use tokio::{net::TcpListener, runtime::Builder};

use crate::{
    connection::ConnectionArgs,
    exit::{Exit, OrExit},
    logging::{Verbosity, init_warning_log},
    signals::shutdown_signal,
    terminal::{DurationArg, TimeoutArg, print, stderr},
    wait::ScheduleArg,
};

/// What `--help` says below the flags.
pub(crate) const HELP: &str = "\
The engine keeps each wait and calls this service when it is to ask; whatever dies, the wait goes on.
Waits are asked for at the engine, by project and job:
  curl localhost:8080/JobWait/PROJECT:JOB/watch --json '{\"timeout\": \"45m\"}'
  curl localhost:8080/JobWait/PROJECT:JOB/status
  curl -X POST localhost:8080/JobWait/PROJECT:JOB/cancel
  curl localhost:8080/JobBudget/all/status
Notifications are signed (Standard Webhooks) with the keys in --webhook-key-file, a line each, or in
CCE_JOB_WEBHOOK_KEY. GET /health, /ready and /metrics are served beside. The page of the crate job-restate
says how to deploy it.

Examples:
  cce-job durable --sim --register http://localhost:9070       try it, with jobs that are simulated
  cce-job durable --region eu-de --listen 0.0.0.0:9080 --engine http://restate:8080 \\
      --register http://restate:9070 --advertise http://waits:9080";

#[derive(Args)]
pub(crate) struct Arguments {
    /// Listen here for the engine
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9080")]
    listen: SocketAddr,
    /// Where the engine's ingress is
    #[arg(long, value_name = "URL", default_value = "http://localhost:8080")]
    engine: String,
    /// Register with the engine whose administration is here, such as http://localhost:9070
    #[arg(long, value_name = "URL")]
    register: Option<String>,
    /// Where the engine reaches this service; by default what it listens on
    #[arg(long, value_name = "URL", requires = "register")]
    advertise: Option<String>,
    /// Replace what is registered there, whatever its form
    #[arg(long, requires = "register")]
    force: bool,
    /// How many requests a second may leave, of all services together
    #[arg(long, value_name = "NUMBER", default_value_t = 50.0, value_parser = parse_request_rate)]
    requests_per_second: f64,
    /// How many may be in flight, of all services together
    #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    max_in_flight: u32,
    /// How long a wait lasts that does not say: 0 for one attempt, or none
    #[arg(long, default_value = "1h")]
    timeout: TimeoutArg,
    /// When waits ask: adaptive, fixed:10s or exponential:1s..30s
    #[arg(long, default_value = "adaptive")]
    schedule: ScheduleArg,
    /// How long a wait that is over is remembered
    #[arg(long, value_name = "TIME", default_value = "24h")]
    retention: DurationArg,
    /// Sign notifications with the keys in this file
    #[arg(long, value_name = "FILE")]
    webhook_key_file: Option<PathBuf>,
    /// Send notifications over plain http, too: whoever is on the way reads them
    #[arg(long)]
    allow_http_webhooks: bool,
    /// Take calls from the engine alone that has this public key; repeatable
    #[arg(long, value_name = "publickeyv1_..")]
    identity_key: Vec<String>,
    /// Wait for jobs of a simulated service, started here, and print their ids
    #[arg(long)]
    sim: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// How long it is until the engine is asked again to take this service.
const REGISTER_RETRY_INTERVAL: Duration = Duration::from_secs(2);

fn parse_request_rate(text: &str) -> anyhow::Result<f64> {
    let number: f64 = text.parse()?;
    ensure!((0.001..=1e6).contains(&number), "from 0.001 to 1000000");
    Ok(number)
}

/// Serves until it is stopped, on all processors.
///
/// # Errors
///
/// Where it cannot listen, something is missing or cannot be used, or the engine refuses it.
pub(crate) fn block_on(arguments: Arguments, verbosity: Verbosity) -> anyhow::Result<Exit> {
    if verbosity == Verbosity::Normal {
        init_warning_log();
    }
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let ran = runtime.block_on(run(arguments, verbosity));
    runtime.shutdown_background();
    ran
}

async fn run(arguments: Arguments, verbosity: Verbosity) -> anyhow::Result<Exit> {
    let stopped = shutdown_signal()?;
    let keys = arguments.webhook_keys().or_exit(Exit::Usage)?;
    let simulated = if arguments.sim { Some(SimulatedService::start().await?) } else { None };
    let client = match &simulated {
        Some(simulated) => simulated.client()?,
        None => arguments.connection.settings(CredentialChain::from_environment())?.client()?,
    };
    // Receivers and engines are other people's than the service is, and a CA of its own is not theirs.
    let others = || {
        let tls = TlsConfig::platform(TlsProvider::aws_lc_rs());
        let tls = tls.context("no CA to trust; install ca-certificates").or_exit(Exit::Usage)?;
        anyhow::Ok(HyperTransport::new(tls))
    };
    // Nor does one that answers late keep the engine from being asked.
    let (engine, receivers) = (others()?, others()?);
    let listener = TcpListener::bind(arguments.listen).await;
    let listener = listener
        .with_context(|| format!("cannot listen on {}", arguments.listen))
        .or_exit(Exit::Usage)?;
    let address = listener.local_addr()?;
    if verbosity != Verbosity::Quiet {
        stderr::line(&format!("serving on {address}"));
    }
    if let Some(simulated) = &simulated {
        print::write_stdout(simulated.job_key_lines())?;
    }
    let deployment = arguments.deployment(client, engine.clone());
    let deployment = if keys.is_empty() {
        deployment
    } else {
        let webhook = Webhook::new(receivers, keys);
        let allow_http = arguments.allow_http_webhooks;
        deployment.notifier(if allow_http { webhook.allow_http() } else { webhook })
    };
    let registered = async {
        arguments.register_until_accepted(&engine, address, verbosity).await?;
        std::future::pending().await
    };
    let shutdown = async {
        tokio::select! {
            exit = stopped => Ok(exit),
            refused = registered => refused,
        }
    };
    deployment.serve(listener, shutdown).await.or_exit(Exit::Usage)?
}

impl Arguments {
    fn deployment(&self, client: Client, transport: HyperTransport) -> Deployment {
        let TimeoutArg(timeout) = self.timeout;
        let policy = match timeout {
            Some(timeout) => WaitPolicy::new().timeout(timeout),
            None => WaitPolicy::new().no_timeout(),
        };
        let schedule: Arc<dyn Schedule> = match &self.schedule {
            ScheduleArg::Adaptive => Arc::new(Adaptive::new()),
            ScheduleArg::Custom(schedule) => schedule.clone(),
        };
        let deployment = Deployment::new(client, transport, &self.engine)
            .policy(policy)
            .schedule(schedule)
            .requests_per_second(self.requests_per_second)
            .max_in_flight(self.max_in_flight as usize)
            .retention(self.retention.0);
        self.identity_key.iter().fold(deployment, Deployment::identity_key)
    }

    /// Reads the keys that notifications are signed with.
    fn webhook_keys(&self) -> anyhow::Result<Vec<WebhookKey>> {
        let (text, from) = match &self.webhook_key_file {
            Some(file) => {
                let from = file.display().to_string();
                (fs::read_to_string(file).with_context(|| from.clone())?, from)
            }
            None => (env::var(WEBHOOK_KEY_ENV).unwrap_or_default(), WEBHOOK_KEY_ENV.into()),
        };
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.map(|line| WebhookKey::new(line).with_context(|| from.clone())).collect()
    }

    /// Registers the service, as soon as the engine is there.
    async fn register_until_accepted(
        &self,
        transport: &dyn Transport,
        address: SocketAddr,
        verbosity: Verbosity,
    ) -> anyhow::Result<()> {
        let Some(engine) = &self.register else { return Ok(()) };
        let here = self.advertise.clone().unwrap_or_else(|| format!("http://{address}"));
        let mut last_message = None;
        loop {
            let Err(error) = register(transport, engine, &here, self.force).await else { break };
            let message = error.to_string();
            if error.is_permanent() {
                let context = format!("{engine} refused {here}");
                return Err(error).context(context).or_exit(Exit::Usage);
            }
            if last_message.as_ref() != Some(&message) {
                stderr::line(&format!("cce-job: not registered with {engine} yet: {message}"));
                last_message = Some(message);
            }
            TokioClock::new().sleep(REGISTER_RETRY_INTERVAL).await;
        }
        if verbosity != Verbosity::Quiet {
            stderr::line(&format!("registered with {engine} as {here}"));
        }
        Ok(())
    }
}

/// The environment variable with the keys that sign notifications.
const WEBHOOK_KEY_ENV: &str = "CCE_JOB_WEBHOOK_KEY";

/// A simulated service with a few jobs.
struct SimulatedService {
    sim: Arc<Sim>,
    server: SimServer,
    job_keys: Vec<String>,
}

impl SimulatedService {
    async fn start() -> anyhow::Result<Self> {
        let sim = Arc::new(Sim::new(Plan::create_cluster().slower(10), TimeSource::Clock));
        let more = [
            Plan::delete_node().slower(10),
            Plan::create_cluster().slower(10).with_failure("sold out"),
        ];
        let jobs = [sim.job().clone()].into_iter().chain(more.map(|plan| sim.add(plan)));
        let job_keys = jobs.map(|job| format!("{}:{job}", sim.project())).collect();
        Ok(Self { server: SimServer::start(sim.clone()).await?, sim, job_keys })
    }

    fn client(&self) -> anyhow::Result<Client> {
        let tls = TlsConfig::ca_pem(TlsProvider::aws_lc_rs(), self.server.ca_pem())?;
        Ok(self.sim.client(self.server.endpoint().parse()?, HyperTransport::new(tls)))
    }

    /// Tells the jobs' keys, a line each.
    fn job_key_lines(&self) -> String {
        self.job_keys.iter().map(|key| format!("{key}\n")).collect()
    }
}
