//! `cce-job wait`: waits until jobs have ended. Takes the arguments apart, and says at the end what came
//! of it; the waits themselves are the library's.

mod jobs;
mod output;
mod progress;
mod schedule;
mod session;
mod source;
mod watch;
mod history_file;
mod checkpoint_file;
mod resume_command;
mod finish;

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, anyhow};
use clap::{Args, builder::ArgPredicate};
use job_model::JobId;
use job_poller::{Adaptive, Fleet, Schedule, WaitPolicy};
use job_transport::{Client, Conventions};

use self::{
    history_file::Learnt,
    jobs::{Jobs, Start},
    output::{Form, Output},
    session::{Session, Until},
    source::Source,
    watch::Watch,
};
pub(crate) use self::{
    progress::{Kind, Progress},
    resume_command::Flags,
    schedule::Pauses,
    watch::Finished,
};
use crate::{
    connection::{Connection, MAX_IN_FLIGHT},
    exit::{Exit, OrExit},
    logging::Verbosity,
    report,
    signals::stopped,
    terminal::{RAW_IS_JSON, Timeout},
};

/// What `--help` says below the flags.
pub(crate) const HELP: &str = "\
Examples:
  cce-job wait --region eu-de 354331b2c-229a-11e8-9c75-0255ac100ceb
  cce-job wait --timeout 90m --checkpoint wait.json ID1 ID2     goes on from there when run again
  curl .. | cce-job wait --from -                               the job that a call submitted
  cce-job wait - < ids.txt                                      many, one a line
  cce-job wait --any ID1 ID2                                    until the first has ended
  cce-job wait -o json --complete ID | jq -r '.. | .resourceID? // empty'";

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    jobs: Jobs,
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
    complete: bool,
    /// Wait so long, such as 90s or 1h30m; 0: ask once; none: without end [default: 1h]
    #[arg(long, value_name = "TIME")]
    timeout: Option<Timeout>,
    /// When to ask: adaptive, fixed:10s or exponential:1s..30s
    #[arg(long, value_name = "SCHEDULE", default_value = "adaptive")]
    schedule: Pauses,
    /// Learn from this file how long jobs take, and add to it; none: do not [default: history.json in
    /// this user's state folder]
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// Keep in this file what is still waited for, and go on from it where it is there
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
    /// What to print to stdout
    #[arg(
        short,
        long,
        value_enum,
        value_name = "FORM",
        default_value = "human",
        default_value_if("raw", ArgPredicate::IsPresent, "json"),
        help_heading = "Output"
    )]
    output: Form,
    /// With -o json: print the replies' own bytes, in place of the jobs encoded again
    #[arg(long, help_heading = "Output")]
    raw: bool,
    /// Print a table of all jobs at the end
    #[arg(long, help_heading = "Output")]
    summary: bool,
    /// Write a timeline, with attempts and faults, to this file at the end: .html, .svg or .mmd
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    report: Option<PathBuf>,
    /// How to tell progress, on stderr
    #[arg(long, value_enum, value_name = "KIND", default_value = "auto", help_heading = "Output")]
    progress: Kind,
}

/// How long to wait, unless it is said; resumed, a wait has the time that it had.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// The most requests that `--complete` makes for one job: one a node, and more nodes are not added at
/// once.
const MOST_SUB_JOBS: u32 = 200;

impl Arguments {
    /// Returns the limits of a wait: these, and what the flags change of them.
    fn policy(&self, policy: WaitPolicy) -> WaitPolicy {
        let policy = match self.timeout {
            None => policy,
            Some(Timeout(None)) => policy.no_timeout(),
            Some(Timeout(Some(timeout))) => policy.timeout(timeout),
        };
        let policy = if self.strict { policy.strict() } else { policy };
        let policy = if self.complete { policy.complete_tree(MOST_SUB_JOBS) } else { policy };
        if self.fail_fast { policy.fail_fast() } else { policy }
    }

