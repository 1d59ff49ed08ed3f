//! Follows a body's JSON by its brackets, whether it is well-formed or not, and knows where it is.
//! Judges no syntax: that is the parser's to do.

use alloc::{string::String, vec::Vec};
use core::ops::Range;

use crate::path::{Path, Segment};

/// Levels of nesting followed.
const MAX_DEPTH: usize = 128;

/// Goes through a body token by token.
pub(crate) struct Scanner<'b> {
    body: &'b [u8],
    at: usize,
    open: Vec<Open>,
    text: Range<usize>,
}

/// An object or array that is still open.
enum Open {
    /// An object, and where the name of its current member stands; empty before there is one.
    Object(Range<usize>),
    /// An array, and how many of its elements are complete.
    Array(usize),
}

impl<'b> Scanner<'b> {
    pub(crate) const fn new(body: &'b [u8]) -> Self {
        Self { body, at: 0, open: Vec::new(), text: 0..0 }
    }

    /// Returns the path of the value that comes, or has just come.
    pub(crate) fn path(&self) -> Path<'b> {
        let segments = self.open.iter().filter_map(|container| match container {
            Open::Object(name) if name.is_empty() => None,
            Open::Object(name) => {
                Some(Segment::Name(String::from_utf8_lossy(&self.body[name.clone()])))
            }
            Open::Array(index) => Some(Segment::Index(*index)),
        });
        segments.collect()
    }

    /// Returns the index after the quote that closes the text which starts at `at`.
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

/// Gives where each token stands: a bracket, comma or colon, a text with its quotes, or one byte of
/// any other value. Ends at a nesting that is too deep to be followed.
impl Iterator for Scanner<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let blanks = self.body[self.at..].iter().take_while(|byte| byte.is_ascii_whitespace());
        let start = self.at + blanks.count();
        let byte = *self.body.get(start)?;
        self.at = start + 1;
        match byte {
            b'"' => {
                self.at = self.text_end(start + 1);
                self.text = start + 1..(self.at - 1).max(start + 1);
            }
            b':' => {
                if let Some(Open::Object(name)) = self.open.last_mut() {
                    *name = self.text.clone();
                }
            }
            b',' => match self.open.last_mut() {
                Some(Open::Object(name)) => *name = 0..0,
                Some(Open::Array(index)) => *index += 1,
                None => {}
            },
            b'{' | b'[' if self.open.len() == MAX_DEPTH => return None,
            b'{' => self.open.push(Open::Object(0..0)),
            b'[' => self.open.push(Open::Array(0)),
            b'}' | b']' => drop(self.open.pop()),
            _ => {}
        }
        Some(start..self.at)
    }
}
