//! A PostgreSQL server of its own, from the programs of Debian's package.

use std::{
    env, fs,
    io::{self, BufRead as _, BufReader, Write as _},
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

/// A server that listens on a socket in a temporary folder. It is killed when dropped.
pub(crate) struct Postgres {
    pub(crate) server: Child,
    pub(crate) folder: PathBuf,
}

/// How long the server may take to start.
pub(crate) const START_TIMEOUT: Duration = Duration::from_secs(60);

impl Postgres {
    /// Starts a server. Returns `None` and prints why if PostgreSQL is not installed.
    pub(crate) fn start(name: &str) -> Option<Self> {
        let Some(programs) = find_programs() else {
            let _ = writeln!(io::stderr(), "SKIPPED PostgreSQL: it is not installed");
            return None;
        };
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        if let Some((uid, gid)) = server_user() {
            chown(&folder, Some(uid), Some(gid)).unwrap();
        }
        let data = folder.join("data");
        let mut initdb = command(&programs, "initdb");
        initdb.args(["--auth=trust", "--username=postgres", "--no-sync", "--pgdata"]).arg(&data);
        assert!(initdb.stdout(Stdio::null()).status().unwrap().success(), "initdb failed");
        let (server, ready) = spawn(&programs, &folder);
        ready.recv_timeout(START_TIMEOUT).unwrap();
        Some(Self { server, folder })
    }

    /// Returns the URL of the default database.
    pub(crate) fn url(&self) -> String {
        format!("postgres:///postgres?user=postgres&host={}", self.folder.display())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Starts the server. The receiver gets a message when the server accepts connections, and is
/// disconnected when the server ends.
pub(crate) fn spawn(programs: &Path, folder: &Path) -> (Child, mpsc::Receiver<()>) {
    let mut log = fs::File::options().create(true).append(true).open(folder.join("log")).unwrap();
    let mut server = command(programs, "postgres");
    server.arg("-D").arg(folder.join("data")).arg("-k").arg(folder);
    // No TCP: a socket in the folder is enough.
    server.args(["-c", "listen_addresses=", "-c", "max_connections=100"]);
    let mut server = server.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(server.stderr.take().unwrap()).lines();
    let (sender, ready) = mpsc::channel();
    thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            let _ = writeln!(log, "{line}");
            if line.contains("database system is ready to accept connections") {
                let _ = sender.send(());
            }
        }
    });
    (server, ready)
}

fn command(programs: &Path, name: &str) -> Command {
    let mut command = Command::new(programs.join(name));
    if let Some((uid, gid)) = server_user() {
        command.uid(uid).gid(gid);
    }
    command.env("LC_ALL", "C").current_dir("/").stdin(Stdio::null());
    command
}

/// Returns the folder with the programs of the latest version that is installed.
pub(crate) fn find_programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok().into_iter().flatten().flatten();
    let mut debian: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    debian.sort();
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders = debian.into_iter().rev().chain(env::split_paths(&path));
    let programs = ["initdb", "postgres"];
    folders.find(|folder| programs.iter().all(|program| folder.join(program).exists()))
}

/// Returns the ids of the user that runs the server. It is not root, because the server refuses that.
fn server_user() -> Option<(u32, u32)> {
    is_root().then(|| (id("-u"), id("-g")))
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().unwrap();
    output.stdout.trim_ascii() == b"0"
}

/// Returns an id of the user that Debian's package creates.
fn id(option: &str) -> u32 {
    let output = Command::new("id").args([option, "postgres"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}
