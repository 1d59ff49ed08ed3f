//! Error chains: iterate over the causes of an error, and print them on one line.

use std::{error::Error, io, iter};

/// Returns an iterator over an error and its causes, the innermost last.
///
/// It also visits the error inside each [`io::Error`], which [`Error::source`] skips. This finds,
/// for example, a certificate error of rustls.
///
/// ```
/// use std::io;
///
/// let inner = io::Error::other("certificate expired");
/// let error = io::Error::other(io::Error::other(inner));
/// let last = job_transport::transport::error_sources(&error).last().map(ToString::to_string);
/// assert_eq!(last.as_deref(), Some("certificate expired"));
/// ```
pub fn error_sources<'e>(
    error: &'e (dyn Error + 'static),
) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    iter::successors(Some(error), |&error| {
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        inner.map(|within| within as &(dyn Error + 'static)).or_else(|| error.source())
    })
}

/// Returns an error and its [`error_sources`] as one line, without repetitions.
///
/// Many errors repeat the text of their cause; an [`io::Error`] always does. Therefore a cause is
/// left out if the line already contains its text. If a cause's text begins or ends with the text
/// before it, it replaces that text, because it has more detail.
///
/// ```
/// use std::io;
///
/// let error = io::Error::other(io::Error::other("certificate expired"));
/// assert_eq!(job_transport::transport::display_chain(&error), "certificate expired");
/// ```
#[must_use]
pub fn display_chain(error: &(dyn Error + 'static)) -> String {
    // The line, and the start of each text in it.
    let (mut line, mut starts) = (String::new(), Vec::new());
    for text in error_sources(error).map(ToString::to_string) {
        if contains_phrase(&line, &text) {
            continue;
        }
        let repeats = |start: &usize| {
            let end = &line[*start..];
            is_phrase_start(&text, end) || is_phrase_end(&text, end)
        };
        if let Some(first) = starts.iter().position(repeats) {
            line.truncate(starts[first]);
            starts.truncate(first);
        } else if !starts.is_empty() {
            line.push_str(SEPARATOR);
        }
        starts.push(line.len());
        line.push_str(&text);
    }
    line
}

/// Separates an error from its cause.
const SEPARATOR: &str = ": ";

/// Returns whether `text` contains the words of `phrase`: "no" is not part of "not found".
fn contains_phrase(text: &str, phrase: &str) -> bool {
    phrase.is_empty()
        || text.match_indices(phrase).any(|(at, found)| {
            let (before, after) = (&text[..at], &text[at + found.len()..]);
            ends_word(before) && starts_word(after)
        })
}

fn is_phrase_start(text: &str, phrase: &str) -> bool {
    text.strip_prefix(phrase).is_some_and(starts_word)
}

fn is_phrase_end(text: &str, phrase: &str) -> bool {
    text.strip_suffix(phrase).is_some_and(ends_word)
}

/// Returns whether this text does not end within a word.
fn ends_word(before: &str) -> bool {
    !before.chars().next_back().is_some_and(char::is_alphanumeric)
}

/// Returns whether this text does not start within a word.
fn starts_word(after: &str) -> bool {
    !after.chars().next().is_some_and(char::is_alphanumeric)
}

#[cfg(test)]
mod tests;
