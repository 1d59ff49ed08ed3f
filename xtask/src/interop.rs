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
            println!("interop: {} clients passed", SCRIPTS.len());
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
