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
            println!("interop: {} clients passed, and the chains agree", SCRIPTS.len());
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
    Ok(())
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

/// A running `cce-job sim`, which is stopped on drop.
struct Sim {
    child: Child,
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
        let mut sim =
            Self { child: command.spawn()?, started: folder.join("started.json"), ca_file };
        let mut line = String::new();
        if let Some(out) = sim.child.stdout.take() {
            BufReader::new(out).read_line(&mut line)?;
        }
        fs::write(&sim.started, line)?;
        Ok(sim)
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
