//! The service and the command side by side, and what else they meet. Tests nothing.

use std::{
    fs,
    io::{self, Write},
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

/// A folder for one test's files; gone when it is dropped.
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
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The service, with a job that takes so many seconds.
pub(crate) async fn start_service(seconds: u32) -> (Arc<Sim>, SimServer) {
    // The template takes five.
    let plan = Plan::create_cluster().slower(seconds).faster(5);
    let sim = Arc::new(Sim::new(plan, TimeSource::Clock));
    let server = SimServer::start(sim.clone()).await.unwrap();
    (sim, server)
}

/// Returns the command, which knows nothing of the test's own environment.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cce-job"));
    // Nor of what its user has learnt.
    command.env_clear().env("XDG_STATE_HOME", "/dev/null/none");
    command
}

/// Returns the command, which trusts this CA and holds the service's token, asked to wait.
pub(crate) fn wait_command(sim: &Sim, endpoint: &str, ca_pem: &[u8], folder: &Folder) -> Command {
    let mut command = command();
    command
        .env("OS_TOKEN", sim.account().token)
        .env("OS_PROJECT_ID", sim.project().as_str())
        .args(["wait", "--endpoint", endpoint, "--ca-file"])
        .arg(folder.write("trusted.pem", ca_pem));
    command
}

/// Returns a fixture's path.
pub(crate) fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name)
}

/// Runs a command to its end.
pub(crate) async fn run(mut command: Command) -> CommandResult {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    wait_for_exit(child.unwrap()).await
}

/// Waits for a command that runs.
pub(crate) async fn wait_for_exit(child: Child) -> CommandResult {
    let output = spawn_blocking(move || child.wait_with_output()).await.unwrap();
    let Output { status, stdout, stderr } = output.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    CommandResult { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
}

/// What a command came to.
#[derive(Debug)]
pub(crate) struct CommandResult {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl CommandResult {
    /// Asserts that so many jobs succeeded, and that something went wrong on the way, if anything
    /// was to.
    pub(crate) fn assert_succeeded(&self, jobs: usize, met: &str) {
        assert_eq!(self.code, Some(0), "{self:?}");
        assert_eq!(self.stdout.matches("succeeded: CreateCluster").count(), jobs, "{self:?}");
        assert!(self.stderr.contains(met), "{met:?} was not met: {}", self.stderr);
    }
}

/// Returns whether a program is there; says so where it is not, past the test harness, which keeps
/// the output of a test that passes to itself.
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

/// What the help says of the command that not every build has, and that has a test of its own.
pub(crate) const DURABLE_HELP_LINE: &str =
    "  durable      Serve waits that outlive any machine, to the durable engine Restate\n";

pub(crate) async fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

/// Returns when the program listens there.
pub(crate) async fn wait_until_listening(child: &mut Child, port: u16) {
    let connected = timeout(Duration::from_secs(60), async {
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            assert!(child.try_wait().unwrap().is_none(), "it has ended");
            sleep(Duration::from_millis(20)).await;
        }
    });
    connected.await.unwrap();
}

/// Lets real time pass.
#[expect(clippy::disallowed_methods, reason = "the parts beside have no clock of ours")]
pub(crate) async fn sleep(span: Duration) {
    tokio::time::sleep(span).await;
}
