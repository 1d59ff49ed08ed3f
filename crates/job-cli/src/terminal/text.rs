//! Sanitizes untrusted texts for display: escapes control characters, and limits the length.

use job_model::is_unprintable;

/// Maximum number of characters of one line. Nobody reads longer ones, and `-o json` has the whole
/// text.
const MAX_LINE_CHARS: usize = 2_000;

/// Returns any text as one printable line. Unprintable characters are escaped. A text above the
/// limit is truncated, followed by the number of omitted characters.
pub(crate) fn sanitize_line(text: &str) -> String {
    match text.char_indices().nth(MAX_LINE_CHARS) {
        None => sanitize(text),
        Some((end, _)) => {
            let (shown, rest) = text.split_at(end);
            format!("{}… ({} more characters)", sanitize(shown), rest.chars().count())
        }
    }
}

/// Escapes unprintable characters, without a limit on the length.
pub(crate) fn sanitize(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unprintable(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_are_escaped_and_truncated() {
        let rows = [
            ("no \"quota\" \\ ü 中 🙂", "no \"quota\" \\ ü 中 🙂"),
            ("a\nb\r\tc", "a\\u{a}b\\u{d}\\u{9}c"),
            ("\u{1b}]0;title\u{7}\u{9b}2J", "\\u{1b}]0;title\\u{7}\\u{9b}2J"),
            ("\u{202e}txt.exe", "\\u{202e}txt.exe"),
            ("", ""),
        ];
        for (text, expected) in rows {
            assert_eq!(sanitize_line(text), expected, "{text:?}");
        }
        let long = sanitize_line(&"x".repeat(1_000_000));
        assert!(long.ends_with("x… (998000 more characters)"), "{}", &long[MAX_LINE_CHARS..]);
    }

    proptest! {
        #[test]
        fn escaped_texts_contain_no_unprintable_characters(text in any::<String>()) {
            prop_assert!(!sanitize_line(&text).contains(is_unprintable));
        }
    }
}
