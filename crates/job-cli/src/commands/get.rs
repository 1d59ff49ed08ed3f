//! `cce-job get`: prints the current state of a job.

use clap::Args;
use job_model::JobId;
use job_transport::auth::CredentialChain;

use crate::{
    connection::ConnectionArgs,
    exit::{Exit, OrExit},
    runtime::block_on,
    terminal::PrintArgs,
};

/// The sections of `--help` below the flags.
pub(crate) const HELP: &str = "\
Examples:
  cce-job get --region eu-de 354331b2c-229a-11e8-9c75-0255ac100ceb
  cce-job get -o json 354331b2c-229a-11e8-9c75-0255ac100ceb | jq .status.phase
  cce-job get --raw 354331b2c-229a-11e8-9c75-0255ac100ceb > reply.json

The exit code is 0 if the job could be read, even if the job has failed. With `wait`, a failed job
gives exit code 5.";

#[derive(Args)]
pub(crate) struct Arguments {
    /// Job id
    #[arg(value_name = "ID")]
    id: JobId,
    #[command(flatten)]
    print_args: PrintArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// Reads the job once, and prints it.
///
/// # Errors
///
/// Returns an error if the job cannot be read, or if writing to stdout fails.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let settings = arguments.connection.settings(CredentialChain::from_environment())?;
    let client = settings.client()?;
    let reading = match block_on(async { Ok(client.job(&arguments.id).await) })? {
        Ok(reading) => reading,
        Err(error) => {
            let (exit, hint) = (Exit::from(&error), settings.hints().for_fetch_error(&error));
            return Err(error).or_exit_with_hint(exit, hint);
        }
    };
    arguments.print_args.print(&reading)?;
    Ok(Exit::Done)
}
