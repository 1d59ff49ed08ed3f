//! `cargo xtask fuzz [SECONDS]`: each fuzz target for so long, from the fixtures on. Keeps what it
//! finds in the fuzz crate's own folders, which git ignores.

use std::{
    fs,
    process::{Command, ExitCode, Stdio},
};

use crate::cargo::root;

const CRATE: &str = "crates/job-model/fuzz";

/// A workspace of its own.
pub(crate) const MANIFEST: &str = "crates/job-model/fuzz/Cargo.toml";

/// Each target, and the folder of the fixtures that it starts from.
const TARGETS: &[(&str, &str)] = &[
    ("decode", "jobs"),
    ("service_error", "errors"),
    ("submission", "submissions"),
    ("timestamp", "timestamps"),
];

/// Runs every target, stopping at the first that fails; skips them aloud without cargo-fuzz.
pub(crate) fn run(seconds: &str) -> ExitCode {
    let mut version = nightly(&["--version"]);
    let quiet = version.stdout(Stdio::null()).stderr(Stdio::null());
    if !quiet.status().is_ok_and(|status| status.success()) {
        println!("fuzz: SKIPPED, it needs `cargo install cargo-fuzz` and nightly Rust");
        return ExitCode::SUCCESS;
    }
    for (target, seeds) in TARGETS {
        println!("\n== fuzz {target}, {seconds} s");
        let corpus = root().join(CRATE).join("corpus").join(target);
        let mut fuzz = nightly(&["run", "--fuzz-dir", CRATE, target]);
        fuzz.arg(&corpus).arg(root().join("fixtures").join(seeds));
        fuzz.args(["--", "-print_final_stats=1", &format!("-max_total_time={seconds}")]);
        let passed = fs::create_dir_all(&corpus).and_then(|()| fuzz.status());
        if !passed.is_ok_and(|status| status.success()) {
            println!("fuzz: FAILED at {target}");
            return ExitCode::FAILURE;
        }
    }
    println!("fuzz: {} targets passed", TARGETS.len());
    ExitCode::SUCCESS
}

/// Returns a run of cargo-fuzz under nightly Rust, whichever Rust runs this task.
fn nightly(arguments: &[&str]) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", "cargo", "fuzz"]).args(arguments).current_dir(root());
    command
}
