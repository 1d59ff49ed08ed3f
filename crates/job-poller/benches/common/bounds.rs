//! Prints figures, and checks that they are within their bounds.

use std::{ops::RangeInclusive, process::ExitCode};

/// Whether all figures so far are within their bounds.
pub(crate) struct Bounds {
    all_kept: bool,
}

impl Bounds {
    pub(crate) const fn new() -> Self {
        Self { all_kept: true }
    }

    /// Prints a figure and its bounds, and whether it is within them.
    pub(crate) fn check(&mut self, what: &str, figure: f64, bounds: RangeInclusive<f64>) {
        let is_kept = bounds.contains(&figure);
        self.all_kept &= is_kept;
        let verdict = if is_kept { "ok" } else { "OUT OF BOUNDS" };
        println!("  {what:<66} {figure:>9.3} ({} to {}) {verdict}", bounds.start(), bounds.end());
    }

    /// Returns the exit code of the run: failure if a figure was out of bounds.
    pub(crate) const fn exit_code(&self) -> ExitCode {
        if self.all_kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
