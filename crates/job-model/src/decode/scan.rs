//! Tracks the path within a body's JSON by its brackets, even if the JSON is malformed. The parser
//! reports syntax errors.

use alloc::{string::String, vec::Vec};
use core::ops::Range;

use super::path::{Path, Segment};

/// Maximum levels of nesting whose position is tracked: more than the known fields of a job can
/// have.
const MAX_DEPTH: usize = 128;

/// Iterates over a body token by token.
pub(crate) struct Scanner<'b> {
    body: &'b [u8],
    position: usize,
    open_containers: Vec<OpenContainer>,
    /// The number of open levels beyond `MAX_DEPTH`.
    overflow_depth: usize,
    last_text: Range<usize>,
}

/// An object or array that is still open.
enum OpenContainer {
    /// An object, and the range of its current member's name; empty before the first name.
    Object(Range<usize>),
    /// An array, and the number of its complete elements.
    Array(usize),
}

impl<'b> Scanner<'b> {
    pub(crate) const fn new(body: &'b [u8]) -> Self {
        Self { body, position: 0, open_containers: Vec::new(), overflow_depth: 0, last_text: 0..0 }
    }

    /// Returns the path of the current or the next value.
    pub(crate) fn path(&self) -> Path<'b> {
        let segments = self.open_containers.iter().filter_map(|container| match container {
            OpenContainer::Object(name) if name.is_empty() => None,
            OpenContainer::Object(name) => {
                Some(Segment::Name(String::from_utf8_lossy(&self.body[name.clone()])))
            }
            OpenContainer::Array(index) => Some(Segment::Index(*index)),
        });
        segments.collect()
    }

    /// Returns the index after the closing quote of the string that starts at `at`.
    fn text_end(&self, mut at: usize) -> usize {
        while at < self.body.len() {
            match self.body[at] {
                b'"' => return at + 1,
                b'\\' => at += 2,
                _ => at += 1,
            }
        }
        self.body.len()
    }
}

/// Yields the start of each token: a bracket, a comma, a colon, a string, or one byte of any other
/// value.
impl Iterator for Scanner<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let blanks =
            self.body[self.position..].iter().take_while(|byte| byte.is_ascii_whitespace());
        let start = self.position + blanks.count();
        let byte = *self.body.get(start)?;
        self.position = start + 1;
        match byte {
            b'"' => {
                self.position = self.text_end(start + 1);
                self.last_text = start + 1..(self.position - 1).max(start + 1);
            }
            b'{' | b'[' if self.open_containers.len() == MAX_DEPTH => self.overflow_depth += 1,
            b'{' => self.open_containers.push(OpenContainer::Object(0..0)),
            b'[' => self.open_containers.push(OpenContainer::Array(0)),
            b'}' | b']' if self.overflow_depth > 0 => self.overflow_depth -= 1,
            b'}' | b']' => drop(self.open_containers.pop()),
            _ if self.overflow_depth > 0 => {}
            b':' => {
                if let Some(OpenContainer::Object(name)) = self.open_containers.last_mut() {
                    *name = self.last_text.clone();
                }
            }
            b',' => match self.open_containers.last_mut() {
                Some(OpenContainer::Object(name)) => *name = 0..0,
                Some(OpenContainer::Array(index)) => *index += 1,
                None => {}
            },
            _ => {}
        }
        Some(start)
    }
}
