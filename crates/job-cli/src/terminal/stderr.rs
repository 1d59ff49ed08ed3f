//! Prints lines to stderr. Write errors are ignored.

use std::io::{self, Write};

use super::text;

/// Prints one line, sanitized and truncated.
pub(crate) fn line(line: &str) {
    styled_line(&text::sanitize_line(line));
}

/// Prints a message of the command. If it has several lines, they are aligned.
pub(crate) fn message(text: &str) {
    for (number, part) in text.lines().enumerate() {
        let prefix = if number == 0 { "cce-job: " } else { "         " };
        line(&format!("{prefix}{part}"));
    }
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
