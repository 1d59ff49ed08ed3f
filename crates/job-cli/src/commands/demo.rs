//! `cce-job demo`: the whole way over real TLS, against a service started here. Leaves this machine
//! for nothing.

use std::{sync::Arc, time::Duration};

use clap::Args;
use job_poller::{Fixed, WaitPolicy};
use job_sim::{Plan, Sim, SimServer, TimeSource};
use job_transport::{HyperTransport, TlsConfig, TlsProvider};

use crate::{
    exit::Exit,
    logging::Verbosity,
    terminal::stderr,
    wait::{self, ProgressDisplay, ProgressMode},
};

/// Short enough to show each step of a job that takes five seconds.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

const FAILURE_REASON: &str = "flavor c3.large.2 is sold out in eu-de-01";

#[derive(Args)]
pub(crate) struct Arguments {
    /// Let the job fail
    #[arg(long)]
    fail: bool,
    /// How to tell progress, on stderr
    #[arg(long, value_enum, value_name = "MODE", default_value = "auto")]
    progress: ProgressMode,
    /// Run the simulation this many times as fast, for the tests
    #[arg(long, hide = true, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    speed: u32,
}

/// Waits for a job of a service that is started here.
///
/// # Errors
///
/// Where the server cannot start, or the wait cannot.
pub(crate) async fn run(arguments: &Arguments, verbosity: Verbosity) -> anyhow::Result<Exit> {
    let plan = Plan::create_cluster().faster(arguments.speed);
    let plan = if arguments.fail { plan.with_failure(FAILURE_REASON) } else { plan };
    let sim = Arc::new(Sim::new(plan, TimeSource::Clock));
    let server = SimServer::start(sim.clone()).await?;
    if verbosity != Verbosity::Quiet {
        let (job, endpoint) = (sim.job(), server.endpoint());
        stderr::line(&format!("job {job} at {endpoint}, a simulated service"));
    }
    let tls = TlsConfig::ca_pem(TlsProvider::aws_lc_rs(), server.ca_pem())?;
    let client = sim.client(server.endpoint().parse()?, HyperTransport::new(tls));
    let policy = WaitPolicy::new().timeout(Duration::from_secs(60));
    let schedule = Arc::new(Fixed::new(POLL_INTERVAL / arguments.speed));
    let progress = ProgressDisplay::for_human_output(arguments.progress, verbosity)?;
    wait::run_single(client, sim.job().clone(), policy, schedule, progress).await
}
