//! Records a wait for three simulated jobs in a pseudo-terminal: its screen after a minute, and its
//! report.

use std::{
    fs::{self, File},
    io::Read,
    iter::repeat_n,
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, ensure};
use jiff::Timestamp;
use job_model::Phase;
use job_poller::schedule::{History, JobObservation};
use job_sim::{Fault, Plan, Sim, SimServer, TimeSource};
use pty_process::{
    Size,
    blocking::{Command, open},
};
use tokio::task::spawn_blocking;
use vt100::{Parser, Screen};

/// The size of the terminal. The width is enough for the result of the job that ends first.
const ROWS: u16 = 24;
const COLUMNS: u16 = 104;

/// The rows of the recorded screen, each with the texts in it: one job has ended, one step has failed,
/// and others are running.
const EXPECTED_ROWS: [[&str; 2]; 4] = [
    ["1 of 3 jobs ended", "Running"],
    ["InstallMaster", "Running"],
    ["InstallNode", "Failed"],
    ["InstallNode", "Running"],
];

const FAILURE_REASON: &str = "cloud-init ended with exit status 1";

/// The number of requests before the first fault.
const FIRST_FAULT: usize = 9;

/// The exit code of the command if a job has failed.
const JOB_FAILED: i32 = 5;

/// What was recorded.
pub(crate) struct Recording {
    pub(crate) prompt: String,
    pub(crate) screen: Screen,
    pub(crate) report: String,
}

/// Runs the command at this path until all jobs have ended, which takes a minute and a half.
///
/// # Errors
///
/// Returns an error if the command cannot run, has another result than the failure of one job, or
/// never shows the expected screen.
pub(crate) async fn record(command: &Path) -> anyhow::Result<Recording> {
    let [cluster, nodes, node] = plans();
    let sim = Arc::new(Sim::new(cluster, TimeSource::Clock));
    let jobs = [sim.job().clone(), sim.add(nodes), sim.add(node)];
    let unavailable = Fault::ErrorReply(http::StatusCode::SERVICE_UNAVAILABLE);
    let faults = [Some(unavailable.clone()), None, Some(unavailable)];
    sim.inject_faults(repeat_n(None, FIRST_FAULT).chain(faults));
    let server = SimServer::start(sim.clone()).await?;

    let folder = tempfile::tempdir()?;
    let file = |name: &str| folder.path().join(name);
    fs::write(file("ca.pem"), server.ca_pem())?;
    fs::write(file("history.json"), serde_json::to_vec(&history())?)?;
    fs::write(file("jobs.txt"), jobs.map(|job| format!("{job}\n")).concat())?;
    let command = Command::new(command)
        .args(["wait", "-", "--endpoint", &server.endpoint(), "--color", "always"])
        .arg("--report")
        .arg(file("report.svg"))
        .arg("--ca-file")
        .arg(file("ca.pem"))
        .arg("--history")
        .arg(file("history.json"))
        .stdin(File::open(file("jobs.txt"))?)
        .env_clear()
        .env("TERM", "xterm-256color")
        .env("OS_TOKEN", sim.account().token)
        .env("OS_PROJECT_ID", sim.project().as_str());
    let screen = spawn_blocking(move || run(command)).await??;
    Ok(Recording {
        prompt: "$ cce-job wait --region eu-de - < jobs.txt".into(),
        screen,
        report: fs::read_to_string(file("report.svg"))?,
    })
}

/// Returns the plans of the three jobs: a new cluster, three new nodes of which the last one fails,
/// and the deletion of a node.
fn plans() -> [Plan; 3] {
    [
        Plan::create_cluster()
            .with_cluster("4d1ecb2c-229a-11e8-9c75-0255ac100ceb", "prod")
            .slower(18),
        Plan::scale_up_cluster(3)
            .with_cluster("5e2fdc3d-229a-11e8-9c75-0255ac100ceb", "staging")
            .slower(30)
            .with_random_durations(NODES_SEED)
            .with_failure(FAILURE_REASON),
        Plan::delete_node().slower(40),
    ]
}

/// With this seed the last node fails after 50 seconds, and the other two are installed until 76
/// and 90 seconds.
const NODES_SEED: u64 = 1131;

/// Returns the history of thirty earlier jobs of each type, with which the command estimates the
/// remaining time.
fn history() -> History {
    let mut history = History::new();
    for seed in 0..30 {
        for plan in plans() {
            let plan = plan.created_at(Timestamp::UNIX_EPOCH).with_random_durations(seed);
            let job = plan.job_at(plan.duration());
            let ended = job.walk().skip(1).filter(|node| node.job.phase() == Some(&Phase::Success));
            let ages = ended.filter_map(|node| {
                let updated = node.job.metadata.as_ref()?.update_timestamp.as_ref()?.instant()?;
                Duration::try_from(updated.duration_since(Timestamp::UNIX_EPOCH)).ok()
            });
            let job_type = job.job_type().unwrap_or_default();
            let observation = JobObservation::new(job_type, Duration::ZERO, plan.duration(), true);
            history.record(&observation.with_step_ends(ages.collect()));
        }
    }
    history
}

/// Runs the command to its end, and returns the first screen with the expected rows.
fn run(command: Command) -> anyhow::Result<Screen> {
    let (mut pty, pts) = open()?;
    pty.resize(Size::new(ROWS, COLUMNS))?;
    let mut child = command.spawn(pts)?;
    let mut parser = Parser::new(ROWS.try_into()?, COLUMNS.try_into()?, 0);
    let mut recorded = None;
    let mut bytes = [0; 4096];
    // Reading fails when the command has ended, because it is the last one with the other end open.
    while let Ok(read @ 1..) = pty.read(&mut bytes) {
        parser.process(&bytes[..read]);
        let screen = parser.screen();
        let text = screen.contents();
        let has_row = |expected: &[&str; 2]| {
            text.lines().any(|row| expected.iter().all(|part| row.contains(part)))
        };
        if recorded.is_none() && EXPECTED_ROWS.iter().all(has_row) {
            recorded = Some(screen.clone());
        }
    }
    let last = parser.screen().contents();
    let code = child.wait()?.code();
    ensure!(code == Some(JOB_FAILED), "the command ended with exit code {code:?}:\n{last}");
    recorded
        .with_context(|| format!("the screen never had all of the rows {EXPECTED_ROWS:?}:\n{last}"))
}
