//! Running cargo, always in the workspace's root, and other programs. Knows no task.

use std::{
    env, io,
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
    runs(&mut cargo(&[subcommand, "--version"]))
}

/// Returns whether a command, such as one that does nothing, can be run and succeeds.
pub(crate) fn runs(command: &mut Command) -> bool {
    let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// Runs a command to its end.
///
/// # Errors
///
/// Where it cannot be run, or does not succeed.
pub(crate) fn must(command: &mut Command) -> io::Result<()> {
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("{command:?}: {status}"))) }
}

/// Runs a command to its end, and returns what it printed.
///
/// # Errors
///
/// As [`must`], and where it printed something else than text.
pub(crate) fn text(command: &mut Command) -> io::Result<String> {
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(io::Error::other(format!("{command:?}: {}", output.status)));
    }
    String::from_utf8(output.stdout).map_err(io::Error::other)
}
