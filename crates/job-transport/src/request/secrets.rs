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
#[derive(Default)]
pub(crate) struct Secrets {
    /// Not in the list, because most requests have one secret, which then needs no allocation.
    first: Option<Secret>,
    others: Vec<Secret>,
}

enum Secret {
    Text(SecretString),
    /// The value of a header. It is shared with the request, because a token may have many KiB.
    Header(HeaderValue),
}

impl Secret {
    /// Returns the texts that a reply may repeat: the secret, and, if it is a header with a signature,
    /// the signature without the rest of the header.
    fn expose(&self) -> impl Iterator<Item = &str> + Clone {
        let (text, signature) = match self {
            Self::Text(text) => (text.expose_secret(), None),
            Self::Header(value) => {
                let text = value.to_str().unwrap_or_default();
                (text, text.rsplit_once("Signature="))
            }
        };
        let signature = signature.map(|(_, signature)| signature);
        [text].into_iter().chain(signature)
    }
}

impl Secrets {
    /// Creates a list of secrets.
    pub(crate) fn new<'s>(secrets: impl IntoIterator<Item = &'s str>) -> Self {
        let mut list = Self::default();
        for secret in secrets {
            list.push(Secret::Text(secret.into()));
        }
        list
    }

    /// Adds the value of a header, and the signature in it.
    pub(crate) fn push_header(&mut self, value: &HeaderValue) {
        self.push(Secret::Header(value.clone()));
    }

    fn push(&mut self, secret: Secret) {
        match self.first {
            None => self.first = Some(secret),
            Some(_) => self.others.push(secret),
        }
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
        let secrets = self.first.iter().chain(&self.others);
        let secrets = secrets.flat_map(Secret::expose).filter(is_searched);
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
    pattern: Vec<PatternChar>,
    /// How many characters of the pattern the last ones match.
    matched: usize,
    /// The index of the next [`start`](PatternChar::start).
    next_start: usize,
}

/// A character of a pattern, with the elements of the two other lists that a search needs. One list
/// instead of three is one allocation, of 1 KiB for a signature.
struct PatternChar {
    c: char,
    /// The length of the longest shorter prefix of the pattern that the prefix up to here ends with.
    /// No secret has 2³² characters.
    fallback: u32,
    /// The place of one of the last characters that matched. The elements are a ring.
    start: usize,
}

impl Search {
    fn new(secret: &str) -> Self {
        let mut pattern = Vec::with_capacity(secret.len());
        pattern.extend(compared_chars(secret).map(|c| PatternChar { c, fallback: 0, start: 0 }));
        set_fallbacks(&mut pattern);
        Self { pattern, matched: 0, next_start: 0 }
    }

    const fn restart(&mut self) {
        self.matched = 0;
    }

    /// Reads a character. Returns the range of the pattern if it ends here.
    fn next(&mut self, c: char, place: &Range<usize>) -> Option<Range<usize>> {
        while self.matched > 0 && self.pattern[self.matched].c != c {
            self.matched = self.pattern[self.matched - 1].fallback as usize;
        }
        if self.pattern[self.matched].c != c {
            return None;
        }
        self.matched += 1;
        self.pattern[self.next_start].start = place.start;
        self.next_start += 1;
        if self.next_start == self.pattern.len() {
            self.next_start = 0;
        }
        (self.matched == self.pattern.len()).then(|| {
            self.matched = self.pattern[self.matched - 1].fallback as usize;
            // The oldest of the places, which is overwritten next.
            self.pattern[self.next_start].start..place.end
        })
    }
}

/// Computes the [`fallback`](PatternChar::fallback) of each character.
fn set_fallbacks(pattern: &mut [PatternChar]) {
    let mut matched = 0;
    for at in 1..pattern.len() {
        while matched > 0 && pattern[matched].c != pattern[at].c {
            matched = pattern[matched - 1].fallback as usize;
        }
        if pattern[matched].c == pattern[at].c {
            matched += 1;
        }
        pattern[at].fallback = matched as u32;
    }
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
