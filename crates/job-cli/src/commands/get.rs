//! `cce-job get`: prints the current state of jobs.

use std::{collections::HashSet, future, iter, pin::pin, time::Duration};

use anyhow::anyhow;
use clap::Args;
use futures_util::{StreamExt, future::Either, stream};
use job_model::JobId;
use job_transport::{
    Client, FetchError, Reading,
    auth::CredentialChain,
    clock::{Clock, TokioClock},
    transport::display_chain,
};

use crate::{
    connection::{ConnectionArgs, Hints, MAX_IN_FLIGHT},
    exit::{Exit, OrExit},
    input::IdArg,
    logging::Verbosity,
    runtime::block_on,
    terminal::{PrintArgs, TimeoutArg, format_duration, stderr, text},
};

/// The sections of `--help` below the flags.
pub(crate) const HELP: &str = "\
Examples:
  cce-job get --region eu-de 354331b2c-229a-11e8-9c75-0255ac100ceb
  cce-job get -o json 354331b2c-229a-11e8-9c75-0255ac100ceb | jq .status.phase
  cce-job get --raw 354331b2c-229a-11e8-9c75-0255ac100ceb > reply.json
  cce-job get - < ids.txt                                       several jobs, one id per line

The exit code is 0 if each job could be read, even if a job has failed. With `wait`, a failed job
gives exit code 5. A job that cannot be read does not keep the others from being printed.";

#[derive(Args)]
pub(crate) struct Arguments {
    /// Job ids; `-` reads them from stdin, one per line, with comments after `#`
    #[arg(value_name = "ID", required = true)]
    ids: Vec<IdArg>,
    /// Give up after this long, for example 10s or 2m; `none` waits as long as a request may take
    #[arg(long, value_name = "DURATION", default_value_t = TimeoutArg(Some(DEFAULT_TIMEOUT)))]
    timeout: TimeoutArg,
    #[command(flatten)]
    print_args: PrintArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// The timeout without `--timeout`.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// After this long without a reply, a line on stderr says what the command waits for.
const NOTICE_AFTER: Duration = Duration::from_secs(5);

/// Reads each job once, and prints it.
///
/// # Errors
///
/// Returns an error if no job can be read, or if writing to stdout fails.
pub(crate) fn run(arguments: &Arguments, verbosity: Verbosity) -> anyhow::Result<Exit> {
    let ids = IdArg::read_all(&arguments.ids, iter::empty())?;
    let settings = arguments.connection.settings(CredentialChain::from_environment())?;
    let client = settings.client()?;
    let endpoint = settings.endpoint.as_ref().map(|endpoint| endpoint.value.to_string());
    // A wait with the timeout 0 reads the job once. This command always does.
    let TimeoutArg(timeout) = arguments.timeout;
    let timeout = timeout.map(|timeout| if timeout.is_zero() { DEFAULT_TIMEOUT } else { timeout });
    let mut readings = Readings {
        is_single: ids.len() == 1,
        print_args: &arguments.print_args,
        hints: settings.hints(),
        shown_hints: HashSet::new(),
        exit: Exit::Done,
    };
    let limits = Limits {
        timeout,
        notice: (verbosity != Verbosity::Quiet).then(|| endpoint.unwrap_or_default()),
    };
    let notify = |notice: String| stderr::message(&notice);
    block_on(read_all(&client, &ids, &limits, notify, &mut readings))?;
    Ok(readings.exit)
}

/// How long to wait for replies.
struct Limits {
    timeout: Option<Duration>,
    /// The endpoint that a line names after [`NOTICE_AFTER`]; `None` prints no line.
    notice: Option<String>,
}

impl Limits {
    /// Returns the line that says what the command waits for.
    fn notice(&self, endpoint: &str, left: usize) -> String {
        let replies = if left == 1 { "a reply".into() } else { format!("{left} replies") };
        let limit = match self.timeout {
            Some(timeout) => format!("gives up after {}", format_duration(timeout)),
            None => "without a limit".into(),
        };
        let so_far = format_duration(NOTICE_AFTER);
        format!("has waited {so_far} for {replies} from {endpoint}; {limit} (--timeout)")
    }
}

/// Reads all jobs, some at a time, and passes the results on in the order of the ids.
async fn read_all(
    client: &Client,
    ids: &[JobId],
    limits: &Limits,
    notify: impl Fn(String),
    readings: &mut Readings<'_>,
) -> anyhow::Result<()> {
    let clock = TokioClock::new();
    let started = clock.monotonic();
    let mut replies = stream::iter(ids).map(|id| client.job(id)).buffered(MAX_IN_FLIGHT);
    let mut notice = limits.notice.as_deref();
    for (index, id) in ids.iter().enumerate() {
        let reply = loop {
            let now = clock.monotonic().saturating_sub(started);
            let wake_at = [notice.map(|_| NOTICE_AFTER), limits.timeout];
            let timer = async {
                match wake_at.into_iter().flatten().min() {
                    Some(at) => clock.sleep(at.saturating_sub(now)).await,
                    None => future::pending().await,
                }
            };
            match futures_util::future::select(replies.next(), pin!(timer)).await {
                Either::Left((reply, _)) => break reply,
                Either::Right(_) => {
                    let now = clock.monotonic().saturating_sub(started);
                    if limits.timeout.is_some_and(|timeout| timeout <= now) {
                        break None;
                    }
                    if let Some(endpoint) = notice.take() {
                        notify(limits.notice(endpoint, ids.len() - index));
                    }
                }
            }
        };
        match reply {
            Some(reply) => readings.add(id, reply)?,
            // The time is over for the others, too.
            None => {
                let timeout = limits.timeout.unwrap_or_default();
                return readings.add_timeout(&ids[index..], timeout);
            }
        }
    }
    Ok(())
}

/// Prints the results, and collects the exit code.
struct Readings<'a> {
    is_single: bool,
    print_args: &'a PrintArgs,
    hints: Hints,
    /// Each hint is printed once, because many jobs may have the same error.
    shown_hints: HashSet<String>,
    exit: Exit,
}

