//! Holds a body whose syntax was checked, and the text that it has after repair.

use alloc::{borrow::Cow, string::String};
use core::{fmt::Write, ops::Range, str::Utf8Error};

use serde::de::IgnoredAny;

use super::{
    cursor::Cursor,
    deviation::Deviations,
    error::{DecodeError, DecodeErrorKind},
    path::{KnownNames, Path},
    repair::{Repaired, repair},
};

/// A body that is valid JSON, if necessary after repair.
pub(crate) struct Document<'b> {
    body: &'b [u8],
    /// Valid JSON. Each value is at the same position as in the body.
    text: Cow<'b, str>,
    /// Whether some strings of the body differ from the text.
    has_repaired_strings: bool,
}

impl<'b> Document<'b> {
    /// Repairs and parses a body. Returns it, and the repaired deviations.
    pub(crate) fn new(
        body: &'b [u8],
        known_names: &KnownNames,
    ) -> Result<(Self, Deviations), DecodeError> {
        let Repaired { text, has_repaired_strings, deviations } = repair(body);
        let text =
            into_text(text).map_err(|error| DecodeError::not_utf8(body, &error, known_names))?;
        serde_json::from_str::<IgnoredAny>(&text)
            .map_err(|error| DecodeError::syntax(body, &text, &error, known_names))?;
        Ok((Self { body, text, has_repaired_strings }, deviations))
    }

    /// Like [`Document::new`], but fails if the top-level value is not an object.
    pub(crate) fn new_object(
        body: &'b [u8],
        known_names: &KnownNames,
    ) -> Result<(Self, Deviations), DecodeError> {
        let (document, deviations) = Self::new(body, known_names)?;
        let mut cursor = document.cursor();
        if cursor.peek() != Some(b'{') {
            let kind = DecodeErrorKind::NotAnObject;
            return Err(DecodeError::new(body, cursor.position(), kind, &Path::default()));
        }
        Ok((document, deviations))
    }

    pub(crate) const fn body(&self) -> &'b [u8] {
        self.body
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Returns a cursor before the top-level value.
    pub(crate) const fn cursor(&self) -> Cursor<'_> {
        Cursor::new(self)
    }

    /// Returns a value as JSON. Control characters of its strings are escaped, and invalid UTF-8 is
    /// replaced by U+FFFD.
    pub(crate) fn json(&self, value: Range<usize>) -> Cow<'_, str> {
        let text = self.text.get(value.clone()).unwrap_or_default();
        match self.body.get(value) {
            Some(body) if self.has_repaired_strings && body != text.as_bytes() => {
                Cow::Owned(restore(body, text))
            }
            _ => Cow::Borrowed(text),
        }
    }
}

fn into_text(text: Cow<'_, [u8]>) -> Result<Cow<'_, str>, Utf8Error> {
    match text {
        Cow::Borrowed(text) => str::from_utf8(text).map(Cow::Borrowed),
        Cow::Owned(text) => {
            String::from_utf8(text).map(Cow::Owned).map_err(|error| error.utf8_error())
        }
    }
}

/// Returns the text with the odd bytes of its strings, as far as JSON can express them. `text` is
/// the repaired form of `body` and has the same length.
fn restore(body: &[u8], text: &str) -> String {
    let differs = |at: &usize| body[*at] != text.as_bytes()[*at];
    let mut restored = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(odd) = (at..body.len()).find(differs) {
        restored.push_str(&text[at..odd]);
        at = odd + 1;
        match body[odd] {
            b'\n' => restored.push_str("\\n"),
            b'\r' => restored.push_str("\\r"),
            b'\t' => restored.push_str("\\t"),
            control @ ..b' ' => {
                // Writing to a string does not fail.
                let _ = write!(restored, "\\u{control:04x}");
            }
            // A trailing comma, which is outside of the strings.
            b' '..0x80 => restored.push(' '),
            0x80.. => {
                at = (at..body.len()).find(|at| !differs(at)).unwrap_or(body.len());
                restored.push_str(&String::from_utf8_lossy(&body[odd..at]));
            }
        }
    }
    restored.push_str(&text[at..]);
    restored
}
