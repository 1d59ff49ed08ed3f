//! The command `cce-job`: arguments in, an exit code out. Decides nothing about a job.

mod demo;
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
    /// Wait for a job of a simulated service, started here, over TLS on loopback
    Demo {
        /// Let the job fail
        #[arg(long)]
        fail: bool,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Command::Demo { fail } = Arguments::parse().command;
    match demo::run(fail).await {
        Ok(exit) => exit.into(),
        Err(error) => {
            // Where even this cannot be written, the exit code still tells.
            let _ = writeln!(io::stderr(), "cce-job: {error:#}");
            exit::Exit::of(&error).into()
        }
    }
}
