//! Helpers of the system tests: the simulated service, the command, folders and processes.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use job_sim::{Plan, Sim, SimServer, TimeSource};
use tokio::{
    net::{TcpListener, TcpStream},
    task::spawn_blocking,
    time::timeout,
};

/// A folder for the files of one test. It is removed on drop.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static FOLDERS: AtomicU32 = AtomicU32::new(0);
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("system-{}-{number}", std::process::id());
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        fs::create_dir_all(self.file(name).parent().unwrap()).unwrap();
        fs::write(self.file(name), text).unwrap();
        self.file(name)
    }

    /// Writes a file that only its owner can read.
    pub(crate) fn write_private(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let file = self.write(name, text);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        file
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Starts the service with a job that takes this number of seconds.
pub(crate) async fn start_service(seconds: u32) -> (Arc<Sim>, SimServer) {
    // The job of the template takes five seconds.
    let plan = Plan::create_cluster().slower(seconds).faster(5);
    let sim = Arc::new(Sim::new(plan, TimeSource::Clock));
    let server = SimServer::start(sim.clone()).await.unwrap();
    (sim, server)
}

/// Returns the command, without the environment of the test.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cce-job"));
    // Do not use the history file of the real user.
    command.env_clear().env("XDG_STATE_HOME", "/dev/null/none");
    command
}

/// Returns `cce-job wait` with the token of the service and this CA.
pub(crate) fn wait_command(sim: &Sim, endpoint: &str, ca_pem: &[u8], folder: &Folder) -> Command {
    let mut command = command();
    command
        .env("OS_TOKEN", sim.account().token)
        .env("OS_PROJECT_ID", sim.project().as_str())
        .args(["wait", "--endpoint", endpoint, "--ca-file"])
        .arg(folder.write("trusted.pem", ca_pem));
    command
}

/// Returns the path of a fixture.
pub(crate) fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

/// Runs a command, and returns its result.
pub(crate) async fn run(mut command: Command) -> CommandResult {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    wait_for_exit(child.unwrap()).await
}

/// Waits for a running command, and returns its result.
pub(crate) async fn wait_for_exit(child: Child) -> CommandResult {
    let output = spawn_blocking(move || child.wait_with_output()).await.unwrap();
    let Output { status, stdout, stderr } = output.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    CommandResult { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
}

/// The result of a command.
#[derive(Debug)]
pub(crate) struct CommandResult {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl CommandResult {
    /// Asserts that this number of jobs succeeded, and that stderr contains the text `met`, which
    /// shows that the expected fault happened.
    pub(crate) fn assert_succeeded(&self, jobs: usize, met: &str) {
        assert_eq!(self.code, Some(0), "{self:?}");
        assert_eq!(self.stdout.matches(": CreateCluster cluster-name (").count(), jobs, "{self:?}");
        assert!(self.stderr.contains(met), "{met:?} was not met: {}", self.stderr);
    }
}

/// Returns whether a program is installed. If not, writes a message directly to stderr, because the
/// test harness hides the output of tests that pass.
pub(crate) fn is_installed(program: &str, version: &str) -> bool {
    let mut command = Command::new(program);
    let quiet = command.arg(version).stdout(Stdio::null()).stderr(Stdio::null());
    let found = quiet.status().is_ok();
    if !found {
        report_skipped(program, "it is not installed");
    }
    found
}

pub(crate) fn report_skipped(what: &str, reason: &str) {
    let _ = writeln!(io::stderr(), "SKIPPED {what}: {reason}");
}

/// The line about `durable` in the help. Not every build has this command, and it has its own test.
pub(crate) const DURABLE_HELP_LINE: &str =
    "  durable      Serve waits that survive restarts, for the durable execution engine Restate\n";

pub(crate) async fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

/// Waits until the program listens on this port.
pub(crate) async fn wait_until_listening(child: &mut Child, port: u16) {
    let connected = timeout(Duration::from_secs(60), async {
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            assert!(child.try_wait().unwrap().is_none(), "the program has ended");
            sleep(Duration::from_millis(20)).await;
        }
    });
    connected.await.unwrap();
}

/// Sleeps in real time.
#[expect(clippy::disallowed_methods, reason = "other processes run in real time")]
pub(crate) async fn sleep(span: Duration) {
    tokio::time::sleep(span).await;
}
