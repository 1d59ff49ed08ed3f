//! Sanitizes untrusted texts for display, as the report does, and hides canonical requests.

use std::{
    borrow::Cow,
    sync::atomic::{AtomicBool, Ordering},
};

pub(crate) use job_report::text::{sanitize, starts_with_command, title};

/// Whether lines show canonical requests.
static SHOWS_CANONICAL_REQUESTS: AtomicBool = AtomicBool::new(false);

/// Lets all lines of the process show canonical requests, as `-v` does.
pub(crate) fn show_canonical_requests() {
    SHOWS_CANONICAL_REQUESTS.store(true, Ordering::Relaxed);
}

/// Returns any text as one printable line of at most 2,000 characters; `-o json` has the whole text.
/// The canonical request, which the gateway repeats if a signature is wrong, is shown only with `-v`.
pub(crate) fn sanitize_line(text: &str) -> String {
    // Before the text is truncated, because advice and the request id follow the request.
    job_report::text::sanitize_line(&hide_canonical_request(text))
}

/// Removes the canonical request from an error message, unless `-v` is given.
pub(crate) fn hide_canonical_request(text: &str) -> Cow<'_, str> {
    if SHOWS_CANONICAL_REQUESTS.load(Ordering::Relaxed) {
        text.into()
    } else {
        without_canonical_request(text)
    }
}

/// Replaces the canonical request in an error message of the gateway. It ends before the next
/// sentence of the message, or before the request id in parentheses.
fn without_canonical_request(text: &str) -> Cow<'_, str> {
    const START: &[u8] = b"canonical request is";
    let start =
        text.as_bytes().windows(START.len()).position(|part| part.eq_ignore_ascii_case(START));
    let start = start.map(|at| at + START.len());
    let Some((before, request)) = start.and_then(|start| text.split_at_checked(start)) else {
        return text.into();
    };
    let end = ["; ", " ("].iter().filter_map(|end| request.find(end)).min();
    let after = end.and_then(|end| request.get(end..)).unwrap_or_default();
    format!("{before} shown with -v{after}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The length above which a line is truncated.
    const MAX_LINE_CHARS: usize = 2_000;

    #[test]
    fn canonical_requests_are_left_to_verbose_output() {
        let rows = [
            (
                "verify aksk signature fail, the canonical request is: GET|/a/||host:x|e3b0; check \
                 the secret key (request id 7)",
                "verify aksk signature fail, the canonical request is shown with -v; check the \
                 secret key (request id 7)",
            ),
            (
                "The Canonical Request is GET|/ (request id 7)",
                "The Canonical Request is shown with -v (request id 7)",
            ),
            ("the canonical request is", "the canonical request is shown with -v"),
            ("a canonical request", "a canonical request"),
        ];
        for (text, expected) in rows {
            assert_eq!(without_canonical_request(text), expected);
            assert_eq!(sanitize_line(text), expected);
        }
        for length in [MAX_LINE_CHARS - 30, MAX_LINE_CHARS, 1_000_000] {
            let request = "ü".repeat(length);
            let text =
                format!("wrong, the canonical request is: {request}; check it (request id 7)");
            let expected = "wrong, the canonical request is shown with -v; check it (request id 7)";
            assert_eq!(sanitize_line(&text), expected, "{length}");
        }
    }
}
