//! `cce-job get`: prints the current state of jobs.

use std::{
    collections::{BTreeMap, HashSet},
    io, iter,
    time::Duration,
};

use anyhow::anyhow;
use clap::Args;
use futures_util::{
    StreamExt,
    future::{Either, select},
    stream,
};
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
gives exit code 5. If a job cannot be read, the others are still printed.";

#[derive(Args)]
pub(crate) struct Arguments {
    /// Job ids; `-` reads them from stdin, one per line, with comments after `#`
    #[arg(value_name = "ID", required = true)]
    ids: Vec<IdArg>,
    /// Give up after this long, for example 10s or 2m; `none`: no limit besides that of each request
    #[arg(long, value_name = "DURATION", default_value_t = TimeoutArg(Some(DEFAULT_TIMEOUT)))]
    timeout: TimeoutArg,
    #[command(flatten)]
    print_args: PrintArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// The timeout without `--timeout`.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// After this long without a reply, a line on stderr shows what the command waits for.
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
    let notice = (verbosity != Verbosity::Quiet).then(|| endpoint.unwrap_or_default());
    let limits = Limits { timeout, notice };
    let notify = |notice: String| stderr::message(&notice);
    let read = block_on(read_all(&client, &ids, &limits, notify, &mut readings));
    match read.as_ref().map_err(|error| error.downcast_ref::<io::Error>().map(io::Error::kind)) {
        // The reader closed stdout on purpose, as `head` does.
        Err(Some(io::ErrorKind::BrokenPipe)) => Ok(readings.exit),
        _ => read.map(|()| readings.exit),
    }
}

/// How long to wait for replies.
struct Limits {
    timeout: Option<Duration>,
    /// The endpoint that a line names after [`NOTICE_AFTER`]; `None` prints no line.
    notice: Option<String>,
}

