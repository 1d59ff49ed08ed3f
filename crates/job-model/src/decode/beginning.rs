//! Cuts a text at a character boundary.

/// Returns the longest beginning of a text with at most `max_len` bytes.
///
/// Does the same as `str::floor_char_boundary`, which needs Rust 1.91.
pub(crate) fn beginning(text: &str, max_len: usize) -> &str {
    let mut end = text.len().min(max_len);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_character_is_cut() {
        let text = "aä\u{20ac}\u{1f600}b";
        for max_len in 0..=text.len() + 2 {
            assert_eq!(beginning(text, max_len), &text[..text.floor_char_boundary(max_len)]);
        }
    }
}
