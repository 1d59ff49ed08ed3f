//! Splits the output of API calls into replies, ids, and what curl prints beside them.

use std::{borrow::Cow, str};

use super::ids::is_missing_value;

/// A part of an input.
#[derive(Debug, PartialEq)]
pub(super) enum Part<'b> {
    /// The headers of a reply, with their status.
    Headers(Option<u16>),
    /// A JSON object, or what looks like the beginning of one.
    Json(&'b [u8]),
    /// What is between the brackets of an array.
    Array(&'b [u8]),
    /// An id, without quotation marks.
    Id(Cow<'b, str>),
    /// A status printed by `curl -w '%{http_code}'`.
    Status(u16),
    /// An HTML page, up to the end of the input.
    Page(&'b [u8]),
    /// The rest of a line, if it is nothing else.
    Text(Cow<'b, str>),
}

/// Splits an input into its parts, each with the number of its first line. Reads each byte a
/// bounded number of times.
pub(super) struct Parts<'b> {
    rest: &'b [u8],
    line: usize,
    is_in_array: bool,
}

impl<'b> Parts<'b> {
    pub(super) const fn new(bytes: &'b [u8]) -> Self {
        Self { rest: bytes, line: 1, is_in_array: false }
    }

    pub(super) const fn within_array(bytes: &'b [u8]) -> Self {
        Self { is_in_array: true, ..Self::new(bytes) }
    }

    /// Takes this number of bytes.
    fn take(&mut self, len: usize) -> &'b [u8] {
        let (taken, rest) = self.rest.split_at(len.min(self.rest.len()));
        self.line += taken.iter().filter(|byte| **byte == b'\n').count();
        self.rest = rest;
        taken
    }

    /// Takes the rest of the line, without its line break.
    fn take_line(&mut self) -> &'b [u8] {
        let len = self.rest.iter().position(|byte| *byte == b'\n').unwrap_or(self.rest.len());
        self.take(len)
    }

    /// Skips white space, the separators of JSON text sequences, comments and, in an array, commas.
    fn skip_separators(&mut self) {
        loop {
            let is_separator = |byte: &u8| {
                byte.is_ascii_whitespace() || *byte == 0x1E || (self.is_in_array && *byte == b',')
            };
            let len = self.rest.iter().position(|byte| !is_separator(byte));
            let len = len.unwrap_or(self.rest.len());
            self.take(len);
            if self.rest.first() != Some(&b'#') || self.is_in_array {
                return;
            }
            self.take_line();
        }
    }

    /// Takes the headers of a reply up to the empty line after them, and returns the status.
    fn take_headers(&mut self) -> Option<u16> {
        let first = self.take_line();
        while !self.rest.is_empty() {
            self.take(1);
            if self.take_line().trim_ascii().is_empty() {
                break;
            }
        }
        let status = first.split(|byte| *byte == b' ').nth(1)?;
        str::from_utf8(status.trim_ascii()).ok()?.parse().ok()
    }

    fn next_part(&mut self) -> Option<Part<'b>> {
        Some(match *self.rest.first()? {
            b'{' | b'[' => {
                let len = container_len(self.rest);
                let is_array = self.rest[0] == b'[';
                let json = self.take(len.unwrap_or(self.rest.len()));
                match len {
                    Some(len) if is_array => Part::Array(&json[1..len - 1]),
                    // If it is cut short, the decoder's message shows where.
                    _ => Part::Json(json),
                }
            }
            b'<' => Part::Page(self.take(self.rest.len())),
            // The reply before it may have no line break at its end.
            b'H' if self.rest.starts_with(b"HTTP/") => Part::Headers(self.take_headers()),
            quote @ (b'"' | b'\'') => self.take_quoted(quote),
            _ => {
                let is_end =
                    |byte: &u8| byte.is_ascii_whitespace() || (self.is_in_array && *byte == b',');
                let len = self.rest.iter().position(is_end).unwrap_or(self.rest.len());
                let word = String::from_utf8_lossy(&self.rest[..len]);
                match read_status(&word) {
                    Some(status) if !self.is_in_array => {
                        self.take(len);
                        Part::Status(status)
                    }
                    _ if is_bare_id(&word) => {
                        self.take(len);
                        Part::Id(word)
                    }
                    _ => Part::Text(String::from_utf8_lossy(self.take_line())),
                }
            }
        })
    }

    /// Takes a text in quotation marks.
    fn take_quoted(&mut self, quote: u8) -> Part<'b> {
        let len = quoted_len(self.rest);
        let Some(len) = len.filter(|len| *len <= MAX_QUOTED_BYTES) else {
            return Part::Text(String::from_utf8_lossy(self.take_line()));
        };
        let quoted = self.take(len);
        if quote == b'"'
            && let Ok(text) = serde_json::from_slice::<String>(quoted)
        {
            return Part::Id(text.into());
        }
        Part::Id(String::from_utf8_lossy(&quoted[1..len - 1]))
    }
}

impl<'b> Iterator for Parts<'b> {
    type Item = (usize, Part<'b>);

    fn next(&mut self) -> Option<Self::Item> {
        self.skip_separators();
        let line = self.line;
        self.next_part().map(|part| (line, part))
    }
}

/// Maximum length of an id in quotation marks, with its escapes.
const MAX_QUOTED_BYTES: usize = 1024;

/// Returns the length of the text in quotation marks that `bytes` begin with.
fn quoted_len(bytes: &[u8]) -> Option<usize> {
    let quote = *bytes.first()?;
    let mut at = 1;
    loop {
        match *bytes.get(at)? {
            b'\\' => at += 2,
            byte if byte == quote => return Some(at + 1),
            _ => at += 1,
        }
    }
}

/// Returns the length of the object or array that `bytes` begin with.
fn container_len(bytes: &[u8]) -> Option<usize> {
    let (mut at, mut depth) = (0, 0_usize);
    loop {
        match *bytes.get(at)? {
            b'"' => {
                at += quoted_len(&bytes[at..])?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
}

/// Returns the status if the word is one: three digits. No id is as short.
fn read_status(word: &str) -> Option<u16> {
    let is_status = word.len() == 3 && word.bytes().all(|byte| byte.is_ascii_digit());
    is_status.then(|| word.parse().ok()).flatten()
}

/// Returns whether a word without quotation marks looks like an id of the service: a UUID with
/// other lengths. Other words of a message are not sent to the service.
///
/// A [missing value](is_missing_value) is taken for an id here, so that it is reported as one.
pub(super) fn is_bare_id(word: &str) -> bool {
    let is_id = (8..=64).contains(&word.len())
        && word.bytes().any(|byte| byte.is_ascii_digit())
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    is_id || is_missing_value(word)
}
