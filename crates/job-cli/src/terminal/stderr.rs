//! Prints lines to stderr. Write errors are ignored.

use std::io::{self, Write};

use super::text;

/// Prints one line, sanitized and truncated.
pub(crate) fn line(line: &str) {
    styled_line(&text::sanitize_line(line));
}

/// Prints a hint below an error, indented to the error's text.
pub(crate) fn hint(hint: &str) {
    hint.lines().for_each(|part| line(&format!("{:1$}{part}", "", "cce-job: ".len())));
}

/// Prints one line, sanitized but not truncated, such as a command to copy.
pub(crate) fn full_line(line: &str) {
    styled_line(&text::sanitize(line));
}

/// Prints one line unchanged, with its colors. Untrusted texts must be sanitized first
/// ([`text::sanitize_line`]).
pub(crate) fn styled_line(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}
