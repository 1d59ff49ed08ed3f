//! `cce-job get`: asks once how a job is, and prints it.

use clap::Args;
use job_model::JobId;
use job_transport::CredentialChain;

use crate::{connection::ConnectionArgs, exit::Exit, terminal::PrintArgs};

/// What `--help` says below the flags.
pub(crate) const HELP: &str = "\
Examples:
  cce-job get --region eu-de 354331b2c-229a-11e8-9c75-0255ac100ceb
  cce-job get -o json 354331b2c-229a-11e8-9c75-0255ac100ceb | jq .status.phase
  cce-job get --raw 354331b2c-229a-11e8-9c75-0255ac100ceb > reply.json

It exits with 0 whenever the job could be read, however that is; `wait` judges it.";

#[derive(Args)]
pub(crate) struct Arguments {
    /// The job's id
    #[arg(value_name = "ID")]
    id: JobId,
    #[command(flatten)]
    print_args: PrintArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// Asks once, and prints the job.
///
/// # Errors
///
/// Where the job could not be read, or stdout cannot be written to.
pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let settings = arguments.connection.settings(CredentialChain::from_environment())?;
    let reading = settings.client()?.job(&arguments.id).await?;
    arguments.print_args.print(&reading)?;
    Ok(Exit::Done)
}
