//! Holds a body whose syntax was checked, and the text that it has after repair.

use alloc::{borrow::Cow, string::String};
use core::{
    ops::Range,
    str::{self, Utf8Error},
};

use serde::de::IgnoredAny;

use super::{
    cursor::Cursor,
    deviation::{DeviationKind, Deviations},
    error::{DecodeError, DecodeErrorKind},
    path::{KnownNames, Path},
    repair::{BYTE_ORDER_MARK, Repaired, repair},
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
    /// Parses a body, and repairs it only if it is not valid JSON. Returns it, and the repaired
    /// deviations.
    pub(crate) fn new(
        body: &'b [u8],
        known_names: &KnownNames,
    ) -> Result<(Self, Deviations), DecodeError> {
        let Ok(text) = str::from_utf8(body) else { return Self::repaired(body, known_names) };
        match serde_json::from_str::<IgnoredAny>(text) {
            Ok(_) => {
                let text = Cow::Borrowed(text);
                let document = Self { body, text, has_repaired_strings: false };
                Ok((document, Deviations::default()))
            }
            // The body is valid up to its end, so repair would change nothing.
            Err(error) if error.is_eof() => {
                Err(DecodeError::syntax(body, text, &error, known_names))
            }
            Err(_) => Self::repaired(body, known_names),
        }
    }

    /// Repairs and parses a body that is probably not valid JSON. Returns it, and the repaired
    /// deviations.
    pub(crate) fn repaired(
        body: &'b [u8],
        known_names: &KnownNames,
    ) -> Result<(Self, Deviations), DecodeError> {
        // Often the mark is all that is wrong. Then this is faster.
        if let Some(text) = body.strip_prefix(BYTE_ORDER_MARK).and_then(valid_json) {
            let text = [BLANK_MARK, text].concat();
            let document = Self { body, text: Cow::Owned(text), has_repaired_strings: false };
            let mut deviations = Deviations::default();
            deviations.push(DeviationKind::ByteOrderMark, Default::default);
            return Ok((document, deviations));
        }
        let Repaired { text, has_repaired_strings, deviations } = repair(body);
        let text =
            into_text(text).map_err(|error| DecodeError::not_utf8(body, &error, known_names))?;
        serde_json::from_str::<IgnoredAny>(&text)
            .map_err(|error| DecodeError::syntax(body, &text, &error, known_names))?;
        Ok((Self { body, text, has_repaired_strings }, deviations))
    }

    /// Returns an error if the top-level value is not an object.
    pub(crate) fn check_object(&self) -> Result<(), DecodeError> {
        let mut cursor = self.cursor();
        if cursor.peek() == Some(b'{') {
            return Ok(());
        }
        let kind = DecodeErrorKind::NotAnObject;
        Err(DecodeError::new(self.body, cursor.position(), kind, &Path::default()))
    }

    pub(crate) const fn body(&self) -> &'b [u8] {
        self.body
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Returns a cursor before the top-level value.
    pub(crate) fn cursor(&self) -> Cursor<'_> {
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

/// Blanks in place of a byte order mark.
const BLANK_MARK: &str = "   ";

/// Returns the text of a body that is valid JSON without repair.
fn valid_json(body: &[u8]) -> Option<&str> {
    let text = str::from_utf8(body).ok()?;
    serde_json::from_str::<IgnoredAny>(text).is_ok().then_some(text)
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
                let digit = |digit: u8| char::from_digit(digit.into(), 16).unwrap_or('0');
                restored.push_str("\\u00");
                restored.extend([digit(control >> 4), digit(control & 0xf)]);
            }
            // A trailing comma, which is outside of the strings.
            b' '..0x80 => restored.push(' '),
            0x80.. => {
                // A control character after them differs, too.
                let is_end = |at: &usize| !differs(at) || body[*at].is_ascii();
                at = (at..body.len()).find(is_end).unwrap_or(body.len());
                for chunk in body[odd..at].utf8_chunks() {
                    restored.push_str(chunk.valid());
                    let is_replaced = !chunk.invalid().is_empty();
                    restored.extend(is_replaced.then_some(char::REPLACEMENT_CHARACTER));
                }
            }
        }
    }
    restored.push_str(&text[at..]);
    restored
}
