//! Environment variables that change the clock of a program, with the library of `faketime`.

use std::process::Command;

use anyhow::{Context, ensure};

/// How far the clock is ahead.
pub(crate) const OFFSET: &str = "+120s";

/// Returns the variables of a program whose wall clock is ahead by [`OFFSET`].
///
/// # Errors
///
/// Returns an error if faketime is not installed.
pub(crate) fn variables() -> anyhow::Result<[(&'static str, String); 3]> {
    let output = Command::new("faketime").args(["-f", OFFSET, "printenv", "LD_PRELOAD"]).output();
    let output = output.context("needs the program faketime")?;
    let path = String::from_utf8(output.stdout)?;
    ensure!(!path.trim().is_empty(), "faketime sets no LD_PRELOAD");
    Ok([
        ("LD_PRELOAD", path.trim().into()),
        ("FAKETIME", OFFSET.into()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
    ])
}
