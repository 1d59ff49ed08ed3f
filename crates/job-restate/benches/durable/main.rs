//! Checks that waits survive when the engine and the service are killed with SIGKILL.
//!
//! Runs a real engine, a real service, a simulated cloud over TLS and a receiver of notifications,
//! all on loopback. `cargo xtask durable` installs the engine and runs this program. Exits with 1
//! if a figure is out of bounds.
#![expect(clippy::print_stdout, reason = "the figures are for a terminal")]

#[path = "../common/bounds.rs"]
mod bounds;
mod budget;
mod process;
mod receiver;
mod test_bed;
mod waits;

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
    let which: Vec<_> = arguments.collect();
    let all = ["one", "many", "budget"].map(String::from);
    let mut bounds = Bounds::new();
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    for proof in if which.is_empty() { all.to_vec() } else { which } {
        match &*proof {
            "one" => runtime.block_on(waits::one_wait(&programs, &mut bounds))?,
            "many" => runtime.block_on(waits::many_waits(&programs, &mut bounds))?,
            "budget" => runtime.block_on(budget::shared_budget(&programs, &mut bounds))?,
            other => bail!("unknown scenario {other:?}; expected one, many or budget"),
        }
    }
    Ok(bounds.exit_code())
}
