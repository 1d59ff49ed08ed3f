//! `cargo xtask interop`: clients that nobody here wrote, against `cce-job sim`. Installs them in a
//! virtual environment under `target`, from the Python registry.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
};

use crate::cargo::{cargo, must, root, runs};

/// The clients: the vendor's SDK, and Open Telekom Cloud's extension of OpenStack's, which later
/// versions of that one break.
const PACKAGES: &[&str] = &["huaweicloudsdkcce", "otcextensions", "openstacksdk<=4.0"];

const SCRIPTS: &[(&str, &str)] =
    &[("vendor", include_str!("interop/vendor.py")), ("otc", include_str!("interop/otc.py"))];

/// Whether Python is there, with virtual environments.
pub(crate) fn is_there() -> bool {
    runs(Command::new("python3").args(["-m", "venv", "--help"]))
}

/// Runs every client, each against a service of its own.
pub(crate) fn run() -> ExitCode {
    if !is_there() {
        println!("interop: SKIPPED, it needs Python 3 with venv");
        return ExitCode::SUCCESS;
    }
    match clients() {
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

fn clients() -> io::Result<()> {
    let folder = root().join("target/interop");
    fs::create_dir_all(&folder)?;
    let python = installed(&folder)?;
    must(&mut cargo(&["build", "--locked", "--package", "job-cli", "--bin", "cce-job"]))?;
    for (name, script) in SCRIPTS {
        println!("\n== interop {name}");
        let sim = Sim::start(&folder)?;
        let file = folder.join(format!("{name}.py"));
        fs::write(&file, script)?;
        let mut client = Command::new(&python);
        must(client.arg(file).arg(&sim.started).arg(&sim.ca_file).current_dir(&folder))?;
    }
    Ok(())
}

/// Returns the Python of a virtual environment that has the clients.
fn installed(folder: &Path) -> io::Result<PathBuf> {
    let environment = folder.join("venv");
    let python = environment.join("bin/python");
    if !python.exists() {
        must(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
    }
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    must(Command::new(&python).args(pip).args(PACKAGES))?;
    must(
        Command::new(&python)
            .args(["-m", "pip", "list", "--format", "freeze"])
            .stdout(File::create(folder.join("versions.txt"))?),
    )?;
    for line in fs::read_to_string(folder.join("versions.txt"))?.lines() {
        if ["huaweicloudsdkc", "otcextensions", "openstacksdk"]
            .iter()
            .any(|of| line.starts_with(of))
        {
            println!("interop: {line}");
        }
    }
    Ok(python)
}

/// A running `cce-job sim`; stopped when it is dropped.
struct Sim {
    child: Child,
    /// A file with the line that says how to get in.
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
