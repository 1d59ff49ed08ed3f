//! Recognizes and escapes characters that must not be printed to a terminal.

use alloc::format;
use core::{
    fmt::{self, Write},
    ops::RangeInclusive,
};

/// The code points with the property `Default_Ignorable_Code_Point` or `Bidi_Control` in Unicode
/// 16.0, except those that `char::is_control` covers. Ranges that touch are joined.
const INVISIBLE: [RangeInclusive<char>; 17] = [
    '\u{ad}'..='\u{ad}',
    '\u{34f}'..='\u{34f}',
    '\u{61c}'..='\u{61c}',
    // The fillers of Hangul.
    '\u{115f}'..='\u{1160}',
    '\u{17b4}'..='\u{17b5}',
    '\u{180b}'..='\u{180f}',
    '\u{200b}'..='\u{200f}',
    '\u{202a}'..='\u{202e}',
    '\u{2060}'..='\u{206f}',
    // Another filler of Hangul.
    '\u{3164}'..='\u{3164}',
    '\u{fe00}'..='\u{fe0f}',
    '\u{feff}'..='\u{feff}',
    // The halfwidth filler of Hangul, and code points that are reserved for such characters.
    '\u{ffa0}'..='\u{ffa0}',
    '\u{fff0}'..='\u{fff8}',
    '\u{1bca0}'..='\u{1bca3}',
    '\u{1d173}'..='\u{1d17a}',
    // Tags, and variation selectors.
    '\u{e0000}'..='\u{e0fff}',
];

/// Characters without these properties that separate lines, annotate their neighbors, or are blank
/// without being spaces.
const OTHERS: [RangeInclusive<char>; 3] =
    ['\u{2028}'..='\u{2029}', '\u{2800}'..='\u{2800}', '\u{fff9}'..='\u{fffb}'];

/// Returns `true` for a character that is invisible or could disturb a terminal.
///
/// These are control characters, and the characters that Unicode 16.0 lists as
/// `Default_Ignorable_Code_Point` or `Bidi_Control`: joiners, fillers, variation selectors, tags
/// and marks that change the direction of writing. U+2028, U+2029, U+2800 and U+FFF9 to U+FFFB are
/// added. Spaces are printable.
///
/// Any text of the service, such as a reason or a name, may contain such characters. Remove or
/// escape them before you show the text. Everything that this crate displays already does so.
///
/// ```
/// let reason = "quota\u{1b}[2J exceeded";
/// let shown: String = reason.chars().filter(|c| !job_model::is_unprintable(*c)).collect();
/// assert_eq!(shown, "quota[2J exceeded");
/// ```
#[must_use]
pub fn is_unprintable(c: char) -> bool {
    if c < '\u{ad}' {
        return c.is_control();
    }
    let is_within = |ranges: &[RangeInclusive<char>]| ranges.iter().any(|range| range.contains(&c));
    is_within(&INVISIBLE) || is_within(&OTHERS)
}

/// Writes a text with the width, alignment and precision of the formatter.
pub(crate) fn pad(f: &mut fmt::Formatter<'_>, text: fmt::Arguments<'_>) -> fmt::Result {
    if f.width().is_none() && f.precision().is_none() {
        f.write_fmt(text)
    } else {
        f.pad(&format!("{text}"))
    }
}

/// Displays a text with its unprintable characters, quotes and backslashes escaped.
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

/// Displays a text between double quotes, with its unprintable characters, double quotes and
/// backslashes escaped.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_escaped(f, self.0)
    }
}

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for (index, piece) in self.0.split('\'').enumerate() {
            // `escape_debug` would escape this quote, too.
            f.write_str(if index == 0 { "" } else { "'" })?;
            write_escaped(f, piece)?;
        }
        f.write_char('"')
    }
}

fn write_escaped(f: &mut fmt::Formatter<'_>, mut text: &str) -> fmt::Result {
    while !text.is_empty() {
        let plain_len = text.find(|c| !is_plain(c)).map_or(text.len(), |end| {
            // `escape_debug` escapes a combining mark that has no character before it.
            end - text[..end].chars().next_back().map_or(0, char::len_utf8)
        });
        let (plain, rest) = text.split_at(plain_len);
        f.write_str(plain)?;
        let odd_end = rest.char_indices().skip(1).find(|(_, c)| is_plain(*c));
        let (odd, rest) = rest.split_at(odd_end.map_or(rest.len(), |(end, _)| end));
        text = rest;
        // `escape_debug` has short escapes for some control characters, but leaves some of the
        // other unprintable characters as they are.
        for piece in odd.split_inclusive(is_unprintable_non_control) {
            let last = piece.chars().next_back().filter(|c| is_unprintable_non_control(*c));
            write!(f, "{}", piece[..piece.len() - last.map_or(0, char::len_utf8)].escape_debug())?;
            if let Some(last) = last {
                write!(f, "{}", last.escape_unicode())?;
            }
        }
    }
    Ok(())
}

fn is_unprintable_non_control(c: char) -> bool {
    is_unprintable(c) && !c.is_control()
}

/// Returns whether a character is certainly displayed as it is. `escape_debug` decides on the
/// others, and takes longer.
const fn is_plain(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{4e00}'..='\u{9fff}' | char::REPLACEMENT_CHARACTER)
        && !matches!(c, '"' | '\'' | '\\')
}

#[cfg(test)]
mod tests {
    use alloc::string::{String, ToString};

    use super::*;
    use crate::testing::UNPRINTABLE_CHARS;

    #[test]
    fn only_control_and_invisible_characters_are_unprintable() {
        for c in UNPRINTABLE_CHARS.iter().copied().filter_map(char::from_u32) {
            assert!(is_unprintable(c), "{c:?}");
        }
        for c in " aä\u{a0}\u{301}中🙂\\\"".chars() {
            assert!(!is_unprintable(c), "{c:?}");
        }
    }

    #[test]
    fn escaped_and_quoted_texts_have_no_unprintable_characters() {
        let text: String = UNPRINTABLE_CHARS.iter().filter_map(|c| char::from_u32(*c)).collect();
        for shown in [Escaped(&text).to_string(), Quoted(&text).to_string()] {
            assert_eq!(shown.chars().find(|c| is_unprintable(*c)), None);
        }
        let text = "it's \"a\"\n\u{2800}b\u{ffa0}";
        assert_eq!(Quoted(text).to_string(), r#""it's \"a\"\n\u{2800}b\u{ffa0}""#);
        assert_eq!(Escaped("a\u{301}").to_string(), "a\u{301}");
        assert_eq!(Quoted("plain 中").to_string(), format!("{:?}", "plain 中"));
    }

    /// Compares the table with the properties as the crate `regex` has them. If the crate has a
    /// newer version of Unicode and this test fails, update the table and the version.
    #[test]
    fn table_has_all_code_points_of_the_two_properties() {
        let pattern = regex::Regex::new(r"^[\p{Cc}\p{DI}\p{Bidi_C}]$").unwrap();
        let others: [u32; 6] = [0x2028, 0x2029, 0x2800, 0xfff9, 0xfffa, 0xfffb];
        for c in '\0'..=char::MAX {
            let mut text = [0; 4];
            let expected =
                pattern.is_match(c.encode_utf8(&mut text)) || others.contains(&u32::from(c));
            assert_eq!(is_unprintable(c), expected, "U+{:04X}", u32::from(c));
        }
    }
}
