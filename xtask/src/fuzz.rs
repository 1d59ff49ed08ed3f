//! `cargo xtask fuzz [SECONDS]`: each fuzz target of all crates for so long, from the kept corpus and
//! the fixtures on. What it finds stays under `target`, until `fuzz --keep` takes from it what reaches
//! code that the corpus does not reach yet.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use crate::cargo::root;

const CRATE: &str = "xtask/fuzz";

/// A workspace of its own.
pub(crate) const MANIFEST: &str = "xtask/fuzz/Cargo.toml";

/// Each target, and the folder of the fixtures that it starts from beside its corpus.
const TARGETS: &[(&str, Option<&str>)] = &[
    ("decode", Some("jobs")),
    ("service_error", Some("errors")),
    ("submission", Some("submissions")),
    ("timestamp", Some("timestamps")),
    ("reply", None),
    ("login", None),
    ("endpoint", None),
    ("machine", None),
    ("checkpoint", None),
    ("request", None),
    ("script", None),
];

/// The longest input that is kept: what is kept is to stay small.
const LONGEST: &str = "-max_len=4096";

/// Whether cargo-fuzz and nightly Rust are there.
pub(crate) fn is_there() -> bool {
    let mut version = nightly(&["--version"]);
    version.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
}

/// Runs every target, stopping at the first that fails; skips them aloud without cargo-fuzz.
pub(crate) fn run(seconds: &str) -> ExitCode {
    each(|target, seeds| {
        println!("\n== fuzz {target}, {seconds} s");
        let found = found(target);
        let mut fuzz = nightly(&["run", "--fuzz-dir", CRATE, target]);
        fuzz.arg(&found).arg(corpus(target)).args(seeds);
        fuzz.args(["--", "-print_final_stats=1", &format!("-max_total_time={seconds}"), LONGEST]);
        for folder in [&found, &corpus(target)] {
            fs::create_dir_all(folder)?;
        }
        Ok(fuzz.status()?.success())
    })
}

/// Takes into each target's corpus what reaches more than it does.
pub(crate) fn keep() -> ExitCode {
    each(|target, _| {
        let mut merge = nightly(&["run", "--fuzz-dir", CRATE, target]);
        merge.arg(corpus(target)).arg(found(target));
        merge.args(["--", "-set_cover_merge=1", LONGEST]);
        fs::create_dir_all(found(target))?;
        Ok(merge.status()?.success())
    })
}

fn each(run: impl Fn(&str, Option<PathBuf>) -> io::Result<bool>) -> ExitCode {
    if !is_there() {
        println!("fuzz: SKIPPED, it needs `cargo install cargo-fuzz` and nightly Rust");
        return ExitCode::SUCCESS;
    }
    for (target, seeds) in TARGETS {
        let seeds = seeds.map(|seeds| root().join("fixtures").join(seeds));
        if !run(target, seeds).unwrap_or_default() {
            println!("fuzz: FAILED at {target}");
            return ExitCode::FAILURE;
        }
    }
    println!("fuzz: {} targets passed", TARGETS.len());
    ExitCode::SUCCESS
}

/// Returns the kept corpus.
fn corpus(target: &str) -> PathBuf {
    root().join("fixtures/fuzz").join(target)
}

/// Returns where what is found stays.
fn found(target: &str) -> PathBuf {
    Path::new(root()).join("target/fuzz-found").join(target)
}

/// Returns a run of cargo-fuzz under nightly Rust, whichever Rust runs this task.
fn nightly(arguments: &[&str]) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", "cargo", "fuzz"]).args(arguments).current_dir(root());
    command
}
