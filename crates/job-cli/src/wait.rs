//! `cce-job wait`: waits for jobs to end. Starts the waits of the library from the arguments, and
//! prints their results.

mod missed;
mod finished;
mod running_jobs;
mod error_run;
mod annotations;
mod snapshot;
mod totals;
mod time_limit;
mod format;
mod until_arg;
mod schedule;
mod source;
mod watch;
mod board;
mod slice;
mod history_file;
mod checkpoint_file;
mod slice_state;
mod report_file;
mod resume_command;
mod jobs;
mod print_id;
mod job_hints;
mod output;
mod progress;
mod session;
mod finish;

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, anyhow, ensure};
use clap::{Args, builder::ArgPredicate};
use jiff::Timestamp;
use job_model::JobId;
use job_poller::{
    Checkpoint, Fleet, Until, WaitPolicy,
    fleet::{FleetBuilder, ListReads},
    schedule::{Adaptive, Schedule},
};
use job_transport::{
    Client,
    auth::CredentialChain,
    clock::{Clock, TokioClock},
};

use self::annotations::{AnnotationMode, Annotations};
use self::{
    checkpoint_file::Origin,
    finish::Continuation,
    format::OutputFormat,
    history_file::HistoryFile,
    jobs::{JobArgs, Resolved, Start},
    missed::MissedEvents,
    output::Output,
    report_file::ReportFile,
    session::{Session, StopCondition},
    source::RecordingSource,
    time_limit::{DeadlineArg, TimeLimit},
    watch::{Watch, WatchEvents},
};
#[cfg(test)]
pub(crate) use self::{finished::Finished, report_file::timeline_from_finished};
pub(crate) use self::{
    output::result_lines,
    progress::{ProgressDisplay, ProgressMode},
    resume_command::Flags,
    schedule::ScheduleArg,
    until_arg::UntilArg,
};
use crate::{
    connection::{ConnectionArgs, Hints, MAX_IN_FLIGHT},
    exit::{Exit, OrExit},
    input::InputArg,
    logging::Verbosity,
    runtime::{block_on, shutdown_signal},
    terminal::{DurationArg, RAW_REQUIRES_JSON, TimeoutArg, printer},
};

