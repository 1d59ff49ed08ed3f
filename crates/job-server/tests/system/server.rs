//! A running server.

use std::{
    fmt::Debug,
    fs,
    io::{self, BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::Duration,
};

use job_transport::clock::{Clock as _, TokioClock};
use tempfile::TempDir;

use crate::http::{Reply, request};

/// How long a server may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a change may take to have an effect. With PostgreSQL, an attempt that was in flight at a kill is
/// repeated a minute later.
const EVENTUALLY_TIMEOUT: Duration = Duration::from_secs(150);

/// The folders and settings of a server, which survive a restart.
pub(crate) struct Setup {
    pub(crate) folder: Arc<TempDir>,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
}

/// A server, which is killed when dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) token: String,
    child: Child,
    log: Arc<Mutex<String>>,
    /// The server opens files in it at any time.
    _folder: Arc<TempDir>,
}

/// Reads a value until it is as expected, and returns it. Panics with the last value if that takes too
/// long.
pub(crate) fn eventually<T: Debug>(
    mut read: impl FnMut() -> T,
    is_expected: impl Fn(&T) -> bool,
) -> T {
    let clock = TokioClock::new();
    let began = clock.monotonic();
    loop {
        let value = read();
        if is_expected(&value) {
            return value;
        }
        let duration = clock.monotonic().saturating_sub(began);
        assert!(duration < EVENTUALLY_TIMEOUT, "after {duration:?} it is still {value:?}");
    }
}

impl Setup {
    pub(crate) fn new(arguments: &[&str]) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let arguments = arguments.iter().copied().map(String::from).collect();
        Self { folder, arguments, variables: Vec::new() }
    }

    /// Returns settings for simulated jobs. There is a new one each second until there are `jobs`.
    pub(crate) fn simulated(jobs: u32) -> Self {
        Self::new(&["--sim", "--sim-jobs", &jobs.to_string()])
    }

    pub(crate) fn argument(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn token_file(&self) -> PathBuf {
        self.path("server-token")
    }

    /// Returns the command without the address.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cce-job-server"));
        command.args(&self.arguments).arg("--state-dir").arg(self.folder.path());
        command.env_clear().envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts a server on a free port.
    pub(crate) fn start(&self) -> Server {
        let mut command = self.command();
        command.args(["--listen", "127.0.0.1:0"]);
        self.start_with(command)
    }

    /// Starts a server with a command that chooses a free port.
    pub(crate) fn start_with(&self, mut command: Command) -> Server {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (log, (sender, started)) = (Arc::<Mutex<String>>::default(), mpsc::channel());
        let written = log.clone();
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if let Some((_, address)) = line.split_once(": listening on ") {
                    let address: SocketAddr = address.split("//").nth(1).unwrap().parse().unwrap();
                    let _ = sender.send(SocketAddr::from(([127, 0, 0, 1], address.port())));
                }
                *written.lock().unwrap() += &format!("{line}\n");
            }
        });
        let address = started.recv_timeout(START_TIMEOUT);
        let address = address.unwrap_or_else(|_| panic!("not started: {}", log.lock().unwrap()));
        let token = fs::read_to_string(self.token_file()).unwrap_or_default().trim().to_owned();
        Server { address, token, child, log, _folder: self.folder.clone() }
    }

    /// Runs a server that must not start, and returns what it prints.
    pub(crate) fn fail(&self, listen: &str) -> String {
        let output = self.command().args(["--listen", listen]).output().unwrap();
        assert!(!output.status.success(), "it started");
        String::from_utf8(output.stderr).unwrap()
    }
}

impl Server {
    /// Sends a request with the token.
    pub(crate) fn send(&self, method: &str, path: &str, body: &str) -> Reply {
        let authorization = format!("Bearer {}", self.token);
        let headers = [
            ("host", "localhost"),
            ("authorization", &*authorization),
            ("content-type", "application/json"),
        ];
        request(self.address, method, path, &headers, body)
    }

    /// Repeats a request until its reply has a status.
    pub(crate) fn wait_for_status(&self, path: &str, status: u16) {
        eventually(|| self.send("GET", path, ""), |reply| reply.status == status);
    }

    /// Returns the JSON of a resource.
    pub(crate) fn get(&self, path: &str) -> serde_json::Value {
        let reply = self.send("GET", path, "");
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
        serde_json::from_str(&reply.body).unwrap()
    }

    /// Returns the value of a metric without labels.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = self.send("GET", "/metrics", "").body;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name}")).parse().unwrap()
    }

    /// Returns the resident memory in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/statm", self.child.id())).unwrap();
        let pages: u64 = text.split_whitespace().nth(1).unwrap().parse().unwrap();
        pages * 4096
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Kills the server without a chance to save anything.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        use rustix::process::{Pid, Signal, kill_process};

        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
    }

    pub(crate) fn wait(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let _ = writeln!(io::stderr(), "the log of the server:\n{}", self.log());
        }
    }
}

/// Writes a file that only this user can read, in place of the one before.
pub(crate) fn write_private(path: &Path, text: &str) {
    let new = path.with_extension("new");
    let _ = fs::remove_file(&new);
    let mut options = fs::File::options();
    options.write(true).create_new(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(&new).unwrap().write_all(text.as_bytes()).unwrap();
    fs::rename(new, path).unwrap();
}
