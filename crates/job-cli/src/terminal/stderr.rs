//! Lines to stderr, to be read by people. Write errors are ignored.

use std::io::{self, Write};

use super::text;

/// Prints one line, sanitized and truncated.
pub(crate) fn line(line: &str) {
    styled_line(&text::sanitize_line(line));
}

/// Prints one line, sanitized but not truncated, such as a command to copy.
pub(crate) fn full_line(line: &str) {
    styled_line(&text::sanitize(line));
}

/// Prints one line as it is, with its colors. Texts from outside must have gone through
/// [`text::sanitize_line`].
pub(crate) fn styled_line(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}
