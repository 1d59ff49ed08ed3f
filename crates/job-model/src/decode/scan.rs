//! Tracks the path within a body's JSON by its brackets, even if the JSON is malformed. The parser
//! reports syntax errors.

use alloc::{string::String, vec::Vec};
use core::ops::Range;

use super::{
    path::{MAX_NAME_LEN, Path, Segment},
    special_byte::plain_text,
};

/// Maximum levels of nesting whose position is tracked: more than the known fields of a job can
/// have.
const MAX_DEPTH: usize = 128;

/// The maximum length of a character in UTF-8. `char::MAX_LEN_UTF8` needs Rust 1.93.
const MAX_CHAR_LEN: usize = 4;

/// Iterates over a body token by token.
pub(crate) struct Scanner<'b> {
    body: &'b [u8],
    position: usize,
    open_containers: Vec<OpenContainer>,
    /// The number of open levels beyond `MAX_DEPTH`.
    overflow_depth: usize,
    last_string: StringToken,
}

/// A string between its quotes.
#[derive(Clone, Default)]
pub(crate) struct StringToken {
    pub(crate) range: Range<usize>,
    /// Whether it has control characters, which JSON does not allow in a string.
    pub(crate) has_controls: bool,
    pub(crate) has_non_ascii: bool,
}

/// An object or array that is still open.
enum OpenContainer {
    /// An object, and the range of its current member's name; empty before the first name.
    Object(Range<usize>),
    /// An array, and the number of its complete elements.
    Array(usize),
}

impl<'b> Scanner<'b> {
    pub(crate) fn new(body: &'b [u8]) -> Self {
        Self {
            body,
            position: 0,
            open_containers: Vec::new(),
            overflow_depth: 0,
            last_string: StringToken::default(),
        }
    }

    /// Returns the string that was found last.
    pub(crate) const fn last_string(&self) -> &StringToken {
        &self.last_string
    }

    /// Returns the path of the current or the next value. Takes no more of a name than a path
    /// shows, because a body could have a long name and a deviation at every other byte.
    pub(crate) fn path(&self) -> Path<'b> {
        let segments = self.open_containers.iter().filter_map(|container| match container {
            OpenContainer::Object(name) if name.is_empty() => None,
            OpenContainer::Object(name) => {
                let name = &self.body[name.clone()];
                // One character more than is shown, so that the path marks the name as shortened.
                let start = &name[..name.len().min(MAX_NAME_LEN + MAX_CHAR_LEN)];
                Some(Segment::Name(String::from_utf8_lossy(start)))
            }
            OpenContainer::Array(index) => Some(Segment::Index(*index)),
        });
        segments.collect()
    }

    /// Reads the string that starts at `start`, between its quotes. Returns the index after it.
    fn read_string(&mut self, start: usize) -> usize {
        let mut string = StringToken::default();
        let (mut at, end) = (start, self.body.len());
        let next = loop {
            let plain = plain_text(self.body.get(at..).unwrap_or_default());
            string.has_non_ascii |= plain.has_non_ascii;
            at += plain.len;
            match self.body.get(at) {
                None => break end,
                Some(b'"') => break at + 1,
                Some(b'\\') => at += 2,
                Some(_) => {
                    string.has_controls = true;
                    at += 1;
                }
            }
        };
        string.range = start..at.min(end);
        self.last_string = string;
        next
    }
}

/// Yields the start of each token: a bracket, a comma, a colon, a string, or another value.
impl Iterator for Scanner<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let blanks =
            self.body[self.position..].iter().take_while(|byte| byte.is_ascii_whitespace());
        let start = self.position + blanks.count();
        let byte = *self.body.get(start)?;
        self.position = start + 1;
        match byte {
            b'"' => self.position = self.read_string(start + 1),
            b'{' | b'[' if self.open_containers.len() == MAX_DEPTH => self.overflow_depth += 1,
            b'{' => self.open_containers.push(OpenContainer::Object(0..0)),
            b'[' => self.open_containers.push(OpenContainer::Array(0)),
            b'}' | b']' if self.overflow_depth > 0 => self.overflow_depth -= 1,
            b'}' | b']' => drop(self.open_containers.pop()),
            b':' | b',' if self.overflow_depth > 0 => {}
            b':' => {
                if let Some(OpenContainer::Object(name)) = self.open_containers.last_mut() {
                    *name = self.last_string.range.clone();
                }
            }
            b',' => match self.open_containers.last_mut() {
                Some(OpenContainer::Object(name)) => *name = 0..0,
                Some(OpenContainer::Array(index)) => *index += 1,
                None => {}
            },
            _ => {
                let is_value = |byte: &&u8| {
                    !byte.is_ascii_whitespace()
                        && !matches!(byte, b'"' | b'{' | b'}' | b'[' | b']' | b':' | b',')
                };
                self.position += self.body[self.position..].iter().take_while(is_value).count();
            }
        }
        Some(start)
    }
}
