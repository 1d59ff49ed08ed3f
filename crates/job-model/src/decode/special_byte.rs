//! Finds the end of the plain text in a string of JSON, eight bytes at a time.

/// The plain text at the start of some bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct PlainText {
    /// The number of bytes before the first quote, backslash or control character.
    pub(crate) len: usize,
    pub(crate) has_non_ascii: bool,
}

const WORD_LEN: usize = size_of::<u64>();

/// The lowest bit, and the highest bit, of each byte of a word.
const LOW_BITS: u64 = u64::from_ne_bytes([0x01; WORD_LEN]);
const HIGH_BITS: u64 = u64::from_ne_bytes([0x80; WORD_LEN]);

/// Measures the plain text at the start of `bytes`.
pub(crate) fn plain_text(bytes: &[u8]) -> PlainText {
    let words = bytes.chunks_exact(WORD_LEN);
    let rest = words.remainder();
    let mut has_non_ascii = false;
    let mut len = 0;
    for word in words {
        let mut array = [0; WORD_LEN];
        array.copy_from_slice(word);
        let word = u64::from_le_bytes(array);
        let special = special_bytes(word);
        if special != 0 {
            // Below the first special byte, all bytes are plain.
            let before = (special & special.wrapping_neg()) - 1;
            has_non_ascii |= word & HIGH_BITS & before != 0;
            return PlainText { len: len + special.trailing_zeros() as usize / 8, has_non_ascii };
        }
        has_non_ascii |= word & HIGH_BITS != 0;
        len += WORD_LEN;
    }
    let plain = rest.iter().take_while(|byte| !matches!(byte, b'"' | b'\\' | ..b' '));
    for byte in plain {
        has_non_ascii |= !byte.is_ascii();
        len += 1;
    }
    PlainText { len, has_non_ascii }
}

/// Returns a word with the highest bit of the first special byte. Bytes after it can be marked
/// although they are plain, because a subtraction borrows from them.
const fn special_bytes(word: u64) -> u64 {
    let quotes = word ^ (LOW_BITS * b'"' as u64);
    let backslashes = word ^ (LOW_BITS * b'\\' as u64);
    let controls = word.wrapping_sub(LOW_BITS * b' ' as u64) & !word;
    let quotes = quotes.wrapping_sub(LOW_BITS) & !quotes;
    let backslashes = backslashes.wrapping_sub(LOW_BITS) & !backslashes;
    (quotes | backslashes | controls) & HIGH_BITS
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn one_by_one(bytes: &[u8]) -> PlainText {
        let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | ..b' ');
        let len = bytes.iter().position(is_special).unwrap_or(bytes.len());
        PlainText { len, has_non_ascii: !bytes[..len].is_ascii() }
    }

    #[test]
    fn every_byte_is_found_at_every_position() {
        for byte in 0..=u8::MAX {
            for at in 0..20 {
                for filler in [b'a', b' ', b'!', b'#', b']', 0x7f, 0x80, 0xff] {
                    let mut bytes = [filler; 20];
                    bytes[at] = byte;
                    assert_eq!(plain_text(&bytes), one_by_one(&bytes), "{bytes:?}");
                }
            }
        }
        assert_eq!(plain_text(b""), PlainText { len: 0, has_non_ascii: false });
    }

    proptest! {
        #[test]
        fn words_and_bytes_agree(bytes in prop::collection::vec(
            prop_oneof![4 => any::<u8>(), 4 => b'a'..=b'z', 1 => Just(b'"'), 1 => Just(b'\\')],
            0..64,
        )) {
            let bytes: Vec<u8> = bytes;
            prop_assert_eq!(plain_text(&bytes), one_by_one(&bytes));
        }
    }
}
