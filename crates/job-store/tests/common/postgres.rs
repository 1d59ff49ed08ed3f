//! A PostgreSQL server of its own, from the programs of Debian's package.

use std::{
    env, fs,
    io::{self, Write as _},
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

/// A server that listens on a socket in a temporary folder. It is killed when dropped.
pub(crate) struct Postgres {
    pub(crate) server: Child,
    pub(crate) programs: PathBuf,
    pub(crate) user: Option<(u32, u32)>,
    pub(crate) folder: PathBuf,
}

/// How long the server may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// The delay between two checks whether it has started.
const RETRY_DELAY: Duration = Duration::from_millis(50);

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
        // The server refuses to run as root.
        let user = is_root().then(|| (id("-u"), id("-g")));
        if let Some((uid, gid)) = user {
            chown(&folder, Some(uid), Some(gid)).unwrap();
        }
        let data = folder.join("data");
        let mut initdb = command(&programs, "initdb", user);
        initdb.args(["--auth=trust", "--username=postgres", "--no-sync", "--pgdata"]).arg(&data);
        assert!(initdb.stdout(Stdio::null()).status().unwrap().success(), "initdb failed");
        let server = spawn(&programs, &folder, user);
        let mut postgres = Self { server, programs, user, folder };
        postgres.wait_until_ready();
        Some(postgres)
    }

    /// Returns options to connect to the default database.
    pub(crate) fn options(&self) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .socket(&self.folder)
            .username("postgres")
            .database("postgres")
    }

    /// Creates a pool of connections.
    pub(crate) async fn pool(&self, connections: u32) -> PgPool {
        let options = PgPoolOptions::new().max_connections(connections);
        options.connect_with(self.options()).await.unwrap()
    }

    /// Returns whether the server accepts connections.
    pub(crate) fn is_ready(&self) -> bool {
        let mut ready = command(&self.programs, "pg_isready", self.user);
        ready.arg("--host").arg(&self.folder).stdout(Stdio::null());
        ready.status().unwrap().success()
    }

    fn wait_until_ready(&mut self) {
        for _ in 0..START_TIMEOUT.as_millis() / RETRY_DELAY.as_millis() {
            if self.is_ready() {
                return;
            }
            assert!(self.server.try_wait().unwrap().is_none(), "the server has ended");
            #[expect(clippy::disallowed_methods, reason = "a server needs time to start")]
            thread::sleep(RETRY_DELAY);
        }
        panic!("the server does not start");
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

pub(crate) fn spawn(programs: &Path, folder: &Path, user: Option<(u32, u32)>) -> Child {
    let log = fs::File::options().create(true).append(true).open(folder.join("log")).unwrap();
    let mut server = command(programs, "postgres", user);
    server.arg("-D").arg(folder.join("data")).arg("-k").arg(folder);
    // No TCP. Sessions end with a server that was killed, so a restart finds no old ones.
    server.args(["-c", "listen_addresses=", "-c", "max_connections=100"]);
    server.stdout(Stdio::null()).stderr(log).spawn().unwrap()
}

fn command(programs: &Path, name: &str, user: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(programs.join(name));
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    command.env("LC_ALL", "C").current_dir("/").stdin(Stdio::null());
    command
}

/// Returns the folder with the programs of the latest version that is installed.
fn find_programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok().into_iter().flatten().flatten();
    let mut debian: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    debian.sort();
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders = debian.into_iter().rev().chain(env::split_paths(&path));
    let programs = ["initdb", "postgres", "pg_isready"];
    folders.find(|folder| programs.iter().all(|program| folder.join(program).exists()))
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
