//! `cce-job retry`: sends notifications of `cce-job-server` again.

use clap::Args;
use futures_util::{StreamExt, stream};

use crate::{
    commands::server::{ServerArgs, ServerErrorKind},
    connection::MAX_IN_FLIGHT,
    exit::Exit,
    runtime::block_on,
    terminal::{print, stderr, text},
};

/// The sections of `--help` below the flags.
pub(crate) const HELP: &str = "\
The status page shows the ids of the notifications that were not delivered. A notification keeps its
id, so its receiver can recognize it if it arrives twice.

Examples:
  cce-job retry ID1 ID2
  cce-job retry --failed            all that the server has given up, up to 1,000 at once

The exit code is 0 if the server sends all of them again, 7 if no undelivered notification has an id,
4 if the server refused the token, and 1 if it cannot be reached.";

#[derive(Args)]
pub(crate) struct Arguments {
    /// Ids of notifications
    #[arg(value_name = "ID", required_unless_present = "failed")]
    ids: Vec<String>,
    /// Send all notifications again that the server has given up
    #[arg(long, conflicts_with = "ids")]
    failed: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Sends the notifications again.
///
/// # Errors
///
/// Returns an error if a setting is invalid, if the server cannot be reached or refuses the token, or if
/// writing to stdout fails.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let server = arguments.server.connect()?;
    block_on(async {
        let ids = if arguments.failed {
            let undelivered = server.undelivered().await?;
            let failed = undelivered.into_iter().filter(|one| one.state == "failed");
            failed.map(|one| one.id).collect()
        } else {
            arguments.ids.clone()
        };
        let requests = ids.iter().map(async |id| (id, server.retry(id).await));
        let mut replies = stream::iter(requests).buffered(MAX_IN_FLIGHT);
        let mut exit = Exit::Done;
        while let Some((id, reply)) = replies.next().await {
            let id = text::sanitize_line(id);
            match reply {
                Ok(()) => print::write_stdout(format!("{id} is sent again\n"))?,
                Err(error) if error.kind == ServerErrorKind::NotFound => {
                    stderr::line(&format!(
                        "cce-job: {id}: no undelivered notification has this id"
                    ));
                    exit = exit.worse(error.exit);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(exit)
    })
}
