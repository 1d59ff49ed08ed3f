//! `cargo xtask tidy`: checks the project's own rules, which no lint covers. Changes no file.

mod architecture;
mod fixtures;
mod layering;
mod manifests;
mod names;
mod readme;
mod rooms;
mod snapshots;
mod sources;
mod tokens;
mod tree;

use std::process::ExitCode;

use tree::Tree;

/// A check: returns the violations in the files, one line each.
type Check = fn(&Tree) -> Vec<String>;

/// The checks by name. ARCHITECTURE.md refers to them as `tidy::name`.
const CHECKS: &[(&str, Check)] = &[
    ("layering", layering::check),
    ("manifests", manifests::check),
    ("sources", sources::check),
    ("names", names::check),
    ("rooms", rooms::check),
    ("fixtures", fixtures::check),
    ("snapshots", snapshots::check),
    ("readme", readme::check),
    ("architecture", architecture::check),
];

/// Runs every check and prints the violations.
pub(crate) fn run() -> ExitCode {
    let violations = violations();
    violations.iter().for_each(|violation| eprintln!("{violation}"));
    match violations.len() {
        0 => println!("tidy: {} checks passed", CHECKS.len()),
        count => eprintln!("tidy: {count} violations"),
    }
    if violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints the rooms of each crate: their imports, and the circles between files.
pub(crate) fn rooms() -> ExitCode {
    match Tree::from_workspace().and_then(|tree| rooms::summary(&tree)) {
        Ok(summary) => {
            print!("{summary}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("tidy: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs every check and returns the violations.
pub(crate) fn violations() -> Vec<String> {
    let tree = match Tree::from_workspace() {
        Ok(tree) => tree,
        Err(error) => return vec![format!("cannot read the workspace: {error}")],
    };
    let run_check = |(name, check): &(&str, Check)| {
        let violations = check(&tree).into_iter();
        violations.map(|violation| format!("tidy::{name}: {violation}")).collect::<Vec<_>>()
    };
    CHECKS.iter().flat_map(run_check).collect()
}
