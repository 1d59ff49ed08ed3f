//! Follows a body's JSON by its brackets, whether it is well-formed or not, and knows where it is.
//! Judges no syntax: that is the parser's to do.

use alloc::{string::String, vec::Vec};
use core::ops::Range;

use super::path::{Path, Segment};

/// Levels of nesting whose places are known: more than a job's fields can have.
const MAX_DEPTH: usize = 128;

/// Goes through a body token by token.
pub(crate) struct Scanner<'b> {
    body: &'b [u8],
    at: usize,
    open: Vec<Open>,
    /// How many levels are open beyond those.
    beyond: usize,
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
        Self { body, at: 0, open: Vec::new(), beyond: 0, text: 0..0 }
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

/// Gives where each token starts: a bracket, comma or colon, a text, or one byte of any other value.
impl Iterator for Scanner<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let blanks = self.body[self.at..].iter().take_while(|byte| byte.is_ascii_whitespace());
        let start = self.at + blanks.count();
        let byte = *self.body.get(start)?;
        self.at = start + 1;
        match byte {
            b'"' => {
                self.at = self.text_end(start + 1);
                self.text = start + 1..(self.at - 1).max(start + 1);
            }
            b'{' | b'[' if self.open.len() == MAX_DEPTH => self.beyond += 1,
            b'{' => self.open.push(Open::Object(0..0)),
            b'[' => self.open.push(Open::Array(0)),
            b'}' | b']' if self.beyond > 0 => self.beyond -= 1,
            b'}' | b']' => drop(self.open.pop()),
            _ if self.beyond > 0 => {}
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
            _ => {}
        }
        Some(start)
    }
}
