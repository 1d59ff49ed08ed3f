//! Checks that waits in PostgreSQL and SQLite survive failures: of workers, of the database, of the
//! cloud and of clocks. Also measures how workers use the budget and what they cost.
//!
//! Runs real workers, which are processes of this program, a real PostgreSQL server, a simulated cloud
//! and a receiver of notifications, all on loopback and on sockets under `target`. `cargo xtask
//! durable-store` runs this program. Exits with 1 if a figure is out of bounds.
#![expect(clippy::print_stdout, reason = "the figures are for a terminal")]

#[path = "../common/bounds.rs"]
mod bounds;
#[path = "../common/faketime.rs"]
mod faketime;
#[path = "../common/process.rs"]
mod process;
#[path = "../common/http_server.rs"]
mod http_server;
#[path = "../common/cloud.rs"]
mod cloud;
#[path = "../common/receiver.rs"]
#[expect(dead_code, reason = "the receivers of the bench of job-restate fail")]
mod receiver;
#[path = "../../tests/common/postgres.rs"]
#[expect(clippy::unwrap_used, reason = "without a server, there is nothing to measure")]
mod postgres;
#[path = "../../tests/common/postgres_restart.rs"]
#[expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "without a server, there is nothing to measure"
)]
mod postgres_restart;
mod server;
mod database;
mod worker;
mod test_bed;
mod measurement;
mod outcomes;
mod budget;
mod crash;
mod clock;
mod throttled;
mod upgrade;
mod full;
mod many;

use std::{env, process::ExitCode};

use anyhow::bail;
use tokio::runtime::Builder;

use bounds::Bounds;

/// How long a scenario takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// The full number of waits.
    Long,
    /// About half a minute.
    Short,
}

impl Form {
    /// Returns the value for this form.
    pub(crate) fn select<T>(self, long: T, short: T) -> T {
        match self {
            Self::Long => long,
            Self::Short => short,
        }
    }
}

fn main() -> anyhow::Result<ExitCode> {
    let mut arguments: Vec<String> = env::args().skip(1).collect();
    if let [first, config] = &arguments[..]
        && first == worker::ARGUMENT
    {
        worker::run(config)?;
        return Ok(ExitCode::SUCCESS);
    }
    let is_short = arguments.iter().any(|argument| argument == "--short");
    let form = if is_short { Form::Short } else { Form::Long };
    arguments.retain(|argument| !argument.starts_with("--"));
    let mut bounds = Bounds::new();
    // One worker thread, and this thread, which starts all processes.
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    for scenario in arguments {
        runtime.block_on(run(&scenario, form, &mut bounds))?;
    }
    Ok(bounds.exit_code())
}

async fn run(scenario: &str, form: Form, bounds: &mut Bounds) -> anyhow::Result<()> {
    match scenario {
        "budget" => budget::shared_budget(form, bounds).await,
        "clock" => clock::wrong_clock(form, bounds).await,
        "throttled" => throttled::throttled_minute(form, bounds).await,
        "upgrade" => upgrade::rolling_upgrade(form, bounds).await,
        "full" => full::full_database(form, bounds).await,
        "many" => many::many_waits(form, bounds).await,
        "crash" => crash::killed_processes(form, bounds).await,
        other => bail!("unknown scenario {other:?}"),
    }
}
