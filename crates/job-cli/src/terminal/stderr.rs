//! Prints lines to stderr. Write errors are ignored.

use std::io::{self, Write};

use super::{printer, text};

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
    printer::print_stderr(format!("{line}\n").into_bytes());
}

/// Prints one line of progress like [`styled_line`]. It is dropped if too much waits to be written.
pub(crate) fn progress_line(line: &str) {
    printer::print_progress(format!("{line}\n").into_bytes());
}

/// Prints the log. Each write has one or more whole lines, which are dropped if too much waits to be
/// written.
pub(crate) struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        printer::print_progress(lines.into());
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
