//! `cce-job demo`: the whole way over real TLS, against a service started here. Leaves this machine
//! for nothing.

use std::{
    io::{self, Write},
    sync::Arc,
    time::Duration,
};

use job_poller::{Event, Fixed, Wait};
use job_sim::{Pace, Plan, Sim, SimServer};
use job_transport::{HyperTransport, Tls, TlsProvider};

use crate::{exit::Exit, told};

/// Short enough to show each step of a job that takes five seconds.
const PAUSE: Duration = Duration::from_millis(250);

const REASON: &str = "flavor c3.large.2 is sold out in eu-de-01";

/// Runs the demo, so many times as fast: progress to stderr, the outcome to stdout.
///
/// # Errors
///
/// Where the server cannot start, the wait stops before the job ends, or stdout cannot be written.
pub(crate) async fn run(fail: bool, speed: u32) -> anyhow::Result<Exit> {
    let plan = Plan::create_cluster().faster(speed);
    let plan = if fail { plan.failing(REASON) } else { plan };
    let sim = Arc::new(Sim::new(plan, Pace::Clock));
    let server = SimServer::start(sim.clone()).await?;
    told::progress(&format!("job {} at {}, a simulated service", sim.job(), server.endpoint()));

    let tls = Tls::ca_pem(TlsProvider::aws_lc_rs(), server.ca_pem())?;
    let client = sim.client(server.endpoint().parse()?, HyperTransport::new(tls));
    let ended = Wait::new(client, sim.job().clone())
        .timeout(Duration::from_secs(60))
        .schedule(Fixed::new(PAUSE / speed))
        .on_event(|at, event| match event {
            // Four a second say nothing to a reader.
            Event::NextAttempt { .. } => {}
            event => told::progress(&format!("{:>5.1} s  {event}", at.as_secs_f64())),
        })
        .await?;
    writeln!(io::stdout(), "{}", told::outcome(&ended))?;
    Ok(Exit::from(&ended.outcome))
}
