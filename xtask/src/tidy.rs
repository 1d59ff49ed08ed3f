//! `cargo xtask tidy`: checks the project's own rules that no lint covers.

mod architecture;
mod fixtures;
mod layering;
mod let_chains;
mod manifests;
mod names;
mod paths;
mod prose;
mod readme;
mod rooms;
mod snapshots;
mod sources;
mod tokens;
mod tree;

use std::{fs, process::ExitCode};

use tree::Tree;

use crate::cargo::root;

/// A check. Returns its findings in the files, one line each.
type Check = fn(&Tree) -> Vec<String>;

/// The checks by name. ARCHITECTURE.md refers to them as `tidy::name`.
const CHECKS: &[(&str, Check)] = &[
    ("layering", layering::check),
    ("manifests", manifests::check),
    ("let_chains", let_chains::check),
    ("sources", sources::check),
    ("names", names::check),
    ("rooms", rooms::check),
    ("paths", paths::check),
    ("prose", prose::check),
    ("fixtures", fixtures::check),
    ("snapshots", snapshots::check),
    ("readme", readme::check),
    ("architecture", architecture::check),
];

/// The findings that are printed and do not fail, by the name of their check.
const WARNINGS: &[(&str, Check)] = &[("sources", sources::warnings), ("prose", prose::warnings)];

/// The findings of all checks.
#[derive(Default)]
pub(crate) struct Findings {
    pub(crate) violations: Vec<String>,
    pub(crate) warnings: Vec<String>,
}

/// Runs every check and prints the findings. Fails if there is a violation.
pub(crate) fn run() -> ExitCode {
    let Findings { violations, warnings } = findings();
    warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
    violations.iter().for_each(|violation| eprintln!("{violation}"));
    match violations.len() {
        0 => println!("tidy: {} checks passed", CHECKS.len()),
        count => eprintln!("tidy: {count} violations"),
    }
    if violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints the imports between the rooms of each crate, and the circles between its files.
pub(crate) fn print_rooms() -> ExitCode {
    print_result(Tree::from_workspace().and_then(|tree| rooms::summary(&tree)))
}

/// Prints how much of the project's old wording is left, or the matches of a pattern.
pub(crate) fn print_counts(pattern: Option<&str>) -> ExitCode {
    print_result(Tree::from_workspace().and_then(|tree| match pattern {
        Some(pattern) => prose::list(&tree, pattern),
        None => prose::summary(&tree),
    }))
}

/// Lowers the stored bounds of the old wording to the present rates. Fails if a rate is above its
/// bound.
pub(crate) fn lower_bounds() -> ExitCode {
    print_result(Tree::from_workspace().and_then(|tree| {
        let bounds = prose::lower(&tree).map_err(|grown| grown.join("\n"))?;
        let written = fs::write(root().join(prose::BOUNDS), bounds);
        written.map_err(|error| format!("cannot write {}: {error}", prose::BOUNDS))?;
        Ok(format!("wrote {}\n", prose::BOUNDS))
    }))
}

fn print_result(result: Result<String, String>) -> ExitCode {
    match result {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("tidy: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs every check.
pub(crate) fn findings() -> Findings {
    let tree = match Tree::from_workspace() {
        Ok(tree) => tree,
        Err(error) => {
            let violations = vec![format!("cannot read the workspace: {error}")];
            return Findings { violations, ..Findings::default() };
        }
    };
    let run_all = |checks: &[(&str, Check)]| {
        let lines = checks.iter().flat_map(|(name, check)| {
            check(&tree).into_iter().map(move |line| format!("tidy::{name}: {line}"))
        });
        lines.collect()
    };
    Findings { violations: run_all(CHECKS), warnings: run_all(WARNINGS) }
}