    const fn until(&self) -> Until {
        match (self.any, self.fail_fast) {
            (true, _) => Until::Any,
            (false, true) => Until::AllOrFailure,
            (false, false) => Until::All,
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
    let (form, raw) = (arguments.output, arguments.raw);
    if raw && form != Form::Json {
        return Err(anyhow!(RAW_IS_JSON)).or_exit(Exit::Usage);
    }
    let progress = Progress::new(arguments.progress, verbosity, form)?;
    let client = arguments.connection.settings(Conventions::from_environment())?.client()?;
    let report = arguments.report.as_deref().map(report::Collected::new).transpose()?;
    let (checkpoints, starts) = arguments.jobs.starts(arguments.checkpoint.as_deref())?;
    let learnt = Learnt::open(arguments.history.as_deref())?;
    // From here on what is begun is ended in good order.
    let stopped = stopped()?;
    let keeps = Keeps { bodies: raw, logs: report.is_some() };
    let policy = |policy| arguments.policy(policy);
    let (fleet, watches) = begin(client, starts, policy, &arguments.schedule, &learnt, keeps);
    if let Some(file) = &checkpoints {
        let all: Vec<_> = watches.iter().filter_map(Watch::checkpoint).collect();
        let all: Vec<_> = all.iter().collect();
        let shown = || format!("{} cannot be written", file.path().display());
        file.write(&all).with_context(shown).or_exit(Exit::Usage)?;
    }
    let output = Output::new(form, raw, watches.len() > 1);
    let summary = arguments.summary.then(Vec::new);
    let until = arguments.until();
    let session = Session { until, output, progress, checkpoints, report, summary, learnt, fleet };
    let (session, over) = session.run(watches, stopped).await;
    session.tell_what_goes_on(&over, arguments.timeout, flags);
    Ok(session.close(&over))
}

/// Waits for one job, and for nothing but its result.
///
/// # Errors
///
/// As [`run`].
pub(crate) async fn one(
    client: Client,
    job: JobId,
    policy: WaitPolicy,
    schedule: Arc<dyn Schedule>,
    progress: Progress,
) -> anyhow::Result<Exit> {
    let stopped = stopped()?;
    let keeps = Keeps { bodies: false, logs: false };
    let (starts, pauses, learnt) =
        (vec![Start::Anew(job)], Pauses::Given(schedule), Learnt::nothing());
    let (fleet, watches) = begin(client, starts, |_| policy, &pauses, &learnt, keeps);
    let session = Session {
        until: Until::All,
        output: Output::new(Form::Human, false, false),
        progress,
        checkpoints: None,
        report: None,
        summary: None,
        learnt,
        fleet,
    };
    let (session, over) = session.run(watches, stopped).await;
    Ok(session.close(&over))
}

/// What is kept of a wait for its end.
#[derive(Clone, Copy)]
struct Keeps {
    bodies: bool,
    logs: bool,
}

/// Begins the waits, as one fleet.
fn begin(
    client: Client,
    starts: Vec<Start>,
    policy: impl Fn(WaitPolicy) -> WaitPolicy,
    pauses: &Pauses,
    learnt: &Learnt,
    keeps: Keeps,
) -> (Fleet, Vec<Watch>) {
    let jobs = starts.iter().map(|start| start.id().clone());
    let source = Arc::new(Source::new(client, jobs, keeps.bodies));
    let fleet = Fleet::builder(source.clone())
        .in_flight(MAX_IN_FLIGHT)
        .policy(policy(WaitPolicy::new().timeout(DEFAULT_TIMEOUT)));
    let fleet = match pauses {
        Pauses::Given(schedule) => fleet.schedule(schedule.clone()),
        Pauses::Adaptive => {
            // Chance keeps many apart. One asks when it is best.
            let adaptive = Adaptive::new();
            let adaptive = if starts.len() == 1 { adaptive.jitter(0.0) } else { adaptive };
            fleet.adaptive(adaptive, (*learnt.history).clone())
        }
    };
    let fleet = fleet.start();
    let watches = starts.into_iter().enumerate().map(|(place, start)| {
        let wait = start.watch(&fleet, &policy);
        Watch::new(place, wait, source.clone(), learnt.history.clone(), keeps.logs)
    });
    let watches = watches.collect();
    (fleet, watches)
}
