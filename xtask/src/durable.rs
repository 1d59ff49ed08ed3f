//! `cargo xtask durable`: checks with a real engine that waits survive if the service or the engine
//! is killed. Installs the engine from the npm registry under `target` and stops all processes at
//! the end.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use crate::cargo::{cargo, root, run as run_command, succeeds};

/// The npm package of the engine. The engine has its own license (BSL 1.1) and is not published
/// with these crates.
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

/// Returns the path of the engine's executable. Installs the engine if it is missing.
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
