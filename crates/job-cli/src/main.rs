//! The command `cce-job`: arguments in, an exit code out. Decides nothing about a job.

mod demo;
mod sim;
mod wait;
mod told;
mod signals;
mod exit;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::{Parser, Subcommand};

/// Waits for jobs of the Cloud Container Engine (CCE) API.
#[derive(Parser)]
#[command(name = "cce-job", version, after_help = exit::HELP)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Wait until jobs have ended
    #[command(after_help = wait::HELP, after_long_help = [wait::HELP, exit::HELP].join("\n\n"))]
    Wait(wait::Arguments),
    /// Serve a simulated service over TLS on loopback, until stopped
    #[command(after_help = sim::help())]
    Sim(Box<sim::Arguments>),
    /// Wait for a job of a simulated service, started here, over TLS on loopback
    #[command(after_help = exit::HELP)]
    Demo {
        /// Let the job fail
        #[arg(long)]
        fail: bool,
        /// Run the simulation this many times as fast, for the tests
        #[arg(long, hide = true, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        speed: u32,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let ran = match Arguments::parse().command {
        Command::Wait(arguments) => wait::run(arguments).await,
        Command::Sim(arguments) => sim::run(*arguments).await,
        Command::Demo { fail, speed } => demo::run(fail, speed).await,
    };
    match ran {
        Ok(exit) => exit.into(),
        Err(error) => {
            // Where even this cannot be written, the exit code still tells.
            let _ = writeln!(io::stderr(), "cce-job: {error:#}");
            exit::Exit::of(&error).into()
        }
    }
}
