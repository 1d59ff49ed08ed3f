//! Lines to stderr, for people. Whoever closed it does not want them.

use std::io::{self, Write};

use super::text;

/// Tells one line, whatever is in it.
pub(crate) fn line(line: &str) {
    painted(&text::line(line));
}

/// Tells one line, whatever is in it and however long it is: such as a command to copy.
pub(crate) fn whole(line: &str) {
    painted(&text::whole(line));
}

/// Tells one line as it is: what others wrote in it went through [`text::line`], colours did not.
pub(crate) fn painted(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}
