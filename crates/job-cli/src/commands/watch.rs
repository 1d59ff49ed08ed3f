//! `cce-job watch`: starts waits at `cce-job-server`, and follows them if asked.

mod follow;

use std::io::{self, ErrorKind};

use clap::Args;
use futures_util::{StreamExt, stream};
use job_transport::clock::{Clock, TokioClock};

use self::follow::Follower;
use crate::{
    commands::server::{ServerArgs, ServerErrorKind, StartRequest, Target, TargetArgs},
    connection::MAX_IN_FLIGHT,
    exit::Exit,
    logging::Verbosity,
    runtime::block_on,
    terminal::{DurationArg, PrintFormat, Styles, TimeoutArg, print, stderr, text},
    wait::UntilArg,
};

/// The sections of `--help` below the flags.
pub(crate) const HELP: &str = "\
The server goes on waiting after this command has returned, and notifies the receivers of --notify.
If it waits for the job already, it keeps the later of the two deadlines. `ls` lists the waits, and
`cancel` stops one.

Examples:
  cce-job watch 354331b2c-229a-11e8-9c75-0255ac100ceb
  cce-job watch --project production --timeout 90m --until ready ID
  cce-job watch --notify https://hooks.example.com/cce ID
  cce-job watch --follow ID1 ID2                         until they have ended, as `wait` does
  cce-job watch - < ids.txt                              many jobs, one id per line";

/// The section of `--help` about exit codes.
pub(crate) const EXIT_HELP: &str = "\
The exit code is 0 if the server waits for all jobs. With --follow, it is that of `wait`: 5 if a job
failed, 7 if it was not found, 6 if it could not be read, and 3 if the deadline passed. It is 4 if
the server refused the token, 2 if it refused a request, and 1 if it cannot be reached.";

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    targets: TargetArgs,
    /// What to wait for: `ended`, the end of the job; `ready`, also until the cluster or the nodes
    /// that it names can be used; `gone`, until they are deleted [default: ended]
    #[arg(long, value_enum, value_name = "STATE", hide_possible_values = true)]
    until: Option<UntilArg>,
    /// Give up after this long, for example 90s, 1h30m or 1d; `0` checks once, `none` waits without
    /// limit [default: 1h]
    #[arg(long, value_name = "DURATION")]
    timeout: Option<TimeoutArg>,
    /// Send the result to this webhook, which the configuration of the server must allow; can be
    /// repeated
    #[arg(long, value_name = "URL")]
    notify: Vec<String>,
    /// Wait until the server has a result for each job, print it, and return the exit code of `wait`
    #[arg(long)]
    follow: bool,
    /// How often the server is asked (used by the tests)
    #[arg(long, value_name = "DURATION", default_value = "2s", hide = true)]
    follow_interval: DurationArg,
    /// Output format; human: a line for each job, json: the status of each job on a line, as the
    /// server sends it
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "human")]
    output: PrintFormat,
    #[command(flatten)]
    server: ServerArgs,
}

/// Starts the waits, and follows them if asked.
///
/// # Errors
///
/// Returns an error if a setting cannot be used, if the server cannot be reached or refuses the token,
/// or if writing to stdout fails.
pub(crate) fn run(arguments: &Arguments, verbosity: Verbosity) -> anyhow::Result<Exit> {
    let ids = arguments.targets.read_ids()?;
    let server = arguments.server.connect()?;
    let request = StartRequest {
        timeout: arguments.timeout.map(|timeout| timeout.to_string()),
        until: arguments.until.map(|UntilArg(until)| until.as_str()),
        notify: &arguments.notify,
    };
    block_on(async {
        let targets = Target::resolve(&server, ids).await?;
        let mut follower = Follower {
            server: &server,
            output: arguments.output,
            is_quiet: verbosity == Verbosity::Quiet,
            styles: Styles::for_stream(&io::stdout()),
            interval: arguments.follow_interval.0,
            exit: Exit::Done,
            running: Vec::new(),
        };
        let starts =
            targets.iter().map(async |target| (target, server.start(target, &request).await));
        let mut starts = stream::iter(starts).buffered(MAX_IN_FLIGHT);
        while let Some((target, started)) = starts.next().await {
            let reply = match started {
                Ok(reply) => reply,
                Err(error) if error.kind == ServerErrorKind::Refused => {
                    stderr::line(&format!("cce-job: {}: {error}", target.job));
                    follower.exit = follower.exit.worse(error.exit);
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            if arguments.follow {
                follower.add(target.clone(), &reply.value)?;
                continue;
            }
            let now = reply.now.unwrap_or_else(|| TokioClock::new().now());
            print::write_stdout(match arguments.output {
                PrintFormat::Json => reply.value.json_line() + "\n",
                PrintFormat::Human => {
                    let status = &reply.value.status;
                    let active = status.result.is_none();
                    let next = status.next(now).filter(|_| active);
                    let next = next.map(|next| format!(", next request {next}"));
                    let next = next.unwrap_or_default();
                    let job = text::sanitize_line(target.job.as_str());
                    format!("{job} {}{next}\n", status.describe())
                }
            })?;
        }
        if !arguments.follow {
            return Ok(follower.exit);
        }
        let result = follower.run().await;
        match &result {
            // The reader closed stdout before the jobs had ended.
            Err(error) if follower.is_running() && is_closed(error) => Ok(Exit::StdoutClosed),
            _ => result,
        }
    })
}

fn is_closed(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}
