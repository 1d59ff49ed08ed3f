//! `cargo xtask tidy`: the rules that no lint can see. Changes no file.

mod architecture;
mod fixtures;
mod layering;
mod manifests;
mod readme;
mod snapshots;
mod sources;
mod tree;

use std::process::ExitCode;

use tree::Tree;

/// A check: from the files to what is wrong with them, one line a complaint.
type Check = fn(&Tree) -> Vec<String>;

/// The checks by name, as ARCHITECTURE.md refers to them.
const CHECKS: &[(&str, Check)] = &[
    ("layering", layering::check),
    ("manifests", manifests::check),
    ("sources", sources::check),
    ("fixtures", fixtures::check),
    ("snapshots", snapshots::check),
    ("readme", readme::check),
    ("architecture", architecture::check),
];

/// Runs every check and prints what is wrong.
pub(crate) fn run() -> ExitCode {
    let complaints = complaints();
    complaints.iter().for_each(|complaint| eprintln!("{complaint}"));
    match complaints.len() {
        0 => println!("tidy: {} checks passed", CHECKS.len()),
        wrong => eprintln!("tidy: {wrong} complaints"),
    }
    if complaints.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs every check and returns what is wrong.
pub(crate) fn complaints() -> Vec<String> {
    let tree = match Tree::of_workspace() {
        Ok(tree) => tree,
        Err(error) => return vec![format!("the workspace cannot be read: {error}")],
    };
    let of = |(name, check): &(&str, Check)| {
        let complaints = check(&tree).into_iter();
        complaints.map(|complaint| format!("tidy::{name}: {complaint}")).collect::<Vec<_>>()
    };
    CHECKS.iter().flat_map(of).collect()
}
