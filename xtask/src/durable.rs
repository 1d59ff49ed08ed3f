//! `cargo xtask durable`: the proof that waits outlive what drives them, against a real engine. Installs that
//! under `target`, from the Node registry; leaves nothing running.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use crate::cargo::{cargo, must, root, runs};

/// The engine; its licence is its own (BSL 1.1), and nothing of it is part of what is published here.
const ENGINE: &str = "@restatedev/restate-server@1.7.12";

/// Runs these proofs; all where none is named.
pub(crate) fn run(proofs: &[&str]) -> ExitCode {
    match proved(proofs) {
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

fn proved(proofs: &[&str]) -> io::Result<()> {
    let folder = root().join("target/durable");
    fs::create_dir_all(&folder)?;
    let engine = engine(&folder)?;
    let build = ["build", "--locked", "--release", "--package", "job-cli", "--bin", "cce-job"];
    must(cargo(&build).args(["--features", "durable"]))?;
    let command = format!("cce-job{}", std::env::consts::EXE_SUFFIX);
    let command = root().join("target/release").join(command);
    let bench = ["bench", "--locked", "--package", "job-restate", "--bench", "durable", "--"];
    must(cargo(&bench).arg(engine).arg(command).arg(&folder).args(proofs))
}

/// Returns the engine's program, which is installed where it is not.
fn engine(folder: &Path) -> io::Result<PathBuf> {
    if let Some(program) = program(folder) {
        return Ok(program);
    }
    if !runs(Command::new("npm").arg("--version")) {
        return Err(io::Error::other("it needs Node with npm, to install the engine"));
    }
    let install = ["install", "--no-audit", "--no-fund", "--no-save", "--silent", "--prefix"];
    must(Command::new("npm").args(install).arg(folder).arg(ENGINE))?;
    program(folder).ok_or_else(|| io::Error::other("there is no engine for this platform"))
}

/// Finds it: each platform's is a package of its own.
fn program(folder: &Path) -> Option<PathBuf> {
    let packages = fs::read_dir(folder.join("node_modules/@restatedev")).ok()?;
    let mut programs = packages.flatten().map(|package| package.path().join("bin/restate-server"));
    programs.find(|program| program.exists())
}
