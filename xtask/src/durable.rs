//! `cargo xtask durable`: checks that waits survive when the service and the engine are killed, with a
//! real engine. Installs the engine from the npm registry under `target`; leaves nothing running.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use crate::cargo::{cargo, root, run as run_command, succeeds};

/// The engine. It has its own licence (BSL 1.1), and no part of it is published with these crates.
const ENGINE: &str = "@restatedev/restate-server@1.7.12";

/// Runs these scenarios, or all if `scenarios` is empty.
pub(crate) fn run(scenarios: &[&str]) -> ExitCode {
    match run_scenarios(scenarios) {
        Ok(()) => {
            println!("durable: passed");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("durable: FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run_scenarios(scenarios: &[&str]) -> io::Result<()> {
    let folder = root().join("target/durable");
    fs::create_dir_all(&folder)?;
    let engine = install_engine(&folder)?;
    let build = ["build", "--locked", "--release", "--package", "job-cli", "--bin", "cce-job"];
    run_command(cargo(&build).args(["--features", "durable"]))?;
    let command = format!("cce-job{}", std::env::consts::EXE_SUFFIX);
    let command = root().join("target/release").join(command);
    let bench = ["bench", "--locked", "--package", "job-restate", "--bench", "durable", "--"];
    run_command(cargo(&bench).arg(engine).arg(command).arg(&folder).args(scenarios))
}

/// Returns the path of the engine's executable, and installs the engine if it is missing.
fn install_engine(folder: &Path) -> io::Result<PathBuf> {
    if let Some(executable) = find_executable(folder) {
        return Ok(executable);
    }
    if !succeeds(Command::new("npm").arg("--version")) {
        return Err(io::Error::other("needs Node with npm to install the engine"));
    }
    let install = ["install", "--no-audit", "--no-fund", "--no-save", "--silent", "--prefix"];
    run_command(Command::new("npm").args(install).arg(folder).arg(ENGINE))?;
    find_executable(folder).ok_or_else(|| io::Error::other("no engine package for this platform"))
}

/// Finds the engine's executable. Each platform has its own package.
fn find_executable(folder: &Path) -> Option<PathBuf> {
    let packages = fs::read_dir(folder.join("node_modules/@restatedev")).ok()?;
    let mut executables =
        packages.flatten().map(|package| package.path().join("bin/restate-server"));
    executables.find(|executable| executable.exists())
}
