//! Running cargo, always in the workspace's root. Knows no task.

use std::{
    env,
    path::Path,
    process::{Command, Stdio},
};

/// Returns the workspace's root.
pub(crate) fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Returns a run of cargo; of the one that runs this task.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    command
}

/// Returns whether cargo has this subcommand.
pub(crate) fn has(subcommand: &str) -> bool {
    let mut version = cargo(&[subcommand, "--version"]);
    let quiet = version.stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}
