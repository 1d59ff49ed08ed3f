//! Decodes the bytes of an input: byte order marks, UTF-16, and what is not text at all.

use std::borrow::Cow;

/// The first bytes of a text in UTF-8, if a byte order mark is written.
const UTF_8_MARK: &[u8] = b"\xEF\xBB\xBF";

/// The first bytes of gzip data.
const GZIP_MAGIC: &[u8] = b"\x1F\x8B";

/// Returns the bytes as UTF-8 without a byte order mark. A text in UTF-16 is converted, because
/// `>` of Windows PowerShell writes it.
pub(super) fn decode(bytes: &[u8]) -> Cow<'_, [u8]> {
    if let Some(rest) = bytes.strip_prefix(UTF_8_MARK) {
        return Cow::Borrowed(rest);
    }
    let from_utf_16 = |rest: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = rest.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
        let text: String =
            char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
        Cow::Owned(text.into_bytes())
    };
    match bytes {
        [0xFF, 0xFE, rest @ ..] => from_utf_16(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => from_utf_16(rest, u16::from_be_bytes),
        _ => Cow::Borrowed(bytes),
    }
}

/// Returns what the bytes are if they are not text, and what to do about it.
pub(super) fn describe_binary(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    if bytes.starts_with(GZIP_MAGIC) {
        return Some(("it is compressed (gzip)", "Add --compressed to the curl command."));
    }
    let is_binary = bytes.contains(&0);
    is_binary.then_some(("it is binary data, not text", "Check which file or command is read."))
}

/// Returns what a text without an id is.
pub(super) const fn describe_blank(text: &[u8]) -> &'static str {
    if text.is_empty() { "it is empty" } else { "it has only white space and comments" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_decoded_and_binary_data_is_recognized() {
        let rows: [(&[u8], &[u8], bool); 8] = [
            (b"abc", b"abc", false),
            (b"\xEF\xBB\xBFabc", b"abc", false),
            (b"\xFF\xFEa\0b\0", b"ab", false),
            (b"\xFE\xFF\0a\0b", b"ab", false),
            (b"\xFF\xFEa\0b", b"a", false),
            (b"\xFF\xFE\x00\xD8", "\u{fffd}".as_bytes(), false),
            (b"\x1F\x8B\x08abc", b"\x1F\x8B\x08abc", true),
            (b"a\0b", b"a\0b", true),
        ];
        for (bytes, expected, is_binary) in rows {
            let decoded = decode(bytes);
            assert_eq!(*decoded, *expected, "{bytes:?}");
            assert_eq!(describe_binary(&decoded).is_some(), is_binary, "{bytes:?}");
        }
    }
}
