//! `cargo xtask public-api`: compares the public API of each library crate with the list in
//! `docs/public-api`.

use std::{
    io,
    process::{Command, ExitCode},
};

use super::crate_names;
use crate::cargo::{cargo, root, run as run_command, succeeds};

/// The folder of the lists, one file per crate.
const LISTS: &str = "docs/public-api";

/// The nightly compiler has its own folder, so that it does not rebuild the other one's files.
const TARGET: &str = "target/public-api";

/// The exit code of the package `api-list` if it cannot read this rustdoc's JSON.
const OTHER_FORMAT: i32 = 3;

/// The result of a check.
pub(crate) enum Checked {
    Passed,
    Failed,
    /// The lists could not be made, for this reason.
    Skipped(&'static str),
}

/// Compares the lists, or writes them. Fails if they differ or cannot be made.
pub(crate) fn run(is_update: bool) -> ExitCode {
    match check(is_update) {
        Checked::Passed => {
            println!("public-api: the lists in {LISTS} are up to date");
            ExitCode::SUCCESS
        }
        Checked::Failed => ExitCode::FAILURE,
        Checked::Skipped(reason) => {
            println!("public-api: {reason}");
            ExitCode::FAILURE
        }
    }
}

/// Compares the lists, or writes them.
pub(crate) fn check(is_update: bool) -> Checked {
    if !succeeds(nightly().arg("--version")) {
        return Checked::Skipped("needs nightly Rust");
    }
    match compare(is_update) {
        Ok(Some(0)) => Checked::Passed,
        Ok(Some(OTHER_FORMAT)) => Checked::Skipped(
            "needs another version of nightly Rust; see `public-api` in Cargo.toml",
        ),
        Ok(_) => Checked::Failed,
        Err(error) => {
            println!("public-api: {error}");
            Checked::Failed
        }
    }
}

/// Makes rustdoc's JSON and compares it with the lists. Returns the exit code of the comparison.
fn compare(is_update: bool) -> io::Result<Option<i32>> {
    let libraries = libraries()?;
    let mut docs = nightly();
    docs.args(["doc", "--locked", "--no-deps", "--lib", "--all-features", "--target-dir", TARGET]);
    docs.args(libraries.iter().flat_map(|name| ["--package", name]));
    docs.env("RUSTDOCFLAGS", "-Z unstable-options --output-format json");
    run_command(&mut docs)?;
    let task = if is_update { "update" } else { "check" };
    let mut list = cargo(&["run", "--quiet", "--locked", "--package", "api-list", "--", task]);
    list.args([&*format!("{TARGET}/doc"), LISTS]).args(libraries);
    Ok(list.status()?.code())
}

/// Returns the names of the crates that are libraries.
fn libraries() -> io::Result<Vec<String>> {
    let mut names = crate_names()?;
    names.retain(|name| root().join("crates").join(name).join("src/lib.rs").exists());
    Ok(names)
}

/// Returns a command that runs nightly cargo in the workspace's root.
fn nightly() -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", "cargo"]).current_dir(root());
    command
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn every_library_has_a_list() {
        let lists = fs::read_dir(root().join(LISTS)).unwrap();
        let names = lists.map(|list| list.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> =
            names.map(|name| name.trim_end_matches(".txt").into()).collect();
        names.sort();
        assert_eq!(libraries().unwrap(), names);
        assert!(!names.contains(&"job-cli".into()), "a program is not a library");
    }
}
