//! Walks through the text of a document once, from value to value.
//!
//! The text is valid JSON, so the cursor checks nothing. It never panics and always advances, even
//! if the text were malformed.

use alloc::borrow::Cow;
use core::ops::Range;

use super::{document::Document, json::LossyString, special_byte::plain_text};

/// A position in a document.
#[derive(Clone)]
pub(crate) struct Cursor<'b> {
    document: &'b Document<'b>,
    /// The text of the document.
    bytes: &'b [u8],
    at: usize,
}

/// A decoded string.
pub(crate) struct Text<'b> {
    pub(crate) text: Cow<'b, str>,
    pub(crate) has_lone_surrogates: bool,
}

impl<'b> Cursor<'b> {
    pub(crate) fn new(document: &'b Document<'b>) -> Self {
        Self { document, bytes: document.text().as_bytes(), at: 0 }
    }

    /// Returns the index of the next byte in the document.
    pub(crate) const fn position(&self) -> usize {
        self.at
    }

    /// Skips white space. Returns the first byte after it, or `None` at the end.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        loop {
            match self.byte() {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                byte => return byte,
            }
        }
    }

    fn byte(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Enters the next value if it starts with this bracket.
    pub(crate) fn enter(&mut self, bracket: u8) -> bool {
        let is_bracket = self.peek() == Some(bracket);
        self.at += usize::from(is_bracket);
        is_bracket
    }

    /// Moves to the next value of an array that was entered. Returns `false` and leaves the array
    /// if there is none.
    pub(crate) fn next_element(&mut self) -> bool {
        if self.peek() == Some(b',') {
            self.at += 1;
        }
        match self.peek() {
            Some(b']') => {
                self.at += 1;
                false
            }
            next => next.is_some(),
        }
    }

    /// Returns the next name of an object that was entered, and moves to its value. Returns `None`
    /// and leaves the object if there is none.
    pub(crate) fn next_name(&mut self) -> Option<Text<'b>> {
        if self.peek() == Some(b',') {
            self.at += 1;
        }
        let Some(b'"') = self.peek() else {
            self.at = (self.at + 1).min(self.bytes.len());
            return None;
        };
        let name = self.read_text();
        if self.peek() == Some(b':') {
            self.at += 1;
        }
        self.peek();
        Some(name)
    }

    /// Reads the next value if it is a string.
    pub(crate) fn text(&mut self) -> Option<Text<'b>> {
        (self.peek() == Some(b'"')).then(|| self.read_text())
    }

    /// Reads the next value if it is `null`.
    pub(crate) fn null(&mut self) -> bool {
        let is_null = self.peek() == Some(b'n');
        if is_null {
            self.skip();
        }
        is_null
    }

    /// Skips the next value, and returns where it is.
    pub(crate) fn skip(&mut self) -> Range<usize> {
        let first = self.peek();
        let start = self.at;
        match first {
            Some(b'"') => drop(self.skip_string()),
            Some(b'{' | b'[') => self.skip_container(),
            _ => {
                let rest = self.bytes.get(start..).unwrap_or_default();
                let is_end =
                    |byte: &u8| matches!(byte, b',' | b']' | b'}' | b' ' | b'\n' | b'\r' | b'\t');
                self.at += rest.iter().position(is_end).unwrap_or(rest.len());
            }
        }
        start..self.at
    }

    /// Skips the next value, and returns it as JSON.
    pub(crate) fn json(&mut self) -> Cow<'b, str> {
        let value = self.skip();
        self.document.json(value)
    }

    /// Reads the string that starts here.
    fn read_text(&mut self) -> Text<'b> {
        let start = self.at;
        let has_escapes = self.skip_string();
        let json = self.document.json(start..self.at);
        let is_restored = matches!(json, Cow::Owned(_));
        match json {
            Cow::Borrowed(json) if !has_escapes => {
                let text = json.get(1..json.len().saturating_sub(1)).unwrap_or_default();
                Text { text: Cow::Borrowed(text), has_lone_surrogates: false }
            }
            json => {
                debug_assert!(has_escapes || is_restored, "other strings are borrowed");
                let decoded = serde_json::from_str::<LossyString>(&json);
                let (text, has_lone_surrogates) = decoded
                    .map(|decoded| (decoded.text, decoded.has_lone_surrogates))
                    .unwrap_or_default();
                Text { text: Cow::Owned(text), has_lone_surrogates }
            }
        }
    }

    /// Skips the string that starts here. Returns whether it has escapes.
    fn skip_string(&mut self) -> bool {
        let mut has_escapes = false;
        self.at += 1;
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            self.at += plain_text(rest).len;
            match self.byte() {
                Some(b'"') => {
                    self.at += 1;
                    return has_escapes;
                }
                Some(b'\\') => {
                    has_escapes = true;
                    self.at += 2;
                }
                // Valid JSON has no control characters in strings.
                Some(_) => self.at += 1,
                None => {
                    self.at = self.bytes.len();
                    return has_escapes;
                }
            }
        }
    }

    /// Skips the object or array that starts here.
    fn skip_container(&mut self) {
        let mut depth = 0_usize;
        while let Some(byte) = self.byte() {
            match byte {
                b'"' => {
                    self.skip_string();
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return;
            }
        }
    }
}
