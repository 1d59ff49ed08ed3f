//! `cargo xtask interop`: runs third-party Python clients against `cce-job sim`. Installs them from
//! PyPI in a virtual environment under `target`.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
};

use crate::cargo::{cargo, root, run as run_command, succeeds};

/// The clients: the vendor's SDK, and Open Telekom Cloud's extension of the OpenStack SDK. The
/// extension does not work with later versions of the OpenStack SDK.
const PACKAGES: &[&str] = &["huaweicloudsdkcce", "otcextensions", "openstacksdk<=4.0"];

const SCRIPTS: &[(&str, &str)] =
    &[("vendor", include_str!("interop/vendor.py")), ("otc", include_str!("interop/otc.py"))];

/// Whether Python and its module for virtual environments are installed.
pub(crate) fn is_available() -> bool {
    succeeds(Command::new("python3").args(["-m", "venv", "--help"]))
}

/// Runs every client, each against a simulated service of its own.
pub(crate) fn run() -> ExitCode {
    if !is_available() {
        println!("interop: SKIPPED: needs Python 3 with venv");
        return ExitCode::SUCCESS;
    }
    match run_clients() {
        Ok(()) => {
            println!(
                "interop: {} clients passed, and the chains and the moments of readiness agree",
                SCRIPTS.len()
            );
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("interop: FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run_clients() -> io::Result<()> {
    let folder = root().join("target/interop");
    fs::create_dir_all(&folder)?;
    let python = install_clients(&folder)?;
    run_command(&mut cargo(&["build", "--locked", "--package", "job-cli", "--bin", "cce-job"]))?;
    compare_chains(&folder, &python)?;
    for (name, script) in SCRIPTS {
        println!("\n== interop {name}");
        let sim = Sim::start(&folder)?;
        let file = folder.join(format!("{name}.py"));
        fs::write(&file, script)?;
        let mut client = Command::new(&python);
        run_command(client.arg(file).arg(&sim.started).arg(&sim.ca_file).current_dir(&folder))?;
    }
    compare_ready(&folder, &python)
}

/// Maximum time between the moments at which two clients see that a cluster is ready: the interval at
/// which both read it, and a request.
const MAX_READY_DIFFERENCE: f64 = 1.0 + 0.2;

/// Waits until a simulated cluster is ready, while the vendor's SDK reads it at the same interval. Both
/// must see that it is ready within one interval, and not before it is.
fn compare_ready(folder: &Path, python: &Path) -> io::Result<()> {
    println!("\n== interop ready");
    let example = ["--package", "job-poller", "--example", "until_ready", "--features", "tokio"];
    run_command(cargo(&["build", "--locked"]).args(example))?;
    let (started, ca_file) = (folder.join("ready.json"), folder.join("ready-ca.pem"));
    let mut wait = Command::new(root().join("target/debug/examples/until_ready"));
    wait.arg(&started).arg(&ca_file).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut wait = KilledOnDrop(wait.spawn()?);
    let lines = wait.0.stdout.take().map(|out| BufReader::new(out).lines());
    let mut lines = lines.into_iter().flatten();
    let mut next_line = || lines.next().unwrap_or_else(|| Err(io::Error::other("it has ended")));
    if next_line()? != "started" {
        return Err(io::Error::other("the wait did not start"));
    }
    let file = folder.join("ready.py");
    fs::write(&file, include_str!("interop/ready.py"))?;
    let client = Command::new(python).arg(file).args([&started, &ca_file]).output()?;
    if !client.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&client.stderr).into_owned()));
    }
    let theirs = moment(&String::from_utf8_lossy(&client.stdout), "ready")?;
    let ours = moment(&next_line()?, "ready")?;
    let truth = moment(&next_line()?, "truth")?;
    let [ours, theirs] = [ours, theirs].map(|seen| seen - truth);
    println!(
        "interop: seen ready {ours:.3} s after it was; by the vendor's SDK {theirs:.3} s after"
    );
    let is_late = |delay: f64| !(0.0..=MAX_READY_DIFFERENCE).contains(&delay);
    if is_late(ours) || is_late(theirs) || (ours - theirs).abs() > MAX_READY_DIFFERENCE {
        return Err(io::Error::other("the two do not see the same moment"));
    }
    Ok(())
}

/// Returns the time in a line such as `ready 1767225600.5`.
fn moment(line: &str, word: &str) -> io::Result<f64> {
    let time = line.trim().strip_prefix(word).and_then(|time| time.trim().parse().ok());
    time.ok_or_else(|| io::Error::other(format!("expected `{word}` and a time: {line}")))
}

/// A process that is stopped on drop.
struct KilledOnDrop(Child);

impl Drop for KilledOnDrop {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Compares the vendor's chain of credentials with that of `cce-job`, in a network of its own that has the
/// address of the metadata service. Without such a network, leaves the metadata service out.
fn compare_chains(folder: &Path, python: &Path) -> io::Result<()> {
    const SETUP: &str = "ip link set lo up && ip addr add 169.254.169.254/32 dev lo && exec \"$@\"";
    println!("\n== interop chain");
    let file = folder.join("chain.py");
    fs::write(&file, include_str!("interop/chain.py"))?;
    let unshare = || {
        let mut unshare = Command::new("unshare");
        unshare.args(["--map-root-user", "--net", "sh", "-c", SETUP, "sh"]);
        unshare
    };
    let has_own_network = succeeds(unshare().arg("true"));
    let mut client = if has_own_network {
        let mut client = unshare();
        client.arg(python);
        client
    } else {
        Command::new(python)
    };
    let network = if has_own_network { "own-network" } else { "shared-network" };
    client.arg(file).arg(root().join("target/debug/cce-job")).arg(network).current_dir(folder);
    run_command(&mut client)
}

/// Installs the clients in a virtual environment, and returns the path of its Python.
fn install_clients(folder: &Path) -> io::Result<PathBuf> {
    let environment = folder.join("venv");
    let python = environment.join("bin/python");
    if !python.exists() {
        run_command(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
    }
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    run_command(Command::new(&python).args(pip).args(PACKAGES))?;
    run_command(
        Command::new(&python)
            .args(["-m", "pip", "list", "--format", "freeze"])
            .stdout(File::create(folder.join("versions.txt"))?),
    )?;
    for line in fs::read_to_string(folder.join("versions.txt"))?.lines() {
        if ["huaweicloudsdkc", "otcextensions", "openstacksdk"]
            .iter()
            .any(|package| line.starts_with(package))
        {
            println!("interop: {line}");
        }
    }
    Ok(python)
}

/// A running `cce-job sim`.
struct Sim {
    child: KilledOnDrop,
    /// A file with the line that `cce-job sim` prints: its endpoint and credentials.
    started: PathBuf,
    ca_file: PathBuf,
}

impl Sim {
    fn start(folder: &Path) -> io::Result<Self> {
        let ca_file = folder.join("ca.pem");
        let mut command = Command::new(root().join("target/debug/cce-job"));
        command
            .args(["sim", "--jobs", "2", "--speed", "30", "--ca-file"])
            .arg(&ca_file)
            .stdout(Stdio::piped());
        let mut sim = Self {
            child: KilledOnDrop(command.spawn()?),
            started: folder.join("started.json"),
            ca_file,
        };
        let mut line = String::new();
        if let Some(out) = sim.child.0.stdout.take() {
            BufReader::new(out).read_line(&mut line)?;
        }
        fs::write(&sim.started, line)?;
        Ok(sim)
    }
}
