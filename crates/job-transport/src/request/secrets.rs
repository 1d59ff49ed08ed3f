//! Hides the secrets of a request in the texts of its reply.

mod encodings;

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use http::HeaderValue;
use job_model::is_unprintable;
use secrecy::{ExposeSecret, SecretString};

use encodings::{Encoding, PossibleChars};

/// Replaces a secret.
const REDACTED: &str = "(hidden)";

/// A shorter secret is not searched in a success, because it may be part of an ordinary word.
const MIN_LEN_IN_SUCCESS: usize = 8;

/// A longer body is searched for the plain secret only, so that the time is bounded.
const MAX_DECODED_LEN: usize = 1 << 20;

/// The secrets of a request. A reply may repeat them: the gateway does so with the headers of a
/// request whose signature is wrong.
pub(crate) struct Secrets(Vec<Secret>);

enum Secret {
    Text(SecretString),
    /// The value of a header from `start` on. It is shared with the request, because a token may
    /// have many KiB.
    Header {
        value: HeaderValue,
        start: usize,
    },
}

impl Secret {
    fn expose(&self) -> &str {
        match self {
            Self::Text(text) => text.expose_secret(),
            Self::Header { value, start } => {
                value.to_str().ok().and_then(|value| value.get(*start..)).unwrap_or_default()
            }
        }
    }
}

impl Secrets {
    /// Creates a list of secrets.
    pub(crate) fn new<'s>(secrets: impl IntoIterator<Item = &'s str>) -> Self {
        let texts = secrets.into_iter().map(SecretString::from);
        Self(texts.map(Secret::Text).collect())
    }

    /// Adds the parts of a header's value that begin at `starts`.
    pub(crate) fn push_header(
        &mut self,
        value: &HeaderValue,
        starts: impl IntoIterator<Item = usize>,
    ) {
        let parts = starts.into_iter().map(|start| Secret::Header { value: value.clone(), start });
        self.0.extend(parts);
    }

    /// Returns the text without the secrets, or `None` if it contains none.
    ///
    /// A secret is also found if it is URL-encoded, escaped as in JSON or HTML, or interrupted by
    /// white space, markup or characters that are not printed, because these are removed later.
    pub(crate) fn hide(&self, text: &[u8]) -> Option<Bytes> {
        self.hide_longer_than(text, 1)
    }

    /// Like [`hide`](Self::hide), for the body of a success.
    pub(crate) fn hide_in_success(&self, body: &[u8]) -> Option<Bytes> {
        self.hide_longer_than(body, MIN_LEN_IN_SUCCESS)
    }

    fn hide_longer_than(&self, text: &[u8], min_len: usize) -> Option<Bytes> {
        // A decoded text has no more characters than the text has bytes.
        let lens = min_len.max(1)..=text.len();
        let possible = PossibleChars::from_text(text);
        let is_searched = |secret: &&str| {
            lens.contains(&compared_chars(secret).count())
                && compared_chars(secret).all(|c| possible.contains(c))
        };
        let secrets = self.0.iter().map(Secret::expose).filter(is_searched);
        let has_space = secrets.clone().any(|secret| secret.contains(' '));
        let mut searches: Vec<_> = secrets.map(Search::new).collect();
        let mut found = Vec::new();
        if searches.is_empty() {
            return None;
        }
        for encoding in Encoding::from_text(text, has_space) {
            if text.len() <= MAX_DECODED_LEN || encoding == Encoding::Plain {
                find_all(text, encoding, &mut searches, &mut found);
            }
        }
        (!found.is_empty()).then(|| replace(text, found))
    }
}

/// Returns the characters of a secret that are compared.
fn compared_chars(secret: &str) -> impl Iterator<Item = char> + '_ {
    secret.chars().filter(|c| is_compared(*c))
}

/// Returns whether a character counts when a text is compared with a secret. The others may be
/// removed when the text is printed.
fn is_compared(c: char) -> bool {
    c.is_ascii_graphic() || !c.is_whitespace() && !is_unprintable(c)
}

/// Finds the secrets in the decoded text, and adds the ranges of the text.
fn find_all(
    text: &[u8],
    encoding: Encoding,
    searches: &mut [Search],
    found: &mut Vec<Range<usize>>,
) {
    searches.iter_mut().for_each(Search::restart);
    encoding.decode(text, |(c, place)| {
        if is_compared(c) {
            for search in &mut *searches {
                if let Some(range) = search.next(c, &place) {
                    found.push(range);
                }
            }
        }
    });
}

/// A search for one secret, character by character (Knuth, Morris, Pratt).
struct Search {
    pattern: Vec<char>,
    fallback: Vec<usize>,
    /// How many characters of the pattern the last ones match.
    matched: usize,
    /// The places of these characters, as a ring.
    starts: Vec<usize>,
    /// The place of the next character in `starts`.
    next_start: usize,
}

impl Search {
    fn new(secret: &str) -> Self {
        let pattern: Vec<char> = compared_chars(secret).collect();
        let (fallback, starts) = (fallback_table(&pattern), vec![0; pattern.len()]);
        Self { pattern, fallback, matched: 0, starts, next_start: 0 }
    }

    const fn restart(&mut self) {
        self.matched = 0;
    }

    /// Reads a character. Returns the range of the pattern if it ends here.
    fn next(&mut self, c: char, place: &Range<usize>) -> Option<Range<usize>> {
        while self.matched > 0 && self.pattern[self.matched] != c {
            self.matched = self.fallback[self.matched - 1];
        }
        if self.pattern[self.matched] != c {
            return None;
        }
        self.matched += 1;
        self.starts[self.next_start] = place.start;
        self.next_start += 1;
        if self.next_start == self.starts.len() {
            self.next_start = 0;
        }
        (self.matched == self.pattern.len()).then(|| {
            self.matched = self.fallback[self.matched - 1];
            // The oldest of the places, which is overwritten next.
            self.starts[self.next_start]..place.end
        })
    }
}

/// Returns for each prefix of the pattern the length of the longest shorter prefix that it ends
/// with.
fn fallback_table(pattern: &[char]) -> Vec<usize> {
    let mut table = vec![0; pattern.len()];
    let mut matched = 0;
    for at in 1..pattern.len() {
        while matched > 0 && pattern[matched] != pattern[at] {
            matched = table[matched - 1];
        }
        if pattern[matched] == pattern[at] {
            matched += 1;
        }
        table[at] = matched;
    }
    table
}

/// Replaces the ranges, which may overlap.
fn replace(text: &[u8], mut found: Vec<Range<usize>>) -> Bytes {
    found.sort_unstable_by_key(|range| range.start);
    let mut hidden = BytesMut::with_capacity(text.len());
    let mut end = 0;
    for range in found {
        if range.start >= end {
            hidden.extend_from_slice(&text[end..range.start]);
            hidden.extend_from_slice(REDACTED.as_bytes());
        }
        end = end.max(range.end);
    }
    hidden.extend_from_slice(&text[end..]);
    hidden.freeze()
}

#[cfg(test)]
mod tests;
