//! `cce-job wait`: waits until jobs have ended. Starts the waits of the library from the arguments, and
//! prints their results.

mod finished;
mod error_run;
mod snapshot;
mod totals;
mod format;
mod schedule;
mod source;
mod watch;
mod history_file;
mod checkpoint_file;
mod report_file;
mod resume_command;
mod jobs;
mod output;
mod progress;
mod session;
mod finish;

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, anyhow};
use clap::{Args, builder::ArgPredicate};
use job_model::JobId;
use job_poller::{Adaptive, Fleet, Schedule, WaitPolicy};
use job_transport::{Client, CredentialChain};

#[cfg(test)]
pub(crate) use self::finished::Finished;
use self::{
    format::OutputFormat,
    history_file::HistoryFile,
    jobs::{JobArgs, Start},
    output::Output,
    report_file::ReportFile,
    session::{Session, StopCondition},
    source::RecordingSource,
    watch::Watch,
};
pub(crate) use self::{
    progress::{ProgressDisplay, ProgressMode},
    resume_command::Flags,
    schedule::ScheduleArg,
};
use crate::{
    connection::{ConnectionArgs, MAX_IN_FLIGHT},
    exit::{Exit, OrExit},
    logging::Verbosity,
    signals::shutdown_signal,
    terminal::{RAW_REQUIRES_JSON, TimeoutArg},
};

/// What `--help` says below the flags.
pub(crate) const HELP: &str = "\
Examples:
  cce-job wait --region eu-de 354331b2c-229a-11e8-9c75-0255ac100ceb
  cce-job wait --timeout 90m --checkpoint wait.json ID1 ID2     goes on from there when run again
  curl .. | cce-job wait --from -                               the job that a call submitted
  cce-job wait - < ids.txt                                      many, one a line
  cce-job wait --any ID1 ID2                                    until the first has ended
  cce-job wait -o json --full-tree ID | jq -r '.. | .resourceID? // empty'";

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    jobs: JobArgs,
    /// Wait until all jobs have ended (the default)
    #[arg(long, conflicts_with_all = ["any", "fail_fast"])]
    all: bool,
    /// Wait until the first job has ended
    #[arg(long)]
    any: bool,
    /// Stop as soon as a job, or a sub-job of one, has failed, or cannot be waited for
    #[arg(long, conflicts_with = "any")]
    fail_fast: bool,
    /// Count a job as failed that succeeded though a sub-job of it failed
    #[arg(long)]
    strict: bool,
    /// Ask too for the sub-jobs that a job's reply leaves out, such as those with new nodes' ids
    #[arg(long)]
    full_tree: bool,
    /// Wait so long, such as 90s or 1h30m; 0: ask once; none: without end [default: 1h]
    #[arg(long, value_name = "TIME")]
    timeout: Option<TimeoutArg>,
    /// When to ask: adaptive, fixed:10s or exponential:1s..30s
    #[arg(long, value_name = "SCHEDULE", default_value = "adaptive")]
    schedule: ScheduleArg,
    /// Learn from this file how long jobs take, and add to it; none: do not [default: history.json in
    /// this user's state folder]
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// Keep in this file what is still waited for, and go on from it where it is there
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    #[command(flatten)]
    connection: ConnectionArgs,
    /// What to print to stdout
    #[arg(
        short,
        long,
        value_enum,
        value_name = "FORMAT",
        default_value = "human",
        default_value_if("raw", ArgPredicate::IsPresent, "json"),
        help_heading = "Output"
    )]
    output: OutputFormat,
    /// With -o json: print the replies' own bytes, in place of the jobs encoded again
    #[arg(long, help_heading = "Output")]
    raw: bool,
    /// Print a table of all jobs at the end
    #[arg(long, help_heading = "Output")]
    summary: bool,
    /// Write a timeline, with attempts and errors, to this file at the end: .html, .svg or .mmd
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    report: Option<PathBuf>,
    /// How to tell progress, on stderr
    #[arg(long, value_enum, value_name = "MODE", default_value = "auto", help_heading = "Output")]
    progress: ProgressMode,
}

/// The timeout without `--timeout`. A resumed wait has the timeout that it began with.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// The most requests that `--full-tree` makes for one job: one a node, and more nodes are not added at
/// once.
const MAX_SUB_JOB_LOOKUPS: u32 = 200;

impl Arguments {
    /// Returns the limits of a wait: these, and what the flags change of them.
    fn policy(&self, policy: WaitPolicy) -> WaitPolicy {
        let policy = match self.timeout {
            None => policy,
            Some(TimeoutArg(None)) => policy.no_timeout(),
            Some(TimeoutArg(Some(timeout))) => policy.timeout(timeout),
        };
        let policy = if self.strict { policy.strict() } else { policy };
        let policy =
            if self.full_tree { policy.max_tree_lookups(MAX_SUB_JOB_LOOKUPS) } else { policy };
        if self.fail_fast { policy.fail_fast() } else { policy }
    }

