//! `cce-job show`: prints a saved reply as `get` would print it. Uses no network.

use clap::Args;

use crate::{exit::Exit, input::InputArg, terminal::PrintArgs};

/// The section of `--help` below the flags.
pub(crate) const HELP: &str = "\
Examples:
  cce-job show reply.json
  curl -s .. | cce-job show -
  cce-job show -o json - < reply.json";

#[derive(Args)]
pub(crate) struct Arguments {
    /// Saved reply; `-` reads stdin
    #[arg(value_name = "FILE")]
    file: InputArg,
    #[command(flatten)]
    print_args: PrintArgs,
}

/// Reads the file, and prints the job.
///
/// # Errors
///
/// Returns an error if the file is not a job, or if stdout cannot be written to.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    arguments.print_args.print(&arguments.file.read_reply()?)?;
    Ok(Exit::Done)
}
