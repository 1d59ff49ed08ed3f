//! `cce-job demo`: starts a simulated service on localhost and waits for its job, over real TLS.

use std::{sync::Arc, time::Duration};

use clap::Args;
use job_poller::{WaitPolicy, schedule::Fixed};
use job_sim::{Plan, Sim, SimServer, TimeSource};
use job_transport::hyper::{HyperTransport, TlsConfig, TlsProvider};

use crate::{
    exit::Exit,
    logging::Verbosity,
    terminal::stderr,
    wait::{self, ProgressDisplay, ProgressMode},
};

/// Short enough to show each step, because the job takes only five seconds.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

const FAILURE_REASON: &str = "flavor c3.large.2 is sold out in eu-de-01";

#[derive(Args)]
pub(crate) struct Arguments {
    /// Let the job fail
    #[arg(long)]
    fail: bool,
    /// How to show progress on stderr
    #[arg(long, value_enum, value_name = "MODE", default_value = "auto")]
    progress: ProgressMode,
    /// Speed-up factor (used by the tests)
    #[arg(long, hide = true, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    speed: u32,
}

/// Starts the service and waits for its job.
///
/// # Errors
///
/// Returns an error if the server or the wait cannot be started.
pub(crate) async fn run(arguments: &Arguments, verbosity: Verbosity) -> anyhow::Result<Exit> {
    let plan = Plan::create_cluster().faster(arguments.speed);
    let plan = if arguments.fail { plan.with_failure(FAILURE_REASON) } else { plan };
    let sim = Arc::new(Sim::new(plan, TimeSource::Clock));
    let server = SimServer::start(sim.clone()).await?;
    if verbosity != Verbosity::Quiet {
        let (job, endpoint) = (sim.job(), server.endpoint());
        stderr::line(&format!("waiting for job {job} of a simulated service at {endpoint}"));
    }
    let tls = TlsConfig::ca_pem(TlsProvider::aws_lc_rs(), server.ca_pem())?;
    let client = sim.client(server.endpoint().parse()?, HyperTransport::new(tls));
    let policy = WaitPolicy::new().timeout(Duration::from_secs(60));
    let schedule = Arc::new(Fixed::new(POLL_INTERVAL / arguments.speed));
    let progress = ProgressDisplay::for_human_output(arguments.progress, verbosity)?;
    wait::run_single(client, sim.job().clone(), policy, schedule, progress).await
}