/// The section of `--help` below the flags.
pub(crate) const HELP: &str = "\
Examples:
  cce-job wait --region eu-de 354331b2c-229a-11e8-9c75-0255ac100ceb
  cce-job wait --timeout 90m --checkpoint wait.json ID1 ID2     resumes if you run it again
  curl .. | cce-job wait --from -                               the job that an API call created
  cce-job wait - < ids.txt                                      many jobs, one id per line
  cce-job wait --any ID1 ID2                                    until the first job ends
  cce-job wait --at-most 9m --timeout 2h ID                     in slices, as agents and CI steps need
  cce-job wait --until ready ID                                 until the new cluster is ready
  cce-job wait --cluster CLUSTER_ID --until gone                without a job
  cce-job wait -o json --full-tree ID | jq -r '.. | .resourceID? // empty'";

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    jobs: JobArgs,
    /// What to wait for: `ended`, the end of the job; `ready`, also until the cluster or the nodes
    /// that it names can be used; `gone`, until they are deleted [default: ended; with --cluster:
    /// ready]
    #[arg(long, value_enum, value_name = "STATE", hide_possible_values = true)]
    until: Option<UntilArg>,
    /// Wait until all jobs have ended (default)
    #[arg(long, conflicts_with_all = ["any", "fail_fast"])]
    all: bool,
    /// Stop when the first job ends
    #[arg(long)]
    any: bool,
    /// Stop at the first job or sub-job that fails, or the first job that cannot be read any more
    #[arg(long, conflicts_with = "any")]
    fail_fast: bool,
    /// Treat a job as failed if it succeeded although one of its sub-jobs failed
    #[arg(long)]
    strict: bool,
    /// Also request the sub-jobs that the service leaves out of a job's reply, for example to get
    /// the ids of new nodes; sends more requests
    #[arg(long)]
    full_tree: bool,
    /// Give up after this long, for example 90s, 1h30m or 1d; `0` checks once, `none` waits without
    /// limit; a service that was never reached is given up after 2 minutes [default: 1h]
    #[arg(long, value_name = "DURATION")]
    timeout: Option<TimeoutArg>,
    /// Give up at this time (such as 2027-01-15T08:00:00Z) instead of after a duration; a time in the
    /// past checks once
    #[arg(long, value_name = "TIME", conflicts_with = "timeout")]
    deadline: Option<DeadlineArg>,
    /// Return after this long with exit code 8 if jobs are still running, and print the command that
    /// goes on; the deadline stays the same
    #[arg(long, value_name = "DURATION", value_parser = slice::parse_at_most)]
    at_most: Option<DurationArg>,
    /// When to poll: adaptive, fixed:10s or exponential:1s..30s
    #[arg(long, value_name = "SCHEDULE", default_value = "adaptive")]
    schedule: ScheduleArg,
    /// Maximum number of requests per second for all jobs together, for example 0.5; fewer are sent
    /// if the service states a lower limit
    #[arg(long, value_name = "NUMBER", default_value_t = 50.0, value_parser = parse_request_rate)]
    max_rate: f64,
    /// Read each job by itself, and never the list of the project's jobs
    #[arg(long)]
    no_list: bool,
    /// Poll a job as soon as its id arrives in this input, one id per line; `-` reads stdin
    #[arg(long, value_name = "FILE")]
    hints: Option<InputArg>,
    /// File of past job durations for each host, which the adaptive schedule uses and, except for
    /// localhost, updates; `none` disables it [default: cce-job/history.json in your state folder,
    /// such as ~/.local/state]
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// Save progress to this file, and resume from it if it exists, with the same deadline
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// Print the id of each job, and that of its cluster or node if it is known, as one line of JSON
    /// before any request
    #[arg(long)]
    print_id: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
    /// Format of the results on stdout
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
    /// Print the exact bytes of the replies instead of re-encoded JSON; implies -o json
    #[arg(long, help_heading = "Output")]
    raw: bool,
    /// Print a table of all jobs at the end
    #[arg(long, help_heading = "Output")]
    summary: bool,
    /// Write a timeline with all attempts and errors to this file at the end (.html, .svg or .mmd);
    /// append it to a Markdown file (.md, or "$GITHUB_STEP_SUMMARY")
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    report: Option<PathBuf>,
    /// Print an `::error` line for jobs that failed or did not end in time; auto: only in GitHub
    /// Actions
    #[arg(long, value_enum, value_name = "WHEN", default_value = "auto", help_heading = "Output")]
    annotations: AnnotationMode,
    /// How to show progress on stderr
    #[arg(long, value_enum, value_name = "MODE", default_value = "auto", help_heading = "Output")]
    progress: ProgressMode,
}

/// Parses a number of requests per second.
pub(crate) fn parse_request_rate(text: &str) -> anyhow::Result<f64> {
    let number: f64 =
        text.parse().ok().context("expected a number of requests per second, such as 0.5")?;
    let is_valid = (0.001..=1e6).contains(&number);
    ensure!(is_valid, "must be between 0.001 and 1000000 requests per second");
    Ok(number)
}

/// The timeout without `--timeout`. A resumed wait keeps its own timeout.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// Maximum number of requests of `--full-tree` for one job. It needs one per new node, and nobody
/// adds more than this many nodes at once.
const MAX_SUB_JOB_LOOKUPS: u32 = 200;

impl Arguments {
    /// Returns the policy of a wait, with the changes that the flags make.
    fn policy(&self, policy: WaitPolicy) -> WaitPolicy {
        let policy = match self.until {
            Some(UntilArg(until)) => policy.until(until),
            None => policy,
        };
        let policy = if self.strict { policy.strict() } else { policy };
        let policy =
            if self.full_tree { policy.max_tree_lookups(MAX_SUB_JOB_LOOKUPS) } else { policy };
        if self.fail_fast { policy.fail_fast() } else { policy }
    }

