//! `cargo xtask fuzz [SECONDS]`: runs each fuzz target, starting from the corpus and the fixtures.
//! New inputs stay under `target`; `fuzz --keep` adds those that increase coverage to the corpus.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use crate::cargo::{root, succeeds};

const CRATE: &str = "xtask/fuzz";

/// The fuzz crate is a workspace of its own.
pub(crate) const MANIFEST: &str = "xtask/fuzz/Cargo.toml";

/// Each target, and the folder of fixtures that it starts from in addition to its corpus.
const TARGETS: &[(&str, Option<&str>)] = &[
    ("decode", Some("jobs")),
    ("job_list", Some("job-lists")),
    ("object", Some("objects")),
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

/// The maximum length of an input. The time of a longer one shows whether work grows faster than
/// its bytes.
const MAX_LEN_FLAG: &str = "-max_len=65536";

/// Ends an input that never ends. This is time on the clock, so it is much longer than the processor
/// time that a target may take, because the machine may be busy.
const TIMEOUT_FLAG: &str = "-timeout=600";

/// The maximum length of an input of the corpus, so that it stays small.
const MAX_CORPUS_LEN_FLAG: &str = "-max_len=4096";

/// Whether cargo-fuzz and nightly Rust are installed.
pub(crate) fn is_available() -> bool {
    succeeds(&mut cargo_fuzz(&["--version"]))
}

/// Runs every target and stops at the first failure. Skips all targets if cargo-fuzz is not
/// installed.
pub(crate) fn run(seconds: &str) -> ExitCode {
    for_each_target(|target, seeds| {
        println!("\n== fuzz {target}, {seconds} s");
        let found = found_inputs(target);
        let mut fuzz = cargo_fuzz(&["run", "--fuzz-dir", CRATE, target]);
        fuzz.arg(&found).arg(corpus(target)).args(seeds);
        fuzz.args([
            "--",
            "-print_final_stats=1",
            &format!("-max_total_time={seconds}"),
            MAX_LEN_FLAG,
            TIMEOUT_FLAG,
        ]);
        for folder in [&found, &corpus(target)] {
            fs::create_dir_all(folder)?;
        }
        Ok(fuzz.status()?.success())
    })
}

/// Adds the found inputs that increase coverage to each target's corpus.
pub(crate) fn keep() -> ExitCode {
    for_each_target(|target, _| {
        let mut merge = cargo_fuzz(&["run", "--fuzz-dir", CRATE, target]);
        merge.arg(corpus(target)).arg(found_inputs(target));
        merge.args(["--", "-set_cover_merge=1", MAX_CORPUS_LEN_FLAG]);
        fs::create_dir_all(found_inputs(target))?;
        Ok(merge.status()?.success())
    })
}

fn for_each_target(run: impl Fn(&str, Option<PathBuf>) -> io::Result<bool>) -> ExitCode {
    if !is_available() {
        println!("fuzz: SKIPPED: needs nightly Rust and cargo-fuzz (`cargo install cargo-fuzz`)");
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

/// Returns the folder of the target's corpus.
fn corpus(target: &str) -> PathBuf {
    root().join("fixtures/fuzz").join(target)
}

/// Returns the folder of the new inputs, which are not in the corpus.
fn found_inputs(target: &str) -> PathBuf {
    Path::new(root()).join("target/fuzz-found").join(target)
}

/// Returns a command that runs cargo-fuzz with nightly Rust, because this task may run with stable
/// Rust.
fn cargo_fuzz(arguments: &[&str]) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", "cargo", "fuzz"]).args(arguments).current_dir(root());
    command
}
