//! Checks that waits survive failures: of the engine, of the services, of the cloud, of receivers and
//! of clocks.
//!
//! Runs a real engine, real services behind a load balancer, a simulated cloud and a receiver of
//! notifications, all on loopback. `cargo xtask durable` installs the engine and runs this program.
//! Exits with 1 if a figure is out of bounds.
#![expect(clippy::print_stdout, reason = "the figures are for a terminal")]

#[path = "../common/bounds.rs"]
mod bounds;
#[path = "../common/faketime.rs"]
mod faketime;
#[path = "../common/process.rs"]
mod process;
#[path = "../common/http_server.rs"]
mod http_server;
mod admin;
mod balancer;
#[path = "../common/cloud.rs"]
#[expect(dead_code, reason = "the bench of job-store also uses the times of the replies")]
mod cloud;
#[path = "../common/receiver.rs"]
mod receiver;
mod service;
mod test_bed;
mod measurement;
mod outcomes;
mod waits;
mod budget;
mod services;
mod crowd;
mod throttled;
mod purge;
mod clock;
mod receivers;
mod large;
mod upgrade;

use std::{env, path::PathBuf, process::ExitCode};

use anyhow::{Context, bail};
use tokio::runtime::Builder;

use bounds::Bounds;
use test_bed::Programs;

fn main() -> anyhow::Result<ExitCode> {
    let mut arguments = env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let mut next = |what| arguments.next().with_context(|| format!("missing argument: {what}"));
    let programs = Programs {
        engine: PathBuf::from(next("path of the engine")?),
        command: PathBuf::from(next("path of cce-job, built with the feature `durable`")?),
        folder: PathBuf::from(next("working folder")?),
    };
    let mut bounds = Bounds::new();
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    for scenario in arguments {
        runtime.block_on(run(&scenario, &programs, &mut bounds))?;
    }
    Ok(bounds.exit_code())
}

async fn run(scenario: &str, programs: &Programs, bounds: &mut Bounds) -> anyhow::Result<()> {
    match scenario {
        "one" => waits::one_wait(programs, bounds).await,
        "many" => waits::many_waits(programs, bounds).await,
        "budget" => budget::shared_budget(programs, bounds).await,
        "services" => services::two_services(programs, bounds).await,
        "crowd" => crowd::more_services(programs, bounds).await,
        "throttled" => throttled::throttled_minute(programs, bounds).await,
        "purge" => purge::ended_ticks(programs, bounds).await,
        "clock" => clock::wrong_clock(programs, bounds).await,
        "receivers" => receivers::failing_receivers(programs, bounds).await,
        "large" => large::large_job(programs, bounds).await,
        "upgrade" => upgrade::new_version(programs, bounds).await,
        other => bail!("unknown scenario {other:?}"),
    }
}
