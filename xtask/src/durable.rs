//! `cargo xtask durable`: checks with a real engine that waits survive failures of the engine, of the
//! services, of the cloud, of receivers and of clocks. Installs the engine from the npm registry under
//! `target` and stops all processes at the end.

pub(crate) mod store;

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use crate::cargo::{cargo, root, run as run_command, succeeds};

/// The npm package of the engine. The engine has its own license (BSL 1.1) and is not published
/// with these crates.
const ENGINE: &str = "@restatedev/restate-server@1.7.12";

/// The scenarios, in the order in which they run.
const SCENARIOS: [&str; 11] = [
    "one",
    "many",
    "budget",
    "services",
    "crowd",
    "throttled",
    "purge",
    CLOCK,
    "receivers",
    "large",
    "upgrade",
];

/// The scenario that needs the program `faketime`.
const CLOCK: &str = "clock";

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
    if let Some(unknown) = scenarios.iter().find(|scenario| !SCENARIOS.contains(scenario)) {
        let known = SCENARIOS.join(", ");
        return Err(io::Error::other(format!(
            "unknown scenario {unknown}; expected one of {known}"
        )));
    }
    let mut scenarios = scenarios.to_vec();
    if scenarios.is_empty() {
        scenarios.extend(SCENARIOS);
        if !has_faketime() {
            println!("durable: SKIPPED {CLOCK}: needs the program faketime");
            scenarios.retain(|scenario| *scenario != CLOCK);
        }
    } else if scenarios.contains(&CLOCK) && !has_faketime() {
        return Err(io::Error::other(format!("{CLOCK} needs the program faketime")));
    }
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

/// Whether there is a program that runs another one with a wrong clock.
fn has_faketime() -> bool {
    succeeds(Command::new("faketime").args(["-f", "+1s", "true"]))
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
