//! Runs cargo in the workspace's root, and other programs.

use std::{
    env, io,
    path::Path,
    process::{Command, Stdio},
};

/// Returns the workspace's root.
pub(crate) fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Returns a command that runs cargo in the workspace's root, if possible the same cargo that runs
/// this task.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    command
}

/// Whether cargo has this subcommand.
pub(crate) fn has_subcommand(subcommand: &str) -> bool {
    succeeds(&mut cargo(&[subcommand, "--version"]))
}

/// Runs a command without showing its output, and returns whether it succeeded.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// Runs a command and waits for it.
///
/// # Errors
///
/// Returns an error if the command cannot be started or does not succeed.
pub(crate) fn run(command: &mut Command) -> io::Result<()> {
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("{command:?}: {status}"))) }
}

/// Runs a command and returns its standard output.
///
/// # Errors
///
/// Returns an error if the command cannot be started, does not succeed, or prints invalid UTF-8.
pub(crate) fn output(command: &mut Command) -> io::Result<String> {
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(io::Error::other(format!("{command:?}: {}", output.status)));
    }
    String::from_utf8(output.stdout).map_err(io::Error::other)
}
