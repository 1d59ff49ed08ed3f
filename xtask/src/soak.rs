//! `cargo xtask soak`: checks that memory, descriptors and tasks do not grow over many polls.

use std::process::Command;

use crate::cargo::cargo;

/// Returns the command that builds and runs the check. It takes a few minutes.
pub(crate) fn command() -> Command {
    cargo(&["run", "--locked", "--release", "--package", "soak"])
}
