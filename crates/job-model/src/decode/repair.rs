//! Repairs syntax errors that the service or a proxy is known to make. The parser reports all
//! others.

use alloc::{borrow::Cow, string::ToString};
use core::{ops::Range, str};

use super::{
    deviation::{DeviationKind, Deviations},
    scan::Scanner,
};

pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// A body after repair.
#[derive(Default)]
pub(crate) struct Repaired<'b> {
    /// The body with spaces in place of its byte order mark, of trailing commas and of control
    /// characters in strings, and with `?` in place of each byte that is not valid UTF-8 in a
    /// string. All other bytes keep their values, and every byte its position.
    pub(crate) text: Cow<'b, [u8]>,
    /// Whether a string of the body was repaired.
    pub(crate) has_repaired_strings: bool,
    /// What was repaired.
    pub(crate) deviations: Deviations,
}

/// Repairs a body.
pub(crate) fn repair(body: &[u8]) -> Repaired<'_> {
    let mut repaired = Repaired { text: Cow::Borrowed(body), ..Repaired::default() };
    if body.starts_with(BYTE_ORDER_MARK) {
        repaired.text.to_mut()[..BYTE_ORDER_MARK.len()].fill(b' ');
        repaired.deviations.push(DeviationKind::ByteOrderMark, Default::default);
    }
    let is_utf8 = str::from_utf8(body).is_ok();
    let mut scanner = Scanner::new(body);
    // The first byte of the last token, its position, and the first byte of the token before it.
    let (mut last, mut last_at, mut before) = (b',', 0, b',');
    while let Some(at) = scanner.next() {
        let byte = body[at];
        if byte == b'"' {
            let string = scanner.last_string();
            if string.has_controls {
                repaired.remove_controls(string.range.clone(), &scanner);
            }
            if string.has_non_ascii && !is_utf8 {
                repaired.remove_invalid_utf8(body, string.range.clone(), &scanner);
            }
        }
        // The path of the deviation is that of the enclosing object or array.
        if b"}]".contains(&byte) && last == b',' && !b"[{,:".contains(&before) {
            repaired.text.to_mut()[last_at] = b' ';
            let path = || scanner.path().to_string();
            repaired.deviations.push(DeviationKind::TrailingComma, path);
        }
        (before, last, last_at) = (last, byte, at);
    }
    repaired
}

impl Repaired<'_> {
    fn remove_controls(&mut self, string: Range<usize>, scanner: &Scanner<'_>) {
        let controls = self.text.to_mut()[string].iter_mut().filter(|byte| **byte < b' ');
        controls.for_each(|byte| *byte = b' ');
        self.has_repaired_strings = true;
        let path = || scanner.path().to_string();
        self.deviations.push(DeviationKind::ControlCharacter, path);
    }

    fn remove_invalid_utf8(&mut self, body: &[u8], string: Range<usize>, scanner: &Scanner<'_>) {
        if str::from_utf8(&body[string.clone()]).is_ok() {
            return;
        }
        let mut at = string.start;
        let text = self.text.to_mut();
        for chunk in body[string].utf8_chunks() {
            at += chunk.valid().len();
            text[at..at + chunk.invalid().len()].fill(b'?');
            at += chunk.invalid().len();
        }
        self.has_repaired_strings = true;
        self.deviations.push(DeviationKind::InvalidUtf8, || scanner.path().to_string());
    }
}

#[cfg(test)]
mod tests;