impl Readings<'_> {
    fn add(&mut self, id: &JobId, reply: Result<Reading, FetchError>) -> anyhow::Result<()> {
        let error = match reply {
            Ok(reading) if self.is_single => return self.print_args.print(&reading),
            Ok(reading) => return self.print_args.print_one_of_many(id, &reading),
            Err(error) => error,
        };
        let (exit, hint) = (Exit::from(&error), self.hints.for_fetch_error(&error));
        if self.is_single {
            return Err(error).or_exit_with_hint(exit, hint);
        }
        self.exit = self.exit.worse(exit);
        let hint = hint.filter(|hint| self.shown_hints.insert(hint.clone())).unwrap_or_default();
        let message = text::sanitize(&format!("{id}: {}", display_chain(&error)));
        stderr::message(&format!("{message}\n{hint}"));
        Ok(())
    }

    /// Reports that these jobs were not read in time.
    fn add_timeout(&mut self, ids: &[JobId], timeout: Duration) -> anyhow::Result<()> {
        let error = match ids {
            [id] => anyhow!("no reply for {id} within {}", format_duration(timeout)),
            _ => anyhow!("no replies for {} jobs within {}", ids.len(), format_duration(timeout)),
        };
        let hint = "Check the network and the proxy, or wait longer with --timeout.";
        let exit = self.exit.worse(Exit::Unreadable);
        Err(error).or_exit_with_hint(exit, Some(hint.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_notice_says_what_the_command_waits_for() {
        let rows = [
            (
                Some(30),
                1,
                "has waited 5.0s for a reply from https://a; gives up after 30.0s (--timeout)",
            ),
            (None, 3, "has waited 5.0s for 3 replies from https://a; without a limit (--timeout)"),
        ];
        for (timeout, left, expected) in rows {
            let limits = Limits { timeout: timeout.map(Duration::from_secs), notice: None };
            assert_eq!(limits.notice("https://a", left), expected);
        }
    }
}