    /// Checks that the command that goes on can name all jobs.
    fn check_at_most(&self, jobs: usize) -> anyhow::Result<()> {
        if self.at_most.is_some() && self.checkpoint.is_none() && jobs > slice::MAX_JOBS {
            let error = anyhow!(
                "--at-most needs --checkpoint FILE for more than {} jobs, because the next command \
                 cannot name all of them",
                slice::MAX_JOBS
            );
            return Err(error).or_exit(Exit::Usage);
        }
        Ok(())
    }

    /// Checks that the state to wait for is one of an object, if there is no job.
    fn check_until(&self) -> anyhow::Result<()> {
        let is_ended = self.until == Some(UntilArg(Until::Ended));
        if is_ended && self.jobs.has_objects() {
            return Err(anyhow!("--until ended needs a job; with --cluster use ready or gone"))
                .or_exit(Exit::Usage);
        }
        Ok(())
    }

    const fn stop_condition(&self) -> StopCondition {
        match (self.any, self.fail_fast) {
            (true, _) => StopCondition::Any,
            (false, true) => StopCondition::AllOrFailure,
            (false, false) => StopCondition::All,
        }
    }
}

/// Runs the command.
///
/// # Errors
///
/// Returns a usage error if the arguments, settings or files cannot be used, and an internal error
/// if the signal handlers or the thread that prints cannot be set up.
pub(crate) fn run(
    arguments: Arguments,
    verbosity: Verbosity,
    flags: &Flags,
) -> anyhow::Result<Exit> {
    let (format, raw) = (arguments.output, arguments.raw);
    if raw && format != OutputFormat::Json {
        return Err(anyhow!(RAW_REQUIRES_JSON)).or_exit(Exit::Usage);
    }
    let now = TokioClock::new().now();
    let limit = TimeLimit::new(arguments.timeout, arguments.deadline, now);
    let progress = ProgressDisplay::new(arguments.progress, verbosity, format)?;
    let settings = arguments.connection.settings(CredentialChain::from_environment())?;
    let (client, hints) = (settings.client()?, settings.hints());
    let quota_store = settings.quota_store();
    let endpoint = settings.endpoint.map(|one| one.value);
    let endpoint = endpoint.context("no endpoint; use --region or --endpoint")?;
    let origin = Origin {
        endpoint: endpoint.to_string(),
        project: settings.project.map(|one| one.value.to_string()),
    };
    arguments.check_until()?;
    let report = arguments.report.as_deref().map(ReportFile::new).transpose()?;
    let Resolved { file: mut checkpoints, starts, earlier } =
        arguments.jobs.resolve(arguments.checkpoint.as_deref(), &origin, &arguments.hints)?;
    arguments.check_at_most(starts.len())?;
    let history_file = HistoryFile::open(arguments.history.as_deref(), &endpoint)?;
    let retain_logs = report.is_some();
    let policy = |policy, resumed: Option<(&Checkpoint, Duration)>| {
        limit.apply(arguments.policy(policy), resumed)
    };
    let summary = arguments.summary.then(Vec::new);
    let stop_condition = arguments.stop_condition();
    if arguments.print_id {
        print_id::print(&starts, now);
    }
    let printer = printer::start()?;
    let (session, result) = block_on(async {
        // From here on, a signal ends the command in an orderly way.
        let stopped = shutdown_signal()?;
        let source = Arc::new(RecordingSource::new(client));
        let fleet = Fleet::builder(source.clone())
            .requests_per_second(arguments.max_rate)
            .list_reads(if arguments.no_list { ListReads::off() } else { ListReads::new() });
        let fleet = match quota_store {
            Some((store, caller)) => fleet.quota_store(store, caller),
            None => fleet,
        };
        let waits = (starts, &arguments.schedule, &history_file, retain_logs);
        let (fleet, watches) = start_waits(fleet, source, waits, now, policy);
        if let Some(input) = &arguments.hints {
            job_hints::start(input, &fleet)?;
        }
        if let Some(file) = &mut checkpoints {
            let all = watches.iter().map(|(events, _)| events);
            let all = all.filter_map(|events| Some((events.index(), events.checkpoint()?)));
            let created = file.create(all.collect()).await;
            let shown = || format!("cannot write {}", file.path().display());
            created.with_context(shown).or_exit(Exit::Usage)?;
        }
        let session = Session {
            stop_condition,
            earlier,
            at_most: arguments.at_most.map(|DurationArg(span)| span),
            output: Output::new(format, raw, watches.len() > 1),
            progress,
            checkpoints,
            report,
            annotations: Annotations::new(arguments.annotations),
            summary,
            history_file,
            hints,
            fleet,
            printer,
            missed: MissedEvents::default(),
        };
        Ok(session.run(watches, stopped).await)
    })?;
    let continuation = Continuation { flags, limit, origin: &origin };
    session.print_resume_hint(&result, &continuation);
    Ok(session.finish(&result, Some(&continuation)))
}

