//! Lines to stderr, for people. Whoever closed it does not want them.

use std::io::{self, Write};

use super::text;

/// Tells one line, whatever is in it.
pub(crate) fn line(line: &str) {
    styled_line(&text::sanitize_line(line));
}

/// Tells one line, whatever is in it and however long it is: such as a command to copy.
pub(crate) fn full_line(line: &str) {
    styled_line(&text::sanitize(line));
}

/// Tells one line as it is: what others wrote in it went through [`text::sanitize_line`], colours did not.
pub(crate) fn styled_line(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}
