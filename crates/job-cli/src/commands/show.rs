//! `cce-job show`: a saved reply as it would be read from the service. No network.

use anyhow::anyhow;
use clap::Args;
use http::Response;
use job_model::ServiceError;
use job_transport::{FetchError, Reading};

use crate::{
    exit::{Exit, OrExit},
    input::InputArg,
    terminal::PrintArgs,
};

/// What `--help` says below the flags.
pub(crate) const HELP: &str = "\
Examples:
  cce-job show reply.json
  curl -s .. | cce-job show -
  cce-job show -o json - < reply.json";

#[derive(Args)]
pub(crate) struct Arguments {
    /// A saved reply; `-` for stdin
    #[arg(value_name = "FILE")]
    file: InputArg,
    #[command(flatten)]
    print_args: PrintArgs,
}

/// Reads, and prints the job.
///
/// # Errors
///
/// Where the file is no job, or stdout cannot be written to.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    arguments.print_args.print(&read_reply(&arguments.file)?)?;
    Ok(Exit::Done)
}

/// Reads a saved reply by the rules for one that comes from the service.
///
/// # Errors
///
/// Where it cannot be read (wrong usage), or is no job.
pub(crate) fn read_reply(file: &InputArg) -> anyhow::Result<Reading> {
    let body = file.read()?;
    let service_error =
        ServiceError::from_body(0, None, &body).filter(|said| said.code().is_some());
    let error = match (Reading::from_response(Response::new(body.into())), service_error) {
        (Ok(reading), None) => return Ok(reading),
        (Ok(reading), Some(_)) if has_job_fields(&reading) => return Ok(reading),
        (_, Some(said)) => anyhow!("it is what the service says of an error: {said}"),
        (Err(error), None) => decode_cause(error),
    };
    Err(error.context(format!("{file} is no job"))).or_exit(Exit::Unreadable)
}

/// Whether any of a job's parts is there.
fn has_job_fields(Reading { job, .. }: &Reading) -> bool {
    job.metadata.is_some() || job.spec.is_some() || job.status.is_some()
}

/// Returns why a body is not a job, without what the error says of a reply: there was none.
fn decode_cause(error: FetchError) -> anyhow::Error {
    match (error.decode_error(), error.detail()) {
        (Some(cause), _) => anyhow!(cause.clone()),
        (None, Some(detail)) => anyhow!(detail.to_owned()),
        (None, None) => error.into(),
    }
}
