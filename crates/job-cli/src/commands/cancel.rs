//! `cce-job cancel`: stops waits of `cce-job-server`. The jobs themselves continue.

use clap::Args;
use futures_util::{StreamExt, stream};

use crate::{
    commands::server::{ServerArgs, ServerErrorKind, Target, TargetArgs, WaitStatus},
    connection::MAX_IN_FLIGHT,
    exit::Exit,
    runtime::block_on,
    terminal::{print, stderr, text},
};

/// The sections of `--help` below the flags.
pub(crate) const HELP: &str = "\
The server stops waiting, and sends no notification. The job itself continues.

Examples:
  cce-job cancel 354331b2c-229a-11e8-9c75-0255ac100ceb
  cce-job ls --state overdue -o json | jq -r '.[].key' | cce-job cancel -

The exit code is 0 if no wait is active any more, 7 if the server has no wait for a job, 4 if it
refused the token, 2 if it refused a request, and 1 if it cannot be reached.";

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    targets: TargetArgs,
    #[command(flatten)]
    server: ServerArgs,
}

/// Stops the waits.
///
/// # Errors
///
/// Returns an error if a setting cannot be used, if the server cannot be reached or refuses the token,
/// or if writing to stdout fails.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let ids = arguments.targets.read_ids()?;
    let server = arguments.server.connect()?;
    block_on(async {
        let targets = Target::resolve(&server, ids).await?;
        let requests = targets.iter().map(async |target| (target, server.cancel(target).await));
        let mut replies = stream::iter(requests).buffered(MAX_IN_FLIGHT);
        let mut exit = Exit::Done;
        while let Some((target, reply)) = replies.next().await {
            let job = text::sanitize_line(target.job.as_str());
            match reply {
                Ok(reply) => {
                    let done = describe(&reply.value.status);
                    print::write_stdout(format!("{job} {done}\n"))?;
                }
                Err(error)
                    if matches!(error.kind, ServerErrorKind::NoWait | ServerErrorKind::Refused) =>
                {
                    stderr::line(&format!("cce-job: {job}: {error}"));
                    exit = exit.worse(error.exit);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(exit)
    })
}

/// Returns what the wait is after the request.
fn describe(status: &WaitStatus) -> String {
    match &status.result {
        Some(result) if result.outcome == "stopped" => "canceled".into(),
        Some(result) => {
            format!("had finished before: {}", text::sanitize_line(&result.outcome))
        }
        None => status.describe(),
    }
}