impl Limits {
    /// Returns the line that shows what the command waits for.
    fn notice(&self, endpoint: &str, left: usize) -> String {
        let replies = if left == 1 { "a reply".into() } else { format!("{left} replies") };
        let limit = match self.timeout {
            Some(timeout) => format!("gives up after {}", format_duration(timeout)),
            None => "without a limit".into(),
        };
        let so_far = format_duration(NOTICE_AFTER);
        format!(
            "no answer from {endpoint} after {so_far}; waits for {replies}, {limit} (--timeout)"
        )
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
    let requests = ids.iter().enumerate().map(async |(index, id)| (index, client.job(id).await));
    let mut replies = stream::iter(requests).buffer_unordered(MAX_IN_FLIGHT);
    // The results that wait for one before them.
    let mut arrived = BTreeMap::new();
    let mut passed_on = 0;
    let mut notice = limits.notice.as_deref();
    // Does not include printing: while the reader of stdout is slow, as a pager is, no reply is read.
    let mut waited = Duration::ZERO;
    while passed_on < ids.len() {
        let wake_at = [notice.map(|_| NOTICE_AFTER), limits.timeout].into_iter().flatten().min();
        let timer = clock.sleep(wake_at.unwrap_or(Duration::MAX).saturating_sub(waited));
        let before = clock.monotonic();
        let reply = select(replies.next(), timer).await;
        waited += clock.monotonic().saturating_sub(before);
        match reply {
            Either::Left((reply, _)) => arrived.extend(reply),
            Either::Right(_) if limits.timeout.is_some_and(|timeout| timeout <= waited) => break,
            Either::Right(_) => {
                let left = ids.len() - passed_on - arrived.len();
                notice.take().iter().for_each(|endpoint| notify(limits.notice(endpoint, left)));
            }
        }
        while let Some(reply) = arrived.remove(&passed_on) {
            readings.add(&ids[passed_on], reply)?;
            passed_on += 1;
        }
    }
    let is_missing = |index: &usize| !arrived.contains_key(index);
    let missing: Vec<_> = (passed_on..ids.len()).filter(is_missing).collect();
    for (index, reply) in arrived {
        readings.add(&ids[index], reply)?;
    }
    match (missing.first(), limits.timeout) {
        (Some(first), Some(timeout)) => readings.add_timeout(&ids[*first], missing.len(), timeout),
        _ => Ok(()),
    }
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

    /// Returns the error that some jobs, of which the first is `id`, were not read in time.
    fn add_timeout(&self, id: &JobId, jobs: usize, timeout: Duration) -> anyhow::Result<()> {
        let timeout = format_duration(timeout);
        let error = match jobs {
            1 => anyhow!("no reply for {id} within {timeout}"),
            _ => anyhow!("no reply for {jobs} jobs within {timeout}, such as {id}"),
        };
        let hint = "Check the network and the proxy, or wait longer with --timeout.";
        let exit = self.exit.worse(Exit::Unreadable);
        Err(error).or_exit_with_hint(exit, Some(hint.into()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use job_sim::{Fault, Plan, Sim, SimTransport, TimeSource};

    use super::*;

    /// Reads jobs from a service that does not answer the first `stalled` requests, with a timeout in
    /// seconds. Returns the exit code or the error, and the notices.
    async fn read_stalled(stalled: usize, jobs: usize, timeout: u64) -> (String, Vec<String>) {
        #[derive(clap::Parser)]
        struct Printed {
            #[command(flatten)]
            print_args: PrintArgs,
        }
        let sim = Arc::new(Sim::new(Plan::create_cluster(), TimeSource::Clock));
        sim.inject_faults(vec![Some(Fault::Stall); stalled]);
        let endpoint = "https://cce.example".parse().unwrap();
        let client = sim.client(endpoint, SimTransport::new(sim.clone()));
        let ids: Vec<_> = iter::once(sim.job().clone())
            .chain(iter::repeat_with(|| sim.add(Plan::create_cluster())))
            .take(jobs)
            .collect();
        let Printed { print_args } = clap::Parser::parse_from(["a", "-o", "json"]);
        let mut readings = Readings {
            is_single: jobs == 1,
            print_args: &print_args,
            hints: Hints::default(),
            shown_hints: HashSet::new(),
            exit: Exit::Done,
        };
        let limits = Limits {
            timeout: Some(Duration::from_secs(timeout)),
            notice: Some("https://cce.example".into()),
        };
        let notices = Mutex::new(Vec::new());
        let notify = |notice| notices.lock().unwrap().push(notice);
        let read = read_all(&client, &ids, &limits, notify, &mut readings).await;
        let result = match read {
            Ok(()) => format!("exit {}", readings.exit as u8),
            Err(error) => format!("exit {}: {error}", Exit::from_error(&error) as u8),
        };
        (result, notices.into_inner().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn slow_replies_are_announced_and_then_given_up() {
        let notice = |replies: &str| {
            format!(
                "no answer from https://cce.example after 5s; waits for {replies}, gives up after \
                 20s (--timeout)"
            )
        };
        let rows = [
            (0, 1, 20, "exit 0", vec![]),
            (0, 50, 20, "exit 0", vec![]),
            (1, 1, 4, "exit 6: no reply for ID within 4s", vec![]),
            (1, 1, 20, "exit 6: no reply for ID within 20s", vec![notice("a reply")]),
            (1, 3, 20, "exit 6: no reply for ID within 20s", vec![notice("a reply")]),
            (
                2,
                3,
                20,
                "exit 6: no reply for 2 jobs within 20s, such as ID",
                vec![notice("2 replies")],
            ),
        ];
        for (stalled, jobs, timeout, expected, notices) in rows {
            let (result, shown) = read_stalled(stalled, jobs, timeout).await;
            // The first job is one without a reply, if there is any.
            let result = result.replace("354331b2c-229a-11e8-9c75-0255ac100ceb", "ID");
            assert_eq!((&*result, shown), (expected, notices), "{stalled} {jobs} {timeout}");
        }
    }
}