    const fn stop_condition(&self) -> StopCondition {
        match (self.any, self.fail_fast) {
            (true, _) => StopCondition::Any,
            (false, true) => StopCondition::AllOrFailure,
            (false, false) => StopCondition::All,
        }
    }
}

/// Waits.
///
/// # Errors
///
/// Where it was called in a way that cannot be meant, or signals cannot be listened to.
pub(crate) async fn run(
    arguments: Arguments,
    verbosity: Verbosity,
    flags: &Flags,
) -> anyhow::Result<Exit> {
    let (format, raw) = (arguments.output, arguments.raw);
    if raw && format != OutputFormat::Json {
        return Err(anyhow!(RAW_REQUIRES_JSON)).or_exit(Exit::Usage);
    }
    let progress = ProgressDisplay::new(arguments.progress, verbosity, format)?;
    let client = arguments.connection.settings(CredentialChain::from_environment())?.client()?;
    let report = arguments.report.as_deref().map(ReportFile::new).transpose()?;
    let (checkpoints, starts) = arguments.jobs.resolve(arguments.checkpoint.as_deref())?;
    let history_file = HistoryFile::open(arguments.history.as_deref())?;
    // From here on what is begun is ended in good order.
    let stopped = shutdown_signal()?;
    let retain = Retain { bodies: raw, logs: report.is_some() };
    let policy = |policy| arguments.policy(policy);
    let (fleet, watches) =
        start_waits(client, starts, policy, &arguments.schedule, &history_file, retain);
    if let Some(file) = &checkpoints {
        let all: Vec<_> = watches.iter().filter_map(Watch::checkpoint).collect();
        let all: Vec<_> = all.iter().collect();
        let shown = || format!("{} cannot be written", file.path().display());
        file.write(&all).with_context(shown).or_exit(Exit::Usage)?;
    }
    let output = Output::new(format, raw, watches.len() > 1);
    let summary = arguments.summary.then(Vec::new);
    let stop_condition = arguments.stop_condition();
    let session = Session {
        stop_condition,
        output,
        progress,
        checkpoints,
        report,
        summary,
        history_file,
        fleet,
    };
    let (session, result) = session.run(watches, stopped).await;
    session.print_resume_hint(&result, arguments.timeout, flags);
    Ok(session.finish(&result))
}

/// Waits for one job, and for nothing but its result.
///
/// # Errors
///
/// As [`run`].
pub(crate) async fn run_single(
    client: Client,
    job: JobId,
    policy: WaitPolicy,
    schedule: Arc<dyn Schedule>,
    progress: ProgressDisplay,
) -> anyhow::Result<Exit> {
    let stopped = shutdown_signal()?;
    let retain = Retain { bodies: false, logs: false };
    let (starts, schedule_arg, history_file) =
        (vec![Start::New(job)], ScheduleArg::Custom(schedule), HistoryFile::disabled());
    let (fleet, watches) =
        start_waits(client, starts, |_| policy, &schedule_arg, &history_file, retain);
    let session = Session {
        stop_condition: StopCondition::All,
        output: Output::new(OutputFormat::Human, false, false),
        progress,
        checkpoints: None,
        report: None,
        summary: None,
        history_file,
        fleet,
    };
    let (session, result) = session.run(watches, stopped).await;
    Ok(session.finish(&result))
}

/// What is retained of a wait for its end.
#[derive(Clone, Copy)]
struct Retain {
    bodies: bool,
    logs: bool,
}

/// Begins the waits, as one fleet.
fn start_waits(
    client: Client,
    starts: Vec<Start>,
    policy: impl Fn(WaitPolicy) -> WaitPolicy,
    schedule_arg: &ScheduleArg,
    history_file: &HistoryFile,
    retain: Retain,
) -> (Fleet, Vec<Watch>) {
    let jobs = starts.iter().map(|start| start.id().clone());
    let source = Arc::new(RecordingSource::new(client, jobs, retain.bodies));
    let fleet = Fleet::builder(source.clone())
        .max_in_flight(MAX_IN_FLIGHT)
        .policy(policy(WaitPolicy::new().timeout(DEFAULT_TIMEOUT)));
    let fleet = match schedule_arg {
        ScheduleArg::Custom(schedule) => fleet.schedule(schedule.clone()),
        ScheduleArg::Adaptive => {
            // Chance keeps many apart. One asks when it is best.
            let adaptive = Adaptive::new();
            let adaptive = if starts.len() == 1 { adaptive.jitter(0.0) } else { adaptive };
            fleet.adaptive(adaptive, (*history_file.history).clone())
        }
    };
    let fleet = fleet.start();
    let watches = starts.into_iter().enumerate().map(|(index, start)| {
        let wait = start.start(&fleet, &policy);
        Watch::new(index, wait, source.clone(), history_file.history.clone(), retain.logs)
    });
    let watches = watches.collect();
    (fleet, watches)
}
