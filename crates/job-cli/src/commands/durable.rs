//! `cce-job durable`: serves waits to the durable execution engine Restate, which stores and
//! resumes them.

use std::{env, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context;
use clap::Args;
use job_poller::{
    WaitPolicy,
    schedule::{Adaptive, Schedule},
};
use job_restate::{AllowList, Deployment, Webhook, WebhookKey, register};
use job_sim::{Plan, Sim, SimServer, TimeSource};
use job_transport::{
    Client,
    auth::CredentialChain,
    clock::{Clock, TokioClock},
    hyper::{HyperTransport, TlsConfig, TlsProvider},
    transport::Transport,
};
use tokio::{net::TcpListener, runtime::Builder};

use crate::{
    connection::ConnectionArgs,
    exit::{Exit, OrExit},
    files,
    logging::{Verbosity, init_warning_log},
    runtime::shutdown_signal,
    terminal::{DurationArg, TimeoutArg, print, stderr},
    wait::{ScheduleArg, parse_request_rate},
};

/// Maximum size of the file with the keys of webhooks.
const MAX_KEY_FILE_BYTES: u64 = 1 << 20;

/// The section of `--help` below the flags.
pub(crate) const HELP: &str = "\
The engine stores each wait and calls this service when a poll is due, so waits survive a restart of
either. Start, inspect and cancel waits through the engine, by project and job:
  curl localhost:8080/JobWait/PROJECT:JOB/watch --json '{\"timeout\": \"45m\"}'
  curl localhost:8080/JobWait/PROJECT:JOB/status
  curl -X POST localhost:8080/JobWait/PROJECT:JOB/cancel
  curl localhost:8080/JobBudget/all/status
Notifications are signed (Standard Webhooks) with the keys in --webhook-key-file, or with those in
the environment variable CCE_JOB_WEBHOOK_KEY. Only receivers that match an --allow-receiver are
notified; the page of the crate job-notify has its syntax. The service also answers GET /health,
/ready and /metrics. The README of the crate job-restate describes how to deploy it.

Examples:
  cce-job durable --sim --register http://localhost:9070       try it with simulated jobs
  cce-job durable --region eu-de --listen 0.0.0.0:9080 --engine http://restate:8080 \\
      --register http://restate:9070 --advertise http://waits:9080";

#[derive(Args)]
pub(crate) struct Arguments {
    /// Address to listen on for calls of the engine
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9080")]
    listen: SocketAddr,
    /// URL of the engine's ingress
    #[arg(long, value_name = "URL", default_value = "http://localhost:8080")]
    engine: String,
    /// Register this service at the engine's admin API, for example http://localhost:9070
    #[arg(long, value_name = "URL")]
    register: Option<String>,
    /// URL of the engine's admin API, to revive waits whose next poll was killed or canceled there
    /// [default: that of --register]
    #[arg(long, value_name = "URL")]
    admin: Option<String>,
    /// URL at which the engine reaches this service [default: the --listen address]
    #[arg(long, value_name = "URL", requires = "register")]
    advertise: Option<String>,
    /// Replace an existing registration, even if it is incompatible
    #[arg(long, requires = "register")]
    force: bool,
    /// Maximum number of requests per second, of all instances of this service together
    #[arg(long, value_name = "NUMBER", default_value_t = 50.0, value_parser = parse_request_rate)]
    requests_per_second: f64,
    /// Maximum number of requests in flight, of all instances of this service together
    #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    max_in_flight: u32,
    /// Timeout of waits that set none, for example 90s or 1h30m; 0 checks once, none waits forever
    #[arg(long, value_name = "DURATION", default_value = "1h")]
    timeout: TimeoutArg,
    /// When to poll: adaptive, fixed:10s or exponential:1s..30s
    #[arg(long, default_value = "adaptive")]
    schedule: ScheduleArg,
    /// How long the result of a finished wait is kept
    #[arg(long, value_name = "DURATION", default_value = "24h")]
    retention: DurationArg,
    /// Sign notifications with the keys in this file, one per line
    #[arg(long, value_name = "FILE")]
    webhook_key_file: Option<PathBuf>,
    /// Receivers that may be notified, for example `https://hooks.example.com/cce`, or with the
    /// private network they are in, `https://*.corp.example 10.20.0.0/16`; can be repeated
    #[arg(long, value_name = "ENTRY")]
    allow_receiver: Vec<String>,
    /// Allow plain-HTTP webhook URLs (insecure)
    #[arg(long)]
    allow_http_webhooks: bool,
    /// Accept only calls that are signed by the engine with this public key; can be repeated
    #[arg(long, value_name = "publickeyv1_..")]
    identity_key: Vec<String>,
    /// Use a simulated service with a few jobs, and print their ids
    #[arg(long)]
    sim: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// Delay before the next attempt to register with the engine.
const REGISTER_RETRY_INTERVAL: Duration = Duration::from_secs(2);

/// Serves on all processors until a signal stops it.
///
/// # Errors
///
/// Returns an error if the address is not available, if a setting is missing or invalid, or if the
/// engine refuses the registration.
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
    let allowed = AllowList::new(&arguments.allow_receiver).or_exit(Exit::Usage)?;
    let simulated = if arguments.sim { Some(SimulatedService::start().await?) } else { None };
    let client = match &simulated {
        Some(simulated) => simulated.client()?,
        None => arguments.connection.settings(CredentialChain::from_environment())?.client()?,
    };
    // The engine and the webhook receivers are not part of the cloud, so `--ca-file` does not apply
    // to them.
    let others = || {
        let tls = TlsConfig::platform(TlsProvider::aws_lc_rs());
        let tls = tls.context("no CA to trust; install ca-certificates").or_exit(Exit::Usage)?;
        anyhow::Ok(HyperTransport::new(tls))
    };
    // Separate transports, so that slow receivers do not use up the connections to the engine.
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
        let webhook = Webhook::new(receivers, keys).allow(allowed);
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
        let admin = self.admin.as_ref().or(self.register.as_ref());
        let deployment = match admin {
            Some(admin) => deployment.admin(admin),
            None => deployment,
        };
        self.identity_key.iter().fold(deployment, Deployment::identity_key)
    }

    /// Reads the keys for signing notifications.
    fn webhook_keys(&self) -> anyhow::Result<Vec<WebhookKey>> {
        let (text, from) = match &self.webhook_key_file {
            Some(file) => {
                let from = file.display().to_string();
                let context = || format!("cannot read the webhook keys in {from}");
                let text = files::read_bounded(file, MAX_KEY_FILE_BYTES);
                (String::from_utf8(text.with_context(context)?).with_context(context)?, from)
            }
            None => (env::var(WEBHOOK_KEY_ENV).unwrap_or_default(), WEBHOOK_KEY_ENV.into()),
        };
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.map(|line| WebhookKey::new(line).with_context(|| from.clone())).collect()
    }

    /// Registers the service, and retries until the engine accepts or refuses it.
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
                let context = format!("{engine} refused to register {here}");
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

    /// Returns the keys of the jobs' waits, one per line.
    fn job_key_lines(&self) -> String {
        self.job_keys.iter().map(|key| format!("{key}\n")).collect()
    }
}