/// Waits for one job without checkpoint, report, summary and history.
///
/// # Errors
///
/// Returns an error if the signal handlers or the thread that prints cannot be set up.
pub(crate) async fn run_single(
    client: Client,
    job: JobId,
    policy: WaitPolicy,
    schedule: Arc<dyn Schedule>,
    progress: ProgressDisplay,
) -> anyhow::Result<Exit> {
    let stopped = shutdown_signal()?;
    let now = TokioClock::new().now();
    let (starts, schedule_arg, history_file) =
        (vec![Start::New(job, None)], ScheduleArg::Custom(schedule), HistoryFile::disabled());
    let source = Arc::new(RecordingSource::new(client));
    let fleet = Fleet::builder(source.clone());
    let waits = (starts, &schedule_arg, &history_file, false);
    let (fleet, watches) = start_waits(fleet, source, waits, now, |_, _| policy);
    let session = Session {
        stop_condition: StopCondition::All,
        earlier: Exit::Done,
        at_most: None,
        output: Output::new(OutputFormat::Human, false, false),
        progress,
        checkpoints: None,
        report: None,
        annotations: Annotations::new(AnnotationMode::None),
        summary: None,
        history_file,
        hints: Hints::default(),
        fleet,
        printer: printer::start()?,
        missed: MissedEvents::default(),
    };
    let (session, result) = session.run(watches, stopped).await;
    Ok(session.finish(&result, None))
}

/// Starts all waits, as one fleet: their starts, their schedule, its history, and whether to keep
/// their logs.
fn start_waits(
    fleet: FleetBuilder,
    source: Arc<RecordingSource>,
    (starts, schedule_arg, history_file, retain_logs): (
        Vec<Start>,
        &ScheduleArg,
        &HistoryFile,
        bool,
    ),
    now: Timestamp,
    policy: impl Fn(WaitPolicy, Option<(&Checkpoint, Duration)>) -> WaitPolicy,
) -> (Fleet, Vec<(WatchEvents, Watch)>) {
    let fleet = fleet
        .max_in_flight(MAX_IN_FLIGHT)
        .policy(policy(WaitPolicy::new().timeout(DEFAULT_TIMEOUT), None));
    let fleet = match schedule_arg {
        ScheduleArg::Custom(schedule) => fleet.schedule(schedule.clone()),
        ScheduleArg::Adaptive => {
            // Jitter spreads the polls of many waits. A single wait needs none.
            let adaptive = Adaptive::new();
            let adaptive = if starts.len() == 1 { adaptive.jitter(0.0) } else { adaptive };
            fleet.adaptive(adaptive, (*history_file.history).clone())
        }
    };
    let fleet = fleet.start();
    let watches = starts.into_iter().enumerate().map(|(index, start)| {
        let events = WatchEvents::new(index, start.start(&fleet, now, &policy));
        let history = history_file.history.clone();
        let watch = Watch::new(&events, source.clone(), history, retain_logs);
        (events, watch)
    });
    let watches = watches.collect();
    (fleet, watches)
}

#[cfg(test)]
mod object_tests;
