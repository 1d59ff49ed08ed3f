//! `cargo xtask pictures`: makes the pictures of the README from a wait against the simulator.

use std::{
    fs, io,
    process::{Command, ExitCode},
};

use crate::cargo::{cargo, root, run as run_command};

/// The folder of the pictures.
const FOLDER: &str = "docs";

/// Builds the command, records a wait with it and writes the pictures.
pub(crate) fn run() -> ExitCode {
    match make_pictures() {
        Ok(()) => {
            println!("pictures: wrote {FOLDER}/live-tree.svg and {FOLDER}/report.svg");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("pictures: FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

fn make_pictures() -> io::Result<()> {
    let folder = root().join(FOLDER);
    fs::create_dir_all(&folder)?;
    // One build, because a build of the command alone could select other features of its
    // dependencies.
    let build = ["build", "--locked", "--package", "job-cli"];
    run_command(cargo(&build).args(["--bin", "cce-job", "--example", "pictures"]))?;
    let program = |name: &str| {
        root().join("target/debug").join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
    };
    println!("pictures: recording a wait of about a minute and a half");
    run_command(Command::new(program("examples/pictures")).arg(program("cce-job")).arg(folder))
}
